/**
 * Keeps the store up to date: opens the stream of what happens, then loads the list, so that nothing
 * falls between the two; after a gap it does both again.
 */
import type { Api } from './api.js';
import type { ClockSync } from './clock-sync.js';
import { type ConsoleMessage, consoleMessageSchema, parseMessage } from './messages.js';
import { Patience } from './patience.js';
import type { ConsoleStore } from './store.js';

const SHORTEST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

export interface LiveOptions {
  readonly store: ConsoleStore;
  readonly api: Api;
  readonly clock: Pick<ClockSync, 'now' | 'check' | 'synchronize'>;
  readonly url?: string;
}

export class LiveConnection {
  readonly #options: LiveOptions;
  readonly #patience = new Patience(() => this.lose());
  #stream: EventSource | undefined;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Opens a new stream at once, whatever was before. */
  connect(): void {
    this.close();
    const { store, clock, url = '/events' } = this.#options;
    if (store.state.connection.phase !== 'offline') store.dispatch({ type: 'connecting' });
    clock.synchronize();
    const stream = new EventSource(url);
    this.#stream = stream;
    stream.onmessage = ({ data }) => this.#hear(stream, String(data));
    // The browser's own attempts know no jitter: after a restart all consoles would come at once.
    stream.onerror = () => this.lose();
    this.#patience.begin();
  }

  /** Gives the connection up and tries again later. */
  lose(): void {
    if (this.#stream === undefined) return;
    const { store, clock } = this.#options;
    this.close();
    store.dispatch({ type: 'offline', sinceMs: clock.now() });
    this.#timeout = setTimeout(() => this.connect(), waitMs(this.#attempts));
    this.#attempts += 1;
  }

  close(): void {
    clearTimeout(this.#timeout);
    this.#patience.end();
    this.#stream?.close();
    this.#stream = undefined;
  }

  #hear(stream: EventSource, text: string): void {
    if (stream !== this.#stream) return;
    this.#patience.renew();
    const message = parseMessage(consoleMessageSchema, text);
    if (message === undefined) return;
    this.#options.clock.check(message.server_time_ms);
    this.#take(stream, message);
  }

  #take(stream: EventSource, message: ConsoleMessage): void {
    const { store } = this.#options;
    switch (message.type) {
      case 'overview':
        this.#patience.learn(message.keepalive_seconds);
        store.dispatch(message);
        void this.#load(stream);
        return;
      case 'update':
        store.dispatch(message);
        return;
      case 'keepalive':
        return;
    }
  }

  async #load(stream: EventSource): Promise<void> {
    const { store, api } = this.#options;
    try {
      for await (const timers of api.list()) {
        if (stream !== this.#stream) return;
        store.dispatch({ type: 'page_loaded', timers });
      }
    } catch {
      if (stream === this.#stream) this.lose();
      return;
    }
    if (stream !== this.#stream) return;
    this.#attempts = 0;
    store.dispatch({ type: 'list_loaded' });
  }
}

/** Twice as long each time, and anywhere in the second half of it. */
export function waitMs(attempts: number, random = Math.random()): number {
  const longestMs = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** (attempts + 1));
  return Math.max(SHORTEST_WAIT_MS, longestMs * (0.5 + random / 2));
}
