/**
 * The database file of the journal: opening it safely, its schema, and its statements. Synchronous
 * throughout; it lives in a worker thread, because a commit waits for the disk.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { type JournalAnswer, JournalError } from './journal.js';

/** Marks a file as ours in SQLite's own header: "STSj". */
const APPLICATION_ID = 0x5354536a;
const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const APPLICATION_ID_OFFSET = 68;

/**
 * The schema, as the steps that lead to it. A file of version N has had the first N steps; a step is
 * never changed once it was released.
 */
const MIGRATIONS: readonly string[] = [
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
];

/** An entry to be stored. */
export interface NewRow {
  readonly timerId: string;
  readonly revision: number;
  readonly atMs: number;
  readonly type: string;
  /** JSON. */
  readonly data: string;
  readonly by: string;
  /** When the entry ends its timer, in epoch ms; null when it does not. */
  readonly endedAtMs: number | null;
}

/** Stored entries as they come, each an array of these columns; whoever asked checks them. */
export type StoredRows = unknown[];

const ENTRY_COLUMNS = 'timer_id, revision, at_ms, type, data, by';

const heads = z.array(z.tuple([z.number()]));
const counts = z.array(z.tuple([z.number()]));
const timerIds = z.array(z.tuple([z.string()]));

export class SqliteFile {
  readonly #database: Database.Database;
  readonly #selectHead: Database.Statement;
  readonly #insertEntry: Database.Statement;
  readonly #upsertHead: Database.Statement;

  /**
   * Opens the journal's file, and makes it if there is none.
   * @throws {JournalError} if the file is damaged, foreign, too new, or in use; it is left as it was.
   */
  constructor(path: string) {
    if (!existsSync(path)) create(path);
    refuseForeign(path);
    this.#database = openOwn(path);
    this.#selectHead = this.#database
      .prepare('SELECT revision FROM heads WHERE timer_id = ?')
      .raw();
    this.#insertEntry = this.#database.prepare(
      `INSERT INTO entries (${ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#upsertHead = this.#database.prepare(
      `INSERT INTO heads (timer_id, revision, ended_at_ms) VALUES (?, ?, ?)
       ON CONFLICT (timer_id) DO UPDATE SET
         revision = excluded.revision, ended_at_ms = excluded.ended_at_ms`,
    );
  }

  /** Appends rows in one transaction; throws, with nothing written, if the disk does not take them. */
  append(rows: readonly NewRow[]): JournalAnswer[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const answers = rows.map((row) => this.#appendOne(row));
      this.#database.exec('COMMIT');
      return answers;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #appendOne({ timerId, revision, atMs, type, data, by, endedAtMs }: NewRow): JournalAnswer {
    const [head] = heads.parse(this.#selectHead.all(timerId));
    if (revision !== (head?.[0] ?? 0) + 1) return 'conflict';
    this.#insertEntry.run(timerId, revision, atMs, type, data, by);
    this.#upsertHead.run(timerId, revision, endedAtMs);
    return 'committed';
  }

  history(timerId: string): StoredRows {
    const statement = this.#database.prepare(
      `SELECT ${ENTRY_COLUMNS} FROM entries WHERE timer_id = ? ORDER BY revision`,
    );
    return statement.raw().all(timerId);
  }

  /** How many timers a replay of this kind reads. */
  countTimers(endedBeforeMs: number): number {
    const statement = this.#database.prepare(
      'SELECT count(*) FROM heads WHERE ended_at_ms IS NULL OR ended_at_ms > ?',
    );
    return counts.parse(statement.raw().all(endedBeforeMs))[0]?.[0] ?? 0;
  }

  /** The rows of the next timers after an id, timer by timer; empty when there are no more. */
  replay(afterTimerId: string, endedBeforeMs: number, timerLimit: number): StoredRows {
    const page = this.#database.prepare(
      `SELECT timer_id FROM heads
       WHERE timer_id > ? AND (ended_at_ms IS NULL OR ended_at_ms > ?) ORDER BY timer_id LIMIT ?`,
    );
    const ids = timerIds.parse(page.raw().all(afterTimerId, endedBeforeMs, timerLimit));
    if (ids.length === 0) return [];
    const entries = this.#database.prepare(
      `SELECT ${ENTRY_COLUMNS} FROM entries
       WHERE timer_id IN (SELECT value FROM json_each(?)) ORDER BY timer_id, revision`,
    );
    return entries.raw().all(JSON.stringify(ids.map(([id]) => id)));
  }

  close(): void {
    this.#database.close();
  }
}

/** Reads the header without SQLite, which might write to the file just by opening it. */
function refuseForeign(path: string): void {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, 'r');
  const bytes = readSync(file, header);
  closeSync(file);
  if (bytes < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new JournalError(
      `${path} is damaged or no database (${statSync(path).size} bytes). It was left as it is; ` +
        'restore it from a backup, or move it away to begin an empty journal.',
    );
  }
  if (header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new JournalError(
      `${path} is a database of another application. It was left as it is; ` +
        'set DATA_DIR to a folder of its own for the journal.',
    );
  }
}

/** Makes the file beside its place and renames it, so that a crash never leaves half a journal. */
function create(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.${Date.now()}.new`;
  const database = new Database(draft);
  database.pragma('synchronous = FULL');
  database.pragma(`application_id = ${APPLICATION_ID}`);
  migrate(database);
  database.close();
  takePlace(draft, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Of two services that make the file at the same time one is first, and its file is the one. */
function takePlace(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function openOwn(path: string): Database.Database {
  const database = new Database(path, { fileMustExist: true });
  try {
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    refuseDamaged(database, path);
    refuseNewer(versionOf(database), path);
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw explain(error, path);
  }
}

function refuseDamaged(database: Database.Database, path: string): void {
  const findings = database.prepare('PRAGMA quick_check(1)').raw().all();
  const [finding] = z.array(z.tuple([z.string()])).parse(findings);
  if (finding?.[0] !== 'ok') throw damaged(path, finding?.[0] ?? 'it could not be checked');
}

function versionOf(database: Database.Database): number {
  const [row] = counts.parse(database.prepare('PRAGMA user_version').raw().all());
  return row?.[0] ?? 0;
}

function refuseNewer(version: number, path: string): void {
  if (version <= MIGRATIONS.length) return;
  throw new JournalError(
    `${path} has schema version ${version}, this release knows up to ${MIGRATIONS.length}. ` +
      'It was left as it is; start the release that wrote it, or a newer one.',
  );
}

function migrate(database: Database.Database): void {
  const version = versionOf(database);
  MIGRATIONS.slice(version).forEach((step, index) => {
    database.exec(`BEGIN; ${step} PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}

function explain(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof JournalError) return error;
  const code = 'code' in error ? String(error.code) : '';
  if (code.startsWith('SQLITE_BUSY')) {
    return new JournalError(
      `${path} is in use by another process. Stop it, or set DATA_DIR to another folder.`,
      { cause: error },
    );
  }
  if (code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')) {
    return damaged(path, error.message, error);
  }
  return new JournalError(`${path} cannot be opened: ${error.message}`, { cause: error });
}

function damaged(path: string, finding: string, cause?: Error): JournalError {
  return new JournalError(
    `${path} is damaged (${finding}). It was left as it is; restore it from a backup.`,
    { cause },
  );
}
