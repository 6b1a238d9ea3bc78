/** How much one display may say: a bucket of messages that refills with time. */
import type { Clock } from '../clock.js';

const MESSAGES_PER_SECOND = 10;
/** A display that synchronizes after a gap says this much at once. */
const BURST_MESSAGES = 50;

export class MessageBudget {
  readonly #clock: Clock;
  #left = BURST_MESSAGES;
  #filledAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledAtMs = clock.now();
  }

  /** Spends one message; false when there is none to spend. */
  take(): boolean {
    const nowMs = this.#clock.now();
    const earned = ((nowMs - this.#filledAtMs) / 1000) * MESSAGES_PER_SECOND;
    this.#left = Math.min(BURST_MESSAGES, this.#left + earned);
    this.#filledAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
