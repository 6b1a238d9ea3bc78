/**
 * One timeout for the digits of all rows. It fires when the next digit of any of them changes, so the timers
 * of a class, which run in step, cost one tick a second and change at the right moment.
 */

/** However many timers run out of step, digits change at most ten times a second. */
const SHORTEST_MS = 100;
const LONGEST_MS = 1000;
/** Timeouts fire a little early at times; before the change a digit would still be the old one. */
const MARGIN_MS = 5;

export interface Ticking {
  /** Shows the present second, and tells in how many ms the next one comes. */
  tick(nowMs: number | undefined): number;
}

export class Ticker {
  readonly #now: () => number | undefined;
  readonly #all = new Set<Ticking>();
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #isWaking = false;

  constructor(now: () => number | undefined) {
    this.#now = now;
  }

  /** Epoch ms of the server now; `undefined` before the first contact. */
  get now(): number | undefined {
    return this.#now();
  }

  add(ticking: Ticking): void {
    this.#all.add(ticking);
    this.wake();
  }

  remove(ticking: Ticking): void {
    this.#all.delete(ticking);
  }

  /** To be called when something began to run, whose next digit may come sooner than the next tick. */
  wake(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    this.#schedule(0);
  }

  #tick(): void {
    this.#isWaking = false;
    const nowMs = this.#now();
    let nextMs = LONGEST_MS;
    for (const ticking of this.#all) nextMs = Math.min(nextMs, ticking.tick(nowMs));
    if (this.#all.size > 0) this.#schedule(Math.max(SHORTEST_MS, nextMs + MARGIN_MS));
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(() => this.#tick(), inMs);
  }
}
