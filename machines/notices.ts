/** What a timer told of the changes it went through, made again from its history. */
import type { Entry } from './entry.js';
import { applyEntry, createRecord, type TimerRecord } from './record.js';
import type { Notice } from './timer.machine.js';

/** The notices of the changes after one revision and up to another, each at the instant of its entry. */
export function* noticesOf(
  history: readonly Entry[],
  afterRevision: number,
  lastRevision: number,
): Generator<Notice> {
  let record: TimerRecord | undefined;
  for (const entry of history) {
    if (entry.revision > lastRevision) return;
    record = record === undefined ? createRecord(entry) : applyEntry(record, entry);
    const notice = entry.revision > afterRevision ? noticeOf(entry, record) : undefined;
    if (notice !== undefined) yield notice;
  }
}

function noticeOf(entry: Entry, record: TimerRecord): Notice | undefined {
  const { atMs } = entry;
  switch (entry.type) {
    case 'created':
      return undefined;
    case 'started':
    case 'resumed':
      return { type: 'timer_started', record, atMs };
    case 'paused':
      return { type: 'timer_paused', record, atMs };
    case 'extended':
      return { type: 'timer_extended', addedMs: entry.data.addedMs, record, atMs };
    case 'stopped':
      return { type: 'timer_stopped', record, atMs };
    case 'expired':
      return { type: 'timer_expired', record, atMs };
    case 'deleted':
      return { type: 'timer_deleted', record, atMs };
  }
}
