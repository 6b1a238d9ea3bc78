/** What becomes of commands that meet on one timer, or whose entries have a fate of their own. */
import { describe, expect, it } from 'vitest';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog } from '../../src/log.js';
import { type Command, Registry } from '../../src/registry.js';
import { BY_TEST } from '../support/entries.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const definition = { name: 'Timer', durationMs: 60_000, warningThresholdsMs: [], autoStart: true };
const CREATE: Command = { type: 'create', timerId: 'a', definition };

async function startOn(journal: MemoryJournal, clock = new SimulatedClock()): Promise<Registry> {
  const registry = new Registry({
    clock,
    journal,
    log: createLog('silent'),
    maxTimers: 10,
    maxTimersPerOwner: 0,
    retainFinishedMs: 1e9,
    onFailure: (error) => {
      throw error;
    },
  });
  await registry.recovered;
  return registry;
}

describe('two deletions of one timer at the same moment', () => {
  it('T12: are one entry, and the second finds no timer', async () => {
    const journal = new MemoryJournal();
    const registry = await startOn(journal);
    await registry.execute(CREATE, BY_TEST);
    const deletion: Command = { type: 'delete', timerId: 'a' };
    const results = await registry.executeAll([deletion, deletion], BY_TEST);
    expect(results.map(({ ok }) => ok)).toEqual([true, false]);
    expect(results[1]).toMatchObject({ refusal: { reason: 'unknown_timer' } });
    expect((await journal.history('a')).map(({ type }) => type)).toEqual(['created', 'deleted']);
  });
});
