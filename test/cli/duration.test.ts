/** Lengths of time as people write them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationText, parseDuration } from '../../src/cli/duration.js';
import { clockText } from '../../src/client/digits.js';

const anyLength = fc.oneof(
  fc.integer({ min: 1, max: 100_000 }),
  fc.maxSafeNat().filter((n) => n > 0),
);

describe('a duration', () => {
  it('means the same seconds again when it is written and read', () => {
    fc.assert(
      fc.property(anyLength, (seconds) => {
        expect(parseDuration(durationText(seconds))).toBe(seconds);
        expect(parseDuration(`${seconds}`)).toBe(seconds);
      }),
    );
  });

  it('is the sum of its hours, minutes and seconds, whichever are given', () => {
    const part = fc.option(fc.nat(10_000), { nil: undefined });
    fc.assert(
      fc.property(part, part, part, (hours, minutes, seconds) => {
        const units = { h: hours, m: minutes, s: seconds };
        const given = Object.entries(units).filter(([, value]) => value !== undefined);
        const text = given.map(([unit, value]) => `${value}${unit}`).join('');
        const total = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
        expect(parseDuration(text)).toBe(total > 0 ? total : undefined);
      }),
    );
  });

  it('takes nothing but that, and never gives less than a second', () => {
    const units = fc.string({ unit: fc.constantFrom(...'0123456789hms.-+ e'), maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(units, fc.string()), (text) => {
        const seconds = parseDuration(text);
        if (seconds === undefined) return;
        expect(text).toMatch(/^(\d+|(\d+h)?(\d+m)?(\d+s)?)$/);
        expect(Number.isSafeInteger(seconds) && seconds >= 1).toBe(true);
      }),
    );
  });

  it.each([
    ['5m', 300],
    ['90s', 90],
    ['1h30m', 5400],
    ['300', 300],
    ['1h0m1s', 3601],
    ['007m', 420],
  ])('%s is %i seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each([
    ...['', ' ', '0', '0s', '0h0m', '-5m', '+5m', '1.5h', '5 m', '5M', '5d', 'm', 'h5', '5m5'],
    ...['5s1m', '1m1m', '1e3', '0x10', '٣m', '9'.repeat(20), `${'9'.repeat(20)}h`, 'five'],
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe('a clock', () => {
  it.each([
    [0, '0:00'],
    [9, '0:09'],
    [60, '1:00'],
    [3599, '59:59'],
    [3600, '1:00:00'],
    [360_061, '100:01:01'],
  ])('shows %i seconds as %s', (seconds, text) => {
    expect(clockText(seconds)).toBe(text);
  });
});
