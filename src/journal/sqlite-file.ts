/**
 * The database file of the journal: opening it safely, its schema, and its statements. Synchronous
 * throughout; it lives in a worker thread, because a commit waits for the disk.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { linkOf, type Milestone } from './chain.js';
import {
  BEGINNING_DOCUMENT,
  type Beginning,
  beginningSchema,
  type Entry,
  endedAtMs,
  type JournalAnswer,
  JournalError,
  VERY_BEGINNING,
} from './journal.js';
import { SqliteChanges } from './sqlite-changes.js';
import { SqliteDrawers } from './sqlite-drawers.js';
import { ENTRY_COLUMNS, RECORDED_COLUMNS, rowOf } from './sqlite-rows.js';
import { APPLICATION_ID, migrate } from './sqlite-schema.js';

/** Stored entries as they come, each an array of columns; whoever asked checks them. */
export type StoredRows = unknown[];

const OWNER_ENTERS = 0o700;
const OWNER_READS_AND_WRITES = 0o600;

const heads = z.array(z.tuple([z.number()]));
const counts = z.array(z.tuple([z.number()]));
const timerIds = z.array(z.tuple([z.string()]));
const links = z.array(z.tuple([z.number(), z.string()]));

export class SqliteFile {
  readonly documents: SqliteDrawers;
  readonly #database: Database.Database;
  readonly #changes: SqliteChanges;
  readonly #selectHead: Database.Statement;
  readonly #insertEntry: Database.Statement;
  readonly #upsertHead: Database.Statement;
  readonly #selectInstant: Database.Statement;
  /** The place and the hash of the last entry. */
  #last: Milestone;
  #beginning: Beginning;

