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

  constructor(now: () => number | undefined) {
    this.#now = now;
  }

  /** Epoch ms of the server now; `undefined` before the first contact. */
  get now(): number | undefined {
    return this.#now();
  }

  add(ticking: Ticking): void {
    this.#all.add(ticking);
    this.#timeout ??= setTimeout(() => this.#tick(), 0);
  }

  remove(ticking: Ticking): void {
    this.#all.delete(ticking);
  }

  #tick(): void {
    const nowMs = this.#now();
    let nextMs = LONGEST_MS;
    for (const ticking of this.#all) nextMs = Math.min(nextMs, ticking.tick(nowMs));
    const isIdle = this.#all.size === 0;
    const waitMs = Math.max(SHORTEST_MS, nextMs + MARGIN_MS);
    this.#timeout = isIdle ? undefined : setTimeout(() => this.#tick(), waitMs);
  }
}
