/** What every journal must do. Each adapter's test file runs this suite. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EntryBody, REASON_CATEGORIES, ROLES } from '../../machines/entry.js';
import { recordOf } from '../../machines/record.js';
import { hashedEntryOf, hashOf, linkOf, NO_HASH } from '../../src/journal/chain.js';
import type {
  Beginning,
  Document,
  Entry,
  Journal,
  RecordedEntry,
  TimerRecord,
} from '../../src/journal/journal.js';
import { created, entry, START_MS, started } from '../support/entries.js';

async function replayed(journal: Journal, endedBeforeMs = 0): Promise<Map<string, TimerRecord>> {
  const found = new Map<string, TimerRecord>();
  for await (const { records } of journal.replay(endedBeforeMs)) {
    for (const record of records) {
      expect(found.has(record.id)).toBe(false);
      found.set(record.id, record);
    }
  }
  return found;
}

/** A journal of which the first four entries were taken out: all of one timer, and the first of another. */
export async function shortened(
  journal: Journal,
): Promise<{ readonly before: readonly RecordedEntry[]; readonly upTo: Beginning }> {
  await journal.append([created('a'), created('b'), started('a', 2)]);
  await journal.append([entry('a', 3, { type: 'stopped', data: {} }), created('c')]);
  await journal.append([started('b', 2), entry('b', 3, { type: 'stopped', data: {} })]);
  const before = await journal.read(0, 10);
  const [, , , last] = before;
  if (last === undefined) throw new Error('seven entries were recorded');
  const upTo = { position: last.position, hash: last.hash, endedBeforeMs: START_MS };
  await journal.takeOut(upTo);
  return { before, upTo };
}

