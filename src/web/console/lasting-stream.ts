/**
 * A stream of events that lasts: when it breaks or falls silent it is opened anew, after a while that grows
 * and that chance makes longer, because after a restart of the service all consoles would come at once.
 */
import type { Api } from './api.js';
import { Patience } from './patience.js';

const SHORTEST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

export interface LastingStreamOptions {
  readonly api: Api;
  readonly path: string;
  /** What is to be done before the stream is opened; when it fails, so has the attempt. */
  readonly prepare?: (signal: AbortSignal) => Promise<void>;
  /** `signal` is aborted when the stream that told it is over. */
  readonly onMessage: (text: string, signal: AbortSignal) => void;
  readonly onLost: () => void;
}

export class LastingStream {
  readonly #options: LastingStreamOptions;
  readonly #patience = new Patience(() => this.lose());
  #ending: AbortController | undefined;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;

  constructor(options: LastingStreamOptions) {
    this.#options = options;
  }

  /** Opens a new stream at once, whatever was before. */
  connect(): void {
    this.close();
    const ending = new AbortController();
    this.#ending = ending;
    this.#patience.begin();
    void this.#follow(ending.signal);
  }

  /** Gives the stream up and tries again later. */
  lose(): void {
    if (this.#ending === undefined) return;
    this.close();
    this.#options.onLost();
    this.#timeout = setTimeout(() => this.connect(), waitMs(this.#attempts));
    this.#attempts += 1;
  }

  close(): void {
    clearTimeout(this.#timeout);
    this.#patience.end();
    this.#ending?.abort();
    this.#ending = undefined;
  }

  /** The service has said how long it is silent at the most. */
  learn(keepaliveSeconds: number): void {
    this.#patience.learn(keepaliveSeconds);
  }

  /** All is well: the next loss is the first one. */
  settle(): void {
    this.#attempts = 0;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { api, path, prepare, onMessage } = this.#options;
    try {
      await prepare?.(signal);
      if (signal.aborted) return;
      await api.follow(path, signal, (text) => {
        if (signal.aborted) return;
        this.#patience.renew();
        onMessage(text, signal);
      });
    } catch {
      // However it ended, it is opened anew, unless somebody wanted the end.
    }
    if (!signal.aborted) this.lose();
  }
}

/** Twice as long each time, and anywhere in the second half of it. */
export function waitMs(attempts: number, random = Math.random()): number {
  const longestMs = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** (attempts + 1));
  return Math.max(SHORTEST_WAIT_MS, longestMs * (0.5 + random / 2));
}
