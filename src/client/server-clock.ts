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

/** The offset of the server's clock from the device's was between these two at a monotonic time. */
interface Interval {
  readonly leastMs: number;
  readonly mostMs: number;
  readonly atMs: number;
}

/** What two ordinary quartz clocks may drift apart: 200 parts in a million, 12 ms in a minute. */
const DRIFT = 200e-6;

export class ServerClock {
  #known: Interval | undefined;
  #isDistrusted = false;

  /** Says that the server may be another process by now, whose clock the next exchange tells anew. */
  distrust(): void {
    this.#isDistrusted = true;
  }

  /**
   * Takes an exchange. The one with the smallest round trip says most, and the bound is never more than
   * half of that and what may have drifted since; others narrow it where they were quick one way. An
   * exchange that contradicts what is known means that a clock jumped (the device slept, the server
   * was restarted): then only the new one counts.
   */
  add(exchange: Exchange): void {
    const fresh = intervalOf(exchange);
    const isNew = this.#known === undefined || this.#isDistrusted;
    this.#isDistrusted = false;
    const known = isNew || this.#known === undefined ? fresh : widened(this.#known, fresh.atMs);
    const leastMs = Math.max(known.leastMs, fresh.leastMs);
    const mostMs = Math.min(known.mostMs, fresh.mostMs);
    this.#known = leastMs <= mostMs ? { leastMs, mostMs, atMs: fresh.atMs } : fresh;
  }

  /** Epoch ms of the server at a monotonic time; `undefined` before the first exchange. */
  now(monotonicMs: number): number | undefined {
    const known = this.#known;
    return known === undefined ? undefined : monotonicMs + (known.leastMs + known.mostMs) / 2;
  }

  /** How far `now` may be off at most, in ms; `undefined` before the first exchange. */
  errorBoundMs(monotonicMs: number): number | undefined {
    if (this.#known === undefined) return undefined;
    const { leastMs, mostMs } = widened(this.#known, monotonicMs);
    return (mostMs - leastMs) / 2;
  }

  /**
   * Whether a message with the server's time `serverMs`, received at a monotonic time, shows that the
   * device's clock has lost time, as it does when the device sleeps.
   */
  isBehind(serverMs: number, receivedMs: number): boolean {
    if (this.#known === undefined) return false;
    return serverMs > receivedMs + widened(this.#known, receivedMs).mostMs;
  }
}

/**
 * A request cannot arrive before it was sent, nor an answer. The server's times are rounded down, which
 * is a whole millisecond to one side.
 */
function intervalOf({ sentMs, serverReceivedMs, serverSentMs, receivedMs }: Exchange): Interval {
  return {
    leastMs: serverSentMs - receivedMs,
    mostMs: serverReceivedMs + 1 - sentMs,
    atMs: receivedMs,
  };
}

/** What is left of the knowledge after the two clocks may have drifted apart. */
function widened({ leastMs, mostMs, atMs }: Interval, monotonicMs: number): Interval {
  const driftMs = Math.max(0, monotonicMs - atMs) * DRIFT;
  return { leastMs: leastMs - driftMs, mostMs: mostMs + driftMs, atMs: monotonicMs };
}
