import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { linkOf, NO_HASH } from '../../src/journal/chain.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';
import { expectChained, journalContract } from './contract.js';

const FILE = 'journal.db';
const LOG_FILE = `${FILE}-wal`;

/** Lets go of everything a database of the journal holds, so that a test can look at the file. */
async function recordedIn(folder: string, timers = 1): Promise<void> {
  const journal = await openSqlite(folder);
  await journal.append(Array.from({ length: timers }, (_, index) => created(`t${index}`)));
  await journal.close();
}

/** What a crash leaves: the last commits are in the write-ahead log only. Made once, for all tests. */
let crashed: ReadonlyMap<string, Buffer> | undefined;

async function crash(): Promise<ReadonlyMap<string, Buffer>> {
  const folder = temporaryFolder();
  await recordedIn(folder, 2000);
  const journal = await openSqlite(folder);
  await journal.append([started('t0', 2)]);
  return new Map([FILE, LOG_FILE].map((name) => [name, readFileSync(join(folder, name))]));
}

async function crashedFolder(): Promise<string> {
  crashed ??= await crash();
  const folder = temporaryFolder();
  for (const [name, bytes] of crashed) writeFileSync(join(folder, name), bytes);
  return folder;
}

function damageAPage(folder: string): void {
  const file = openSync(join(folder, FILE), 'r+');
  writeSync(file, Buffer.alloc(3000, 0xaa), 0, 3000, 5 * 4096);
  closeSync(file);
}

function bytesOf(folder: string): Buffer {
  const files = [FILE, LOG_FILE].map((name) => join(folder, name)).filter(existsSync);
  return Buffer.concat(files.map((path) => readFileSync(path)));
}

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + 4096;

interface CrashedLog {
  readonly folder: string;
  /** What the log was long after each commit. */
  readonly ends: readonly number[];
}

/** What a crash leaves of commits of one timer each, `t0` and on, none of which has reached the file. */
async function crashedLog(commits: number): Promise<CrashedLog> {
  const source = temporaryFolder();
  const folder = temporaryFolder();
  const journal = await openSqlite(source);
  const ends = [];
  for (let index = 0; index < commits; index += 1) {
    await journal.append([created(`t${index}`)]);
    ends.push(statSync(join(source, LOG_FILE)).size);
  }
  for (const name of [FILE, LOG_FILE]) copyFileSync(join(source, name), join(folder, name));
  return { folder, ends };
}

/** Changes the closed file of a journal behind the back of the service. */
function alter(folder: string, sql: string): void {
  const database = new Database(join(folder, FILE));
  database.exec(sql);
  database.close();
}

function flipABit(folder: string, offset: number): void {
  const path = join(folder, LOG_FILE);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 0x10, offset);
  writeFileSync(path, bytes);
}

/** The generations of the frames of a log, each once, in their order. */
function generationsIn(folder: string): string[] {
  const bytes = readFileSync(join(folder, LOG_FILE));
  const salts = new Set<string>();
  for (let at = LOG_HEADER_BYTES; at < bytes.length; at += FRAME_BYTES) {
    salts.add(bytes.toString('hex', at + 8, at + 16));
  }
  return [...salts];
}

/** How many of the timers `t0` and on are there. */
async function timersIn(folder: string): Promise<number> {
  const journal = await openSqlite(folder);
  const recorded = await journal.read(0, 10_000);
  await journal.close();
  expect(recorded.map(({ timerId }) => timerId)).toEqual(recorded.map((_, index) => `t${index}`));
  return recorded.length;
}

/** Tries to open a folder's journal, and checks that its files are byte for byte what they were. */
async function refusalOf(folder: string): Promise<string> {
  const before = bytesOf(folder);
  const refusal = await openSqlite(folder).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  expect(bytesOf(folder).equals(before)).toBe(true);
  return refusal;
}

