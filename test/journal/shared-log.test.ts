/**
 * One registry on a log that others write to as well, over a network: what the simulation has found, each
 * on its own.
 */

import { describe, expect, it } from 'vitest';
import { assign } from 'xstate';
import { applyEntry } from '../../machines/record.js';
import { shardMachine } from '../../machines/shard.machine.js';
import { timerMachine } from '../../machines/timer.machine.js';
import {
  type Commit,
  DoubtError,
  type Entry,
  type Journal,
  type JournalAnswer,
  type RecordedEntry,
  type ReplayBatch,
} from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import type { Change, Command, Registry } from '../../src/registry.js';
import { BY_TEST, created, entry, START_MS, started } from '../support/entries.js';
import { registryOn, startRegistry } from '../support/registry.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const PAUSE: Command = { type: 'pause', timerId: 'a' };
const EXTEND: Command = { type: 'extend', timerId: 'a', addedMs: 5000 };
const DELETE: Command = { type: 'delete', timerId: 'a' };

/** A gate that what comes to it waits at, until it is opened. */
class Gate {
  #open: () => void = () => {};
  #isOpened = Promise.resolve();

  close(): void {
    this.#isOpened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  pass(): Promise<void> {
    return this.#isOpened;
  }
}

/** A log at the other end of a network, which a test can hold up at every point. */
class DistantJournal extends MemoryJournal {
  readonly delivery = new Gate();
  readonly reading = new Gate();
  readonly asking = new Gate();
  /** What is appended is committed, and nobody is told. */
  losesAnswers = false;
  /** After each commit all that was delivered comes again, and then the first commit alone. */
  repeatsItself = false;
  readonly #delivered: Commit[] = [];

  override subscribe(listener: (commit: Commit) => void): () => void {
    return super.subscribe(async (commit) => {
      await this.delivery.pass();
      listener(commit);
      this.#delivered.push(commit);
      if (this.repeatsItself) for (const again of this.#repetitions(commit)) listener(again);
    });
  }

  override async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    for await (const batch of super.replay(endedBeforeMs)) {
      await this.reading.pass();
      yield batch;
    }
  }

  override async history(timerId: string): Promise<readonly RecordedEntry[]> {
    const history = await super.history(timerId);
    await this.reading.pass();
    return history;
  }

  override async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    await this.asking.pass();
    const answers = await super.append(entries);
    if (this.losesAnswers) {
      await settled();
      throw new DoubtError('the log did not answer', entries);
    }
    return answers;
  }

  #repetitions({ lastPosition }: Commit): readonly Commit[] {
    const entries = this.#delivered.flatMap((commit) => commit.entries);
    return [{ entries, lastPosition }, ...this.#delivered.slice(0, 1)];
  }

  /** Another node records something. */
  byAnother(entry: Entry): Promise<readonly JournalAnswer[]> {
    return super.append([entry]);
  }
}

/** Everything has happened that needs no time to pass. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A registry that knows a running timer, `a`. */
async function withTimer(journal: DistantJournal, clock?: SimulatedClock): Promise<Registry> {
  await journal.byAnother(created('a'));
  await journal.byAnother(started('a', 2));
  return startRegistry(journal, clock);
}

function revisionOf(registry: Registry): number | undefined {
  const found = registry.lookUp('a');
  return found.ok ? found.timer.record.revision : undefined;
}

describe('what a log delivers again', () => {
  it('T3: is told once', async () => {
    const journal = new DistantJournal();
    journal.repeatsItself = true;
    const registry = registryOn(journal);
    await registry.recovered;
    const told: Change[] = [];
    registry.watch({ changed: (changes) => told.push(...changes), touched: () => {} });
    for (const each of [created('a'), started('a', 2), created('b')]) await journal.byAnother(each);
    await settled();
    expect(told.map(({ position }) => position)).toEqual([1, 2, 3]);
  });

  it('T5: brings no timer back that was deleted', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.repeatsItself = true;
    await journal.byAnother(created('b'));
    await journal.byAnother(entry('b', 2, { type: 'deleted', data: {} }));
    await settled();
    expect([...registry.list('', undefined)].map(({ record }) => record.id)).toEqual(['a']);
  });
});

describe('what another node records while histories are read', () => {
  it('T5: is not lost at the start', async () => {
    const journal = new DistantJournal();
    await journal.byAnother(created('a'));
    journal.reading.close();
    const registry = registryOn(journal);
    await settled();
    await journal.byAnother(started('a', 2));
    await settled();
    journal.reading.open();
    await registry.recovered;
    expect(revisionOf(registry)).toBe(2);
    expect((await registry.execute(PAUSE, BY_TEST)).ok).toBe(true);
  });

  it('T11: is not lost by a timer that comes back meanwhile', async () => {
    const journal = new DistantJournal();
    const clock = new SimulatedClock(START_MS);
    const faults = { left: 0 };
    const registry = registryOn(journal, { clock, shardLogic: faultyShards(faults) });
    await registry.recovered;
    await journal.byAnother(created('a'));
    await journal.byAnother(started('a', 2));
    await settled();
    faults.left = 1;
    journal.reading.close();
    const pausing = registry.execute(PAUSE, BY_TEST);
    await clock.advance(10, settled);
    expect(registry.lookUp('a')).toEqual({ ok: false, refusal: { reason: 'timer_restarting' } });
    await journal.byAnother(entry('a', 4, { type: 'extended', data: { addedMs: 5000 } }));
    await settled();
    journal.reading.open();
    expect((await pausing).ok).toBe(true);
    await settled();
    expect(revisionOf(registry)).toBe(4);
  });
});