export function journalContract(open: () => Promise<Journal>): void {
  describe('T3: nothing is told before it is durable', () => {
    it('delivers entries after append has returned and before it is answered', async () => {
      const journal = await open();
      const happened: string[] = [];
      journal.subscribe(() => happened.push('delivered'));
      const appended = journal.append([created('a')]).then(() => happened.push('answered'));
      happened.push('returned');
      await appended;
      expect(happened).toEqual(['returned', 'delivered', 'answered']);
    });

    it('delivers only what was committed, in the order of the commits', async () => {
      const journal = await open();
      const delivered: Entry[] = [];
      journal.subscribe(({ entries }) => delivered.push(...entries));
      await Promise.all([
        journal.append([created('a'), created('b')]),
        journal.append([started('a', 2), started('b', 3)]),
        journal.append([started('b', 2)]),
      ]);
      expect(delivered).toEqual([created('a'), created('b'), started('a', 2), started('b', 2)]);
    });

    it('delivers nothing to those who have unsubscribed', async () => {
      const journal = await open();
      const delivered: Entry[] = [];
      const unsubscribe = journal.subscribe(({ entries }) => delivered.push(...entries));
      unsubscribe();
      await journal.append([created('a')]);
      expect(delivered).toEqual([]);
    });
  });

  describe('append', () => {
    it('commits an entry only if its revision is the next one of its timer', async () => {
      const journal = await open();
      expect(await journal.append([started('a', 2)])).toEqual(['conflict']);
      expect(await journal.append([created('a')])).toEqual(['committed']);
      expect(await journal.append([created('a')])).toEqual(['conflict']);
      expect(await journal.append([started('a', 3)])).toEqual(['conflict']);
      expect(await journal.append([started('a', 2)])).toEqual(['committed']);
      expect(await journal.history('a')).toMatchObject([created('a'), started('a', 2)]);
    });

    it('answers for each entry of a batch, and a conflict spoils no other', async () => {
      const journal = await open();
      const answers = await journal.append([created('a'), started('b', 2), started('a', 2)]);
      expect(answers).toEqual(['committed', 'conflict', 'committed']);
      expect(await journal.history('b')).toEqual([]);
    });

    it('lets one of many rivals win each revision', async () => {
      const journal = await open();
      await journal.append([created('a')]);
      const rivals = Array.from({ length: 20 }, (_, index) => started('a', 2, START_MS + index));
      const answers = await Promise.all(rivals.map((rival) => journal.append([rival])));
      expect(answers.filter(([answer]) => answer === 'committed')).toHaveLength(1);
      expect(await journal.history('a')).toHaveLength(2);
    });

    it('takes thousands of entries in one commit', async () => {
      const journal = await open();
      let deliveries = 0;
      journal.subscribe(() => {
        deliveries += 1;
      });
      const entries = Array.from({ length: 2500 }, (_, index) => created(`t${index}`));
      const answers = await journal.append(entries);
      expect(answers.every((answer) => answer === 'committed')).toBe(true);
      // What takes long to record over a network may be delivered once in between.
      expect(deliveries).toBeLessThanOrEqual(2);
      expect((await replayed(journal)).size).toBe(2500);
    });

    it('works again after an append that failed, of which nothing was committed', async () => {
      const journal = await open();
      const unwritable = { ...created('b'), data: () => {} } as unknown as Entry;
      await expect(journal.append([created('a'), unwritable])).rejects.toThrow();
      expect(await journal.history('a')).toEqual([]);
      expect(await journal.append([created('a')])).toEqual(['committed']);
    });
  });

  describe('replay', () => {
    it('gives each timer once, as its entries leave it', async () => {
      const journal = await open();
      const ids = Array.from({ length: 1200 }, (_, index) => `timer_${index}`);
      await journal.append(ids.map((id) => created(id)));
      await journal.append(ids.map((id) => started(id, 2)));
      const records = await replayed(journal);
      expect(records.size).toBe(ids.length);
      for (const id of ids) {
        expect(records.get(id)).toEqual(recordOf([created(id), started(id, 2)]));
      }
    });

    it('counts down the timers that are still to come', async () => {
      const journal = await open();
      await journal.append(Array.from({ length: 1200 }, (_, index) => created(`t${index}`)));
      let read = 0;
      for await (const { records, timersLeft } of journal.replay(0)) {
        read += records.length;
        expect(timersLeft).toBe(1200 - read);
      }
    });

    it('leaves out timers that ended long ago, and deleted ones always', async () => {
      const journal = await open();
      await journal.append(['old', 'new', 'gone', 'live'].map((id) => created(id)));
      await journal.append([
        entry('old', 2, { type: 'stopped', data: {} }, START_MS + 1000),
        entry('new', 2, { type: 'expired', data: {} }, START_MS + 2000),
        entry('gone', 2, { type: 'deleted', data: {} }, START_MS + 9000),
      ]);
      expect([...(await replayed(journal, START_MS + 1000)).keys()].sort()).toEqual([
        'live',
        'new',
      ]);
      expect([...(await replayed(journal)).keys()].sort()).toEqual(['live', 'new', 'old']);
      expect(await journal.history('gone')).toHaveLength(2);
    });
  });

  describe('R1: every entry is tied to the one before it', () => {
    it('chains the entries of all timers in the order of their commit', async () => {
      const journal = await open();
      await Promise.all([
        journal.append([created('a'), created('b'), started('a', 3)]),
        journal.append([started('b', 2)]),
      ]);
      await journal.append([started('a', 2)]);
      const recorded = await journal.read(0, 10);
      expect(recorded.map(({ timerId, revision }) => [timerId, revision])).toEqual([
        ['a', 1],
        ['b', 1],
        ['b', 2],
        ['a', 2],
      ]);
      expectChained(recorded);
      expect(await journal.history('a')).toEqual([recorded[0], recorded[3]]);
    });

    it('covers everything that an entry says, in the canonical form of JSON', () => {
      const common = { timerId: 'a', revision: 2, atMs: START_MS, recordedAtMs: START_MS + 5 };
      fc.assert(
        fc.property(causes, bodies, fc.nat(), (cause, body, position) => {
          const hashed = hashedEntryOf({ ...common, ...cause, ...body }, position, NO_HASH);
          const text = canonicalize(JSON.parse(JSON.stringify(hashed))) ?? '';
          expect(hashOf(hashed)).toBe(createHash('sha256').update(text).digest('hex'));
        }),
      );
    });

    it('tells with a commit where it ends', async () => {
      const journal = await open();
      const positions: number[] = [];
      journal.subscribe(({ lastPosition }) => positions.push(lastPosition));
      await journal.append([created('a'), created('b')]);
      await journal.append([started('a', 2)]);
      expect(positions).toEqual([2, 3]);
    });

    it('is read page by page, and from an instant on', async () => {
      const journal = await open();
      const instants = [0, 10, 10, 20, 30].map((ms) => START_MS + ms);
      await journal.append(instants.map((atMs, index) => created(`t${index}`, atMs)));
      expect((await journal.read(1, 2)).map(({ position }) => position)).toEqual([2, 3]);
      expect(await journal.read(5, 2)).toEqual([]);
      const offsets = [0, 1, 10, 11, 30, 31];
      const positions = offsets.map((ms) => journal.positionBefore(START_MS + ms));
      expect(await Promise.all(positions)).toEqual([0, 1, 1, 3, 4, 5]);
    });

    it('finds the entries of a request', async () => {
      const journal = await open();
      const of = (requestId: string) => ({ ...created(requestId), requestId });
      await journal.append([of('ab.1'), of('ab.2'), of('abc.1'), created('other')]);
      const found = await journal.entriesOfRequest('ab.');
      expect(found).toEqual([of('ab.1'), of('ab.2')]);
    });
  });

  describe('R6: what was exported can be taken out', () => {
    it('begins after it, and goes on with the same chain', async () => {
      const journal = await open();
      const { before, upTo } = await shortened(journal);
      expect(await journal.beginning()).toEqual(upTo);
      expect(await journal.read(0, 10)).toEqual(before.slice(upTo.position));
      expect(await journal.read(2, 2)).toEqual(before.slice(upTo.position, upTo.position + 2));
      expect(await journal.positionBefore(0)).toBe(upTo.position);
      expect(await journal.positionBefore(Number.MAX_SAFE_INTEGER)).toBe(before.length);
      await journal.append([created('d')]);
      const [last, added] = await journal.read(before.length - 1, 2);
      expect(added).toMatchObject({ position: before.length + 1, previousHash: last?.hash });
    });

    it('knows nothing of timers that are gone, and the later part of those that are half gone', async () => {
      const journal = await open();
      const { before, upTo } = await shortened(journal);
      expect(await journal.history('a')).toEqual([]);
      expect(await journal.history('b')).toEqual(
        before.filter(({ timerId, position }) => timerId === 'b' && position > upTo.position),
      );
      expect([...(await replayed(journal)).keys()]).toEqual(['c']);
      expect(await journal.append([started('b', 2), started('b', 4), started('c', 2)])).toEqual([
        'conflict',
        'committed',
        'committed',
      ]);
    });

    it('says which entry has to stay', async () => {
      const journal = await open();
      const { upTo } = await shortened(journal);
      const anchor = { position: 5, timerId: 'c' };
      expect(await journal.firstUnfinished(upTo.endedBeforeMs)).toEqual(anchor);
      await journal.append([entry('c', 2, { type: 'deleted', data: {} })]);
      expect(await journal.firstUnfinished(upTo.endedBeforeMs)).toBeUndefined();
    });

    it('can begin after its last entry', async () => {
      const journal = await open();
      await journal.append([created('a'), entry('a', 2, { type: 'deleted', data: {} })]);
      const [, last] = await journal.read(0, 2);
      if (last === undefined) throw new Error('two entries were recorded');
      await journal.takeOut({ position: 2, hash: last.hash, endedBeforeMs: START_MS });
      expect(await journal.read(0, 10)).toEqual([]);
      await journal.append([created('b')]);
      expect(await journal.read(0, 10)).toMatchObject([{ position: 3, previousHash: last.hash }]);
    });
  });

  describe('documents', () => {
    const document = (name: string, text = '{}') => ({ name, text });

    it('are kept by drawer and name, and replaced as a whole', async () => {
      const { documents } = await open();
      await documents.put('keys', document('b', '1'), null);
      await documents.put('keys', document('a', '2'), null);
      await documents.put('keys', document('b', '3'), null);
      await documents.put('hooks', document('a', '4'), null);
      expect(await documents.get('keys', 'b', START_MS)).toBe('3');
      expect(await documents.list('keys')).toEqual([document('a', '2'), document('b', '3')]);
      expect(await documents.list('keys', 'b')).toEqual([document('b', '3')]);
      expect(await documents.remove('keys', 'a')).toBe(true);
      expect(await documents.remove('keys', 'a')).toBe(false);
      expect(await documents.get('keys', 'a', START_MS)).toBeUndefined();
      expect(await documents.get('hooks', 'a', START_MS)).toBe('4');
    });

    it('are gone when they have expired', async () => {
      const { documents } = await open();
      await documents.put('answers', document('a'), START_MS + 10);
      await documents.put('answers', document('b'), START_MS + 20);
      expect(await documents.get('answers', 'a', START_MS + 9)).toBe('{}');
      expect(await documents.get('answers', 'a', START_MS + 10)).toBeUndefined();
      await documents.purge(START_MS + 10);
      expect(await documents.list('answers')).toEqual([document('b')]);
    });

    it('replaces a document only if it is as somebody thought: of many rivals one succeeds', async () => {
      const { documents } = await open();
      const replace = (text: string, before: string | undefined, nowMs = START_MS) =>
        documents.replace('leases', document('a', text), START_MS + 10, { before, nowMs });
      const rivals = Array.from({ length: 10 }, (_, index) => replace(`${index}`, undefined));
      const outcomes = await Promise.all(rivals);
      expect(outcomes.filter((isDone) => isDone)).toHaveLength(1);
      const winner = `${outcomes.indexOf(true)}`;
      expect(await documents.get('leases', 'a', START_MS)).toBe(winner);
      expect(await replace('other', 'unlike')).toBe(false);
      expect(await replace('next', winner)).toBe(true);
      // One that has expired, or was removed, counts as none.
      expect(await replace('late', 'next', START_MS + 10)).toBe(false);
      expect(await replace('late', undefined, START_MS + 10)).toBe(true);
      await documents.remove('leases', 'a');
      expect(await replace('anew', 'late')).toBe(false);
      expect(await replace('anew', undefined)).toBe(true);
      expect(await documents.get('leases', 'a', START_MS)).toBe('anew');
    });

    it('are told to those who follow a drawer: all at first, and again before a change is settled', async () => {
      const { documents } = await open();
      await documents.put('keys', document('b', '1'), null);
      await documents.put('hooks', document('x'), null);
      const told: (readonly Document[])[] = [];
      const unfollow = await documents.follow('keys', (all) => told.push(all));
      expect(told).toEqual([[document('b', '1')]]);
      await documents.put('keys', document('a', '2'), null);
      expect(told.at(-1)).toEqual([document('a', '2'), document('b', '1')]);
      const condition = { before: '1', nowMs: START_MS };
      await documents.replace('keys', document('b', '3'), null, condition);
      expect(told.at(-1)).toEqual([document('a', '2'), document('b', '3')]);
      await documents.remove('keys', 'a');
      expect(told.at(-1)).toEqual([document('b', '3')]);
      await documents.put('hooks', document('y'), null);
      unfollow();
      await documents.put('keys', document('c'), null);
      expect(told).toHaveLength(4);
    });

    it('give to those who follow an empty drawer nothing, at once, and tell what they throw', async () => {
      const { documents } = await open();
      const told: (readonly Document[])[] = [];
      await documents.follow('keys', (all) => told.push(all));
      expect(told).toEqual([[]]);
      const throwing = documents.follow('keys', () => {
        throw new TypeError('unreadable');
      });
      await expect(throwing).rejects.toThrow('unreadable');
    });
  });
}

