/** Entries for tests of the journal and of the machines. */
import type { Cause, Entry, EntryBody } from '../../machines/entry.js';

export const START_MS = Date.UTC(2026, 0, 15, 10);

/** A test as the cause of a change. */
export const BY_TEST: Cause = {
  by: { credential: 'test', role: 'admin', label: null, address: null },
  reason: null,
  requestId: null,
};

export function entry(timerId: string, revision: number, body: EntryBody, atMs = START_MS): Entry {
  return { timerId, revision, atMs, recordedAtMs: atMs, ...BY_TEST, ...body };
}

export function created(timerId: string, atMs = START_MS): Entry {
  const data = {
    name: 'Algebra “Ω”',
    durationMs: 60_000,
    warningThresholdsMs: [30_000],
    autoStart: false,
  };
  return entry(timerId, 1, { type: 'created', data }, atMs);
}

export function started(timerId: string, revision: number, atMs = START_MS): Entry {
  return entry(timerId, revision, { type: 'started', data: {} }, atMs);
}
