/** The history of a timer as a story: what happened in words, and the timer before and after it. */
import { ANONYMOUS } from '../../machines/entry.js';
import { applyEntry, createRecord, remainingMs, stateOf } from '../../machines/record.js';
import { type HistoryItem, publicAuthorOf } from '../protocol/record.js';
import { isoTime, WIRE_STATES } from '../protocol/timer.js';
import type { RecordedEntry, TimerRecord } from '../registry.js';

/** An expiry that was recorded later than this was late, because the service was not running. */
const PUNCTUAL_MS = 1000;

/** Tells a whole history, oldest entry first. Addresses are for those who may see the whole record. */
export function storyOf(history: readonly RecordedEntry[], withAddresses: boolean): HistoryItem[] {
  const items: HistoryItem[] = [];
  let record: TimerRecord | undefined;
  for (const entry of history) {
    const before = record;
    record = before === undefined ? createRecord(entry) : applyEntry(before, entry);
    items.push({
      revision: entry.revision,
      type: entry.type,
      summary: summaryOf(entry, before ?? record),
      by: withAddresses ? entry.by : publicAuthorOf(entry.by),
      reason: entry.reason,
      at: isoTime(entry.atMs),
      recorded_at: isoTime(entry.recordedAtMs),
      before: before === undefined ? null : standingOf(before, entry.atMs),
      after: entry.type === 'deleted' ? null : standingOf(record, entry.atMs),
      position: entry.position,
      hash: entry.hash,
    });
  }
  return items;
}

function standingOf(record: TimerRecord, atMs: number): NonNullable<HistoryItem['after']> {
  return {
    state: WIRE_STATES[stateOf(record)],
    duration_seconds: record.durationMs / 1000,
    remaining_ms: remainingMs(record, atMs),
    deadline: record.deadlineMs === null ? null : isoTime(record.deadlineMs),
  };
}

/** `record` is the timer that it happened to. */
function summaryOf(entry: RecordedEntry, record: TimerRecord): string {
  const what = eventOf(entry, record);
  if (entry.type === 'expired') return what;
  return `${what}${authorOf(entry)}${reasonOf(entry)}`;
}

function eventOf(entry: RecordedEntry, record: TimerRecord): string {
  const left = `with ${lengthText(remainingMs(record, entry.atMs))} left`;
  switch (entry.type) {
    case 'created': {
      const { name, durationMs, autoStart } = entry.data;
      return `Created as “${name}” of ${lengthText(durationMs)}${autoStart ? ' and started' : ''}`;
    }
    case 'started':
      return `Started ${left}`;
    case 'resumed':
      return `Resumed ${left}`;
    case 'paused':
      return `Paused ${left}`;
    case 'extended':
      return `Extended by ${lengthText(entry.data.addedMs)}`;
    case 'stopped':
      return `Stopped ${left}`;
    case 'deleted':
      return 'Deleted';
    case 'expired': {
      const lateMs = entry.recordedAtMs - entry.atMs;
      return lateMs <= PUNCTUAL_MS
        ? 'Time was up'
        : `Time was up, noticed ${lengthText(lateMs)} later`;
    }
  }
}

/** Who it was; nobody in particular where nobody needs a credential. */
function authorOf({ by }: RecordedEntry): string {
  return by.credential === ANONYMOUS ? '' : ` by ${by.label ?? by.credential}`;
}

function reasonOf({ reason }: RecordedEntry): string {
  if (reason === null) return '';
  return reason.text === null ? ` (${reason.category})` : ` (${reason.category}: ${reason.text})`;
}

/** A length of time in words, exact to the millisecond. */
function lengthText(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1000;
  const parts = [
    hours > 0 && `${hours} h`,
    minutes > 0 && `${minutes} min`,
    seconds > 0 && `${seconds} s`,
  ];
  return parts.filter((part) => part !== false).join(' ') || '0 s';
}
