/**
 * What must be, counted by hand from the log: how much is left, since when the clock of a timer runs, how it
 * ended. Shares no arithmetic with the service; the first rule that an entry breaks is thrown.
 */
import type { Entry } from '../../src/journal/journal.js';
import { MAX_CLOCK_SKEW_MS } from './machine.js';

export class BrokenRule extends Error {
  override readonly name = 'BrokenRule';
  readonly rule: string;

  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.rule = rule;
  }
}

export function must(rule: string, isSo: boolean, what: () => string): void {
  if (!isSo) throw new BrokenRule(rule, what());
}

export type Ending = 'expired' | 'stopped' | 'deleted';

/** A timer after one of its entries. */
export interface Counted {
  readonly revision: number;
  /** The instant of the entry. */
  readonly atMs: number;
  /** When it was committed, by the right clock. */
  readonly committedMs: number;
  readonly durationMs: number;
  readonly thresholdsMs: readonly number[];
  /** What was left at `sinceMs`, or since the clock stands still. */
  readonly leftMs: number;
  /** Since when the clock runs; `null` while it stands. */
  readonly sinceMs: number | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly ending: Ending | null;
}

export function leftAt({ leftMs, sinceMs }: Counted, nowMs: number): number {
  return sinceMs === null ? leftMs : Math.max(0, leftMs - (nowMs - sinceMs));
}

export function endOf({ leftMs, sinceMs }: Counted): number {
  return sinceMs === null ? Number.POSITIVE_INFINITY : sinceMs + leftMs;
}

/** Every timer that was ever created, as it was after each of its entries. */
export class Model {
  readonly timers = new Map<string, readonly Counted[]>();

  at(timerId: string, revision: number): Counted | undefined {
    return this.timers.get(timerId)?.[revision - 1];
  }

  now(timerId: string): Counted | undefined {
    return this.timers.get(timerId)?.at(-1);
  }

  /**
   * Takes an entry at the moment of its commit, by the right clock and by that of the node that recorded it: by its own
   * it is never early, unless the entry before it was made by a clock that is ahead of it.
   */
  commit(entry: Entry, nowMs: number, recordedMs: number): void {
    const { timerId, revision, type } = entry;
    const before = this.now(timerId);
    const what = `${type} of ${timerId}`;
    must('T5', revision === (before?.revision ?? 0) + 1, () => {
      return `${what} is revision ${revision}, after ${before?.revision ?? 'none'}`;
    });
    const possibleMs = Math.max(recordedMs, before?.atMs ?? 0);
    const latestMs = Math.min(possibleMs, nowMs + MAX_CLOCK_SKEW_MS);
    const earlyMs = entry.atMs - latestMs;
    must('T4', earlyMs <= 0, () => `${what} is committed ${earlyMs} ms early`);
    const after = before === undefined ? begin(entry, nowMs) : step(before, entry, nowMs);
    this.timers.set(timerId, [...(this.timers.get(timerId) ?? []), after]);
  }
}

function begin(entry: Entry, committedMs: number): Counted {
  if (entry.type !== 'created') throw new BrokenRule('T5', `${entry.type} of a timer that is not`);
  const { durationMs, warningThresholdsMs, autoStart } = entry.data;
  return {
    revision: 1,
    atMs: entry.atMs,
    committedMs,
    durationMs,
    thresholdsMs: warningThresholdsMs,
    leftMs: durationMs,
    sinceMs: autoStart ? entry.atMs : null,
    startedAtMs: autoStart ? entry.atMs : null,
    endedAtMs: null,
    ending: null,
  };
}

function step(before: Counted, entry: Entry, committedMs: number): Counted {
  const { timerId, type, atMs } = entry;
  const isPossible = (isSo: boolean): void =>
    must('T4', isSo, () => `${type} of ${timerId}, which ${situation(before, atMs)}`);
  isPossible(before.ending === null || (type === 'deleted' && before.ending !== 'deleted'));
  const isInTime = atMs < endOf(before);
  const isRunning = before.sinceMs !== null;
  must('T2', atMs >= before.atMs, () => `${type} of ${timerId} is before the entry before it`);
  const next = { ...before, revision: before.revision + 1, atMs, committedMs };
  const leftMs = before.sinceMs === null ? before.leftMs : before.leftMs - (atMs - before.sinceMs);
  const ended = { leftMs, sinceMs: null, endedAtMs: atMs };
  switch (type) {
    case 'created':
      throw new BrokenRule('T5', `${timerId} is created twice`);
    case 'started':
      isPossible(before.startedAtMs === null);
      return { ...next, sinceMs: atMs, startedAtMs: atMs };
    case 'resumed':
      isPossible(before.startedAtMs !== null && !isRunning);
      return { ...next, sinceMs: atMs };
    case 'paused':
      isPossible(isRunning && isInTime);
      return { ...next, leftMs, sinceMs: null };
    case 'extended': {
      isPossible(isInTime);
      const { addedMs } = entry.data;
      return { ...next, durationMs: before.durationMs + addedMs, leftMs: before.leftMs + addedMs };
    }
    case 'stopped':
      isPossible(isInTime);
      return { ...next, ...ended, ending: 'stopped' };
    case 'expired':
      isPossible(isRunning && atMs === endOf(before));
      return { ...next, ...ended, ending: 'expired' };
    case 'deleted':
      return { ...next, ending: 'deleted' };
  }
}

function situation(timer: Counted, atMs: number): string {
  if (timer.ending !== null) return `is ${timer.ending}`;
  return timer.sinceMs === null
    ? 'stands still'
    : `had ${timer.leftMs - (atMs - timer.sinceMs)} ms`;
}
