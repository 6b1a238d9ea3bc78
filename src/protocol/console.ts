/** What a console is told: a view of all timers and of all displays that follow them. */
import { z } from 'zod';
import type { Change } from '../registry.js';
import { type DisplaySummary, displaySummarySchema } from './displays.js';
import { authorSchema, ENTRY_TYPES, publicAuthorOf, recordedReasonSchema } from './record.js';
import { type TimerResource, timerSchema } from './timer.js';

const serverTime = z.int().meta({ description: "The server's time when this was said." });

export const changeSchema = z
  .object({
    timer_id: z.string(),
    name: z.string(),
    change: z.enum(ENTRY_TYPES),
    at_ms: z.int().meta({ description: 'When the change took effect, in epoch ms.' }),
    revision: z.int().min(1),
    by: authorSchema,
    reason: recordedReasonSchema.nullable(),
    added_seconds: z.int().optional().meta({ description: 'What an extension added.' }),
  })
  .meta({ id: 'Change', description: 'One entry of the journal.' });

export const CONSOLE_MESSAGES = {
  overview: z
    .object({
      type: z.literal('overview'),
      server_time_ms: serverTime,
      keepalive_seconds: z.int().min(1).meta({
        description: 'A console that hears nothing for much longer has lost its stream.',
      }),
      max_bulk_timers: z.int().min(1).meta({ description: 'Timers that one bulk command takes.' }),
      displays: z.array(displaySummarySchema).meta({
        description: 'One for each timer with displays, up to 1,000; updates bring the others.',
      }),
    })
    .meta({ id: 'console_overview', description: 'On connection: who follows what.' }),
  update: z
    .object({
      type: z.literal('update'),
      server_time_ms: serverTime,
      changes: z.array(changeSchema).meta({
        description: 'What happened, oldest first; of more than 1,000 that wait, the last.',
      }),
      timers: z.array(timerSchema).meta({ description: 'Timers that changed, as they are now.' }),
      removed: z.array(z.string()).meta({ description: 'Ids of timers that are gone.' }),
      displays: z.array(displaySummarySchema).meta({
        description: 'Of timers whose displays changed; connected is 0 when the last one left.',
      }),
    })
    .meta({ id: 'console_update', description: 'What changed since the message before.' }),
  keepalive: z
    .object({ type: z.literal('keepalive'), server_time_ms: serverTime })
    .meta({ id: 'console_keepalive', description: 'Nothing else was sent for a while.' }),
} as const;

export const consoleMessageSchema = z.discriminatedUnion('type', [
  CONSOLE_MESSAGES.overview,
  CONSOLE_MESSAGES.update,
  CONSOLE_MESSAGES.keepalive,
]);

export type ConsoleMessage = z.output<typeof consoleMessageSchema>;

/** What a console must know of the service's settings. */
export interface ConsoleSettings {
  readonly keepaliveSeconds: number;
  readonly maxBulkTimers: number;
}

export function overviewMessage(
  atMs: number,
  { keepaliveSeconds, maxBulkTimers }: ConsoleSettings,
  displays: DisplaySummary[],
): ConsoleMessage {
  return {
    type: 'overview',
    server_time_ms: atMs,
    keepalive_seconds: keepaliveSeconds,
    max_bulk_timers: maxBulkTimers,
    displays,
  };
}

export function updateMessage(
  atMs: number,
  news: {
    readonly changes: readonly Change[];
    readonly timers: TimerResource[];
    readonly removed: string[];
    readonly displays: DisplaySummary[];
  },
): ConsoleMessage {
  const changes = news.changes.map(changeOf);
  return { type: 'update', server_time_ms: atMs, ...news, changes };
}

export function consoleKeepalive(atMs: number): ConsoleMessage {
  return { type: 'keepalive', server_time_ms: atMs };
}

function changeOf({ entry, name }: Change): z.output<typeof changeSchema> {
  return {
    timer_id: entry.timerId,
    name,
    change: entry.type,
    at_ms: entry.atMs,
    revision: entry.revision,
    by: publicAuthorOf(entry.by),
    reason: entry.reason,
    ...(entry.type === 'extended' ? { added_seconds: entry.data.addedMs / 1000 } : {}),
  };
}
