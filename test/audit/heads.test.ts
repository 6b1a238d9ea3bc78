/** Signed heads, when days, clocks, keys and disks are not as they should be. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { Heads } from '../../src/audit/heads.js';
import type { Journal, RecordedEntry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { Signer } from '../../src/signing.js';
import { created, START_MS } from '../support/entries.js';
import { type ReadableLog, readableLog } from '../support/log-lines.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { temporaryFolder } from '../support/sqlite.js';

const DAY = 24 * 60 * 60 * 1000;

interface Started {
  readonly heads: Heads;
  readonly log: ReadableLog;
}

async function start(journal: Journal, clock: SimulatedClock, keys = ''): Promise<Started> {
  const signer = await Signer.open(journal.documents, keys);
  const log = readableLog();
  const heads = new Heads({ journal, signer, clock, log: log.log });
  heads.start();
  return { heads, log };
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  return exportJWK(privateKey);
}

function keysFile(...keys: readonly JWK[]): string {
  const path = join(temporaryFolder(), 'keys.json');
  writeFileSync(path, JSON.stringify({ keys }));
  return path;
}

/** A journal that cannot be read while a test says so. */
class UnreadableJournal extends MemoryJournal {
  isBroken = false;

  override async read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    if (this.isBroken) throw new Error('disk I/O error');
    return super.read(afterPosition, limit);
  }
}

