/** Says on standard error, every two seconds, how far a simulation is, so that nobody takes a long one for one that hangs. */
import { performance } from 'node:perf_hooks';

const INTERVAL_MS = 2000;

export class Progress {
  readonly #say: (line: string) => void;
  readonly #nowMs: () => number;
  #lastMs: number;

  constructor(say: (line: string) => void, nowMs = () => performance.now()) {
    this.#say = say;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  /** What there is to say is put together only when it is time to. */
  note(line: () => string): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#say(line());
  }
}
