/**
 * Signed heads: after each day in UTC that had entries, its last entry is signed with its hash, and kept. Whoever
 * has an old head can tell that entries before it were written anew, even if all of their hashes were as well.
 */
import { z } from 'zod';
import type { Clock, Timeout } from '../clock.js';
import type { Journal } from '../journal/journal.js';
import type { Log } from '../log.js';
import { type DayHead, dayHeadSchema, type SignedHead } from '../protocol/audit.js';
import type { Signer } from '../signing.js';

const DRAWER = 'heads';
const DAY_MS = 24 * 60 * 60 * 1000;

const keptSchema = z.object({ head: z.string() });

export interface HeadsOptions {
  readonly journal: Journal;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

export class Heads {
  readonly #options: HeadsOptions;
  #midnight: Timeout | undefined;
  #isStopped = false;
  /** What is being signed or checked; one thing after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: HeadsOptions) {
    this.#options = options;
  }

  /** Holds the record against the heads that were signed before, and signs those that are due, now and daily. */
  start(): void {
    if (this.#isStopped) return;
    this.#do(() => this.#check());
    this.#signDaily();
  }

  /** Every head, oldest first. */
  async list(): Promise<readonly SignedHead[]> {
    await this.#work;
    return this.#kept();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#midnight);
    await this.#work;
  }

  #signDaily(): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    const nowMs = clock.now();
    this.#do(() => this.#signDue(nowMs));
    this.#midnight = clock.setTimeout(() => this.#signDaily(), DAY_MS - (nowMs % DAY_MS));
  }

  /** A failure is no reason to stop the clocks; what was not signed is signed the next time. */
  #do(work: () => Promise<void>): void {
    const { log } = this.#options;
    this.#work = this.#work.then(work).catch((err: unknown) => {
      log.error({ err }, 'the heads of the record could not be signed or checked');
    });
  }

  /** Signs a head for each day before today that had entries and has none. */
  async #signDue(nowMs: number): Promise<void> {
    const { journal } = this.#options;
    let last = (await this.#kept()).at(-1);
    while (!this.#isStopped) {
      const [next] = await journal.read(last?.position ?? 0, 1);
      if (next === undefined) return;
      // A machine whose clock was set back records a day again that has its head already.
      const dayMs = Math.max(midnightBefore(next.recordedAtMs), dayAfter(last));
      if (dayMs + DAY_MS > nowMs) return;
      const before = await journal.positionBefore(dayMs + DAY_MS);
      last = await this.#sign(dayMs, Math.max(before, next.position));
    }
  }

  async #sign(dayMs: number, position: number): Promise<SignedHead> {
    const { journal, signer, clock } = this.#options;
    const [entry] = await journal.read(position - 1, 1);
    if (entry === undefined) throw new RangeError(`There is no entry at position ${position}`);
    const date = new Date(dayMs).toISOString().slice(0, 10);
    const claims: DayHead = {
      kind: 'day',
      date,
      position,
      hash: entry.hash,
      signed_at_ms: clock.now(),
    };
    const head = await signer.sign('timer-head+jwt', claims);
    // One that is there and cannot be read is evidence, and stays.
    if ((await journal.documents.get(DRAWER, date, claims.signed_at_ms)) === undefined) {
      await journal.documents.put(DRAWER, { name: date, text: JSON.stringify({ head }) }, null);
    }
    return signedHeadOf(claims, head);
  }

  async #check(): Promise<void> {
    const { journal, log } = this.#options;
    for (const { date, position, hash } of await this.#kept()) {
      const [entry] = await journal.read(position - 1, 1);
      if (entry?.hash === hash || this.#isStopped) continue;
      log.error(
        { date, position, signed: hash, found: entry?.hash ?? null },
        `THE RECORD WAS CHANGED: the entry at position ${position} is not the one that was signed for ${date}; ` +
          'see "synchronized-timer audit verify"',
      );
    }
  }

  async #kept(): Promise<SignedHead[]> {
    const { journal, signer, log } = this.#options;
    const heads: SignedHead[] = [];
    for (const { name, text } of await journal.documents.list(DRAWER)) {
      try {
        const { head } = keptSchema.parse(JSON.parse(text));
        const claims = dayHeadSchema.parse(await signer.verify('timer-head+jwt', head));
        heads.push(signedHeadOf(claims, head));
      } catch (err) {
        log.error({ err, date: name }, `the head of ${name} bears no signature of the keys in use`);
      }
    }
    return heads;
  }
}

function signedHeadOf({ date, position, hash, signed_at_ms }: DayHead, head: string): SignedHead {
  return { date, position, hash, signed_at_ms, head };
}

function midnightBefore(epochMs: number): number {
  return epochMs - (epochMs % DAY_MS);
}

function dayAfter(head: SignedHead | undefined): number {
  return head === undefined ? 0 : Date.parse(head.date) + DAY_MS;
}
