/**
 * What only one of several nodes does at a time, until it gives it back or a while has passed. The documents decide
 * who that is. Ends are instants, so they are as good as the clocks of the nodes agree.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Documents } from './documents.js';

const DRAWER = 'leases';

export class Lease {
  readonly #documents: Documents;
  readonly #clock: Clock;
  readonly #name: string;
  /** Stands for whoever has it. */
  readonly #text = randomUUID();
  #untilMs = 0;

  constructor(documents: Documents, clock: Clock, name: string) {
    this.#documents = documents;
    this.#clock = clock;
    this.#name = name;
  }

  /** The instant at which it ends, in epoch ms, if it is ours; else one that is past. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Takes it if nobody else has it, or holds it for longer; gives whether it is ours. */
  async take(durationMs: number): Promise<boolean> {
    const nowMs = this.#clock.now();
    const untilMs = nowMs + durationMs;
    const before = this.#untilMs > nowMs ? this.#text : undefined;
    const isOurs = await this.#put(untilMs, before, nowMs);
    this.#untilMs = isOurs ? untilMs : 0;
    return isOurs;
  }

  /** Lets others take it at once. */
  async giveBack(): Promise<void> {
    const nowMs = this.#clock.now();
    if (this.#untilMs <= nowMs) return;
    this.#untilMs = 0;
    await this.#put(nowMs, this.#text, nowMs);
  }

  #put(untilMs: number, before: string | undefined, nowMs: number): Promise<boolean> {
    const document = { name: this.#name, text: this.#text };
    return this.#documents.replace(DRAWER, document, untilMs, { before, nowMs });
  }
}
