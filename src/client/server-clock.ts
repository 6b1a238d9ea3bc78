/**
 * The server's clock as a display knows it: an offset from the device's monotonic clock, taken from
 * exchanges of timestamps as NTP takes them (RFC 5905, section 8), and a bound of how far it may be off.
 * The device's wall clock has no part in it.
 */

/** One exchange. Client times are monotonic ms, server times whole epoch ms, rounded down. */
export interface Exchange {
  readonly sentMs: number;
  readonly serverReceivedMs: number;
  readonly serverSentMs: number;
  readonly receivedMs: number;
}

interface Estimate {
  readonly offsetMs: number;
  readonly boundMs: number;
  /** Monotonic time at which it was made. */
  readonly atMs: number;
}

/** What two ordinary quartz clocks may drift apart: 200 parts in a million, 12 ms in a minute. */
const DRIFT = 200e-6;

export class ServerClock {
  #best: Estimate | undefined;

  /**
   * Takes an exchange. The one with the smallest round trip wins, as long as what may have drifted
   * since does not make it worse than a newer one; one that contradicts it means that a clock jumped
   * (the device slept, the server was restarted), and then only the new one counts.
   */
  add(exchange: Exchange): void {
    const fresh = estimateOf(exchange);
    const best = this.#best;
    if (best === undefined) {
      this.#best = fresh;
      return;
    }
    const bestBoundMs = boundAt(best, fresh.atMs);
    const apartMs = Math.abs(fresh.offsetMs - best.offsetMs);
    const isContradiction = apartMs > fresh.boundMs + bestBoundMs;
    if (isContradiction || fresh.boundMs <= bestBoundMs) this.#best = fresh;
  }

  /** Epoch ms of the server at a monotonic time; `undefined` before the first exchange. */
  now(monotonicMs: number): number | undefined {
    return this.#best === undefined ? undefined : monotonicMs + this.#best.offsetMs;
  }

  /** How far `now` may be off at most, in ms; `undefined` before the first exchange. */
  errorBoundMs(monotonicMs: number): number | undefined {
    return this.#best === undefined ? undefined : boundAt(this.#best, monotonicMs);
  }

  /**
   * Whether a message with the server's time `serverMs`, received at a monotonic time, shows that the
   * device's clock has lost time, as it does when the device sleeps.
   */
  isBehind(serverMs: number, receivedMs: number): boolean {
    const best = this.#best;
    if (best === undefined) return false;
    return serverMs > receivedMs + best.offsetMs + boundAt(best, receivedMs);
  }
}

/**
 * The server's clock was between the two ends of this interval ahead of the client's; a whole
 * millisecond is added to one of them because the server's times are rounded down.
 */
function estimateOf({ sentMs, serverReceivedMs, serverSentMs, receivedMs }: Exchange): Estimate {
  const leastMs = serverSentMs - receivedMs;
  const mostMs = serverReceivedMs + 1 - sentMs;
  return {
    offsetMs: (leastMs + mostMs) / 2,
    boundMs: Math.max(0.5, (mostMs - leastMs) / 2),
    atMs: receivedMs,
  };
}

function boundAt({ boundMs, atMs }: Estimate, monotonicMs: number): number {
  return boundMs + Math.max(0, monotonicMs - atMs) * DRIFT;
}
