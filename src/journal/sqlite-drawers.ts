/** The documents in the journal's file. Synchronous; part of the thread that owns the file. */
import type Database from 'libsql';
import { z } from 'zod';
import type { Condition, Document } from './documents.js';
import type { SqliteChanges } from './sqlite-changes.js';

const documents = z.array(z.tuple([z.string(), z.string()]));

export class SqliteDrawers {
  readonly #database: Database.Database;
  readonly #changes: SqliteChanges;

  constructor(database: Database.Database, changes: SqliteChanges) {
    this.#database = database;
    this.#changes = changes;
  }

  get(drawer: string, name: string, nowMs: number): string | undefined {
    const statement = this.#database.prepare(
      `SELECT name, text FROM documents
       WHERE drawer = ? AND name = ? AND (expires_at_ms IS NULL OR expires_at_ms > ?)`,
    );
    return documents.parse(statement.raw().all(drawer, name, nowMs))[0]?.[1];
  }

  put(drawer: string, document: Document, expiresAtMs: number | null): void {
    this.#changes.make(() => this.putWithin(drawer, document, expiresAtMs));
  }

  /** Puts a document as a part of a change that is being made. */
  putWithin(drawer: string, { name, text }: Document, expiresAtMs: number | null): void {
    const statement = this.#database.prepare(
      `INSERT INTO documents (drawer, name, text, expires_at_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT (drawer, name) DO UPDATE SET
         text = excluded.text, expires_at_ms = excluded.expires_at_ms`,
    );
    statement.run(drawer, name, text, expiresAtMs);
  }

  replace(
    drawer: string,
    document: Document,
    expiresAtMs: number | null,
    { before, nowMs }: Condition,
  ): boolean {
    if (this.get(drawer, document.name, nowMs) !== before) return false;
    this.put(drawer, document, expiresAtMs);
    return true;
  }

  remove(drawer: string, name: string): boolean {
    const statement = this.#database.prepare('DELETE FROM documents WHERE drawer = ? AND name = ?');
    return this.#changes.make(() => statement.run(drawer, name)).changes > 0;
  }

  list(drawer: string, prefix: string): Document[] {
    const statement = this.#database.prepare(
      `SELECT name, text FROM documents WHERE drawer = ? AND name >= ? AND name < ? ORDER BY name`,
    );
    const rows = documents.parse(statement.raw().all(drawer, prefix, `${prefix}\u{10ffff}`));
    return rows.map(([name, text]) => ({ name, text }));
  }

  purge(nowMs: number): void {
    const statement = this.#database.prepare('DELETE FROM documents WHERE expires_at_ms <= ?');
    this.#changes.make(() => statement.run(nowMs));
  }
}
