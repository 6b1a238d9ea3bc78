/** How commands of one moment are gathered into appends, seen from both ends: the registry and the journal. */
import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/log.js';
import { type Command, Registry } from '../../src/registry.js';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { BY_TEST } from '../support/entries.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const definition = {
  name: 'Timer',
  durationMs: 10_000,
  warningThresholdsMs: [],
  autoStart: false,
};

let lastId = 0;

function creations(count: number): Command[] {
  return Array.from({ length: count }, () => {
    lastId += 1;
    return { type: 'create', timerId: `t${lastId}`, definition };
  });
}

async function startOn(journal: DisturbedJournal): Promise<Registry> {
  const registry = new Registry({
    clock: new SimulatedClock(),
    journal,
    log: createLog('silent'),
    maxTimers: 10_000,
    maxTimersPerOwner: 0,
    retainFinishedMs: 1e9,
    onFailure: (error) => {
      throw error;
    },
  });
  await registry.recovered;
  return registry;
}

/** Waits until everything has happened that can without the disk. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const sizesOf = ({ appends }: DisturbedJournal): number[] => appends.map(({ length }) => length);

describe('while an append is under way', () => {
  it('999 more entries wait for it, and leave as one append', async () => {
    const journal = new DisturbedJournal();
    const registry = await startOn(journal);
    journal.isHeld = true;
    const first = registry.executeAll(creations(1), BY_TEST);
    const others = [creations(500), creations(499)].map((commands) =>
      registry.executeAll(commands, BY_TEST),
    );
    await quiet();
    expect(sizesOf(journal)).toEqual([1]);
    journal.release();
    expect(await first).toMatchObject([{ ok: true }]);
    await quiet();
    expect(sizesOf(journal)).toEqual([1, 999]);
    journal.release();
    expect((await Promise.all(others)).flat().every(({ ok }) => ok)).toBe(true);
  });

  it('1,000 more entries are appended without waiting for it, and the next wait again', async () => {
    const journal = new DisturbedJournal();
    const registry = await startOn(journal);
    journal.isHeld = true;
    const results = [creations(1), creations(999), creations(1), creations(10)].map((commands) =>
      registry.executeAll(commands, BY_TEST),
    );
    await quiet();
    expect(sizesOf(journal)).toEqual([1, 1000]);
    // The few that wait do so until no append is under way at all.
    journal.release();
    await quiet();
    expect(sizesOf(journal)).toEqual([1, 1000]);
    journal.release();
    await quiet();
    expect(sizesOf(journal)).toEqual([1, 1000, 10]);
    journal.release();
    expect((await Promise.all(results)).flat().every(({ ok }) => ok)).toBe(true);
  });
});
