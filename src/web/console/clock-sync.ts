/**
 * Keeps the console's idea of the server's clock, by exchanges over HTTP. An exchange that fails also
 * tells that the service is out of reach, which a silent stream would not.
 */
import type { Exchange } from '../../client/server-clock.js';
import { ServerClock } from '../../client/server-clock.js';

/** The best of a few exchanges is good at once; later ones follow the drift of the device's clock. */
const FIRST_EXCHANGES = 5;
const FIRST_PAUSE_MS = 150;
const PAUSE_MS = 10_000;
const MOST_FAILURES = 2;

export interface ClockSyncOptions {
  readonly exchange: () => Promise<Exchange>;
  /** Several exchanges in a row have failed. */
  readonly onLost: () => void;
}

export class ClockSync {
  readonly #options: ClockSyncOptions;
  readonly #clock = new ServerClock();
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #exchanges = 0;
  #failures = 0;
  #isStopped = true;

  constructor(options: ClockSyncOptions) {
    this.#options = options;
  }

  /** Epoch ms of the server now; `undefined` before the first contact. */
  now(): number | undefined {
    return this.#clock.now(performance.now());
  }

  /** Begins anew with several exchanges: after a gap, or when the device may have slept. */
  synchronize(): void {
    clearTimeout(this.#timeout);
    this.#isStopped = false;
    this.#exchanges = 0;
    this.#failures = 0;
    void this.#exchange();
  }

  /** Synchronizes anew if it does so at all. */
  refresh(): void {
    if (!this.#isStopped) this.synchronize();
  }

  /** Asks no more until it is told to synchronize. */
  stop(): void {
    clearTimeout(this.#timeout);
    this.#isStopped = true;
  }

  /** A message that comes from the future shows that the device has slept. */
  check(serverTimeMs: number): void {
    if (this.#clock.isBehind(serverTimeMs, performance.now())) this.refresh();
  }

  async #exchange(): Promise<void> {
    try {
      this.#clock.add(await this.#options.exchange());
      this.#exchanges += 1;
      this.#failures = 0;
    } catch {
      this.#failures += 1;
      if (this.#failures === MOST_FAILURES && !this.#isStopped) this.#options.onLost();
    }
    if (this.#isStopped) return;
    const isFirst = this.#exchanges < FIRST_EXCHANGES && this.#failures === 0;
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(() => void this.#exchange(), isFirst ? FIRST_PAUSE_MS : PAUSE_MS);
  }
}
