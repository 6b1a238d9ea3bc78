/** What displays say about themselves, and what is shown of them to those who look after a timer. */
import { z } from 'zod';

const LONGEST_LABEL = 100;

const errorBound = z
  .number()
  .min(0)
  .nullable()
  .meta({ description: 'How far the shown time may be off, in ms; null if that is not known.' });

export const labelSchema = z
  .string()
  .max(LONGEST_LABEL)
  .meta({ description: 'What people call the display.', examples: ['Seat 14'] });

export const acknowledgementFields = {
  revision: z.int().min(1).meta({ description: 'The revision of the timer that is shown.' }),
  error_bound_ms: errorBound,
  label: labelSchema.optional(),
};

export const acknowledgementSchema = z.object(acknowledgementFields).meta({
  id: 'Acknowledgement',
  description: 'What a display shows. It changes no timer.',
});

export type Acknowledgement = z.output<typeof acknowledgementSchema>;

export const displayIdSchema = z
  .string()
  .meta({ description: 'Identifies a connection of a display; see `connected`.' });

export const TRANSPORTS = ['websocket', 'sse'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export const displaySchema = z
  .object({
    display_id: displayIdSchema,
    label: labelSchema.nullable(),
    transport: z.enum(TRANSPORTS),
    connected_at: z.iso.datetime(),
    revision: z.int().nullable().meta({ description: 'The revision it acknowledged last.' }),
    error_bound_ms: errorBound,
    acknowledged_at: z.iso.datetime().nullable(),
    is_current: z.boolean().meta({ description: "Whether it shows the timer's last revision." }),
  })
  .meta({ id: 'Display' });

const counts = {
  connected: z.int().min(0).meta({ description: 'Displays that follow the timer.' }),
  current: z.int().min(0).meta({ description: 'Those of them that show its last revision.' }),
  worst_error_bound_ms: errorBound.meta({
    description: 'The largest error bound that a display told; null if none told one.',
  }),
};

export const displaySummarySchema = z
  .object({ timer_id: z.string(), ...counts })
  .meta({ id: 'DisplaySummary' });

export type DisplaySummary = z.output<typeof displaySummarySchema>;

export const displaysSchema = z
  .object({
    timer_id: z.string(),
    revision: z.int().min(1).meta({ description: 'The last revision of the timer.' }),
    ...counts,
    displays: z.array(displaySchema).meta({ description: 'In the order they came.' }),
  })
  .meta({ id: 'Displays', description: 'Who follows a timer, and what they show.' });

export type Displays = z.output<typeof displaysSchema>;
