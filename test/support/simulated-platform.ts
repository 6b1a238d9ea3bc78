/** A device for the client library: real sockets, but its monotonic clock is moved by the test. */
import { WebSocket } from 'ws';
import type { Platform, WebSocketLike } from '../../src/client/platform.js';
import type { SimulatedClock } from './simulated-clock.js';

export class SimulatedPlatform implements Platform {
  readonly #clock: SimulatedClock;
  readonly #startMs: number;
  readonly #onWakes = new Set<() => void>();
  /** What the device's clock did not count, as when it slept. */
  #lostMs = 0;
  #questions = 0;
  isWebSocketRefused = false;
  isOffline = false;
  /** What was asked for over HTTP, with its headers. */
  readonly asked: { readonly url: string; readonly headers: Headers }[] = [];
  /** The WebSockets that were opened, with the names of protocols that were offered. */
  readonly opened: { readonly url: string; readonly protocols: readonly string[] }[] = [];
  /** Streams that were opened and not swallowed. */
  #openStreams = new Set<{ isSwallowed: boolean }>();
  readonly #requests = new Set<AbortController>();

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
    this.#startMs = clock.now() - 1234.5;
  }

  now(): number {
    return this.#clock.now() - this.#startMs - this.#lostMs;
  }

  setTimeout(callback: () => void, delayMs: number): () => void {
    const timeout = this.#clock.setTimeout(callback, delayMs);
    return () => this.#clock.clearTimeout(timeout);
  }

  openWebSocket(url: string, protocols: string[]): WebSocketLike {
    this.opened.push({ url, protocols });
    const target = this.isWebSocketRefused ? url.replace('/ws/', '/refused/') : url;
    const socket = new WebSocket(target, protocols);
    const send = socket.send.bind(socket);
    socket.send = (text: string) => {
      if (text.includes('"sync"')) this.#questions += 1;
      send(text);
    };
    socket.on('message', (data) => {
      if (String(data).includes('"sync_response"')) this.#questions -= 1;
    });
    socket.on('close', () => {
      this.#questions = 0;
    });
    return socket;
  }

  fetch: typeof fetch = async (input, init) => {
    this.asked.push({ url: String(input), headers: new Headers(init?.headers) });
    if (this.isOffline) throw new TypeError('There is no network');
    const request = new AbortController();
    this.#requests.add(request);
    const signal = AbortSignal.any([request.signal, ...(init?.signal ? [init.signal] : [])]);
    const answer = fetch(input, { ...init, signal });
    if (String(input).includes('/events?')) return this.#swallowable(await answer);
    this.#questions += 1;
    try {
      // Read here, so that what the client does with an answer does not wait for the network.
      return await copyOf(await answer);
    } finally {
      this.#questions -= 1;
    }
  };

  /** The network lets nothing more through of the streams that are open, and ends none. */
  swallowStreams(): void {
    for (const stream of this.#openStreams) stream.isSwallowed = true;
    this.#openStreams.clear();
  }

  #swallowable(response: Response): Response {
    const stream = { isSwallowed: false };
    this.#openStreams.add(stream);
    const body = response.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (piece, passed) => {
          if (!stream.isSwallowed) passed.enqueue(piece);
        },
      }),
    );
    return new Response(body ?? null, response);
  }

  /** Waits until the service has answered every question about its time: then time may go on. */
  async settle(): Promise<void> {
    // An answer may lead to another question.
    for (let turn = 0; turn < 3; turn += 1) {
      await until(() => this.#questions <= 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  watchWakes(onWake: () => void): () => void {
    this.#onWakes.add(onWake);
    return () => this.#onWakes.delete(onWake);
  }

  /** Breaks every request that is under way. */
  breakConnections(): void {
    for (const request of this.#requests) request.abort();
    this.#requests.clear();
  }

  wake(): void {
    for (const onWake of this.#onWakes) onWake();
  }

  /** The device's clock falls behind by this much, and nobody tells it. */
  loseTime(byMs: number): void {
    this.#lostMs += byMs;
  }
}

async function copyOf(response: Response): Promise<Response> {
  const content = await response.arrayBuffer();
  return new Response(content.byteLength === 0 ? null : content, response);
}

/** Waits for something that only the network is still in the way of. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns += 1) {
    if (turns > 5000) throw new Error(`It never came to be that ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
