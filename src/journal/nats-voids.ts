/**
 * The messages of the stream that count for nothing: entries of which another one of their timer and
 * revision came first. The engine refuses most of them, but not those that reach it while the other is on
 * its way to its copies. Entries have places without gaps, so places and sequences differ by them. Pure.
 */
export class Voids {
  /** Their sequences, each larger than the one before. */
  readonly #sequences: number[];

  constructor(sequences: readonly number[] = []) {
    this.#sequences = [...sequences];
  }

  /** Their sequences up to one, in their order. */
  upTo(sequence: number): number[] {
    return this.#sequences.slice(
      0,
      this.#countWhile((found) => found <= sequence),
    );
  }

  add(sequence: number): void {
    this.#sequences.push(sequence);
  }

  isVoid(sequence: number): boolean {
    return this.#sequences[this.#countWhile((found) => found < sequence)] === sequence;
  }

  /** The sequence of the message that holds the entry at a place. */
  sequenceOf(position: number): number {
    return position + this.#countWhile((found, before) => found - before <= position);
  }

  /** The place of the last entry up to a sequence. */
  positionUpTo(sequence: number): number {
    return sequence - this.#countWhile((found) => found <= sequence);
  }

  /** How many of them, the earliest first, are like this; those after the first that is not, are not either. */
  #countWhile(is: (sequence: number, before: number) => boolean): number {
    let [low, high] = [0, this.#sequences.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (is(this.#sequences[middle] ?? 0, middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
