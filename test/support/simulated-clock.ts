/** A clock that stands still until a test moves it: a day passes in milliseconds. */
import type { Clock, Timeout } from '../../src/clock.js';

interface Pending {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class SimulatedClock implements Clock {
  #nowMs: number;
  /** In the order they were set. */
  readonly #pending = new Set<Pending>();

  readonly #isLastFirst: boolean;

  /** Timeouts of one instant fire in the order they were set, or the other way round: no test may care. */
  constructor(startMs: number = Date.UTC(2026, 0, 15, 10), isLastFirst = false) {
    this.#nowMs = startMs;
    this.#isLastFirst = isLastFirst;
  }

  now(): number {
    return this.#nowMs;
  }

  preciseMs(): number {
    return this.#nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): Timeout {
    const pending = { dueMs: this.#nowMs + Math.max(0, delayMs), callback };
    if (pending.dueMs < Number.POSITIVE_INFINITY) this.#pending.add(pending);
    return pending;
  }

  clearTimeout(timeout: Timeout): void {
    this.#pending.delete(timeout as Pending);
  }

  get pendingTimeouts(): number {
    return this.#pending.size;
  }

  /** Time passes, and nothing fires: the process was busy. What is overdue fires with the next advance. */
  stall(byMs: number): void {
    this.#nowMs += byMs;
  }

  /**
   * Lets time pass. Everything that is due fires at its own instant; after each instant `settle` is
   * awaited, so that what was set off there is done before time goes on.
   */
  async advance(byMs: number, settle: () => Promise<void> = async () => {}): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.dueMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      this.#pending.delete(next);
      next.callback();
      if ((this.#earliest()?.dueMs ?? Number.POSITIVE_INFINITY) > this.#nowMs) await settle();
    }
    this.#nowMs = untilMs;
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    for (const pending of this.#pending) {
      const isEarlier = earliest === undefined || pending.dueMs < earliest.dueMs;
      const isEqual = pending.dueMs === earliest?.dueMs;
      if (isEarlier || (isEqual && this.#isLastFirst)) earliest = pending;
    }
    return earliest;
  }
}
