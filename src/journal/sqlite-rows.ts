/** How entries lie in the tables of the journal's file. */
import { z } from 'zod';
import { linkOf, NO_HASH, type RecordedEntry } from './chain.js';
import { BEGINNING_DOCUMENT, type Entry, entrySchema } from './journal.js';

/** The columns of an entry, in the order of `rowsSchema`. */
export const ENTRY_COLUMNS =
  'timer_id, revision, at_ms, type, data, recorded_at_ms, caused_by, reason, request_id';

/**
 * Those of an entry with its place: the hash before it is that of its neighbour, and stored there only. The neighbour
 * of the first may have been taken out.
 */
export const RECORDED_COLUMNS = `${ENTRY_COLUMNS}, position, hash, coalesce(
  (SELECT before.hash FROM entries before WHERE before.position = entries.position - 1),
  (SELECT json_extract(text, '$.hash') FROM documents
   WHERE drawer = '${BEGINNING_DOCUMENT.drawer}' AND name = '${BEGINNING_DOCUMENT.name}'))`;

const columns = [
  z.string(),
  z.number(),
  z.number(),
  z.string(),
  z.string(),
  z.number(),
  z.string(),
  z.string().nullable(),
  z.string().nullable(),
] as const;

export const rowsSchema = z.array(z.tuple(columns));
export const recordedRowsSchema = z.array(
  z.tuple([...columns, z.number(), z.string(), z.string().nullable()]),
);

type Row = z.output<typeof rowsSchema>[number];
type RecordedRow = z.output<typeof recordedRowsSchema>[number];

/** A row is not what was stored; the message says which. */
export class DamagedRowError extends Error {
  override readonly name = 'DamagedRowError';
}

/** The values of the columns of an entry. */
export function rowOf(entry: Entry): Row {
  const { timerId, revision, atMs, type, data, recordedAtMs, by, reason, requestId } = entry;
  return [
    timerId,
    revision,
    atMs,
    type,
    JSON.stringify(data),
    recordedAtMs,
    JSON.stringify(by),
    reason === null ? null : JSON.stringify(reason),
    requestId,
  ];
}

/** @throws {DamagedRowError} if the row is not what was stored. */
export function entryOf(row: readonly [...Row, ...unknown[]]): Entry {
  const [timerId, revision, atMs, type, data, recordedAtMs, by, reason, requestId] = row;
  const result = entrySchema.safeParse({
    timerId,
    revision,
    atMs,
    type,
    data: parseJson(data),
    recordedAtMs,
    by: parseJson(by),
    reason: reason === null ? null : parseJson(reason),
    requestId,
  });
  if (result.success) return result.data;
  throw new DamagedRowError(
    `entry ${revision} of timer ${timerId} is not readable: ` +
      `${result.error.issues[0]?.message ?? 'unknown reason'}`,
  );
}

/** @throws {DamagedRowError} if the row is not what was stored. */
export function recordedEntryOf(row: RecordedRow): RecordedEntry {
  const [position, hash, previousHash] = linkIn(row);
  return { ...entryOf(row), position, previousHash: previousHash ?? NO_HASH, hash };
}

/**
 * Gives the entry alone, as a start reads hundreds of thousands: its place with it would cost as much as its hash.
 * @throws {DamagedRowError} if the row does not fit its hash, which covers all that it says and the entry before.
 */
export function verifiedEntryOf(row: RecordedRow): Entry {
  const entry = entryOf(row);
  const [position, hash, previousHash] = linkIn(row);
  if (linkOf(entry, position, previousHash ?? NO_HASH).hash === hash) return entry;
  throw new DamagedRowError(
    `revision ${entry.revision} of timer ${entry.timerId} does not fit its hash, ` +
      'so it is not what was recorded, or the entry before it is not',
  );
}

function linkIn(row: RecordedRow) {
  return [row[9], row[10], row[11]] as const;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
