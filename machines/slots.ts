/**
 * Slots: the numbers by which a shard knows its timers. Engines keep numbered properties in an array, which is
 * copied at once; names of timers as the names of a shard's children would give each timer an object shape
 * of its own and cost a quarter of the time of a recovery. Changed in place.
 *
 * Whoever watches the actors wants to see names, so then a timer's slot is its id.
 */
export class Slots {
  readonly #areNamed: boolean;
  readonly #timerIds: string[] = [];
  readonly #free: string[] = [];

  constructor(areNamed: boolean) {
    this.#areNamed = areNamed;
  }

  /** Gives a timer a slot that no other has now. */
  take(timerId: string): string {
    if (this.#areNamed) return timerId;
    const slot = this.#free.pop() ?? `${this.#timerIds.length}`;
    this.#timerIds[Number(slot)] = timerId;
    return slot;
  }

  timerIdIn(slot: string): string {
    return this.#areNamed ? slot : (this.#timerIds[Number(slot)] ?? '');
  }

  free(slot: string): void {
    if (!this.#areNamed) this.#free.push(slot);
  }
}
