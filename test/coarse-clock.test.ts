import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../src/clock.js';
import { coarseClock } from '../src/coarse-clock.js';
import { SimulatedClock } from './support/simulated-clock.js';

const STEP_MS = 250;

describe('T10: timeouts that need not be exact', () => {
  let clock: SimulatedClock;
  let coarse: Clock;
  let startMs: number;
  let calledAtMs: number[];

  beforeEach(() => {
    clock = new SimulatedClock();
    coarse = coarseClock(clock, STEP_MS);
    startMs = clock.now();
    calledAtMs = [];
  });

  function note(): void {
    calledAtMs.push(clock.now() - startMs);
  }

  it('come together at the end of their stretch, never early', async () => {
    for (const delayMs of [1, 100, 250, 251, 499, 500]) coarse.setTimeout(note, delayMs);
    await clock.advance(2000);
    expect(calledAtMs).toEqual([250, 250, 250, 500, 500, 500]);
  });

  it('wake the process once for thousands', () => {
    for (let delayMs = 1; delayMs <= 30_000; delayMs += 1) coarse.setTimeout(note, delayMs);
    expect(clock.pendingTimeouts).toBe(30_000 / STEP_MS);
  });

  it('do not come when they were cleared, by another of their stretch neither', async () => {
    const second: { timeout?: unknown } = {};
    coarse.setTimeout(() => coarse.clearTimeout(second.timeout), 10);
    second.timeout = coarse.setTimeout(note, 20);
    const third = coarse.setTimeout(note, 300);
    coarse.clearTimeout(third);
    coarse.clearTimeout(third);
    await clock.advance(2000);
    expect(calledAtMs).toEqual([]);
  });

  it('leave nothing behind when all of a stretch are cleared', () => {
    const timeouts = [10, 20, 30].map((delayMs) => coarse.setTimeout(note, delayMs));
    for (const timeout of timeouts) coarse.clearTimeout(timeout);
    expect(clock.pendingTimeouts).toBe(0);
  });

  it('can be set again for the stretch that is just ending', async () => {
    coarse.setTimeout(() => {
      note();
      coarse.setTimeout(note, 0);
    }, 10);
    await clock.advance(2000);
    expect(calledAtMs).toEqual([250, 250]);
  });

  it('never come after an infinite delay', async () => {
    coarse.setTimeout(note, Number.POSITIVE_INFINITY);
    await clock.advance(86_400_000);
    expect(calledAtMs).toEqual([]);
  });
});
