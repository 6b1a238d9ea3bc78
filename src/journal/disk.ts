/**
 * Whether the disk of a journal takes what is to be recorded. After a write that failed one of no consequence is tried
 * again and again, so that it is known when the disk is back, even if nobody asks for a change any more.
 */
import type { Clock, Timeout } from '../clock.js';
import type { Engine, Lack } from './journal.js';

const RETRY_MS = 1000;

export class Disk implements Engine {
  readonly isElsewhere = false;
  /** There is no other clock to compare with. */
  readonly clockOffset = undefined;
  readonly #clock: Clock;
  readonly #write: () => Promise<void>;
  #hasFailed = false;
  #retry: Timeout;
  #isOver = false;

  /** `write` puts something on the disk that may be lost. */
  constructor(clock: Clock, write: () => Promise<void>) {
    this.#clock = clock;
    this.#write = write;
  }

  get lacks(): readonly Lack[] {
    if (!this.#hasFailed) return [];
    // Whoever asks whether the service is ready need not know where its files are.
    const detail =
      'The disk of the journal records nothing; the log says why, and it is tried again';
    return [{ part: 'disk', detail }];
  }

  noteWrite(): void {
    this.#hasFailed = false;
    this.#clock.clearTimeout(this.#retry);
  }

  noteFailure(): void {
    this.#hasFailed = true;
    this.#clock.clearTimeout(this.#retry);
    if (!this.#isOver) this.#retry = this.#clock.setTimeout(() => void this.#tryAgain(), RETRY_MS);
  }

  stop(): void {
    this.#isOver = true;
    this.#clock.clearTimeout(this.#retry);
  }

  #tryAgain(): Promise<void> {
    return this.#write().then(
      () => this.noteWrite(),
      () => this.noteFailure(),
    );
  }
}
