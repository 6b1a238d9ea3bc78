/** What nodes tell each other of their displays. */
import { z } from 'zod';
import { acknowledgementSchema, displayRowSchema, figuresSchema } from './displays.js';

/**
 * What is new on a node since what it told before. Every message with news has the next number; one without
 * says that the node is there, and repeats the number.
 */
export const newsSchema = z.object({
  node: z.string(),
  number: z.int().min(0),
  /** What was known of the node before counts no more. */
  is_beginning: z.boolean(),
  is_leaving: z.boolean(),
  figures: z.array(figuresSchema),
});
export type News = z.output<typeof newsSchema>;

/** What a node is asked by another. */
export const questionSchema = z.discriminatedUnion('type', [
  /** To be told everything, as news that are meant for one node only. */
  z.object({ type: z.literal('everything'), node: z.string() }),
  z.object({ type: z.literal('displays'), timer_id: z.string(), from: z.int().min(0) }),
  z.object({
    type: z.literal('acknowledge'),
    timer_id: z.string(),
    display_id: z.string(),
    credential: z.string(),
    acknowledgement: acknowledgementSchema,
  }),
]);
export type Question = z.output<typeof questionSchema>;

export const displayRowsSchema = z.object({ rows: z.array(displayRowSchema), more: z.boolean() });

/** What became of what somebody said in the name of a display. */
export const acknowledgedSchema = z.object({
  outcome: z.enum(['noted', 'unknown_display', 'forbidden', 'too_many_messages']),
});
export type Acknowledged = z.output<typeof acknowledgedSchema>['outcome'];
