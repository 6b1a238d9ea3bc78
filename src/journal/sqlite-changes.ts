/**
 * Changes of the journal's file: each is made as a whole, or refused and never made. Synchronous; part of the thread
 * that owns the file.
 */
import type Database from 'libsql';
import { DoubtError } from './journal.js';
import { versionOf } from './sqlite-schema.js';

/** A commit that fails so has not written the mark at its end, without which it counts for nothing. */
const UNMARKED = ['SQLITE_FULL', 'SQLITE_IOERR_WRITE'];

export class SqliteChanges {
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    this.#database = database;
  }

  /**
   * Makes a change in one transaction; throws, with nothing written, if the disk does not take it.
   * @throws {DoubtError} if a crash might make the change after all.
   */
  make<T>(change: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const changed = change();
      this.#commit();
      return changed;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #commit(): void {
    try {
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#rollBack();
      if (!(error instanceof Error && 'code' in error && UNMARKED.includes(String(error.code)))) {
        this.#overwrite(error);
      }
      throw error;
    }
  }

  #rollBack(): void {
    if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
  }

  /**
   * What could not be synced stands in the write-ahead log all the same, with its mark, where a start after a crash
   * would find it. A commit that changes nothing is written over its beginning, which makes the rest worthless: each
   * part of the log has a checksum of all before it.
   */
  #overwrite(cause: unknown): void {
    try {
      this.#database.exec(`PRAGMA user_version = ${versionOf(this.#database)}`);
    } catch {
      const words = cause instanceof Error ? cause.message : String(cause);
      throw new DoubtError(`It is not known whether the disk has a change: ${words}`, []);
    }
  }
}
