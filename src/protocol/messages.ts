/** Every message between the service and a display, in both directions. */
import { z } from 'zod';
import { noticesOf } from '../../machines/notices.js';
import type { Entry, Notice, TimerStatus } from '../registry.js';
import { acknowledgementFields, displayIdSchema } from './displays.js';
import {
  elapsedSeconds,
  exactFields,
  exactly,
  isoTime,
  remainingSeconds,
  secondsOf,
  timerResource,
  timerSchema,
  timerStateSchema,
  WIRE_STATES,
} from './timer.js';

function message<const T extends string, S extends z.ZodRawShape>(
  type: T,
  when: string,
  fields: S,
) {
  return z.object({ type: z.literal(type), ...fields }).meta({ id: type, description: when });
}

const seconds = { remaining_seconds: remainingSeconds, elapsed_seconds: elapsedSeconds };

/** What a display is told unasked, over WebSocket and as server-sent events alike. */
export const EVENT_MESSAGES = {
  connected: message('connected', 'On connection: the timer as it is.', {
    display_id: displayIdSchema,
    timer: timerSchema,
  }),
  timer_started: message('timer_started', 'The timer was started, or resumed from a pause.', {
    remaining_seconds: remainingSeconds,
    ...exactFields,
  }),
  timer_tick: message('timer_tick', 'Every second while the timer runs; the last one says 0.', {
    ...seconds,
    ...exactFields,
  }),
  timer_warning: message('timer_warning', 'The clock passed a threshold.', {
    remaining_seconds: remainingSeconds,
    threshold: z.int().meta({ description: 'The threshold, in seconds before the end.' }),
    ...exactFields,
  }),
  timer_paused: message('timer_paused', 'The timer was paused.', {
    remaining_seconds: remainingSeconds,
    ...exactFields,
  }),
  timer_extended: message('timer_extended', 'Time was added.', {
    added_seconds: z.int(),
    remaining_seconds: remainingSeconds,
    ...exactFields,
  }),
  timer_stopped: message('timer_stopped', 'The timer was stopped before its time was up.', {
    ...seconds,
    ...exactFields,
  }),
  timer_expired: message('timer_expired', 'The time is up, and that is on record.', {
    elapsed_seconds: elapsedSeconds,
    ...exactFields,
  }),
  timer_deleted: message('timer_deleted', 'The timer was deleted; the connection closes.', {
    server_time_ms: exactFields.server_time_ms,
    revision: exactFields.revision,
  }),
  keepalive: message('keepalive', 'Nothing else was sent for a while.', {
    remaining_seconds: remainingSeconds,
    ...exactFields,
  }),
} as const;

/** What a display is answered, which only a WebSocket can be. */
const ANSWER_MESSAGES = {
  pong: message('pong', 'The answer to ping.', {}),
  sync_response: message('sync_response', 'The answer to sync.', {
    server_time: z.iso.datetime().meta({ description: 'The time the answer was sent.' }),
    remaining_seconds: remainingSeconds,
    state: timerStateSchema,
    client_time: z.unknown().meta({ description: 'As the client sent it; null if it sent none.' }),
    server_received_ms: z
      .int()
      .meta({ description: 'When the request was received, in epoch ms of the server.' }),
    server_sent_ms: z
      .int()
      .meta({ description: 'When the answer was sent, in epoch ms of the server.' }),
    ...exactFields,
  }),
  error: message('error', 'A message from the display could not be used.', {
    message: z.string(),
  }),
} as const;

export const SERVER_MESSAGES = { ...EVENT_MESSAGES, ...ANSWER_MESSAGES } as const;

type OutputOf<M extends Record<string, z.ZodType>> = { [T in keyof M]: z.output<M[T]> }[keyof M];
/** A message that a display is told unasked. */
export type DisplayEvent = OutputOf<typeof EVENT_MESSAGES>;
export type ServerMessage = OutputOf<typeof SERVER_MESSAGES>;

export const displayEventSchema = z
  .union(Object.values(EVENT_MESSAGES))
  .meta({ id: 'DisplayEvent', description: 'The data of one event.' });

