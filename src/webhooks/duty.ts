/**
 * Whether this node is the one that delivers. Nodes that share a log take turns by a lease, which whoever has it
 * extends; one that cannot ends its work before the lease ends, so that two never deliver at once.
 */
import type { Clock, Timeout } from '../clock.js';
import type { Documents } from '../journal/documents.js';
import { Lease } from '../journal/lease.js';
import type { Log } from '../log.js';

/** A node that ended is replaced after this and one interval. */
const LEASE_MS = 6000;
const INTERVAL_MS = 2000;
/** Clocks of nodes differ by less, or they record nothing. */
const MARGIN_MS = 1000;

export interface DutyOptions {
  readonly documents: Documents;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when it becomes ours, and when it is no longer. */
  readonly onChange: (isOurs: boolean) => void;
}

export class Duty {
  readonly #options: DutyOptions;
  readonly #lease: Lease;
  #isOurs = false;
  #isStopped = false;
  #next: Timeout;
  #end: Timeout;
  #seeking: Promise<void> = Promise.resolve();

  constructor(options: DutyOptions) {
    this.#options = options;
    this.#lease = new Lease(options.documents, options.clock, 'webhooks');
  }

  get isOurs(): boolean {
    return this.#isOurs;
  }

  start(): void {
    if (!this.#options.documents.areShared) this.#set(true);
    else this.#seeking = this.#seek();
  }

  /** Takes no turn any more; until it is given back it stays as it is. */
  pause(): void {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#next);
  }

  /** Lets another node take over at once. */
  async giveBack(): Promise<void> {
    this.pause();
    await this.#seeking;
    this.#options.clock.clearTimeout(this.#end);
    this.#isOurs = false;
    await this.#lease.giveBack();
  }

  async #seek(): Promise<void> {
    const { clock, log } = this.#options;
    try {
      if (await this.#lease.take(LEASE_MS)) this.#extend();
      else this.#lose();
    } catch (err) {
      if (!this.#isStopped)
        log.warn({ err }, 'which node delivers webhooks could not be found out');
    }
    if (this.#isStopped) return;
    this.#next = clock.setTimeout(() => {
      this.#seeking = this.#seek();
    }, INTERVAL_MS);
  }

  #extend(): void {
    const { clock } = this.#options;
    const leftMs = this.#lease.untilMs - MARGIN_MS - clock.now();
    clock.clearTimeout(this.#end);
    if (leftMs <= 0) {
      this.#lose();
      return;
    }
    this.#end = clock.setTimeout(() => this.#lose(), leftMs);
    this.#set(true);
  }

  #lose(): void {
    this.#options.clock.clearTimeout(this.#end);
    this.#set(false);
  }

  #set(isOurs: boolean): void {
    if (this.#isOurs === isOurs) return;
    this.#isOurs = isOurs;
    this.#options.onChange(isOurs);
  }
}