  /**
   * Opens the journal's file, which has been checked, and makes it if there is none.
   * @throws {JournalError} if the file is in use, or the folder cannot be written to.
   */
  constructor(path: string) {
    if (!existsSync(path)) create(path);
    this.#database = openOwn(path);
    this.#changes = new SqliteChanges(this.#database);
    this.documents = new SqliteDrawers(this.#database, this.#changes);
    this.#selectHead = this.#database
      .prepare('SELECT revision FROM heads WHERE timer_id = ?')
      .raw();
    this.#insertEntry = this.#database.prepare(
      `INSERT INTO entries (${ENTRY_COLUMNS}, position, hash) VALUES (${Array(11).fill('?').join(', ')})`,
    );
    this.#upsertHead = this.#database.prepare(
      `INSERT INTO heads (timer_id, revision, ended_at_ms) VALUES (?, ?, ?)
       ON CONFLICT (timer_id) DO UPDATE SET
         revision = excluded.revision, ended_at_ms = excluded.ended_at_ms`,
    );
    this.#selectInstant = this.#database
      .prepare('SELECT recorded_at_ms FROM entries WHERE position = ?')
      .raw();
    this.#beginning = this.#readBeginning();
    this.#last = this.#readLast();
  }

  /** The position of the last entry. */
  get lastPosition(): number {
    return this.#last.position;
  }

  /**
   * Appends entries in one transaction; throws, with nothing written, if the disk does not take them.
   * @throws {DoubtError} if a crash might append them after all.
   */
  append(entries: readonly Entry[]): JournalAnswer[] {
    const before = this.#last;
    try {
      return this.#changes.make(() => entries.map((entry) => this.#appendOne(entry)));
    } catch (error) {
      this.#last = before;
      throw error;
    }
  }

  #appendOne(entry: Entry): JournalAnswer {
    const { timerId, revision } = entry;
    const [head] = heads.parse(this.#selectHead.all(timerId));
    if (revision !== (head?.[0] ?? 0) + 1) return 'conflict';
    const { position, hash } = linkOf(entry, this.#last.position + 1, this.#last.hash);
    this.#insertEntry.run(...rowOf(entry), position, hash);
    this.#upsertHead.run(timerId, revision, endedAtMs(entry));
    this.#last = { position, hash };
    return 'committed';
  }

  history(timerId: string): StoredRows {
    const statement = this.#database.prepare(
      `SELECT ${RECORDED_COLUMNS} FROM entries WHERE timer_id = ? ORDER BY revision`,
    );
    return statement.raw().all(timerId);
  }

  /** The next entries after a position. */
  read(afterPosition: number, limit: number): StoredRows {
    const statement = this.#database.prepare(
      `SELECT ${RECORDED_COLUMNS} FROM entries WHERE position > ? ORDER BY position LIMIT ?`,
    );
    return statement.raw().all(afterPosition, limit);
  }

  /** Entries are recorded in the order of time, as far as the clock of the machine went forward. */
  positionBefore(epochMs: number): number {
    let [before, after] = [this.#beginning.position, this.#last.position + 1];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      const [found] = heads.parse(this.#selectInstant.all(middle));
      if ((found?.[0] ?? 0) < epochMs) before = middle;
      else after = middle;
    }
    return before;
  }

  entriesOfRequest(requestIdPrefix: string): StoredRows {
    const statement = this.#database.prepare(
      `SELECT ${ENTRY_COLUMNS} FROM entries
       WHERE request_id >= ? AND request_id < ? ORDER BY position`,
    );
    return statement.raw().all(requestIdPrefix, `${requestIdPrefix}\u{10ffff}`);
  }

  beginning(): Beginning {
    return this.#beginning;
  }

  firstUnfinished(epochMs: number): StoredRows {
    const statement = this.#database.prepare(
      `SELECT position, timer_id FROM entries
       WHERE timer_id IN (SELECT timer_id FROM heads WHERE ended_at_ms IS NULL OR ended_at_ms > ?)
       ORDER BY position LIMIT 1`,
    );
    return statement.raw().all(epochMs);
  }

  /** Takes out entries and what is known of timers that have none left, in one transaction. */
  takeOut(upTo: Beginning): void {
    const { drawer, name } = BEGINNING_DOCUMENT;
    this.#changes.make(() => {
      this.#database.prepare('DELETE FROM entries WHERE position <= ?').run(upTo.position);
      this.#database.exec('DELETE FROM heads WHERE timer_id NOT IN (SELECT timer_id FROM entries)');
      this.documents.putWithin(drawer, { name, text: JSON.stringify(upTo) }, null);
    });
    this.#beginning = upTo;
  }

  /** How many timers a replay of this kind reads. */
  countTimers(endedBeforeMs: number): number {
    const statement = this.#database.prepare(
      'SELECT count(*) FROM heads WHERE ended_at_ms IS NULL OR ended_at_ms > ?',
    );
    return counts.parse(statement.raw().all(this.#since(endedBeforeMs)))[0]?.[0] ?? 0;
  }

  /** The rows of the next timers after an id, timer by timer; empty when there are no more. */
  replay(afterTimerId: string, endedBeforeMs: number, timerLimit: number): StoredRows {
    const page = this.#database.prepare(
      `SELECT timer_id FROM heads
       WHERE timer_id > ? AND (ended_at_ms IS NULL OR ended_at_ms > ?) ORDER BY timer_id LIMIT ?`,
    );
    const sinceMs = this.#since(endedBeforeMs);
    const ids = timerIds.parse(page.raw().all(afterTimerId, sinceMs, timerLimit));
    if (ids.length === 0) return [];
    const entries = this.#database.prepare(
      `SELECT ${RECORDED_COLUMNS} FROM entries
       WHERE timer_id IN (SELECT value FROM json_each(?)) ORDER BY timer_id, revision`,
    );
    return entries.raw().all(JSON.stringify(ids.map(([id]) => id)));
  }

  close(): void {
    this.#database.close();
  }

  /** Of timers that ended before, entries may have been taken out. */
  #since(endedBeforeMs: number): number {
    return Math.max(endedBeforeMs, this.#beginning.endedBeforeMs);
  }

  #readBeginning(): Beginning {
    const { drawer, name } = BEGINNING_DOCUMENT;
    const text = this.documents.get(drawer, name, 0);
    return text === undefined ? VERY_BEGINNING : beginningSchema.parse(JSON.parse(text));
  }

  #readLast(): Milestone {
    const statement = this.#database.prepare(
      'SELECT position, hash FROM entries ORDER BY position DESC LIMIT 1',
    );
    const [last] = links.parse(statement.raw().all());
    return last === undefined ? this.#beginning : { position: last[0], hash: last[1] };
  }
}

/** Makes the file beside its place and renames it, so that a crash never leaves half a journal. */
function create(path: string): void {
  refuseLeftLog(path);
  try {
    makeFolder(dirname(path));
    createDraft(path);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new JournalError(
      `A journal cannot be made in ${dirname(path)} (${words}). Set DATA_DIR to a folder that can be written to.`,
      { cause: error },
    );
  }
}

/** Makes a folder and those around it. Node would try for ever where nothing can be made, as in `/proc`. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, OWNER_ENTERS);
  } catch (error) {
    // Somebody else may have been first.
    if (!existsSync(path)) throw error;
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

/** SQLite gives the write-ahead log the mode of the file, which is made for the service's user only. */
function createDraft(path: string): void {
  const draft = `${path}.${randomUUID()}.new`;
  closeSync(openSync(draft, 'wx', OWNER_READS_AND_WRITES));
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
    // The check before may have left it; a connection that has the file to itself needs none.
    rmSync(`${path}-shm`, { force: true });
    database.pragma('synchronous = FULL');
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
