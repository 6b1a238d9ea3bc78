/** A timer as a display knows it: what the service's messages add up to, and what remains of it. Pure. */
import type { ServerMessage, ServerMessageOf, Timer, TimerState } from './messages.js';

/** The timer after one more message; a message about an older revision changes nothing. */
export function fold(timer: Timer | undefined, message: ServerMessage): Timer | undefined {
  if (message.type === 'connected') return message.timer;
  if (timer === undefined) return timer;
  if (message.type === 'timer_deleted') return stopped(timer, message);
  if (!('deadline_ms' in message)) return timer;
  if (message.revision < timer.revision) return timer;
  const { remaining_ms, deadline_ms, server_time_ms, revision } = message;
  const isNew = revision > timer.revision;
  const added_seconds = message.type === 'timer_extended' && isNew ? message.added_seconds : 0;
  const duration_seconds = timer.duration_seconds + added_seconds;
  const remaining_seconds = Math.ceil(remaining_ms / 1000);
  return {
    ...timer,
    ...lifeOf(timer, message),
    duration_seconds,
    remaining_seconds,
    elapsed_seconds: duration_seconds - remaining_seconds,
    remaining_ms,
    deadline_ms,
    server_time_ms,
    revision,
  };
}

/** A timer that is gone does not count on. */
function stopped(
  timer: Timer,
  { server_time_ms, revision }: ServerMessageOf<'timer_deleted'>,
): Timer {
  const remaining_ms = remainingMs(timer, server_time_ms);
  return { ...timer, remaining_ms, deadline_ms: null, server_time_ms, revision };
}

type MessageWithTime = Extract<ServerMessage, { deadline_ms: number | null }>;

/** The state a message leads to, and the times it came to be. */
function lifeOf(
  timer: Timer,
  message: MessageWithTime,
): Pick<Timer, 'state' | 'started_at' | 'completed_at'> {
  const { started_at, completed_at } = timer;
  const at = isoTime(message.server_time_ms);
  switch (message.type) {
    case 'timer_started':
      return { state: 'running', started_at: started_at ?? at, completed_at };
    case 'timer_paused':
      return { state: 'paused', started_at, completed_at };
    case 'timer_stopped':
      return { state: 'completed', started_at, completed_at: completed_at ?? at };
    case 'timer_expired':
      return {
        state: 'expired',
        started_at,
        completed_at: completed_at ?? deadlineOf(timer) ?? at,
      };
    case 'sync_response':
      return { state: message.state, started_at, completed_at };
    case 'timer_tick':
    case 'timer_warning':
    case 'timer_extended':
    case 'keepalive':
      return { state: timer.state, started_at, completed_at };
  }
}

function deadlineOf({ deadline_ms }: Timer): string | undefined {
  return deadline_ms === null ? undefined : isoTime(deadline_ms);
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** Whether the timer has come to its end, by itself or because it was stopped. */
export function isOver(state: TimerState): boolean {
  return state === 'expired' || state === 'completed';
}

/** Milliseconds that remain when the server's clock shows `serverMs`: never below 0. */
export function remainingMs(timer: Timer, serverMs: number): number {
  if (timer.deadline_ms === null) return timer.remaining_ms;
  const leftMs = Math.max(0, timer.deadline_ms - serverMs);
  return Math.min(leftMs, timer.duration_seconds * 1000);
}
