/** What `watch` says, for everything it can hear. */
import { describe, expect, it } from 'vitest';
import { announcementLine, barOf, isMark, messageLine } from '../../src/cli/watch-text.js';
import type { Timer } from '../../src/client/api.js';

const exact = { remaining_ms: 252_000, deadline_ms: 1, server_time_ms: 1, revision: 3 };
const timer: Timer = {
  id: 'timer_1',
  name: 'Quiz\u001b[2J',
  state: 'running',
  duration_seconds: 300,
  remaining_seconds: 252,
  elapsed_seconds: 48,
  warning_thresholds: [60, 5],
  connected_clients: 1,
  created_at: '2026-01-15T10:00:00.000Z',
  started_at: '2026-01-15T10:00:00.000Z',
  completed_at: null,
  ...exact,
};
const connected = { type: 'connected', timer, display_id: 'd' } as const;

describe('a message', () => {
  it('is told in a line of its own if it is a change', () => {
    const seconds = { remaining_seconds: 252, elapsed_seconds: 48 };
    expect(messageLine(connected, true)).toBe('Quiz\ufffd[2J: running, 4:12 remaining');
    expect(messageLine(connected, false)).toBe('in contact again: running, 4:12 remaining');
    const lines = (
      ['timer_started', 'timer_paused', 'timer_stopped', 'timer_expired'] as const
    ).map((type) => messageLine({ type, ...seconds, ...exact }, false));
    expect(lines).toEqual([
      'running, 4:12 remaining',
      'paused, 4:12 remaining',
      'stopped, 4:12 remaining',
      'the time is up',
    ]);
    const extended = { type: 'timer_extended', added_seconds: 90, ...seconds, ...exact } as const;
    expect(messageLine(extended, false)).toBe('1m30s added, 4:12 remaining');
  });

  it('is not told if it is none, or if it is announced', () => {
    const seconds = { remaining_seconds: 60, elapsed_seconds: 240 };
    expect(messageLine({ type: 'timer_tick', ...seconds, ...exact }, false)).toBeUndefined();
    expect(messageLine({ type: 'keepalive', ...seconds, ...exact }, false)).toBeUndefined();
    const warning = { type: 'timer_warning', threshold: 60, ...seconds, ...exact } as const;
    expect(messageLine(warning, false)).toBeUndefined();
  });
});

describe('an announcement', () => {
  it('says a warning, and whether the service confirms it', () => {
    const warning = { type: 'warning', thresholdSeconds: 60 } as const;
    expect(announcementLine({ ...warning, isVerified: true })).toBe('warning: 1:00 remaining');
    expect(announcementLine({ ...warning, isVerified: false })).toBe(
      'warning: 1:00 remaining (not confirmed by the service)',
    );
  });

  it('says an end that no message told', () => {
    const end = { type: 'end', reason: 'expired' } as const;
    expect(announcementLine({ ...end, isVerified: true })).toBeUndefined();
    expect(announcementLine({ ...end, isVerified: false })).toMatch(/waiting for the service/);
  });
});

describe('a mark', () => {
  it('is every whole minute and each of the last ten seconds, but no warning and not the end', () => {
    const seconds = Array.from({ length: 200 }, (_, index) => 199 - index);
    expect(seconds.filter((second) => isMark(second, timer))).toEqual([
      180, 120, 10, 9, 8, 7, 6, 4, 3, 2, 1,
    ]);
  });
});

describe('the bar', () => {
  it('shows the time to the whole second, rounded up, and the part of it that is over', () => {
    expect(barOf({ timer, remainingMs: 251_001, connection: 'live' })).toEqual({
      totalSeconds: 300,
      elapsedSeconds: 48,
      clock: '4:12',
      note: 'Quiz\ufffd[2J',
      isLate: false,
    });
  });

  it('is late once a warning was given', () => {
    expect(barOf({ timer, remainingMs: 60_001, connection: 'live' }).isLate).toBe(false);
    expect(barOf({ timer, remainingMs: 60_000, connection: 'live' }).isLate).toBe(true);
  });

  it('says that it counts on without the service', () => {
    const { note } = barOf({ timer, remainingMs: 1000, connection: 'waiting' });
    expect(note).toMatch(/no contact, counting on/);
  });

  it('cuts a long name, and shows no elapsed time below zero', () => {
    const long = { ...timer, name: '🙂'.repeat(200) };
    const bar = barOf({ timer: long, remainingMs: 400_000, connection: 'live' });
    expect([...bar.note]).toHaveLength(30);
    expect(bar.elapsedSeconds).toBe(0);
  });
});
