/**
 * The clocks of one machine, and of the processes that run on it: its wall clock is not quite right and can be put
 * forward or back, its monotonic clock runs a little too fast or too slow.
 */
import { type Clock, carriedOn, type Timeout } from '../../src/clock.js';
import type { SimulatedClock } from '../support/simulated-clock.js';
import type { Random } from './random.js';

/** As far as a clock may be off for its node to record: the default of `MAX_CLOCK_SKEW_MS`. */
export const MAX_CLOCK_SKEW_MS = 250;
const LARGEST_OFFSET_MS = 240;
/** Of a clock that drifts, which is to stay within the skew for some hours. */
const SMALL_OFFSET_MS = 60;
const LARGEST_DRIFT_PPM = 5;

export class Machine {
  readonly #clock: SimulatedClock;
  readonly #bootedMs: number;
  readonly #driftPpm: number;
  #wallOffsetMs: number;

  constructor(clock: SimulatedClock, random: Random) {
    const isSteady = random.chance(0.5);
    const mostMs = isSteady ? LARGEST_OFFSET_MS : SMALL_OFFSET_MS;
    this.#clock = clock;
    this.#bootedMs = clock.now();
    this.#wallOffsetMs = random.between(-mostMs, mostMs);
    this.#driftPpm = isSteady ? 0 : random.between(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM);
  }

  wallMs(): number {
    return this.#clock.now() + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.toMonotonicMs(this.#clock.now() - this.#bootedMs);
  }

  toMonotonicMs(realMs: number): number {
    return realMs * (1 + this.#driftPpm / 1e6);
  }

  toRealMs(monotonicMs: number): number {
    return monotonicMs / (1 + this.#driftPpm / 1e6);
  }

  /** Somebody sets the wall clock. */
  step(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}

/** The clock of one process: what it was to call back dies with it. */
export class ProcessClock implements Clock {
  readonly #clock: SimulatedClock;
  readonly #machine: Machine;
  /** As the clock of a service reads those of its machine. */
  readonly now: () => number;
  readonly #pending = new Set<Timeout>();
  #isDead = false;

  constructor(clock: SimulatedClock, machine: Machine) {
    this.#clock = clock;
    this.#machine = machine;
    this.now = carriedOn(
      () => machine.wallMs(),
      () => machine.monotonicMs(),
    );
  }

  preciseMs(): number {
    return this.#machine.monotonicMs();
  }

  /** What a clock would say that is right. */
  get rightMs(): number {
    return this.#clock.now();
  }

  /** Whether it is close enough to the right time for its node to record. */
  get isRight(): boolean {
    return Math.abs(this.now() - this.#clock.now()) <= MAX_CLOCK_SKEW_MS;
  }

  setTimeout(callback: () => void, delayMs: number): Timeout {
    if (this.#isDead) return undefined;
    const dueMs = this.now() + delayMs;
    const realDelayMs = Math.max(0, Math.ceil(this.#machine.toRealMs(delayMs)));
    const timeout = { native: this.#clock.setTimeout(() => wake(), realDelayMs) };
    const wake = (): void => {
      if (this.now() < dueMs) {
        timeout.native = this.#clock.setTimeout(() => wake(), 1);
        return;
      }
      this.#pending.delete(timeout);
      callback();
    };
    this.#pending.add(timeout);
    return timeout;
  }

  clearTimeout(timeout: Timeout): void {
    if (!isOwn(timeout)) return;
    this.#pending.delete(timeout);
    this.#clock.clearTimeout(timeout.native);
  }

  die(): void {
    this.#isDead = true;
    for (const timeout of this.#pending) this.clearTimeout(timeout);
  }
}

function isOwn(timeout: Timeout): timeout is { native: Timeout } {
  return typeof timeout === 'object' && timeout !== null && 'native' in timeout;
}
