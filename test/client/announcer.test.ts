/** What a display announces, and how often: once, whatever the network does. */
import { describe, expect, it } from 'vitest';
import { type Announcement, Announcer } from '../../src/client/announcer.js';
import type { ServerMessage, Timer } from '../../src/client/messages.js';
import { fold, remainingMs } from '../../src/client/timer-state.js';

const START_MS = Date.UTC(2026, 0, 15, 10);
const SECOND = 1000;

function timerOf(changes: Partial<Timer> = {}): Timer {
  return {
    id: 'timer_a',
    name: 'Exam',
    state: 'running',
    duration_seconds: 600,
    remaining_seconds: 600,
    elapsed_seconds: 0,
    warning_thresholds: [300, 60],
    connected_clients: 1,
    created_at: new Date(START_MS).toISOString(),
    started_at: new Date(START_MS).toISOString(),
    completed_at: null,
    remaining_ms: 600 * SECOND,
    deadline_ms: START_MS + 600 * SECOND,
    server_time_ms: START_MS,
    revision: 2,
    ...changes,
  };
}

/** A display that is told things at given seconds after the start, and counts in between. */
class Room {
  readonly #announcer = new Announcer();
  timer: Timer | undefined;
  readonly told: string[] = [];

  hear(atSeconds: number, message: ServerMessage): void {
    const before = this.timer;
    this.timer = fold(this.timer, message);
    if (this.timer === undefined) return;
    const leftMs = remainingMs(this.timer, START_MS + atSeconds * SECOND);
    this.#note(this.#announcer.hear(message, this.timer, leftMs));
    expect(this.timer).not.toBe(before);
  }

  connect(atSeconds: number, changes: Partial<Timer> = {}): void {
    this.hear(atSeconds, { type: 'connected', display_id: 'd', timer: timerOf(changes) });
  }

  warn(atSeconds: number, threshold: number, revision = 2): void {
    const deadline_ms = this.timer?.deadline_ms ?? 0;
    const server_time_ms = deadline_ms - threshold * SECOND;
    const remaining_ms = threshold * SECOND;
    const exact = { remaining_ms, deadline_ms, server_time_ms, revision };
    this.hear(atSeconds, {
      type: 'timer_warning',
      threshold,
      remaining_seconds: threshold,
      ...exact,
    });
  }

  expire(atSeconds: number): void {
    const server_time_ms = START_MS + atSeconds * SECOND;
    const exact = { remaining_ms: 0, deadline_ms: null, server_time_ms, revision: 3 };
    this.hear(atSeconds, { type: 'timer_expired', elapsed_seconds: 600, ...exact });
  }

  extend(atSeconds: number, addedSeconds: number): void {
    const server_time_ms = START_MS + atSeconds * SECOND;
    const deadline_ms = (this.timer?.deadline_ms ?? 0) + addedSeconds * SECOND;
    const remaining_ms = deadline_ms - server_time_ms;
    this.hear(atSeconds, {
      type: 'timer_extended',
      added_seconds: addedSeconds,
      remaining_seconds: Math.ceil(remaining_ms / SECOND),
      ...{ remaining_ms, deadline_ms, server_time_ms, revision: 3 },
    });
  }

  /** Counts at an instant, certain of it within a second. */
  count(atSeconds: number): void {
    if (this.timer === undefined) return;
    const nowMs = START_MS + atSeconds * SECOND;
    const leftMs = remainingMs(this.timer, nowMs) + SECOND;
    const isOverdue = nowMs - (this.timer.deadline_ms ?? nowMs) >= SECOND;
    this.#note(this.#announcer.count(this.timer, leftMs, isOverdue));
  }

  #note(announcements: readonly Announcement[]): void {
    for (const { isVerified, ...what } of announcements) {
      const name = what.type === 'warning' ? `${what.thresholdSeconds} s left` : what.reason;
      this.told.push(isVerified ? name : `${name}?`);
    }
  }
}

describe('C5: nothing is announced twice', () => {
  it('when the service tells everything', () => {
    const room = new Room();
    room.connect(0);
    room.warn(300, 300);
    room.count(302);
    room.warn(540, 60);
    room.expire(600);
    room.count(610);
    expect(room.told).toEqual(['300 s left', '60 s left', 'expired']);
  });

  it('when the display counted by itself and the service is heard again', () => {
    const room = new Room();
    room.connect(0);
    for (const second of [299, 300, 301, 302, 541, 599, 600, 601, 602]) room.count(second);
    expect(room.told).toEqual(['300 s left?', '60 s left?', 'expired?']);
    room.warn(603, 300);
    room.connect(603, { state: 'expired', deadline_ms: null, remaining_ms: 0, revision: 3 });
    room.expire(604);
    expect(room.told).toHaveLength(3);
  });

  it('when it connects again and again', () => {
    const room = new Room();
    room.connect(0);
    room.warn(300, 300);
    for (const second of [300, 301, 400]) room.connect(second);
    expect(room.told).toEqual(['300 s left']);
  });
});

describe('C5: after a gap', () => {
  it('only the last of the warnings that were missed is announced', () => {
    const room = new Room();
    room.connect(0);
    room.connect(580);
    expect(room.told).toEqual(['60 s left']);
  });

  it('an end that was missed is announced', () => {
    const room = new Room();
    room.connect(0);
    room.connect(700, { state: 'expired', deadline_ms: null, remaining_ms: 0, revision: 3 });
    expect(room.told).toEqual(['expired']);
  });

  it('an extension that was missed makes the thresholds new', () => {
    const room = new Room();
    room.connect(0);
    room.warn(300, 300);
    room.connect(310, { deadline_ms: START_MS + 900 * SECOND, duration_seconds: 900, revision: 3 });
    room.warn(600, 300, 3);
    expect(room.told).toEqual(['300 s left', '300 s left']);
  });
});

describe('C6: when the service says otherwise it wins', () => {
  it('a timer that had been extended runs on after an end that was only counted', () => {
    const room = new Room();
    room.connect(0);
    room.count(602);
    room.connect(610, { deadline_ms: START_MS + 900 * SECOND, duration_seconds: 900, revision: 3 });
    room.expire(900);
    expect(room.told).toEqual(['300 s left?', '60 s left?', 'expired?', 'expired']);
  });

  it('T8: a warning is given again after an extension lifted the clock above it', () => {
    const room = new Room();
    room.connect(0);
    room.warn(300, 300);
    room.extend(310, 120);
    room.warn(420, 300, 3);
    expect(room.told).toEqual(['300 s left', '300 s left']);
  });
});

describe('a display that is opened late', () => {
  it('announces neither what passed before it came nor an end that was', () => {
    const late = new Room();
    late.connect(590);
    expect(late.told).toEqual([]);
    const after = new Room();
    after.connect(700, { state: 'expired', deadline_ms: null, remaining_ms: 0, revision: 3 });
    expect(after.told).toEqual([]);
  });

  it('C5: never announces early: what is not certain to have passed is not announced', () => {
    const room = new Room();
    room.connect(0);
    room.count(300.9);
    expect(room.told).toEqual([]);
    room.count(540.9);
    expect(room.told).toEqual(['300 s left?']);
    room.count(600.9);
    expect(room.told).toEqual(['300 s left?', '60 s left?']);
  });
});
