/** How much may be done: a bucket of tokens that time refills, on the clock it is given. */
import type { Clock } from '../clock.js';

/** What was not spent adds up to this many seconds' worth, which may be spent at once. */
export const BURST_SECONDS = 5;

/** A bucket for so many tokens a second; none where there is no limit. */
export function bucketFor(clock: Clock, perSecond: number): TokenBucket | undefined {
  return perSecond === 0 ? undefined : new TokenBucket(clock, perSecond, perSecond * BURST_SECONDS);
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly size: number;
  #left: number;
  #filledAtMs: number;

  constructor(clock: Clock, perSecond: number, size: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.size = size;
    this.#left = size;
    this.#filledAtMs = clock.now();
  }

  /** Tokens that can be spent now. */
  get left(): number {
    const nowMs = this.#clock.now();
    const earned = ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#left = Math.min(this.size, this.#left + earned);
    this.#filledAtMs = nowMs;
    return this.#left;
  }

  /** Spends one token; false when there is none to spend. */
  take(): boolean {
    if (this.left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Seconds until there is a token again. */
  get waitSeconds(): number {
    return Math.max(0, (1 - this.left) / this.#perSecond);
  }

  /** Seconds until the bucket is full. */
  get refillSeconds(): number {
    return (this.size - this.left) / this.#perSecond;
  }
}
