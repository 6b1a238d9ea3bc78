/** What displays say about themselves, and what is shown of them to those who look after a timer. */
import { z } from 'zod';
import type { TimerRecord } from '../registry.js';

const LONGEST_LABEL = 100;

/** A day: no display that hears the service is as far off, and one that says so would spoil what is shown of all. */
const LARGEST_ERROR_BOUND_MS = 24 * 60 * 60 * 1000;

const bound = z.number().min(0);
const boundText = 'How far the shown time may be off, in ms; null if that is not known.';
const errorBound = bound.nullable().meta({ description: boundText });

export const labelSchema = z
  .string()
  .max(LONGEST_LABEL)
  .meta({ description: 'What people call the display.', examples: ['Seat 14'] });

export const acknowledgementFields = {
  revision: z.int().min(1).meta({ description: 'The revision of the timer that is shown.' }),
  error_bound_ms: bound.max(LARGEST_ERROR_BOUND_MS).nullable().meta({ description: boundText }),
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

/** A display as its own node knows it: which revision the timer has is for whoever shows it to say. */
export const displayRowSchema = displaySchema.omit({ is_current: true });
export type DisplayRow = z.output<typeof displayRowSchema>;

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

/** Of one timer: the displays of a node, those of them that show a revision, and their worst error bound. */
export const figuresSchema = z.object({
  timer_id: z.string(),
  connected: z.int().min(0),
  revision: z.int().min(0),
  current: z.int().min(0),
  worst_error_bound_ms: z.number().min(0).nullable(),
});
export type Figures = z.output<typeof figuresSchema>;

export function figuresOfNobody(timerId: string): Figures {
  return {
    timer_id: timerId,
    connected: 0,
    revision: 0,
    current: 0,
    worst_error_bound_ms: null,
  };
}

/** What several nodes tell of one timer: who shows another revision than it has is not current. */
export function summaryOf(
  timerId: string,
  revision: number,
  figures: readonly Figures[],
): DisplaySummary {
  let [connected, current] = [0, 0];
  for (const one of figures) {
    connected += one.connected;
    if (one.revision === revision) current += one.current;
  }
  const bounds = figures.map((one) => one.worst_error_bound_ms);
  return { timer_id: timerId, connected, current, worst_error_bound_ms: worstOf(bounds) };
}

/** All displays of a timer. */
export function displaysResource(
  { id, revision }: Pick<TimerRecord, 'id' | 'revision'>,
  rows: readonly DisplayRow[],
): Displays {
  const displays = rows.map((row) => ({ ...row, is_current: row.revision === revision }));
  return {
    timer_id: id,
    revision,
    connected: displays.length,
    current: displays.filter(({ is_current }) => is_current).length,
    worst_error_bound_ms: worstOf(rows.map(({ error_bound_ms }) => error_bound_ms)),
    displays,
  };
}

function worstOf(boundsMs: readonly (number | null)[]): number | null {
  let worstMs: number | null = null;
  for (const boundMs of boundsMs) {
    if (boundMs !== null) worstMs = Math.max(worstMs ?? 0, boundMs);
  }
  return worstMs;
}
