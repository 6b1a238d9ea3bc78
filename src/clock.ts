/**
 * The clock of the service. This is the only file of it that reads the time or sets timers; everything
 * else is given a `Clock`, and tests give a simulated one.
 */

/** Identifies a pending timeout of the clock that made it. */
export type Timeout = unknown;

export interface Clock {
  /** Epoch milliseconds as a whole number; never goes back while the process lives (T6). */
  now(): number;
  /** Milliseconds with their fractions since some instant, to measure how long something takes. */
  preciseMs(): number;
  /**
   * Calls back once `now()` has advanced by `delayMs`, never before. Any delay is possible; after an
   * infinite one it never calls back.
   */
  setTimeout(callback: () => void, delayMs: number): Timeout;
  clearTimeout(timeout: Timeout): void;
}

/** Node fires a longer timeout at once, so longer delays are reached in steps. */
const LONGEST_NATIVE_DELAY_MS = 2 ** 31 - 1;
const WALL_CLOCK_CHECK_MS = 10_000;
/** Smaller differences are the ordinary corrections of a synchronized machine. */
const WALL_CLOCK_STEP_MS = 250;

class SystemTimeout {
  readonly #callback: () => void;
  readonly #dueMs: number;
  #native: NodeJS.Timeout | undefined;

  constructor(callback: () => void, delayMs: number) {
    this.#callback = callback;
    this.#dueMs = systemClock.now() + delayMs;
    this.#native = this.#arm();
  }

  clear(): void {
    clearTimeout(this.#native);
  }

  #arm(): NodeJS.Timeout | undefined {
    if (this.#dueMs === Number.POSITIVE_INFINITY) return undefined;
    const leftMs = Math.max(0, this.#dueMs - systemClock.now());
    return setTimeout(() => this.#wake(), Math.min(leftMs, LONGEST_NATIVE_DELAY_MS));
  }

  /** Node may wake a timeout up to a millisecond early; a deadline must not be. */
  #wake(): void {
    if (systemClock.now() < this.#dueMs) this.#native = this.#arm();
    else this.#callback();
  }
}

/**
 * Gives the epoch ms at which the monotonic clock was 0. The process may be held up between reading the
 * one clock and the other, which makes the difference smaller and never larger: of many readings the
 * largest is right.
 */
export function readOrigin(wallMs: () => number, monotonicMs: () => number): number {
  const readings = Array.from({ length: 100 }, () => wallMs() - monotonicMs());
  return Math.max(...readings);
}

/** The wall clock read once, carried on by the monotonic clock: a step of the wall clock moves nothing (T6). */
export function carriedOn(wallMs: () => number, monotonicMs: () => number): () => number {
  const originMs = readOrigin(wallMs, monotonicMs);
  return () => Math.floor(originMs + monotonicMs());
}

export const systemClock: Clock = {
  now: carriedOn(
    () => Date.now(),
    () => performance.now(),
  ),
  preciseMs: () => performance.now(),
  setTimeout: (callback, delayMs) => new SystemTimeout(callback, delayMs),
  clearTimeout: (timeout) => {
    if (timeout instanceof SystemTimeout) timeout.clear();
  },
};

/**
 * Watches for steps of the machine's wall clock, which move no deadline (T6) but should be known.
 * Calls back with the size of a step in ms, positive when the wall clock was put forward.
 */
export function watchWallClock(onStep: (stepMs: number) => void): () => void {
  let offsetMs = Date.now() - systemClock.now();
  const interval = setInterval(() => {
    const nowOffsetMs = Date.now() - systemClock.now();
    const stepMs = nowOffsetMs - offsetMs;
    if (Math.abs(stepMs) < WALL_CLOCK_STEP_MS) return;
    offsetMs = nowOffsetMs;
    onStep(stepMs);
  }, WALL_CLOCK_CHECK_MS);
  interval.unref();
  return () => clearInterval(interval);
}
