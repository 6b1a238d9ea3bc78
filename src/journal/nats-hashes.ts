/**
 * The hashes of the chain that a node keeps: those of the last entries, and every hundredth before them. Any other
 * one is computed again from the entries after the next kept one before it. Pure.
 */
import type { Milestone } from './chain.js';

/** Reading an entry costs reading up to so many before it. */
const STRIDE = 100;
/** What was recorded a moment ago is asked for most. */
const RECENT = 10_000;

export class KeptHashes {
  readonly #hashes: Map<number, string>;
  /** It is kept for good: nothing is before it that others could be computed from. */
  #first: Milestone;
  #last: Milestone;

  /** Goes on after milestones that are in the order of their places. */
  constructor(milestones: readonly Milestone[]) {
    const [first, last] = [milestones[0], milestones.at(-1)];
    if (first === undefined || last === undefined) throw new RangeError('A chain has a beginning');
    this.#hashes = new Map(milestones.map(({ position, hash }) => [position, hash]));
    this.#first = first;
    this.#last = last;
  }

  /** What the first entry follows that is there. */
  get first(): Milestone {
    return this.#first;
  }

  get last(): Milestone {
    return this.#last;
  }

  at(position: number): string | undefined {
    return this.#hashes.get(position);
  }

  keepNext(hash: string): void {
    const position = this.#last.position + 1;
    this.#last = { position, hash };
    this.#hashes.set(position, hash);
    const old = position - RECENT;
    if (!this.#isLasting(old)) this.#hashes.delete(old);
  }

  /** The last kept one up to a place; the first, if that is after it. */
  upTo(position: number): Milestone {
    const { position: first } = this.#first;
    for (let place = Math.min(position, this.#last.position); place > first; place -= 1) {
      const hash = this.#hashes.get(place);
      if (hash !== undefined) return { position: place, hash };
    }
    return this.#first;
  }

  /** The first kept one from a place on; the last, if that is before it. */
  from(position: number): Milestone {
    for (let place = position; place < this.#last.position; place += 1) {
      const hash = this.#hashes.get(place);
      if (hash !== undefined) return { position: place, hash };
    }
    return this.#last;
  }

  /** Forgets those before a place. */
  beginAt(milestone: Milestone): void {
    for (const position of this.#hashes.keys()) {
      if (position < milestone.position) this.#hashes.delete(position);
    }
    this.#first = milestone;
  }

  /** Those that another node needs to go on from here: the lasting ones, and the last two. */
  milestones(): Milestone[] {
    const milestones: Milestone[] = [this.#first];
    for (const [position, hash] of this.#hashes) {
      const isWanted = this.#isLasting(position) || position >= this.#last.position - 1;
      if (isWanted && position > this.#first.position) milestones.push({ position, hash });
    }
    return milestones;
  }

  #isLasting(position: number): boolean {
    return position === this.#first.position || position % STRIDE === 0;
  }
}
