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
import { refuseDamagedLog } from './sqlite-log-check.js';
import { APPLICATION_ID, damaged, explain, refuseNewer, versionOf } from './sqlite-schema.js';

const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const APPLICATION_ID_OFFSET = 68;
const FIRST_VERSION_WITH_HEADS = 2;

function check(path: string): void {
  refuseForeign(path);
  // The driver has no other way to open a file that nothing is to be written to.
  const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
  // From the first read on no service can begin to use the file, so nobody writes to the log while it is looked at.
  const version = versionOf(database);
  refuseDamagedLog(path);
  refuseDamaged(database, path);
  refuseNewer(version, path);
  if (version >= FIRST_VERSION_WITH_HEADS) refuseContradiction(database, path);
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

/** Of a timer whose entries do not end where its head says: its id, what its head says, and its last revision. */
const CONTRADICTIONS = [
  `SELECT timer_id, revision, (
     SELECT max(revision) FROM entries WHERE entries.timer_id = heads.timer_id
   ) AS last FROM heads WHERE last IS NOT revision LIMIT 1`,
  `SELECT timer_id, 0, max(revision) FROM entries
   GROUP BY timer_id HAVING timer_id NOT IN (SELECT timer_id FROM heads) LIMIT 1`,
];

const contradictions = z.array(z.tuple([z.string(), z.number(), z.number().nullable()]));

/**
 * An entry and the head of its timer are written in one commit, so where they differ somebody else wrote. The last
 * entry has none behind it that would tell; what is recorded after it was removed would take its place.
 */
function refuseContradiction(database: Database.Database, path: string): void {
  for (const query of CONTRADICTIONS) {
    const [found] = contradictions.parse(database.prepare(query).raw().all());
    if (found === undefined) continue;
    const [timerId, recorded, last] = found;
    const isMissing = recorded > (last ?? 0);
    throw damaged(
      path,
      isMissing
        ? `revision ${recorded} of ${timerId} was recorded and is not there any more`
        : `revision ${last} of ${timerId} is there and was not recorded by the service`,
    );
  }
}

const path = process.argv[2] ?? '';
try {
  check(path);
} catch (error) {
  const explained = explain(error, path);
  process.stdout.write(explained instanceof Error ? explained.message : String(explained));
}