describe('the sqlite journal', () => {
  journalContract(openSqlite);

  it('T5: keeps what was acknowledged, closed or not', async () => {
    const folder = temporaryFolder();
    const journal = await openSqlite(folder);
    await journal.append([created('a'), started('a', 2)]);
    await journal.close();
    const reopened = await openSqlite(folder);
    expect(await reopened.history('a')).toMatchObject([created('a'), started('a', 2)]);
    expect(await reopened.append([started('a', 2)])).toEqual(['conflict']);
  });

  it('T5: gives way to probes and signals while many timers are replayed', async () => {
    const folder = temporaryFolder();
    await recordedIn(folder, 2000);
    const journal = await openSqlite(folder);
    const batches: boolean[] = [];
    let hadTheirTurn = true;
    for await (const { records } of journal.replay(0)) {
      expect(records.length).toBeGreaterThan(0);
      batches.push(hadTheirTurn);
      hadTheirTurn = false;
      setImmediate(() => {
        hadTheirTurn = true;
      });
      // The thread has its next answer ready before this one is taken in.
      const until = performance.now() + 50;
      while (performance.now() < until);
    }
    expect(batches).toEqual([true, true, true, true]);
  });

  it('T5: keeps what only the write-ahead log of a crashed service has', async () => {
    const reopened = await openSqlite(await crashedFolder());
    expect(await reopened.history('t0')).toMatchObject([created('t0'), started('t0', 2)]);
  });

  it('A3: is for its own user only: the folder it makes, the file and its write-ahead log', async () => {
    const folder = join(temporaryFolder(), 'data');
    const journal = await openSqlite(folder);
    await journal.append([created('a')]);
    const modes = ['', FILE, LOG_FILE].map((name) => statSync(join(folder, name)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o600, 0o600]);
  });

  it('commits with a write-ahead log and full synchronization', async () => {
    const folder = temporaryFolder();
    await recordedIn(folder);
    const database = new Database(join(folder, FILE), { readonly: true });
    expect(database.prepare('PRAGMA journal_mode').raw().all()).toEqual([['wal']]);
    database.close();
  });

  it('T3: a write that fails rejects its batch, changes nothing, and later writes succeed', async () => {
    const folder = temporaryFolder();
    await recordedIn(folder);
    const database = new Database(join(folder, FILE));
    database.exec(`CREATE TRIGGER broken_disk BEFORE INSERT ON entries WHEN NEW.timer_id = 'cursed'
      BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
    database.close();
    const journal = await openSqlite(folder);
    await expect(journal.append([created('a'), created('cursed')])).rejects.toThrow('disk I/O');
    expect(await journal.history('a')).toEqual([]);
    expect(await journal.append([created('a')])).toEqual(['committed']);
  });

  describe('refuses at start, in words, and leaves as it was', () => {
    it('a file that is no database', async () => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, FILE), 'Dear diary, '.repeat(1000));
      expect(await refusalOf(folder)).toMatch(/journal\.db is damaged or no database/);
    });

    it('an empty file, which a journal never is', async () => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, FILE), '');
      expect(await refusalOf(folder)).toMatch(/damaged or no database \(0 bytes\)/);
    });

    it('a database of another application', async () => {
      const folder = temporaryFolder();
      const database = new Database(join(folder, FILE));
      database.exec('CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES (1);');
      database.close();
      expect(await refusalOf(folder)).toMatch(/is a database of another application/);
    });

    it('a journal with a damaged page', async () => {
      const folder = temporaryFolder();
      await recordedIn(folder, 2000);
      damageAPage(folder);
      expect(await refusalOf(folder)).toMatch(/journal\.db is damaged/);
    });

    it('a journal with a damaged page that crashed before its last commits reached the file', async () => {
      const folder = await crashedFolder();
      damageAPage(folder);
      const refusal = await refusalOf(folder);
      expect(refusal).toMatch(/journal\.db is damaged/);
      expect(refusal).not.toContain('\n');
    });

    it.each([
      ['the page number', 2],
      ['the mark of a commit', 6],
      ['the salts', 9],
      ['the checksum', 17],
      ['the page', 2000],
    ])('T5: a write-ahead log with one wrong bit in %s of a frame', async (_, offset) => {
      const { folder, ends } = await crashedLog(40);
      for (const end of ends.slice(20, 22)) {
        flipABit(folder, end - FRAME_BYTES + offset);
        const refusal = await refusalOf(folder);
        expect(refusal).toMatch(/journal\.db is damaged.*in the middle of .*journal\.db-wal\)/);
        flipABit(folder, end - FRAME_BYTES + offset);
      }
      expect(await timersIn(folder)).toBe(40);
    });

    it.each([
      ['magic number', 0],
      ['page size', 10],
      ['salts', 17],
      ['checksum', 31],
    ])('T5: a write-ahead log with a wrong bit in the %s of its header', async (_, offset) => {
      const { folder } = await crashedLog(1);
      flipABit(folder, offset);
      expect(await refusalOf(folder)).toMatch(/damaged.*at the beginning of .*journal\.db-wal\)/);
    });

    it('T5: a write-ahead log of which the last commit but one is damaged', async () => {
      const { folder, ends } = await crashedLog(3);
      flipABit(folder, (ends[1] ?? 0) - 1);
      expect(await refusalOf(folder)).toMatch(/damaged.*in the middle of/);
    });

    it('a journal of a newer release that crashed', async () => {
      const folder = await crashedFolder();
      const file = openSync(join(folder, FILE), 'r+');
      const versionOffset = 60;
      writeSync(file, Buffer.from([0, 0, 0, 99]), 0, 4, versionOffset);
      closeSync(file);
      expect(await refusalOf(folder)).toMatch(/schema version 99/);
    });

    it('a write-ahead log without its journal', async () => {
      const folder = await crashedFolder();
      rmSync(join(folder, FILE));
      await expect(openSqlite(folder)).rejects.toThrow(/move the whole folder away/);
      expect(existsSync(join(folder, FILE))).toBe(false);
    });

    it('a place where no folder can be', async () => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'taken'), '');
      await expect(openSqlite(join(folder, 'taken'))).rejects.toThrow(/Set DATA_DIR to a folder/);
    });

    it('a folder in the place of the file', async () => {
      const folder = temporaryFolder();
      mkdirSync(join(folder, FILE));
      await expect(openSqlite(folder)).rejects.toThrow(/journal\.db is no file/);
    });

    it.each(['entries', 'heads', 'documents'])(
      'a journal without its table of %s',
      async (table) => {
        const folder = temporaryFolder();
        await recordedIn(folder);
        alter(folder, `DROP TABLE ${table}`);
        const refusal = await refusalOf(folder);
        expect(refusal).toMatch(
          /journal\.db is damaged \(no such table: \w+\).*restore a backup in its place/,
        );
        expect(refusal).toContain(table);
      },
    );

    it.each(['{', '{}'])(
      'a journal that does not know any more where it begins: %s',
      async (text) => {
        const folder = temporaryFolder();
        await recordedIn(folder);
        alter(folder, `INSERT INTO documents VALUES ('journal', 'beginning', '${text}', NULL)`);
        const refusal = await refusalOf(folder);
        expect(refusal).toMatch(/journal\.db is damaged.*restore a backup in its place/);
        expect(refusal).not.toContain('\n');
      },
    );

    it('a folder in the place of its write-ahead log', async () => {
      const folder = temporaryFolder();
      await recordedIn(folder);
      mkdirSync(join(folder, LOG_FILE));
      await expect(openSqlite(folder)).rejects.toThrow(/journal\.db cannot be used.*set DATA_DIR/);
    });

    it('a truncated journal', async () => {
      const folder = temporaryFolder();
      await recordedIn(folder, 2000);
      const path = join(folder, FILE);
      const whole = readFileSync(path);
      writeFileSync(path, whole.subarray(0, whole.length / 2));
      expect(await refusalOf(folder)).toMatch(/journal\.db is damaged/);
    });

    it('a journal of a newer release', async () => {
      const folder = temporaryFolder();
      await recordedIn(folder);
      alter(folder, 'PRAGMA user_version = 99');
      expect(await refusalOf(folder)).toMatch(/schema version 99.*start the release that wrote it/);
    });

    it('a journal that another process uses', async () => {
      const folder = temporaryFolder();
      const journal = await openSqlite(folder);
      await expect(openSqlite(folder)).rejects.toThrow(/in use by another process/);
      expect(await journal.append([created('a')])).toEqual(['committed']);
    });

    it('a journal that another process uses, even if its write-ahead log looks damaged meanwhile', async () => {
      const folder = temporaryFolder();
      const journal = await openSqlite(folder);
      for (const id of ['a', 'b', 'c']) await journal.append([created(id)]);
      flipABit(folder, LOG_HEADER_BYTES + 2000);
      await expect(openSqlite(folder)).rejects.toThrow(/in use by another process/);
    });
  });

  describe('starts after a crash with', () => {
    it('T5: a last commit that was cut off, and all before it', async () => {
      const { folder, ends } = await crashedLog(10);
      truncateSync(join(folder, LOG_FILE), (ends[9] ?? 0) - FRAME_BYTES / 2);
      expect(await timersIn(folder)).toBe(9);
    });

    it('T5: a last commit that has its end and not its beginning, and all before it', async () => {
      const { folder, ends } = await crashedLog(10);
      flipABit(folder, (ends[8] ?? 0) + FRAME_BYTES / 2);
      expect(await timersIn(folder)).toBe(9);
    });

    it('T5: a write-ahead log that was begun anew over an earlier generation', async () => {
      const source = temporaryFolder();
      const folder = temporaryFolder();
      const journal = await openSqlite(source);
      let timers = 0;
      do {
        const next = Array.from({ length: 200 }, () => created(`t${timers++}`));
        await journal.append(next);
      } while (generationsIn(source).length < 2);
      for (const name of [FILE, LOG_FILE]) copyFileSync(join(source, name), join(folder, name));
      expect(await timersIn(folder)).toBe(timers);
    });

    it('T5: a write-ahead log without a whole frame', async () => {
      const { folder } = await crashedLog(1);
      const log = readFileSync(join(folder, LOG_FILE));
      for (const bytes of [LOG_HEADER_BYTES + 400, LOG_HEADER_BYTES, 10, 0]) {
        writeFileSync(join(folder, LOG_FILE), log.subarray(0, bytes));
        expect(await timersIn(folder)).toBe(0);
      }
    });
  });

  it('says which entry of which file is damaged when a row cannot be understood', async () => {
    const folder = temporaryFolder();
    await recordedIn(folder);
    alter(folder, "UPDATE entries SET data = '{'");
    const journal = await openSqlite(folder);
    const words = /journal\.db is damaged \(entry 1 of timer t0 is not readable.*restore a backup/;
    await expect(journal.history('t0')).rejects.toThrow(words);
    await expect(journal.read(0, 1)).rejects.toThrow(words);
    await expect(journal.replay(0).next()).rejects.toThrow(words);
  });

  it('says which entry of which file contradicts those before it', async () => {
    const folder = temporaryFolder();
    await recordedIn(folder);
    const { hash } = linkOf(started('t0', 1), 1, NO_HASH);
    alter(folder, `UPDATE entries SET type = 'started', data = '{}', hash = '${hash}'`);
    const replay = (await openSqlite(folder)).replay(0);
    await expect(replay.next()).rejects.toThrow(
      /journal\.db is damaged \(Entry 1 \(started\) of timer t0.*restore a backup/,
    );
  });

  describe('R3: takes up no entry that is not what was recorded, and says which of which timer', () => {
    const reason = '{"category":"technical","text":"fire alarm"}';
    it.each([
      ['its data', `data = replace(data, '60000', '76000')`, 1],
      ['its instant', 'at_ms = at_ms + 1', 1],
      ['the instant of its record', 'recorded_at_ms = recorded_at_ms + 1', 1],
      ['who caused it', `caused_by = replace(caused_by, 'test', 'nobody')`, 1],
      ['its reason', `reason = '${reason}'`, 1],
      ['the request it is of', `request_id = 'another'`, 1],
      ['its hash', `hash = replace(hash, substr(hash, 9), substr(hash, 10) || '0')`, 1],
      ['its place', 'position = 90', 1],
      // Only the entry behind it is taken up of one whose timer ended long ago.
      ['the hash before it', `hash = '${NO_HASH}'`, 0],
    ])('if somebody changed %s', async (_, change, index) => {
      const folder = temporaryFolder();
      const journal = await openSqlite(folder);
      await journal.append([created('over'), created('t'), started('t', 2)]);
      await journal.append([entry('over', 2, { type: 'stopped', data: {} })]);
      await journal.close();
      alter(folder, `UPDATE entries SET ${change} WHERE position = ${index + 1}`);
      const replay = (await openSqlite(folder)).replay(START_MS);
      await expect(replay.next()).rejects.toThrow(
        /journal\.db is damaged \(revision 1 of timer t does not fit.*restore a backup/,
      );
    });

    it('if somebody took out the entry before it', async () => {
      const folder = temporaryFolder();
      const journal = await openSqlite(folder);
      await journal.append([created('over'), entry('over', 2, { type: 'deleted', data: {} })]);
      await journal.append([created('t')]);
      await journal.close();
      alter(
        folder,
        "DELETE FROM entries WHERE timer_id = 'over'; DELETE FROM heads WHERE ended_at_ms = 0",
      );
      const replay = (await openSqlite(folder)).replay(START_MS);
      await expect(replay.next()).rejects.toThrow(/revision 1 of timer t does not fit its hash/);
    });
  });

  it('migrates a file of an older schema, with everything in it', async () => {
    const folder = temporaryFolder();
    const journal = await openSqlite(folder);
    await journal.append([created('a'), started('a', 2), created('b')]);
    await journal.append([entry('b', 2, { type: 'stopped', data: {} }, START_MS + 5)]);
    await journal.close();
    const database = new Database(join(folder, FILE));
    database.exec(`
      CREATE TABLE old (
        position INTEGER PRIMARY KEY AUTOINCREMENT, timer_id TEXT NOT NULL, revision INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, by TEXT NOT NULL,
        UNIQUE (timer_id, revision)
      ) STRICT;
      INSERT INTO old SELECT position, timer_id, revision, at_ms, type, data, 'anyone' FROM entries;
      DROP TABLE entries; DROP TABLE documents; DROP TABLE heads; ALTER TABLE old RENAME TO entries;
      PRAGMA user_version = 1`);
    database.close();
    const migrated = await openSqlite(folder);
    expect(await migrated.append([started('a', 2), started('b', 3)])).toEqual([
      'conflict',
      'committed',
    ]);
    await migrated.close();
    const reopened = await openSqlite(folder);
    const recorded = await reopened.read(0, 10);
    expect(recorded.map(({ by }) => by.credential)).toEqual([...Array(4).fill('anyone'), 'test']);
    expectChained(recorded);
    const replayed = [];
    for await (const { records } of reopened.replay(START_MS + 5)) replayed.push(...records);
    expect(replayed).toMatchObject([
      { id: 'a', revision: 2 },
      { id: 'b', revision: 3 },
    ]);
  });
});
