import { MemoryJournal } from '../../src/journal/memory.js';

/** A journal whose reading waits while a test holds it. */
export class HeldJournal extends MemoryJournal {
  #release: () => void = () => {};
  #held: Promise<void> = Promise.resolve();
  /** How often somebody asked what a request had changed. */
  lookups = 0;

  hold(): () => void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
    return () => this.#release();
  }

  override async *replay(endedBeforeMs: number) {
    await this.#held;
    yield* super.replay(endedBeforeMs);
  }

  override async entriesOfRequest(requestIdPrefix: string) {
    this.lookups += 1;
    await this.#held;
    return super.entriesOfRequest(requestIdPrefix);
  }
}
