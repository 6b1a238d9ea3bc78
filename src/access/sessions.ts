/** Connections that stay, by the credential they came with: they end when it does. */
import type { Clock, Timeout } from '../clock.js';
import type { Caller, Recheck } from './caller.js';

export class Sessions {
  readonly #clock: Clock;
  readonly #endings = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls back when the credential of a caller ends; gives the function that makes it not. */
  watch({ credential, expiresAtMs, recheck }: Caller, onEnd: () => void): () => void {
    const ends = this.#endings.get(credential) ?? new Set();
    this.#endings.set(credential, ends);
    const end = (): void => {
      if (!ends.has(end)) return;
      forget();
      onEnd();
    };
    const expiry =
      expiresAtMs === null
        ? undefined
        : this.#clock.setTimeout(end, Math.max(0, expiresAtMs - this.#clock.now()));
    let checking: Timeout;
    const checkLater = ({ atMs, check }: Recheck): void => {
      if (!ends.has(end)) return;
      const checkNow = (): void => void check().then(checkLater, end);
      checking = this.#clock.setTimeout(checkNow, Math.max(0, atMs - this.#clock.now()));
    };
    const forget = (): void => {
      if (expiry !== undefined) this.#clock.clearTimeout(expiry);
      this.#clock.clearTimeout(checking);
      ends.delete(end);
      if (ends.size === 0 && this.#endings.get(credential) === ends) {
        this.#endings.delete(credential);
      }
    };
    ends.add(end);
    if (recheck !== undefined) checkLater(recheck);
    return forget;
  }

  /** Ends every connection of a credential. */
  end(credential: string): void {
    for (const end of [...(this.#endings.get(credential) ?? [])]) end();
  }
}
