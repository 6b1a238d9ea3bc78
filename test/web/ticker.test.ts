/** The digits of all rows change when they are due, and one timeout is enough for that. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Ticker, type Ticking } from '../../src/web/console/ticker.js';

const EPOCH = 1_000_000;

/** A row that counts down to a deadline, and remembers when it was asked to show what. */
class Row implements Ticking {
  deadlineMs: number | undefined;
  readonly shown: [atMs: number, seconds: number][] = [];

  constructor(deadlineMs?: number) {
    this.deadlineMs = deadlineMs;
  }

  tick(nowMs: number | undefined): number {
    if (this.deadlineMs === undefined || nowMs === undefined) return Number.POSITIVE_INFINITY;
    const leftMs = this.deadlineMs - nowMs;
    this.shown.push([nowMs - EPOCH, Math.ceil(leftMs / 1000)]);
    return leftMs % 1000 || 1000;
  }
}

beforeEach(() => {
  vi.useFakeTimers({ now: EPOCH });
});
afterEach(() => {
  vi.useRealTimers();
});

function tickerOf(...rows: Row[]): Ticker {
  const ticker = new Ticker(() => Date.now());
  for (const row of rows) ticker.add(row);
  return ticker;
}

describe('the ticker', () => {
  it('ticks once a second for timers that run in step, just after their digits change', () => {
    const rows = Array.from({ length: 60 }, () => new Row(EPOCH + 10_400));
    tickerOf(...rows);
    vi.advanceTimersByTime(3000);
    for (const { shown } of rows) {
      expect(shown).toEqual([
        [0, 11],
        [405, 10],
        [1405, 9],
        [2405, 8],
      ]);
    }
  });

  it('ticks at most ten times a second, however they run', () => {
    const rows = Array.from({ length: 1000 }, (_, index) => new Row(EPOCH + 60_000 + index));
    tickerOf(...rows);
    vi.advanceTimersByTime(10_000);
    expect(rows[0]?.shown.length).toBeLessThanOrEqual(101);
  });

  it('is in time for what begins to run while all stands still', () => {
    const row = new Row();
    const ticker = tickerOf(row);
    vi.advanceTimersByTime(2500);
    row.deadlineMs = EPOCH + 2500 + 5300;
    ticker.wake();
    vi.advanceTimersByTime(400);
    expect(row.shown).toEqual([
      [2500, 6],
      [2805, 5],
    ]);
  });

  it('rests when there is no row', () => {
    const row = new Row(EPOCH + 10_000);
    const ticker = tickerOf(row);
    vi.advanceTimersByTime(1500);
    ticker.remove(row);
    vi.advanceTimersByTime(1500);
    expect(vi.getTimerCount()).toBe(0);
  });
});
