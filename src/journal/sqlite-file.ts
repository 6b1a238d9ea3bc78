/**
 * The database file of the journal: opening it safely, its schema, and its statements. Synchronous
 * throughout; it lives in a worker thread, because a commit waits for the disk.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { type JournalAnswer, JournalError } from './journal.js';
import { APPLICATION_ID, explain, migrate } from './sqlite-schema.js';

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
   * Opens the journal's file, which has been checked, and makes it if there is none.
   * @throws {JournalError} if the file is in use, or the folder cannot be written to.
   */
  constructor(path: string) {
    if (!existsSync(path)) create(path);
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

/** Makes the file beside its place and renames it, so that a crash never leaves half a journal. */
function create(path: string): void {
  refuseLeftLog(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    createDraft(path);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new JournalError(
      `A journal cannot be made in ${dirname(path)} (${words}). Set DATA_DIR to a folder that can be written to.`,
      { cause: error },
    );
  }
}

/** SQLite would take the changes of another journal for those of the new one. */
function refuseLeftLog(path: string): void {
  if (!existsSync(`${path}-wal`)) return;
  throw new JournalError(
    `${path} is missing, but its write-ahead log ${path}-wal is there. Put the file back, ` +
      'or move the whole folder away to begin an empty journal.',
  );
}

function createDraft(path: string): void {
  const draft = `${path}.${randomUUID()}.new`;
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
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw explain(error, path);
  }
}
