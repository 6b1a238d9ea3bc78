/** Times are shown and understood as people write them. */

import { describe, expect, it } from 'vitest';
import { clockText, phaseOf } from '../../src/client/digits.js';
import type { Timer } from '../../src/client/messages.js';
import {
  boundText,
  durationText,
  numberedNames,
  parseThresholds,
  passedThreshold,
  secondsLeft,
  untilNextDigitMs,
} from '../../src/web/console/figures.js';
import { waitMs } from '../../src/web/console/lasting-stream.js';

const running: Timer = {
  id: 'timer_1',
  name: 'Exam',
  state: 'running',
  duration_seconds: 300,
  remaining_seconds: 300,
  elapsed_seconds: 0,
  warning_thresholds: [60, 30],
  connected_clients: 0,
  created_at: '2026-01-15T10:00:00.000Z',
  started_at: '2026-01-15T10:00:00.000Z',
  completed_at: null,
  remaining_ms: 300_000,
  deadline_ms: 1_000_300_000,
  server_time_ms: 1_000_000_000,
  revision: 2,
};

describe('what a timer shows', () => {
  it.each([
    [1_000_000_000, 300],
    [1_000_000_001, 300],
    [1_000_001_000, 299],
    [1_000_299_999, 1],
    [1_000_300_000, 0],
    [1_000_999_999, 0],
    [undefined, 300],
  ])('at %s of the server is %d', (nowMs, seconds) => {
    expect(secondsLeft(running, nowMs)).toBe(seconds);
  });

  it('stands still without a deadline', () => {
    const paused = { ...running, deadline_ms: null, remaining_ms: 12_345 };
    expect(secondsLeft(paused, 1_000_999_999)).toBe(13);
    expect(untilNextDigitMs(paused, 1_000_000_000)).toBe(Number.POSITIVE_INFINITY);
  });

  it('changes when the next whole second is reached', () => {
    expect(untilNextDigitMs(running, 1_000_000_000)).toBe(1000);
    expect(untilNextDigitMs(running, 1_000_000_400)).toBe(600);
    expect(untilNextDigitMs(running, 1_000_300_000)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [61, 'calm', undefined],
    [60, 'warning', 60],
    [30, 'urgent', 30],
    [0, 'urgent', 30],
  ])('with %d s left is %s', (seconds, phase, threshold) => {
    expect(phaseOf(seconds * 1000, running.warning_thresholds)).toBe(phase);
    expect(passedThreshold(running, seconds)).toBe(threshold);
  });
});

describe('texts', () => {
  it.each([
    [0, '0:00'],
    [65, '1:05'],
    [3599, '59:59'],
    [3600, '1:00:00'],
    [36_061, '10:01:01'],
  ])('%d s on a clock is %s', (seconds, text) => {
    expect(clockText(seconds)).toBe(text);
  });

  it.each([
    [0, '0 s'],
    [45, '45 s'],
    [1800, '30 min'],
    [5430, '1 h 30 min 30 s'],
  ])('%d s as a duration is %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  it('never say that a display is nearer than it is', () => {
    expect(boundText(0.4)).toBe('1 ms');
    expect(boundText(31.2)).toBe('32 ms');
    expect(boundText(1410)).toBe('1.5 s');
  });

  it('number the timers of a class so that they sort', () => {
    expect(numberedNames('Exam', 1)).toEqual(['Exam']);
    expect(numberedNames('Exam', 60).slice(8, 10)).toEqual(['Exam 09', 'Exam 10']);
  });
});

describe('warnings that somebody writes', () => {
  it.each([
    ['2:30, 0:45', [150, 45], []],
    ['2; 90 s,5 min', [120, 90, 300], []],
    ['', [], []],
    ['soon, 1:60, 0', [], ['soon', '1:60', '0']],
  ])('%j', (text, seconds, unclear) => {
    expect(parseThresholds(text)).toEqual({ seconds, unclear });
  });
});

describe('the wait before the next attempt', () => {
  it('grows from one second to thirty, and differs from console to console', () => {
    expect([waitMs(0, 0), waitMs(0, 1)]).toEqual([1000, 2000]);
    expect([waitMs(3, 0), waitMs(3, 1)]).toEqual([8000, 16_000]);
    expect([waitMs(20, 0), waitMs(20, 1)]).toEqual([15_000, 30_000]);
  });
});
