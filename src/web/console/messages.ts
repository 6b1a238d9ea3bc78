/** What only the console reads from the service: its stream, who follows a timer, and answers to commands. */
import * as z from 'zod/mini';
import { timerSchema } from '../../client/messages.js';

const count = z.number();

export const displaySummarySchema = z.object({
  timer_id: z.string(),
  connected: count,
  /** How many of them said that they show the timer's last change. */
  current: count,
  worst_error_bound_ms: z.nullable(z.number()),
});
export type DisplaySummary = z.output<typeof displaySummarySchema>;

const authorSchema = z.object({
  credential: z.string(),
  role: z.string(),
  label: z.nullable(z.string()),
});
const reasonSchema = z.nullable(z.object({ category: z.string(), text: z.nullable(z.string()) }));

/** Who the service takes this page for. */
export const callerSchema = z.extend(authorSchema, { expires_at: z.nullable(z.string()) });
export type Caller = z.output<typeof callerSchema>;

/** A token for one display; it is told this once. */
export const displayTokenSchema = z.object({ token: z.string(), expires_at: z.string() });
export type DisplayToken = z.output<typeof displayTokenSchema>;

export const historySchema = z.array(
  z.object({
    revision: z.number(),
    at: z.string(),
    /** What happened, by whom and why, in a sentence. */
    summary: z.string(),
  }),
);
export type HistoryItem = z.output<typeof historySchema>[number];

export const changeSchema = z.object({
  timer_id: z.string(),
  name: z.string(),
  /** Any word, so that a change of a newer service does not stop this console. */
  change: z.string(),
  at_ms: z.number(),
  revision: z.number(),
  by: authorSchema,
  reason: reasonSchema,
  added_seconds: z.optional(z.number()),
});
export type Change = z.output<typeof changeSchema>;

export const consoleMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('overview'),
    server_time_ms: z.number(),
    keepalive_seconds: z.number(),
    max_bulk_timers: z.number(),
    displays: z.array(displaySummarySchema),
  }),
  z.object({
    type: z.literal('update'),
    server_time_ms: z.number(),
    changes: z.array(changeSchema),
    timers: z.array(timerSchema),
    removed: z.array(z.string()),
    displays: z.array(displaySummarySchema),
  }),
  z.object({ type: z.literal('keepalive'), server_time_ms: z.number() }),
]);
export type ConsoleMessage = z.output<typeof consoleMessageSchema>;
export type Overview = Extract<ConsoleMessage, { type: 'overview' }>;
export type Update = Extract<ConsoleMessage, { type: 'update' }>;

export const displaysSchema = z.object({
  timer_id: z.string(),
  revision: z.number(),
  connected: count,
  current: count,
  worst_error_bound_ms: z.nullable(z.number()),
  displays: z.array(
    z.object({
      display_id: z.string(),
      label: z.nullable(z.string()),
      transport: z.string(),
      connected_at: z.string(),
      revision: z.nullable(z.number()),
      error_bound_ms: z.nullable(z.number()),
      is_current: z.boolean(),
    }),
  ),
});
export type Displays = z.output<typeof displaysSchema>;
export type Display = Displays['displays'][number];

export const timerListSchema = z.array(timerSchema);

export const bulkResultsSchema = z.array(
  z.object({ timer_id: z.string(), success: z.boolean(), status: z.string() }),
);
export type BulkResult = z.output<typeof bulkResultsSchema>[number];

export const problemSchema = z.object({
  detail: z.string(),
  errors: z.optional(z.array(z.object({ field: z.string(), message: z.string() }))),
});
export type ProblemBody = z.output<typeof problemSchema>;

/** Reads a message as it came over a stream; `undefined` for one that this console does not know. */
export function parseMessage<S extends z.ZodMiniType>(
  schema: S,
  text: string,
): z.output<S> | undefined {
  try {
    const result = schema.safeParse(JSON.parse(text));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
