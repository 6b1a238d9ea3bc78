/** A device that slept is found out by the beats that did not come. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { watchForSleep } from '../../src/client/platform.js';

/** What the device's monotonic clock shows. */
let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Time in which the program runs: its beats come when they are due. */
function run(beats: number): void {
  for (let beat = 0; beat < beats; beat += 1) {
    nowMs += 5000;
    vi.advanceTimersByTime(5000);
  }
}

/** Time in which the program does not run: only the clock goes on. */
function stop(forMs: number): void {
  nowMs += forMs;
}

it('C3: tells once that the device slept, and not that it was a little late', () => {
  const onWake = vi.fn();
  const end = watchForSleep(onWake);
  run(20);
  stop(2900);
  run(3);
  expect(onWake).not.toHaveBeenCalled();
  stop(3100);
  run(3);
  expect(onWake).toHaveBeenCalledTimes(1);
  stop(3_600_000);
  run(3);
  expect(onWake).toHaveBeenCalledTimes(2);
  end();
  stop(3_600_000);
  run(3);
  expect(onWake).toHaveBeenCalledTimes(2);
});
