/**
 * The record of a timer: what its entries add up to. One pure fold, used by the statechart when an
 * entry is committed and by recovery when a whole history is read back, so both agree by construction.
 */
import type { Entry } from './entry.js';

export type TimerState = 'CREATED' | 'RUNNING' | 'PAUSED' | 'EXPIRED' | 'COMPLETED';

export interface TimerRecord {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  /** The credential that created the timer. */
  readonly ownerId: string;
  /** The whole time the timer was given, extensions included. */
  readonly durationMs: number;
  readonly warningThresholdsMs: readonly number[];
  readonly createdAtMs: number;
  /** The instant of the last entry, before which no other takes effect, whatever a clock says. */
  readonly changedAtMs: number;
  /** The first start; resuming does not move it. */
  readonly startedAtMs: number | null;
  readonly completedAtMs: number | null;
  /** Epoch milliseconds at which the time is up; set while the clock runs, and only then. */
  readonly deadlineMs: number | null;
  /** What is left while the clock stands still (T2); `null` while it runs. */
  readonly heldMs: number | null;
}

/** The history of a timer contradicts itself: a programming error, or a journal that was tampered with. */
export class ImpossibleEntryError extends Error {
  override readonly name = 'ImpossibleEntryError';

  constructor(entry: Entry, why: string) {
    super(
      `Entry ${entry.revision} (${entry.type}) of timer ${entry.timerId} is impossible: ${why}`,
    );
  }
}

/** The state follows from the record; it is stored nowhere. */
export function stateOf(record: TimerRecord): TimerState {
  if (record.completedAtMs !== null) return record.heldMs === 0 ? 'EXPIRED' : 'COMPLETED';
  if (record.deadlineMs !== null) return 'RUNNING';
  return record.startedAtMs === null ? 'CREATED' : 'PAUSED';
}

/**
 * Milliseconds that remain at the instant `nowMs`: never below 0, and never more than the timer was
 * given, even if the machine was restarted with its wall clock set back.
 */
export function remainingMs(record: TimerRecord, nowMs: number): number {
  if (record.deadlineMs === null) return record.heldMs ?? 0;
  return Math.min(record.durationMs, Math.max(0, record.deadlineMs - nowMs));
}

/** Thresholds that the running clock passed from above while what remains sank, the highest first (T8). */
export function thresholdsPassed(
  { warningThresholdsMs }: TimerRecord,
  fromLeftMs: number,
  toLeftMs: number,
): number[] {
  const passed = warningThresholdsMs.filter(
    (thresholdMs) => thresholdMs < fromLeftMs && thresholdMs >= toLeftMs,
  );
  return [...new Set(passed)].sort((a, b) => b - a);
}

/** Folds a whole history, oldest entry first. */
export function recordOf(history: readonly Entry[]): TimerRecord {
  const [first, ...rest] = history;
  if (first === undefined) throw new RangeError('A history has at least one entry');
  return rest.reduce(applyEntry, createRecord(first));
}

/** The record that the first entry of a timer makes. */
export function createRecord(entry: Entry): TimerRecord {
  if (entry.type !== 'created' || entry.revision !== 1) {
    throw new ImpossibleEntryError(entry, 'a history begins with the creation, at revision 1');
  }
  const { name, durationMs, warningThresholdsMs, autoStart } = entry.data;
  return {
    id: entry.timerId,
    name,
    revision: 1,
    ownerId: entry.by.credential,
    durationMs,
    warningThresholdsMs,
    createdAtMs: entry.atMs,
    changedAtMs: entry.atMs,
    startedAtMs: autoStart ? entry.atMs : null,
    completedAtMs: null,
    deadlineMs: autoStart ? entry.atMs + durationMs : null,
    heldMs: autoStart ? null : durationMs,
  };
}

/** The record after one more committed entry. */
export function applyEntry(record: TimerRecord, entry: Entry): TimerRecord {
  if (entry.revision !== record.revision + 1) {
    throw new ImpossibleEntryError(entry, `the timer is at revision ${record.revision}`);
  }
  const next = { ...record, revision: entry.revision, changedAtMs: entry.atMs };
  const leftMs = remainingMs(record, entry.atMs);
  switch (entry.type) {
    case 'created':
      throw new ImpossibleEntryError(entry, 'the timer exists already');
    case 'started':
    case 'resumed':
      return {
        ...next,
        startedAtMs: record.startedAtMs ?? entry.atMs,
        deadlineMs: entry.atMs + leftMs,
        heldMs: null,
      };
    case 'paused':
      return { ...next, deadlineMs: null, heldMs: leftMs };
    case 'extended':
      return {
        ...next,
        durationMs: record.durationMs + entry.data.addedMs,
        deadlineMs: record.deadlineMs === null ? null : record.deadlineMs + entry.data.addedMs,
        heldMs: record.heldMs === null ? null : record.heldMs + entry.data.addedMs,
      };
    case 'stopped':
      return { ...next, completedAtMs: entry.atMs, deadlineMs: null, heldMs: leftMs };
    case 'expired':
      return { ...next, completedAtMs: entry.atMs, deadlineMs: null, heldMs: 0 };
    case 'deleted':
      return next;
  }
}
