/** A timer as it crosses the wire. */
import { z } from 'zod';
import { remainingMs, type TimerRecord } from '../../machines/record.js';
import type { TimerStatus } from '../registry.js';

export const TIMER_STATES = ['created', 'running', 'paused', 'expired', 'completed'] as const;
export const timerStateSchema = z.enum(TIMER_STATES).meta({ id: 'TimerState' });

const epochMs = (description: string) =>
  z.int().meta({ description: `${description}, in epoch ms.` });
export const instant = (description: string) => z.iso.datetime().meta({ description });

/** The exact figures that go with whatever is said about a timer. */
export const exactFields = {
  remaining_ms: z.int().min(0).meta({ description: 'Milliseconds that remain, exactly.' }),
  deadline_ms: epochMs('When the time is up; null unless the timer runs').nullable(),
  server_time_ms: epochMs("The server's time when this was said"),
  revision: z.int().min(1).meta({ description: 'Counts the changes of this timer, from 1.' }),
};

export const remainingSeconds = z
  .int()
  .min(0)
  .meta({ description: 'Whole seconds that remain, rounded up.' });
export const elapsedSeconds = z
  .int()
  .min(0)
  .meta({ description: 'The duration less what remains.' });

export const timerSchema = z
  .object({
    id: z.string().meta({ examples: ['timer_0mjx3k2p9a1b2c3d4e5f6'] }),
    name: z.string(),
    state: timerStateSchema,
    duration_seconds: z.int().meta({ description: 'The time given, extensions included.' }),
    remaining_seconds: remainingSeconds,
    elapsed_seconds: elapsedSeconds,
    warning_thresholds: z.array(z.int()).meta({ description: 'Seconds before the end.' }),
    connected_clients: z.int().min(0).meta({ description: 'Displays that follow the timer now.' }),
    created_at: instant('When the timer was created.'),
    started_at: instant('When it was first started.').nullable(),
    completed_at: instant('When it was stopped, or its deadline if it expired.').nullable(),
    ...exactFields,
  })
  .meta({ id: 'Timer' });

export type TimerResource = z.output<typeof timerSchema>;
export type WireTimerState = z.output<typeof timerStateSchema>;

export const WIRE_STATES = {
  CREATED: 'created',
  RUNNING: 'running',
  PAUSED: 'paused',
  EXPIRED: 'expired',
  COMPLETED: 'completed',
} as const satisfies Record<TimerStatus['state'], WireTimerState>;

export function timerResource(status: TimerStatus): TimerResource {
  const { record, state, connectedClients, atMs } = status;
  return {
    id: record.id,
    name: record.name,
    state: WIRE_STATES[state],
    duration_seconds: record.durationMs / 1000,
    ...secondsOf(record, atMs),
    warning_thresholds: record.warningThresholdsMs.map((thresholdMs) => thresholdMs / 1000),
    connected_clients: connectedClients,
    created_at: isoTime(record.createdAtMs),
    started_at: record.startedAtMs === null ? null : isoTime(record.startedAtMs),
    completed_at: record.completedAtMs === null ? null : isoTime(record.completedAtMs),
    ...exactly(record, atMs),
  };
}

/** Whole seconds: remaining rounded up, so that 0 means the end, and elapsed as the rest. */
export function secondsOf(record: TimerRecord, atMs: number) {
  const remaining_seconds = Math.ceil(remainingMs(record, atMs) / 1000);
  return { remaining_seconds, elapsed_seconds: record.durationMs / 1000 - remaining_seconds };
}

export function exactly(record: TimerRecord, atMs: number) {
  return {
    remaining_ms: remainingMs(record, atMs),
    deadline_ms: record.deadlineMs,
    server_time_ms: atMs,
    revision: record.revision,
  };
}

export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
