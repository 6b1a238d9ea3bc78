import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock, watchWallClock } from '../src/clock.js';
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
