/** A drain of the registry while the disk is out of order. */
import { describe, expect, it } from 'vitest';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { BY_TEST } from '../support/entries.js';
import { settled, startRegistry } from '../support/registry.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;

const definition = {
  name: 'Timer',
  durationMs: 10 * SECOND,
  warningThresholdsMs: [],
  autoStart: true,
};

describe('a drain while the disk refuses the end of a timer', () => {
  it('T3: waits for the command in hand, proposes the end no more, and ends', async () => {
    const clock = new SimulatedClock();
    const journal = new DisturbedJournal();
    const registry = await startRegistry(journal, clock);
    const paused = { ...definition, durationMs: 60 * SECOND };
    await registry.execute({ type: 'create', timerId: 'a', definition }, BY_TEST);
    await registry.execute({ type: 'create', timerId: 'b', definition: paused }, BY_TEST);
    journal.refuses = ({ type }) => type === 'expired';
    await clock.advance(10 * SECOND, () => settled(registry));
    expect(journal.appends.at(-1)).toMatchObject([{ timerId: 'a', type: 'expired' }]);

    journal.isHeld = true;
    const pausing = registry.execute({ type: 'pause', timerId: 'b' }, BY_TEST);
    const draining = registry.drain();
    const asked = journal.appends.length;
    // The end would be proposed again after a second; the command in hand keeps the drain going meanwhile.
    await clock.advance(5 * SECOND);
    expect(registry.phase).toBe('draining');
    journal.isHeld = false;
    journal.release();
    expect((await pausing).ok).toBe(true);
    await draining;
    await clock.advance(60 * SECOND);
    expect(registry.phase).toBe('stopped');
    expect(journal.appends).toHaveLength(asked);
    expect((await journal.history('a')).map(({ type }) => type)).toEqual(['created']);
  });
});