/** Each entry has the next position and the hash of the one before it. */
export function expectChained(recorded: readonly RecordedEntry[]): void {
  let last = { position: 0, hash: NO_HASH };
  for (const { position, previousHash, hash, ...entry } of recorded) {
    expect(position).toBe(last.position + 1);
    expect(previousHash).toBe(last.hash);
    last = linkOf(entry, position, previousHash);
    expect(hash).toBe(last.hash);
  }
}

const causes = fc.record({
  by: fc.record({
    credential: fc.string(),
    role: fc.constantFrom(...ROLES),
    label: fc.option(fc.string({ unit: 'grapheme' })),
    address: fc.option(fc.ipV6()),
  }),
  reason: fc.option(
    fc.record({
      category: fc.constantFrom(...REASON_CATEGORIES),
      text: fc.option(fc.string({ unit: 'grapheme' })),
    }),
  ),
  requestId: fc.option(fc.string()),
});

const bodies: fc.Arbitrary<EntryBody> = fc.oneof(
  fc.record({
    type: fc.constant('created' as const),
    data: fc.record({
      name: fc.string({ unit: 'grapheme' }),
      durationMs: fc.nat(),
      warningThresholdsMs: fc.array(fc.nat()),
      autoStart: fc.boolean(),
    }),
  }),
  fc.record({ type: fc.constant('extended' as const), data: fc.record({ addedMs: fc.nat() }) }),
  fc.record({ type: fc.constantFrom('started', 'expired', 'deleted'), data: fc.constant({}) }),
);
