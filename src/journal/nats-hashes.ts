/**
 * The hashes of the chain that a node keeps: those of the last entries, and every hundredth before them. Any other
 * one is computed again from the entries after the next kept one before it. Pure.
 */

/** A place in the journal, and the hash of the entry there; place 0 is before the first. */
export interface Mark {
  readonly position: number;
  readonly hash: string;
}

/** Reading an entry costs reading up to so many before it. */
const STRIDE = 100;
/** What was recorded a moment ago is asked for most. */
const RECENT = 10_000;

export class KeptHashes {
  readonly #hashes: Map<number, string>;
  /** The first of all is kept for good: nothing is before it that others could be computed from. */
  readonly #first: number;
  #last: Mark;

  /** Goes on after marks that are in the order of their places. */
  constructor(marks: readonly Mark[]) {
    const [first, last] = [marks[0], marks.at(-1)];
    if (first === undefined || last === undefined) throw new RangeError('A chain has a beginning');
    this.#hashes = new Map(marks.map(({ position, hash }) => [position, hash]));
    this.#first = first.position;
    this.#last = last;
  }

  get last(): Mark {
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
  upTo(position: number): Mark {
    for (let place = Math.min(position, this.#last.position); place > this.#first; place -= 1) {
      const hash = this.#hashes.get(place);
      if (hash !== undefined) return { position: place, hash };
    }
    return { position: this.#first, hash: this.#hashes.get(this.#first) ?? '' };
  }

  /** Those that another node needs to go on from here: the lasting ones, and the last two. */
  marks(): Mark[] {
    const marks: Mark[] = [];
    for (const [position, hash] of this.#hashes) {
      if (this.#isLasting(position) || position >= this.#last.position - 1) {
        marks.push({ position, hash });
      }
    }
    return marks;
  }

  #isLasting(position: number): boolean {
    return position === this.#first || position % STRIDE === 0;
  }
}
