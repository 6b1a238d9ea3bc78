import { afterEach, describe, expect, it, vi } from 'vitest';
import { readOrigin, systemClock, watchWallClock } from '../src/clock.js';
import { timeSchema } from '../src/protocol/requests.js';
import { timerSchema } from '../src/protocol/timer.js';
import { TestDisplay } from './support/display.js';
import { ServiceProcess } from './support/process.js';
import { temporaryFolder } from './support/sqlite.js';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('T6: a step of the wall clock moves no deadline', () => {
  it.each([-3_600_000, 3_600_000])('the service clock does not see a step of %d ms', (stepMs) => {
    const wallMs = Date.now();
    const beforeMs = systemClock.now();
    vi.spyOn(Date, 'now').mockReturnValue(wallMs + stepMs);
    expect(systemClock.now() - beforeMs).toBeGreaterThanOrEqual(0);
    expect(systemClock.now() - beforeMs).toBeLessThan(60_000);
  });

  it('a step is reported once, with its size', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
    const steps: number[] = [];
    const stopWatching = watchWallClock((stepMs) => steps.push(stepMs));
    vi.advanceTimersByTime(30_000);
    expect(steps).toEqual([]);
    vi.setSystemTime(Date.now() - 5000);
    vi.advanceTimersByTime(30_000);
    expect(steps).toHaveLength(1);
    expect(steps[0]).toBeCloseTo(-5000, -2);
    stopWatching();
    vi.setSystemTime(Date.now() + 9000);
    vi.advanceTimersByTime(30_000);
    expect(steps).toHaveLength(1);
  });
});

describe('T6: a correction of the wall clock', () => {
  it.each([
    [240, []],
    [-240, []],
    [260, [260]],
    [-260, [-260]],
  ])('of %d ms is told as %j', (correctionMs, told) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
    const steps: number[] = [];
    const stopWatching = watchWallClock((stepMs) => steps.push(stepMs));
    vi.setSystemTime(Date.now() + correctionMs);
    vi.advanceTimersByTime(60_000);
    stopWatching();
    expect(steps).toEqual(told);
  });

  it('that is too small to be told is, once many of them have added up', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] });
    const steps: number[] = [];
    const stopWatching = watchWallClock((stepMs) => steps.push(stepMs));
    for (let minute = 0; minute < 10; minute += 1) {
      vi.setSystemTime(Date.now() + 100);
      vi.advanceTimersByTime(60_000);
    }
    stopWatching();
    expect(steps).toEqual([300, 300, 300]);
  });
});

describe('T6: the wall clock is read once, at the start', () => {
  it('and the clock of the service agrees with it to the millisecond', async () => {
    const service = await ServiceProcess.start({ JOURNAL: 'memory' });
    const errorsMs: number[] = [];
    for (let exchange = 0; exchange < 20; exchange += 1) {
      const sentMs = Date.now();
      const { text } = await service.request('GET', '/time');
      const receivedMs = Date.now();
      const { server_received_ms } = timeSchema.parse(JSON.parse(text));
      errorsMs.push(Math.max(sentMs - server_received_ms, server_received_ms - receivedMs));
    }
    // The whole milliseconds of the two clocks need not begin together.
    expect(Math.max(...errorsMs)).toBeLessThanOrEqual(2);
  });

  it('well also when the process is held up again and again between the two clocks', () => {
    const originMs = Date.UTC(2026, 0, 15, 10) + 0.75;
    let elapsedMs = 5000;
    let readings = 0;
    const wallMs = (): number => {
      const nowMs = Math.floor(originMs + elapsedMs);
      // Nine of ten readings are held up, the first among them, each for another time.
      elapsedMs += readings % 10 === 9 ? 0.01 : 40 + readings;
      readings += 1;
      return nowMs;
    };
    const errorMs = originMs - readOrigin(wallMs, () => elapsedMs);
    expect(errorMs).toBeGreaterThanOrEqual(0);
    expect(errorMs).toBeLessThan(2);
  });
});

describe('T4: the system clock never calls back early', () => {
  it('not even by the part of a millisecond that Node does', async () => {
    const early = await Promise.all(
      Array.from({ length: 300 }, (_, index) => {
        const delayMs = index % 23;
        const startMs = systemClock.now();
        return new Promise<boolean>((resolve) => {
          systemClock.setTimeout(() => resolve(systemClock.now() - startMs < delayMs), delayMs);
        });
      }),
    );
    expect(early.filter(Boolean)).toEqual([]);
  });

  it('not even after a delay that is too long for Node', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    const longMs = 2 ** 31 + 5000;
    const called = vi.fn();
    systemClock.setTimeout(called, longMs);
    vi.advanceTimersByTime(longMs - 1);
    expect(called).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(called).toHaveBeenCalledOnce();
  });

  it('forgets what is cleared, also between the steps of a long delay', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
    const called = vi.fn();
    const timeout = systemClock.setTimeout(called, 2 ** 32);
    vi.advanceTimersByTime(2 ** 31);
    systemClock.clearTimeout(timeout);
    vi.advanceTimersByTime(2 ** 32);
    expect(called).not.toHaveBeenCalled();
  });

  it('a timer of the real service expires at its deadline, to the millisecond, and is told no sooner', async () => {
    const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
    const body = { duration_seconds: 1, auto_start: false };
    const { id } = timerSchema.parse(
      JSON.parse((await service.request('POST', '/timers', body)).text),
    );
    const display = await TestDisplay.connect(`${service.url.replace('http', 'ws')}/ws/${id}`);
    await service.request('POST', `/timers/${id}/control`, { action: 'start' });
    const { deadline_ms } = await display.next('timer_started');
    const expired = await display.next('timer_expired');
    expect(expired.server_time_ms).toBeGreaterThanOrEqual(deadline_ms ?? Number.POSITIVE_INFINITY);
    const timer = timerSchema.parse(
      JSON.parse((await service.request('GET', `/timers/${id}`)).text),
    );
    expect(Date.parse(timer.completed_at ?? '') - Date.parse(timer.started_at ?? '')).toBe(1000);
    expect(Date.parse(timer.completed_at ?? '')).toBe(deadline_ms);
  });
});
