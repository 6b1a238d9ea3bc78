import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, EntryBody } from '../../machines/entry.js';
import {
  applyEntry,
  createRecord,
  ImpossibleEntryError,
  recordOf,
  remainingMs,
  stateOf,
} from '../../machines/record.js';
import { created, entry, START_MS, started } from '../support/entries.js';

describe('a record is the fold of its entries', () => {
  it('refuses a history that does not begin with the creation', () => {
    expect(() => recordOf([started('a', 1)])).toThrow(ImpossibleEntryError);
    expect(() => recordOf([])).toThrow(RangeError);
  });

  it('refuses a gap, a repetition and a second creation', () => {
    const record = createRecord(created('a'));
    expect(() => applyEntry(record, started('a', 3))).toThrow(/revision 1/);
    expect(() => applyEntry(record, started('a', 1))).toThrow(ImpossibleEntryError);
    const again: Entry = { ...created('a'), revision: 2 };
    expect(() => applyEntry(record, again)).toThrow(/exists already/);
  });

  it('T2: keeps the first start, whatever is paused and resumed after it', () => {
    const history = [
      created('a'),
      started('a', 2, START_MS + 100),
      entry('a', 3, { type: 'paused', data: {} }, START_MS + 350),
      entry('a', 4, { type: 'resumed', data: {} }, START_MS + 10_000),
    ];
    const record = recordOf(history);
    expect(record.startedAtMs).toBe(START_MS + 100);
    expect(remainingMs(record, START_MS + 10_000)).toBe(59_750);
  });

  it('never shows more time than was given, even if the machine came back in the past', () => {
    const record = recordOf([created('a'), started('a', 2)]);
    expect(remainingMs(record, START_MS - 3_600_000)).toBe(60_000);
  });

  it('derives every state', () => {
    const running = [created('a'), started('a', 2)];
    const end = (body: EntryBody, atMs: number) => [...running, entry('a', 3, body, atMs)];
    expect(stateOf(recordOf([created('a')]))).toBe('CREATED');
    expect(stateOf(recordOf(running))).toBe('RUNNING');
    expect(stateOf(recordOf(end({ type: 'paused', data: {} }, START_MS + 1)))).toBe('PAUSED');
    expect(stateOf(recordOf(end({ type: 'stopped', data: {} }, START_MS + 1)))).toBe('COMPLETED');
    expect(stateOf(recordOf(end({ type: 'expired', data: {} }, START_MS + 60_000)))).toBe(
      'EXPIRED',
    );
  });
});

/** Remaining time as a person would calculate it: ten lines that share nothing with the service. */
function countByHand(steps: readonly { action: string; afterMs: number }[], totalMs: number) {
  let leftMs = totalMs;
  let isRunning = false;
  for (const { action, afterMs } of steps) {
    if (isRunning) leftMs -= afterMs;
    if (leftMs <= 0) return { leftMs: 0, isOver: true };
    if (action === 'extended') leftMs += 5000;
    if (action === 'stopped') return { leftMs, isOver: true };
    if (action !== 'extended') isRunning = action === 'started' || action === 'resumed';
  }
  return { leftMs, isOver: false };
}

/** Entries that are possible one after the other, at instants that never go back. */
const stories = fc
  .array(fc.record({ pick: fc.nat(), afterMs: fc.integer({ min: 0, max: 4000 }) }), {
    maxLength: 30,
  })
  .map((picks) => {
    const possible = {
      CREATED: ['started', 'extended'],
      RUNNING: ['paused', 'extended'],
      PAUSED: ['resumed', 'extended', 'stopped'],
    };
    let state: keyof typeof possible = 'CREATED';
    return picks.map(({ pick, afterMs }) => {
      const action: string = possible[state][pick % possible[state].length] ?? 'extended';
      if (action === 'started' || action === 'resumed') state = 'RUNNING';
      if (action === 'paused') state = 'PAUSED';
      return { action, afterMs };
    });
  });

function bodyOf(action: string): EntryBody {
  switch (action) {
    case 'started':
    case 'resumed':
    case 'paused':
    case 'stopped':
      return { type: action, data: {} };
    default:
      return { type: 'extended', data: { addedMs: 5000 } };
  }
}

describe('T2: remaining time of any story', () => {
  it('is what a person calculates by hand', () => {
    fc.assert(
      fc.property(stories, (steps) => {
        let record = createRecord(created('a'));
        let atMs = START_MS;
        for (const { action, afterMs } of steps) {
          atMs += afterMs;
          if (record.deadlineMs !== null && atMs >= record.deadlineMs) break;
          record = applyEntry(record, entry('a', record.revision + 1, bodyOf(action), atMs));
          if (action === 'stopped') break;
        }
        expect(remainingMs(record, atMs)).toBe(countByHand(steps, 60_000).leftMs);
      }),
    );
  });
});
