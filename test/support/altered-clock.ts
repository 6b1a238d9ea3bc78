/** The clock of a machine that is set wrong, or the right one on which timeouts end sooner. */
import { type Clock, systemClock, type Timeout } from '../../src/clock.js';

interface Alteration {
  readonly aheadMs?: number;
  /** How much shorter timeouts are, and what is measured is longer. */
  readonly speed?: number;
}

export class AlteredClock implements Clock {
  readonly #aheadMs: number;
  readonly #speed: number;

  constructor({ aheadMs = 0, speed = 1 }: Alteration) {
    this.#aheadMs = aheadMs;
    this.#speed = speed;
  }

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  preciseMs(): number {
    return systemClock.preciseMs() * this.#speed;
  }

  setTimeout(callback: () => void, delayMs: number): Timeout {
    return systemClock.setTimeout(callback, delayMs / this.#speed);
  }

  clearTimeout(timeout: Timeout): void {
    systemClock.clearTimeout(timeout);
  }
}
