/**
 * Failed authentications, told in the log: at once, and then at most once a minute for each address with how many
 * there were since. Counts in memory on the clock it is given; what is counted is bounded.
 */
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';

const A_MINUTE_MS = 60_000;
/** Beyond so many addresses at once, failures of others are told together. */
const MOST_ADDRESSES = 1000;

interface Untold {
  readonly count: number;
  /** Of the last of them. */
  readonly why: string;
}

export class Failures {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By the address of which a line was written less than a minute ago. */
  readonly #untold = new Map<string | null, Untold>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes down that somebody showed a credential that is not valid; `why` has nothing of it. */
  add(address: string | null, why: string): void {
    const isKnown = this.#untold.has(address);
    const named = isKnown || this.#untold.size < MOST_ADDRESSES ? address : null;
    const untold = this.#untold.get(named);
    if (untold === undefined) this.#tell(named, { count: 1, why });
    else this.#untold.set(named, { count: untold.count + 1, why });
  }

  #tell(address: string | null, { count, why }: Untold): void {
    this.#log.warn({ address, why, count }, 'authentication failed');
    this.#untold.set(address, { count: 0, why });
    this.#clock.setTimeout(() => this.#tellMore(address), A_MINUTE_MS);
  }

  #tellMore(address: string | null): void {
    const untold = this.#untold.get(address);
    if (untold === undefined || untold.count === 0) this.#untold.delete(address);
    else this.#tell(address, untold);
  }
}
