/**
 * A program of its own: checks a journal's file and prints what is wrong with it, if anything is. It
 * opens the file for reading only, and in another process, because a connection that may write folds
 * a write-ahead log into the file when it closes, be the file damaged or not.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { z } from 'zod';
import { JournalError } from './journal.js';
import { APPLICATION_ID, damaged, explain, refuseNewer, versionOf } from './sqlite-schema.js';

const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const APPLICATION_ID_OFFSET = 68;

function check(path: string): void {
  refuseForeign(path);
  // The driver has no other way to open a file that nothing is to be written to.
  const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
  refuseDamaged(database, path);
  refuseNewer(versionOf(database), path);
}

/** Reads the header without SQLite, which might write to the file just by opening it. */
function refuseForeign(path: string): void {
  if (!statSync(path).isFile()) {
    throw new JournalError(`${path} is no file. Move it away, or set DATA_DIR to another folder.`);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, 'r');
  const bytes = readSync(file, header);
  closeSync(file);
  if (bytes < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new JournalError(
      `${path} is damaged or no database (${statSync(path).size} bytes). It was left as it is; ` +
        'restore the whole folder from a backup, or move the whole folder away to begin an empty journal.',
    );
  }
  if (header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new JournalError(
      `${path} is a database of another application. It was left as it is; ` +
        'set DATA_DIR to a folder of its own for the journal.',
    );
  }
}

function refuseDamaged(database: Database.Database, path: string): void {
  const findings = database.prepare('PRAGMA quick_check(1)').raw().all();
  const [finding] = z.array(z.tuple([z.string()])).parse(findings);
  if (finding?.[0] !== 'ok') throw damaged(path, finding?.[0] ?? 'it could not be checked');
}

const path = process.argv[2] ?? '';
try {
  check(path);
} catch (error) {
  const explained = explain(error, path);
  process.stdout.write(explained instanceof Error ? explained.message : String(explained));
}
