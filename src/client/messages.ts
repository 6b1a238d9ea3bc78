/**
 * What a display reads from the service. These schemas ask only for what a display uses, so that an
 * older display goes on working when the service says more; a test holds them against the service's own.
 */
import * as z from 'zod/mini';

const exact = {
  /** What remains, in ms, at `server_time_ms`. */
  remaining_ms: z.number(),
  /** Epoch ms of the server at which the time is up; null while the clock stands still. */
  deadline_ms: z.nullable(z.number()),
  /** Epoch ms of the server at which this was said. */
  server_time_ms: z.number(),
  revision: z.int(),
};

export const timerStateSchema = z.enum(['created', 'running', 'paused', 'expired', 'completed']);
export type TimerState = z.output<typeof timerStateSchema>;

export const timerSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: timerStateSchema,
  duration_seconds: z.number(),
  remaining_seconds: z.number(),
  elapsed_seconds: z.number(),
  warning_thresholds: z.array(z.number()),
  connected_clients: z.number(),
  created_at: z.string(),
  started_at: z.nullable(z.string()),
  completed_at: z.nullable(z.string()),
  ...exact,
});
export type Timer = z.output<typeof timerSchema>;

const remaining_seconds = z.number();
const elapsed_seconds = z.number();

const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connected'), timer: timerSchema, display_id: z.string() }),
  z.object({ type: z.literal('timer_started'), remaining_seconds, ...exact }),
  z.object({ type: z.literal('timer_tick'), remaining_seconds, elapsed_seconds, ...exact }),
  z.object({
    type: z.literal('timer_warning'),
    remaining_seconds,
    /** Seconds before the end. */
    threshold: z.number(),
    ...exact,
  }),
  z.object({ type: z.literal('timer_paused'), remaining_seconds, ...exact }),
  z.object({
    type: z.literal('timer_extended'),
    added_seconds: z.number(),
    remaining_seconds,
    ...exact,
  }),
  z.object({ type: z.literal('timer_stopped'), remaining_seconds, elapsed_seconds, ...exact }),
  z.object({ type: z.literal('timer_expired'), elapsed_seconds, ...exact }),
  z.object({ type: z.literal('timer_deleted'), server_time_ms: z.number(), revision: z.int() }),
  z.object({ type: z.literal('keepalive'), remaining_seconds, ...exact }),
  z.object({ type: z.literal('pong') }),
  z.object({
    type: z.literal('sync_response'),
    state: timerStateSchema,
    client_time: z.unknown(),
    server_received_ms: z.number(),
    server_sent_ms: z.number(),
    ...exact,
  }),
  z.object({ type: z.literal('error'), message: z.string() }),
]);

export type ServerMessage = z.output<typeof serverMessageSchema>;
export type ServerMessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

/** The answer of `GET /time`. */
export const timeSchema = z.object({ server_received_ms: z.number(), server_sent_ms: z.number() });

/** What a display tells of itself after it has shown a change. */
export interface Acknowledgement {
  readonly revision: number;
  /** Null while the display does not know how far it may be off. */
  readonly error_bound_ms: number | null;
  readonly label?: string;
}

/** Understands a message of the service; `undefined` for one that this display does not know. */
export function parseServerMessage(text: string): ServerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = serverMessageSchema.safeParse(value);
  return result.success ? result.data : undefined;
}
