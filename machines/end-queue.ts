/**
 * Finished timers, the longest finished first, in whatever order their ends become known: an end that the
 * disk refused is recorded long after ends that came later. A binary heap, in which an end that comes in
 * its order stays where it is put.
 */

export interface End {
  readonly timerId: string;
  readonly ownerId: string;
  /** Epoch ms. */
  readonly atMs: number;
}

export class EndQueue {
  /** The end at index i is not before the one at index (i - 1) / 2. */
  readonly #heap: End[] = [];
  /** Where in the heap the end of each timer is. */
  readonly #places = new Map<string, number>();

  get size(): number {
    return this.#heap.length;
  }

  get first(): End | undefined {
    return this.#heap[0];
  }

  /** Adds the end of a timer, unless it is there: a timer ends once. */
  add(end: End): void {
    if (!this.#places.has(end.timerId)) this.#rise(end, this.#heap.length);
  }

  /** Takes the end of a timer away and gives it, if it is there. */
  delete(timerId: string): End | undefined {
    const gap = this.#places.get(timerId);
    if (gap === undefined) return undefined;
    const end = this.#heap[gap];
    this.#places.delete(timerId);
    const last = this.#heap.pop();
    if (last !== undefined && last.timerId !== timerId) this.#sink(last, this.#rise(last, gap));
    return end;
  }

  /** Puts an end in a place, or in that of the first ancestor that is later; gives where it is. */
  #rise(end: End, from: number): number {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || parent.atMs <= end.atMs) break;
      this.#put(parent, place);
      place = above;
    }
    this.#put(end, place);
    return place;
  }

  /** Puts an end in a place, or in that of the last descendant that is earlier. */
  #sink(end: End, from: number): void {
    let place = from;
    for (;;) {
      const below = this.#earlierBelow(place);
      const child = this.#heap[below];
      if (child === undefined || child.atMs >= end.atMs) break;
      this.#put(child, place);
      place = below;
    }
    this.#put(end, place);
  }

  #earlierBelow(place: number): number {
    const left = 2 * place + 1;
    const leftMs = this.#heap[left]?.atMs ?? Number.POSITIVE_INFINITY;
    const rightMs = this.#heap[left + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    return rightMs < leftMs ? left + 1 : left;
  }

  #put(end: End, place: number): void {
    this.#heap[place] = end;
    this.#places.set(end.timerId, place);
  }
}
