/** What the journal's file is: the mark that makes it ours, its tables, and the words for what can be wrong. */
import type Database from 'libsql';
import { z } from 'zod';
import { type Author, BY_ITSELF } from '../../machines/entry.js';
import { ImpossibleEntryError } from '../../machines/record.js';
import { linkOf, NO_HASH } from './chain.js';
import { JournalError } from './journal.js';
import { DamagedRowError, ENTRY_COLUMNS, entryOf, rowOf } from './sqlite-rows.js';

/** Marks a file as ours in SQLite's own header: "STSj". */
export const APPLICATION_ID = 0x5354536a;

/**
 * The schema, as the steps that lead to it. A file of version N has had the first N steps; a step is
 * never changed once it was released.
 */
const MIGRATIONS: readonly (string | ((database: Database.Database) => void))[] = [
  `CREATE TABLE entries (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     timer_id TEXT NOT NULL,
     revision INTEGER NOT NULL,
     at_ms INTEGER NOT NULL,
     type TEXT NOT NULL,
     data TEXT NOT NULL,
     by TEXT NOT NULL,
     UNIQUE (timer_id, revision)
   ) STRICT;`,
  // The head of each timer: compare-and-set reads one row, and recovery skips what ended long ago.
  `CREATE TABLE heads (
     timer_id TEXT PRIMARY KEY,
     revision INTEGER NOT NULL,
     ended_at_ms INTEGER
   ) STRICT, WITHOUT ROWID;
   INSERT INTO heads
     SELECT timer_id, revision,
       CASE type WHEN 'deleted' THEN 0 WHEN 'stopped' THEN at_ms WHEN 'expired' THEN at_ms END
     FROM entries
     WHERE (timer_id, revision) IN (SELECT timer_id, max(revision) FROM entries GROUP BY timer_id);`,
  chainEntries,
];

/** Whoever changed a timer in the days when callers had no names. */
const ANYBODY: Author = { credential: 'anyone', role: 'admin', label: null, address: null };

const versions = z.tuple([z.tuple([z.number()])]);

export function versionOf(database: Database.Database): number {
  return versions.parse(database.prepare('PRAGMA user_version').raw().all())[0][0];
}

export function refuseNewer(version: number, path: string): void {
  if (version <= MIGRATIONS.length) return;
  throw new JournalError(
    `${path} has schema version ${version}, this release knows up to ${MIGRATIONS.length}. ` +
      'It was left as it is; start the release that wrote it, or a newer one.',
  );
}

export function migrate(database: Database.Database): void {
  const version = versionOf(database);
  MIGRATIONS.slice(version).forEach((step, index) => {
    database.exec('BEGIN');
    if (typeof step === 'string') database.exec(step);
    else step(database);
    database.exec(`PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}

const unchained = z.array(
  z.tuple([z.number(), z.string(), z.number(), z.number(), z.string(), z.string(), z.string()]),
);

/** Says of every entry who caused it and when it was recorded, and ties each to the one before it. */
function chainEntries(database: Database.Database): void {
  database.exec(`
    ALTER TABLE entries RENAME TO unchained;
    CREATE TABLE entries (
      position INTEGER PRIMARY KEY,
      timer_id TEXT NOT NULL,
      revision INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      type TEXT NOT NULL,
      data TEXT NOT NULL,
      recorded_at_ms INTEGER NOT NULL,
      caused_by TEXT NOT NULL,
      reason TEXT,
      request_id TEXT,
      hash TEXT NOT NULL,
      UNIQUE (timer_id, revision)
    ) STRICT;
    CREATE INDEX entries_by_request ON entries (request_id) WHERE request_id IS NOT NULL;
    CREATE TABLE documents (
      drawer TEXT NOT NULL,
      name TEXT NOT NULL,
      text TEXT NOT NULL,
      expires_at_ms INTEGER,
      PRIMARY KEY (drawer, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX documents_by_expiry ON documents (expires_at_ms) WHERE expires_at_ms IS NOT NULL;`);
  const insert = database.prepare(
    `INSERT INTO entries (${ENTRY_COLUMNS}, position, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const next = database.prepare(
    `SELECT position, timer_id, revision, at_ms, type, data, by FROM unchained
     WHERE position > ? ORDER BY position LIMIT 1000`,
  );
  let after = 0;
  let last = { position: 0, hash: NO_HASH };
  for (;;) {
    const rows = unchained.parse(next.raw().all(after));
    if (rows.length === 0) break;
    for (const [oldPosition, timerId, revision, atMs, type, data, by] of rows) {
      const author = JSON.stringify(
        by === 'deadline' ? BY_ITSELF.by : { ...ANYBODY, credential: by },
      );
      const entry = entryOf([timerId, revision, atMs, type, data, atMs, author, null, null]);
      last = linkOf(entry, last.position + 1, last.hash);
      insert.run(...rowOf(entry), last.position, last.hash);
      after = oldPosition;
    }
  }
  database.exec('DROP TABLE unchained');
}

/** Says what an error of the database, its contents or the disk means for whoever runs the service. */
export function explain(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof JournalError) return error;
  if (codeOf(error).startsWith('SQLITE_BUSY')) {
    return new JournalError(
      `${path} is in use by another process. Stop it, or set DATA_DIR to another folder.`,
      { cause: error },
    );
  }
  const finding = findingOf(error);
  if (finding !== undefined) return damaged(path, finding, error);
  return new JournalError(
    `${path} cannot be used: ${error.message}. See to its disk and to what this user may do there, ` +
      'or set DATA_DIR to another folder.',
    { cause: error },
  );
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

/** What an error says of the contents of the file; `undefined` if it says nothing of them. */
function findingOf(error: Error): string | undefined {
  const code = codeOf(error);
  const isDamage =
    code.startsWith('SQLITE_CORRUPT') ||
    code.startsWith('SQLITE_NOTADB') ||
    (code === 'SQLITE_ERROR' && error.message.startsWith('no such ')) ||
    error instanceof DamagedRowError ||
    error instanceof ImpossibleEntryError ||
    error instanceof SyntaxError;
  if (isDamage) return error.message;
  return error instanceof z.ZodError ? error.issues[0]?.message : undefined;
}

export function damaged(path: string, finding: string, cause?: Error): JournalError {
  return new JournalError(
    `${path} is damaged (${finding.replace(/\s+/g, ' ').trim()}). It was left as it is; ` +
      `move the whole folder away, ${path}-wal and ${path}-shm with it, and restore a backup in its place.`,
    { cause },
  );
}