describe('R4: signed heads', () => {
  it('are one for each day with entries, however many days are caught up at once', async () => {
    const journal = new MemoryJournal();
    const days = [0, 0, 1, 5, 5, 40];
    await journal.append(days.map((day, index) => created(`t${index}`, START_MS + day * DAY)));
    const { heads } = await start(journal, new SimulatedClock(START_MS + 40 * DAY));
    expect((await heads.list()).map(({ date, position }) => [date, position])).toEqual([
      ['2026-01-15', 2],
      ['2026-01-16', 3],
      ['2026-01-20', 5],
    ]);
    await heads.stop();
  });

  it('are of another day when the clock of the machine went back over midnight', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + DAY);
    await journal.append([created('a', START_MS)]);
    const before = await start(journal, clock);
    const [first] = await before.heads.list();
    expect(first).toMatchObject({ date: '2026-01-15', position: 1 });
    await before.heads.stop();
    await journal.append([created('b', START_MS + 1)]);
    const later = await start(journal, new SimulatedClock(START_MS + 2 * DAY));
    expect(await later.heads.list()).toEqual([
      first,
      expect.objectContaining({ date: '2026-01-16', position: 2 }),
    ]);
    await later.heads.stop();
  });

  it('are signed the next time when the journal cannot be read at midnight', async () => {
    const journal = new UnreadableJournal();
    const clock = new SimulatedClock(START_MS);
    const { heads, log } = await start(journal, clock);
    await journal.append([created('a')]);
    journal.isBroken = true;
    await clock.advance(DAY);
    expect(await heads.list()).toEqual([]);
    expect(log.messages.join()).toContain('could not be signed');
    journal.isBroken = false;
    await clock.advance(DAY);
    expect(await heads.list()).toMatchObject([{ date: '2026-01-15', position: 1 }]);
    await heads.stop();
    expect(clock.pendingTimeouts).toBe(0);
  });

  it('can be checked when keys were added, and stay as they are when keys were taken away', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + DAY);
    await journal.append([created('a')]);
    const [old, fresh] = [await newKey(), await newKey()];
    const first = await start(journal, clock, keysFile(old));
    const signed = await first.heads.list();
    expect(signed).toHaveLength(1);
    await first.heads.stop();
    const rotated = await start(journal, clock, keysFile(fresh, old));
    expect(await rotated.heads.list()).toEqual(signed);
    await rotated.heads.stop();
    const kept = await journal.documents.list('heads');
    const replaced = await start(journal, clock, keysFile(fresh));
    expect(await replaced.heads.list()).toEqual(signed);
    expect(replaced.log.messages.join()).toContain('2026-01-15 bears no signature of the keys');
    await replaced.heads.stop();
    expect(await journal.documents.list('heads')).toEqual(kept);
  });

  it('follow one another when the key of the first is taken away and given back', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + DAY);
    await journal.append([created('a')]);
    const [old, fresh] = [await newKey(), await newKey()];
    const first = await start(journal, clock, keysFile(old));
    await first.heads.list();
    await first.heads.stop();
    await journal.append([created('b', START_MS + DAY)]);
    const later = new SimulatedClock(START_MS + 2 * DAY);
    const without = await start(journal, later, keysFile(fresh));
    expect((await without.heads.list()).map(({ number }) => number)).toEqual([1, 2]);
    await without.heads.stop();
    const both = await start(journal, later, keysFile(fresh, old));
    expect((await both.heads.list()).map(({ number }) => number)).toEqual([1, 2]);
    expect(both.log.messages).toEqual([]);
    await both.heads.stop();
  });

  it('can still be checked when the key that was made here is replaced by one from a file', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + DAY);
    await journal.append([created('a')]);
    const own = await start(journal, clock);
    const signed = await own.heads.list();
    await own.heads.stop();
    const file = keysFile(await newKey());
    const replaced = await start(journal, clock, file);
    expect(await replaced.heads.list()).toEqual(signed);
    expect(replaced.log.messages).toEqual([]);
    await replaced.heads.stop();
    const signer = await Signer.open(journal.documents, file);
    expect(signer.publicKeys.keys).toHaveLength(2);
    expect(signer.newestKey.keys).toEqual(signer.publicKeys.keys.slice(0, 1));
  });

  it('tell at the start that entries are missing', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + DAY);
    await journal.append([created('a'), created('b')]);
    const { heads } = await start(journal, clock);
    await heads.list();
    await heads.stop();
    const shorter = new MemoryJournal();
    await shorter.append([created('a')]);
    for (const drawer of ['heads', 'signing-keys']) {
      for (const document of await journal.documents.list(drawer)) {
        await shorter.documents.put(drawer, document, null);
      }
    }
    const { log, heads: again } = await start(shorter, clock);
    await again.list();
    expect(log.messages.join()).toContain('THE RECORD WAS CHANGED: the entry at position 2');
    await again.stop();
  });

  it('name the one before, so that one that is taken away from among them shows', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + 4 * DAY);
    await journal.append([0, 1, 2].map((day) => created(`t${day}`, START_MS + day * DAY)));
    const { heads } = await start(journal, clock);
    const signed = await heads.list();
    const hashes = signed.map(({ head }) => createHash('sha256').update(head).digest('hex'));
    expect(signed.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(signed.map((head) => head.previous_head_sha256)).toEqual([
      '0'.repeat(64),
      ...hashes.slice(0, 2),
    ]);
    await heads.stop();
    const unchanged = await start(journal, clock);
    await unchanged.heads.list();
    await unchanged.heads.stop();
    expect(unchanged.log.messages).toEqual([]);
    await journal.documents.remove('heads', '2026-01-16');
    const { log, heads: left } = await start(journal, clock);
    expect(await left.list()).toHaveLength(2);
    expect(log.messages).toEqual([
      'THE HEADS WERE CHANGED: before that of 2026-01-17, head 2 is missing',
    ]);
    await left.stop();
  });

  it('that are all missing are told of at the start, if the service ran after their days', async () => {
    const journal = new MemoryJournal();
    await journal.append(
      [0, 1, 2, 2].map((day, index) => created(`t${index}`, START_MS + day * DAY)),
    );
    const clock = new SimulatedClock(START_MS + 3 * DAY);
    const { log, heads } = await start(journal, clock);
    await heads.list();
    await heads.stop();
    expect(log.messages).toHaveLength(1);
    expect(log.messages[0]).toContain('heads of 2 past days are missing');
    expect(JSON.parse(log.lines[0] ?? '')).toMatchObject({
      level: 50,
      first: '2026-01-15',
      last: '2026-01-16',
    });
  });

  it('are not missed of a day after which the service did not run until now', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock(START_MS + 3 * DAY);
    await journal.append([created('a')]);
    const signer = await Signer.open(journal.documents, '');
    const log = readableLog();
    const heads = new Heads({ journal, signer, clock, log: log.log });
    // Recovery records what ended meanwhile before heads are looked at.
    await journal.append([created('b', clock.now())]);
    heads.start();
    expect(await heads.list()).toHaveLength(1);
    expect(log.messages).toEqual([]);
    await heads.stop();
  });
});