export const CLIENT_MESSAGES = {
  ping: message('ping', 'Heartbeat; answered by pong.', {}),
  sync: message('sync', "Asks for the server's time and the timer's state.", {
    client_time: z
      .unknown()
      .optional()
      .meta({ description: 'Anything; the answer carries it back.' }),
  }),
  acknowledge: message(
    'acknowledge',
    'What the display shows; it is not answered, and changes no timer.',
    acknowledgementFields,
  ),
} as const;

const clientMessageSchema = z.discriminatedUnion('type', [
  CLIENT_MESSAGES.ping,
  CLIENT_MESSAGES.sync,
  CLIENT_MESSAGES.acknowledge,
]);
export type ClientMessage = z.output<typeof clientMessageSchema>;

const clientMessageList = Object.keys(CLIENT_MESSAGES).join(', ');

/** Understands a display's message, or gives the words to answer it with. */
export function parseClientMessage(
  text: string,
): ClientMessage | { type: 'error'; message: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { type: 'error', message: 'The message is not JSON' };
  }
  const result = clientMessageSchema.safeParse(value);
  if (result.success) return result.data;
  return { type: 'error', message: complaint(value, result.error) };
}

/** What is wrong with a message, in words for people. */
function complaint(value: unknown, error: z.ZodError): string {
  const envelope = z.object({ type: z.string() }).safeParse(value);
  if (!envelope.success) return `A message is an object with a type: ${clientMessageList}`;
  const { type } = envelope.data;
  if (!Object.hasOwn(CLIENT_MESSAGES, type)) {
    return `Unknown message type: ${type.slice(0, 100)}. Known types: ${clientMessageList}`;
  }
  const issues = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  return `${type} is not valid: ${issues.join('; ')}`;
}

/** What displays are sent when a timer tells something; nothing when only the connection ends. */
export function messageOf(notice: Notice): DisplayEvent | undefined {
  const { record, atMs } = notice;
  const exact = exactly(record, atMs);
  const { remaining_seconds, elapsed_seconds } = secondsOf(record, atMs);
  switch (notice.type) {
    case 'timer_started':
    case 'timer_paused':
      return { type: notice.type, remaining_seconds, ...exact };
    case 'timer_tick':
    case 'timer_stopped':
      return { type: notice.type, remaining_seconds, elapsed_seconds, ...exact };
    case 'timer_warning':
      return {
        type: notice.type,
        remaining_seconds,
        threshold: notice.thresholdMs / 1000,
        ...exact,
      };
    case 'timer_extended':
      return {
        type: notice.type,
        added_seconds: notice.addedMs / 1000,
        remaining_seconds,
        ...exact,
      };
    case 'timer_expired':
      return { type: notice.type, elapsed_seconds, ...exact };
    case 'timer_deleted':
      return { type: notice.type, server_time_ms: atMs, revision: record.revision };
    case 'timer_retired':
      return undefined;
  }
}

/**
 * The changes of a timer after one revision and up to another, as the messages they were: rebuilt from
 * its whole history, oldest first, each at the instant of its entry.
 */
export function* changesBetween(
  history: readonly Entry[],
  afterRevision: number,
  lastRevision: number,
): Generator<DisplayEvent> {
  for (const notice of noticesOf(history, afterRevision, lastRevision)) {
    const message = messageOf(notice);
    if (message !== undefined) yield message;
  }
}

export function connectedMessage(timer: TimerStatus, displayId: string): DisplayEvent {
  return { type: 'connected', display_id: displayId, timer: timerResource(timer) };
}

export function keepaliveMessage({ record, atMs }: TimerStatus): DisplayEvent {
  const { remaining_seconds } = secondsOf(record, atMs);
  return { type: 'keepalive', remaining_seconds, ...exactly(record, atMs) };
}

/** `receivedMs` is when the request came in; the instant of `timer` is when the answer leaves. */
export function syncResponse(
  timer: TimerStatus,
  clientTime: unknown,
  receivedMs: number,
): ServerMessage {
  const { record, state, atMs } = timer;
  return {
    type: 'sync_response',
    server_time: isoTime(atMs),
    remaining_seconds: secondsOf(record, atMs).remaining_seconds,
    state: WIRE_STATES[state],
    client_time: clientTime ?? null,
    server_received_ms: receivedMs,
    server_sent_ms: atMs,
    ...exactly(record, atMs),
  };
}