/** Timers that fail over the next entries, as many as there are faults. */
function faultyShards(faults: { left: number }): typeof shardMachine {
  const timer = timerMachine.provide({
    actions: {
      apply: assign(({ context, event }) => {
        faults.left -= 1;
        if (faults.left >= 0) throw new Error('a bug');
        return 'revision' in event ? { record: applyEntry(context.record, event) } : {};
      }),
    },
  });
  return shardMachine.provide({ actors: { timer } });
}

describe('a command that meets a change of another node', () => {
  it('T2: takes effect no earlier than the change that came before it', async () => {
    const journal = new DistantJournal();
    const clock = new SimulatedClock(START_MS);
    const registry = await withTimer(journal, clock);
    journal.asking.close();
    const extending = registry.execute(EXTEND, BY_TEST);
    await clock.advance(5, settled);
    await journal.byAnother(entry('a', 3, { type: 'paused', data: {} }, START_MS + 5));
    await settled();
    journal.asking.open();
    expect((await extending).ok).toBe(true);
    const history = await journal.history('a');
    expect(history.map(({ type, atMs }) => [type, atMs - START_MS]).slice(2)).toEqual([
      ['paused', 5],
      ['extended', 5],
    ]);
  });

  it('J4: takes effect no earlier than that change, also if the clock of its node is behind', async () => {
    const journal = new DistantJournal();
    const clock = new SimulatedClock(START_MS);
    const registry = await withTimer(journal, clock);
    await journal.byAnother(entry('a', 3, { type: 'paused', data: {} }, START_MS + 200));
    await registry.execute({ type: 'resume', timerId: 'a' }, BY_TEST);
    await clock.advance(50);
    await registry.execute(PAUSE, BY_TEST);
    const history = await journal.history('a');
    expect(history.map(({ atMs }) => atMs - START_MS)).toEqual([0, 0, 200, 200, 200]);
    const found = registry.lookUp('a');
    expect(found.ok && found.timer.record.heldMs).toBe(59_800);
  });

  it('T5: finds no timer when that change is its deletion', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.delivery.close();
    await journal.byAnother(entry('a', 3, { type: 'deleted', data: {} }));
    const deleting = registry.execute(DELETE, BY_TEST);
    await settled();
    journal.delivery.open();
    expect(await deleting).toEqual({ ok: false, refusal: { reason: 'unknown_timer' } });
    await settled();
    expect((await journal.history('a')).map(({ type }) => type)).toEqual([
      'created',
      'started',
      'deleted',
    ]);
  });
});

describe('a change that another node was asked for under the same Idempotency-Key', () => {
  const asked = { ...BY_TEST, requestId: 'key.fingerprint' };
  const elsewhere = (revision: number): Entry => ({
    ...entry('a', revision, { type: 'extended', data: { addedMs: 5000 } }, START_MS - 10),
    ...asked,
  });

  async function extensions(journal: Journal): Promise<number> {
    return (await journal.history('a')).filter(({ type }) => type === 'extended').length;
  }

  it('A5: is not made again when it is recorded at last while it is asked for here', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.asking.close();
    const result = registry.execute(EXTEND, asked);
    await journal.byAnother(elsewhere(3));
    journal.asking.open();
    expect((await result).ok).toBe(true);
    expect(await extensions(journal)).toBe(1);
  });

  it('A5: is not made again when it is recorded while it waits here for another', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.asking.close();
    const before = registry.execute(PAUSE, BY_TEST);
    const result = registry.execute(EXTEND, asked);
    await journal.byAnother(elsewhere(3));
    journal.asking.open();
    expect([(await before).ok, (await result).ok]).toEqual([true, true]);
    expect(await extensions(journal)).toBe(1);
  });

  it('A5: is made as often as one request says it', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    await registry.executeAll([EXTEND, EXTEND], asked);
    expect(await extensions(journal)).toBe(2);
  });
});

describe('an append whose answer is lost', () => {
  it('T5: is done once its entry has come', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.losesAnswers = true;
    expect((await registry.execute(PAUSE, BY_TEST)).ok).toBe(true);
    expect(revisionOf(registry)).toBe(3);
    expect(await journal.history('a')).toHaveLength(3);
  });

  it('T5: is not done while only the change of another has come', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.losesAnswers = true;
    journal.asking.close();
    const extending = registry.execute(EXTEND, BY_TEST);
    await settled();
    await journal.byAnother(entry('a', 3, { type: 'paused', data: {} }));
    journal.asking.open();
    expect(await extending).toEqual({ ok: false, refusal: { reason: 'outcome_unknown' } });
    expect(await journal.history('a')).toHaveLength(3);
  });

  it('T5: is applied when its entry comes after the refusal, and the next command goes on from there', async () => {
    const journal = new DistantJournal();
    const registry = await withTimer(journal);
    journal.losesAnswers = true;
    journal.delivery.close();
    expect(await registry.execute(PAUSE, BY_TEST)).toEqual({
      ok: false,
      refusal: { reason: 'outcome_unknown' },
    });
    journal.losesAnswers = false;
    const extending = registry.execute(EXTEND, BY_TEST);
    journal.delivery.open();
    expect((await extending).ok).toBe(true);
    expect((await journal.history('a')).map(({ type }) => type)).toEqual([
      'created',
      'started',
      'paused',
      'extended',
    ]);
    expect(revisionOf(registry)).toBe(4);
  });
});
