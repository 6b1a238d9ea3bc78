/** What a display needs of the place it runs in; browsers and Node each have one, tests have another. */

/** The part of the standard WebSocket that is used. */
export interface WebSocketLike {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  addEventListener(type: 'error', listener: () => void): void;
  send(text: string): void;
  close(): void;
}

export interface Platform {
  /** Monotonic milliseconds, with fractions. */
  now(): number;
  /** Calls back after a delay; gives the function that prevents it. */
  setTimeout(callback: () => void, delayMs: number): () => void;
  openWebSocket(url: string, protocols: string[]): WebSocketLike;
  fetch: typeof fetch;
  /**
   * Calls back when the page became visible or came online, or the device slept: what is known of the
   * time may be old. Gives the function that ends it.
   */
  watchWakes(onWake: () => void): () => void;
}

/** A program that did nothing for this long, though it wanted to, has slept. */
const HEARTBEAT_MS = 5000;
const LONGEST_PAUSE_MS = 8000;

/** What browsers and Node have in common. */
export const commonPlatform = {
  now: () => performance.now(),
  setTimeout: (callback: () => void, delayMs: number) => {
    const timeout = setTimeout(callback, delayMs);
    return () => clearTimeout(timeout);
  },
  fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, init),
};

/** Notices by the beats that did not come that the device slept, or that the program was stopped. */
export function watchForSleep(onWake: () => void): () => void {
  let lastBeatMs = performance.now();
  const heartbeat = setInterval(() => {
    const pauseMs = performance.now() - lastBeatMs;
    lastBeatMs += pauseMs;
    if (pauseMs > LONGEST_PAUSE_MS) onWake();
  }, HEARTBEAT_MS);
  return () => clearInterval(heartbeat);
}
