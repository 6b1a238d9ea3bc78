/** How commands of one moment are gathered into appends, seen from both ends: the registry and the journal. */
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/journal/journal.js';
import type { Command, Registry } from '../../src/registry.js';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { BY_TEST } from '../support/entries.js';
import { startRegistry } from '../support/registry.js';
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

/** Stands for one that is elsewhere, and may be away. */
class DisturbedEngine extends DisturbedJournal {
  readonly engine: Engine = { isElsewhere: true, lacks: [], clockOffset: undefined };
}

/** Creates a timer, and gives its id. */
async function createdOn(registry: Registry): Promise<string> {
  const [creation] = creations(1);
  if (creation === undefined) throw new Error('there is one');
  await registry.execute(creation, BY_TEST);
  return creation.timerId;
}

/** Waits until everything has happened that can without the disk. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const sizesOf = ({ appends }: DisturbedJournal): number[] => appends.map(({ length }) => length);

describe('while an append is under way', () => {
  it('999 more entries wait for it, and leave as one append', async () => {
    const journal = new DisturbedJournal();
    const registry = await startRegistry(journal);
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
    const registry = await startRegistry(journal);
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

  it('what waits for one to an engine leaves after a quarter of a second all the same', async () => {
    const journal = new DisturbedEngine();
    const clock = new SimulatedClock();
    const registry = await startRegistry(journal, clock);
    journal.isHeld = true;
    const first = registry.executeAll(creations(1), BY_TEST);
    const second = registry.executeAll(creations(2), BY_TEST);
    await clock.advance(249, quiet);
    expect(sizesOf(journal)).toEqual([1]);
    await clock.advance(1, quiet);
    expect(sizesOf(journal)).toEqual([1, 2]);
    journal.release();
    journal.release();
    expect((await Promise.all([first, second])).flat().every(({ ok }) => ok)).toBe(true);
  });

  it('everybody waits for a disk that is slow, and is answered in the end', async () => {
    const journal = new DisturbedJournal();
    const clock = new SimulatedClock();
    const registry = await startRegistry(journal, clock);
    const timerId = await createdOn(registry);
    journal.isHeld = true;
    const starting = registry.execute({ type: 'start', timerId }, BY_TEST);
    const pausing = registry.execute({ type: 'pause', timerId }, BY_TEST);
    const other = registry.executeAll(creations(1), BY_TEST);
    await clock.advance(60_000, quiet);
    expect(sizesOf(journal)).toEqual([1, 1]);
    journal.isHeld = false;
    journal.release();
    expect(await Promise.all([starting, pausing, other])).toMatchObject([
      { ok: true },
      { ok: true },
      [{ ok: true }],
    ]);
  });

  it('J1: nobody waits longer than 1.5 s behind it for the same timer, and an end is recorded in any case', async () => {
    const journal = new DisturbedEngine();
    const clock = new SimulatedClock();
    const registry = await startRegistry(journal, clock);
    const timerId = await createdOn(registry);
    await registry.execute({ type: 'start', timerId }, BY_TEST);
    await clock.advance(9000, quiet);
    journal.isHeld = true;
    const extending = registry.execute({ type: 'extend', timerId, addedMs: 500 }, BY_TEST);
    const waiting = registry.execute({ type: 'pause', timerId }, BY_TEST);
    await clock.advance(1499, quiet);
    const isRefused = { ok: false, refusal: { reason: 'journal_unavailable' } };
    let isSettled = false;
    void waiting.then(() => {
      isSettled = true;
    });
    await quiet();
    expect(isSettled).toBe(false);
    await clock.advance(1, quiet);
    expect(await waiting).toEqual(isRefused);
    expect(await registry.execute({ type: 'stop', timerId }, BY_TEST)).toEqual(isRefused);
    journal.isHeld = false;
    journal.refuses = ({ type }) => type === 'extended';
    journal.release();
    expect(await extending).toEqual(isRefused);
    await clock.advance(1, quiet);
    expect((await journal.history(timerId)).map(({ type, atMs }) => [type, atMs])).toEqual([
      ['created', clock.now() - 10_501],
      ['started', clock.now() - 10_501],
      ['expired', clock.now() - 501],
    ]);
  });
});
