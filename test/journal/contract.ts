/** What every journal must do. Each adapter's test file runs this suite. */
import { describe, expect, it } from 'vitest';
import type { Entry, Journal } from '../../src/journal/journal.js';
import { created, entry, START_MS, started } from '../support/entries.js';

async function replayed(journal: Journal, endedBeforeMs = 0): Promise<Map<string, Entry[]>> {
  const histories = new Map<string, Entry[]>();
  for await (const batch of journal.replay(endedBeforeMs)) {
    for (const history of batch.histories) {
      const timerId = history[0]?.timerId ?? '';
      expect(histories.has(timerId)).toBe(false);
      histories.set(timerId, [...history]);
    }
  }
  return histories;
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
      journal.subscribe((entries) => delivered.push(...entries));
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
      const unsubscribe = journal.subscribe((entries) => delivered.push(...entries));
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
      expect(await journal.history('a')).toEqual([created('a'), started('a', 2)]);
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
      const entries = Array.from({ length: 5000 }, (_, index) => created(`t${index}`));
      const answers = await journal.append(entries);
      expect(answers.every((answer) => answer === 'committed')).toBe(true);
      expect(deliveries).toBe(1);
      expect((await replayed(journal)).size).toBe(5000);
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
    it('gives whole histories, each in order, each timer once', async () => {
      const journal = await open();
      const ids = Array.from({ length: 1200 }, (_, index) => `timer_${index}`);
      await journal.append(ids.map((id) => created(id)));
      await journal.append(ids.map((id) => started(id, 2)));
      const histories = await replayed(journal);
      expect(histories.size).toBe(ids.length);
      for (const id of ids) expect(histories.get(id)).toEqual([created(id), started(id, 2)]);
    });

    it('counts down the timers that are still to come', async () => {
      const journal = await open();
      await journal.append(Array.from({ length: 1200 }, (_, index) => created(`t${index}`)));
      let read = 0;
      for await (const { histories, timersLeft } of journal.replay(0)) {
        read += histories.length;
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
}
