/** The numbers by which a shard knows its timers. */
import { describe, expect, it } from 'vitest';
import { Slots } from '../../machines/slots.js';

describe('slots', () => {
  it('are small numbers, each of one timer at a time', () => {
    const slots = new Slots(false);
    expect(['a', 'b', 'c'].map((timerId) => slots.take(timerId))).toEqual(['0', '1', '2']);
    slots.free('1');
    expect(slots.take('d')).toBe('1');
    expect(slots.take('e')).toBe('3');
    expect(['0', '1', '2', '3'].map((slot) => slots.timerIdIn(slot))).toEqual(['a', 'd', 'c', 'e']);
  });
});
