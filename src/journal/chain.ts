/**
 * The chain that ties the entries of a journal together: each hash covers the entry, its place, and the
 * hash of the entry before it. Whoever has the entries can compute it again, with nothing but SHA-256 and
 * the canonical form of JSON (RFC 8785).
 */
import { hash } from 'node:crypto';
import type { Author, Entry, Reason } from '../../machines/entry.js';

/** Stands in the first entry of all for the hash of the one before it. */
export const NO_HASH = '0'.repeat(64);

/** A place in the journal and the hash of the entry there; place 0 is before the first. */
export interface Milestone {
  readonly position: number;
  readonly hash: string;
}

/** The place of an entry in the journal. */
export interface Link {
  /** 1 for the first entry of the journal, then one more each time, whatever the timer. */
  readonly position: number;
  /** SHA-256 in hexadecimal digits, of the entry before. */
  readonly previousHash: string;
  readonly hash: string;
}

export type RecordedEntry = Entry & Link;

/** What the hash of an entry covers, as it is exported. */
export interface HashedEntry {
  readonly position: number;
  readonly previous_hash: string;
  readonly timer_id: string;
  readonly revision: number;
  readonly type: Entry['type'];
  readonly at_ms: number;
  readonly recorded_at_ms: number;
  readonly data: HashedData;
  readonly by: Author;
  readonly reason: Reason | null;
  readonly request_id: string | null;
}

export interface HashedData {
  readonly added_ms?: number | undefined;
  readonly auto_start?: boolean | undefined;
  readonly duration_ms?: number | undefined;
  readonly name?: string | undefined;
  readonly warning_thresholds_ms?: readonly number[] | undefined;
}

export function linkOf(entry: Entry, position: number, previousHash: string): Link {
  const entryHash = hashOf(hashedEntryOf(entry, position, previousHash));
  return { position, previousHash, hash: entryHash };
}

export function hashedEntryOf(entry: Entry, position: number, previousHash: string): HashedEntry {
  return {
    position,
    previous_hash: previousHash,
    timer_id: entry.timerId,
    revision: entry.revision,
    type: entry.type,
    at_ms: entry.atMs,
    recorded_at_ms: entry.recordedAtMs,
    data: hashedDataOf(entry),
    by: entry.by,
    reason: entry.reason,
    request_id: entry.requestId,
  };
}

function hashedDataOf(entry: Entry): HashedData {
  switch (entry.type) {
    case 'created': {
      const { autoStart, durationMs, name, warningThresholdsMs } = entry.data;
      return {
        auto_start: autoStart,
        duration_ms: durationMs,
        name,
        warning_thresholds_ms: warningThresholdsMs,
      };
    }
    case 'extended':
      return { added_ms: entry.data.addedMs };
    case 'started':
    case 'paused':
    case 'resumed':
    case 'stopped':
    case 'expired':
    case 'deleted':
      return {};
  }
}

export function hashOf(entry: HashedEntry): string {
  return hash('sha256', canonical(entry));
}

/** An entry with its hash as one line of an export, which is canonical JSON too. */
export function lineOf(entry: HashedEntry, entryHash: string): string {
  return canonical(entry, entryHash);
}

/**
 * The canonical JSON of an entry. It is written down key by key in their sorted order, which takes a third
 * of the time of sorting them for each entry; a test holds it against an implementation of the standard. Halves of
 * characters, for which the standard has no form, are not taken any more; those on record stay the escapes that they
 * are, `\ud83d`, or entries would not have the hashes that they were given.
 */
function canonical(entry: HashedEntry, entryHash?: string): string {
  const { by, data, reason } = entry;
  return JSON.stringify({
    at_ms: entry.at_ms,
    by: {
      address: by.address,
      credential: by.credential,
      label: by.label,
      role: by.role,
    },
    data: {
      added_ms: data.added_ms,
      auto_start: data.auto_start,
      duration_ms: data.duration_ms,
      name: data.name,
      warning_thresholds_ms: data.warning_thresholds_ms,
    },
    hash: entryHash,
    position: entry.position,
    previous_hash: entry.previous_hash,
    reason: reason === null ? null : { category: reason.category, text: reason.text },
    recorded_at_ms: entry.recorded_at_ms,
    request_id: entry.request_id,
    revision: entry.revision,
    timer_id: entry.timer_id,
    type: entry.type,
  });
}
