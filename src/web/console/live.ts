/**
 * Keeps the store up to date: finds out who the service takes this page for, opens the stream of what
 * happens, then loads the list, so that nothing falls between the two; after a gap it does all of it again.
 */
import type { Api } from './api.js';
import type { ClockSync } from './clock-sync.js';
import { LastingStream } from './lasting-stream.js';
import { type ConsoleMessage, consoleMessageSchema, parseMessage } from './messages.js';
import { mayUseConsole, NOT_FOR_CONSOLE } from './people.js';
import type { ConsoleStore } from './store.js';

export interface LiveOptions {
  readonly store: ConsoleStore;
  readonly api: Api;
  readonly clock: Pick<ClockSync, 'now' | 'check' | 'synchronize' | 'stop'>;
}

export class LiveConnection {
  readonly #options: LiveOptions;
  readonly #stream: LastingStream;

  constructor(options: LiveOptions) {
    this.#options = options;
    const { api, store, clock } = options;
    this.#stream = new LastingStream({
      api,
      path: '/events',
      prepare: (signal) => this.#identify(signal),
      onMessage: (text, signal) => this.#hear(text, signal),
      onLost: () => store.dispatch({ type: 'offline', sinceMs: clock.now() }),
    });
  }

  /** Connects anew at once, whatever was before. */
  connect(): void {
    const { store } = this.#options;
    if (store.state.connection.phase !== 'offline') store.dispatch({ type: 'connecting' });
    this.#stream.connect();
  }

  /** Gives the connection up and tries again later. */
  lose(): void {
    this.#stream.lose();
  }

  /** Asks the service for nothing any more. */
  close(): void {
    this.#stream.close();
    this.#options.clock.stop();
  }

  async #identify(signal: AbortSignal): Promise<void> {
    const { store, api, clock } = this.#options;
    const caller = await api.me();
    if (signal.aborted) return;
    if (!mayUseConsole(caller)) {
      this.close();
      store.dispatch({ type: 'locked', words: NOT_FOR_CONSOLE });
      return;
    }
    store.dispatch({ type: 'identified', caller });
    clock.synchronize();
  }

  #hear(text: string, signal: AbortSignal): void {
    const message = parseMessage(consoleMessageSchema, text);
    if (message === undefined) return;
    this.#options.clock.check(message.server_time_ms);
    this.#take(message, signal);
  }

  #take(message: ConsoleMessage, signal: AbortSignal): void {
    const { store } = this.#options;
    switch (message.type) {
      case 'overview':
        this.#stream.learn(message.keepalive_seconds);
        store.dispatch(message);
        void this.#load(signal);
        return;
      case 'update':
        store.dispatch(message);
        return;
      case 'keepalive':
        return;
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { store, api } = this.#options;
    try {
      for await (const timers of api.list()) {
        if (signal.aborted) return;
        store.dispatch({ type: 'page_loaded', timers });
      }
    } catch {
      if (!signal.aborted) this.lose();
      return;
    }
    if (signal.aborted) return;
    this.#stream.settle();
    store.dispatch({ type: 'list_loaded' });
  }
}
