/**
 * Signed heads: after each day in UTC that had entries, its last entry is signed with its hash, and kept. Whoever
 * has an old head can tell that entries before it were written anew, even if all of their hashes were as well.
 * Each head names the one before it, so that none can be taken away from among them without a trace.
 */
import { decodeJwt } from 'jose';
import { z } from 'zod';
import type { Clock, Timeout } from '../clock.js';
import type { Document, Journal, Milestone } from '../journal/journal.js';
import type { Log } from '../log.js';
import { type DayHead, dayHeadSchema, type SignedHead } from '../protocol/audit.js';
import type { Signer } from '../signing.js';
import { brokenLink, type ChainedHead, linkTo, sha256Of } from './head-chain.js';

const DRAWER = 'heads';
const DAY_MS = 24 * 60 * 60 * 1000;

const keptSchema = z.object({ head: z.string() });

export interface HeadsOptions {
  readonly journal: Journal;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

/** A day in UTC that is over, and the place of its last entry. */
type Day = Pick<DayHead, 'date' | 'position'>;

export class Heads {
  readonly #options: HeadsOptions;
  /** What was recorded earlier, another service recorded that ran before. */
  readonly #startedMs: number;
  #midnight: Timeout | undefined;
  #isStopped = false;
  /** What is being signed or checked; one thing after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: HeadsOptions) {
    this.#options = options;
    this.#startedMs = options.clock.now();
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
    let last = (await this.#kept()).at(-1);
    for await (const day of this.#daysAfter(last, nowMs)) {
      // One that is there and cannot be read is evidence, and stays.
      if (!(await this.#hasHead(day))) await this.#sign(day, last);
      last = (await this.#headOf(day)) ?? last;
    }
  }

  /** The days after one that had entries and were over at an instant. */
  async *#daysAfter(last: Day | undefined, nowMs: number): AsyncGenerator<Day> {
    const { journal } = this.#options;
    let day = last;
    while (!this.#isStopped) {
      const [next] = await journal.read(day?.position ?? 0, 1);
      if (next === undefined) return;
      // A machine whose clock was set back records a day again that has its head already.
      const dayMs = Math.max(midnightBefore(next.recordedAtMs), dayAfter(day));
      if (dayMs + DAY_MS > nowMs) return;
      const before = await journal.positionBefore(dayMs + DAY_MS);
      const date = new Date(dayMs).toISOString().slice(0, 10);
      day = { date, position: Math.max(before, next.position) };
      yield day;
    }
  }

  async #hasHead({ date }: Day): Promise<boolean> {
    const { journal, clock } = this.#options;
    return (await journal.documents.get(DRAWER, date, clock.now())) !== undefined;
  }

  async #headOf({ date }: Day): Promise<SignedHead | undefined> {
    const { journal, clock } = this.#options;
    const text = await journal.documents.get(DRAWER, date, clock.now());
    return text === undefined ? undefined : this.#headIn({ name: date, text });
  }

  /** If another node signs at the same moment, the first head stays. */
  async #sign({ date, position }: Day, last: SignedHead | undefined): Promise<void> {
    const { journal, signer, clock } = this.#options;
    const [entry] = await journal.read(position - 1, 1);
    if (entry === undefined) throw new RangeError(`There is no entry at position ${position}`);
    const claims: DayHead = {
      kind: 'day',
      date,
      ...linkTo(chainedOf(last)),
      position,
      hash: entry.hash,
      signed_at_ms: clock.now(),
    };
    const head = await signer.sign('timer-head+jwt', claims);
    const document = { name: date, text: JSON.stringify({ head }) };
    const condition = { before: undefined, nowMs: clock.now() };
    await journal.documents.replace(DRAWER, document, null, condition);
  }

  async #check(): Promise<void> {
    const heads = await this.#kept();
    const beginning = await this.#options.journal.beginning();
    for (const head of heads) {
      if (head.position >= beginning.position) await this.#checkEntry(head, beginning);
    }
    this.#checkChain(heads);
    await this.#checkDays(heads.at(-1));
  }

  /** Of the entry that the first one follows, only its hash may be left. */
  async #checkEntry({ date, position, hash }: SignedHead, beginning: Milestone): Promise<void> {
    const { journal, log } = this.#options;
    const [entry] = await journal.read(position - 1, 1);
    const found = position === beginning.position ? beginning.hash : entry?.hash;
    if (found === hash || this.#isStopped) return;
    log.error(
      { date, position, signed: hash, found: found ?? null },
      `THE RECORD WAS CHANGED: the entry at position ${position} is not the one that was signed for ${date}; ` +
        'see "synchronized-timer audit verify"',
    );
  }

  #checkChain(heads: readonly SignedHead[]): void {
    const { log } = this.#options;
    for (const [index, head] of heads.entries()) {
      const fault = brokenLink(head, chainedOf(heads[index - 1]));
      if (fault === undefined) continue;
      const { date, number } = head;
      log.error({ date, number }, `THE HEADS WERE CHANGED: before that of ${date}, ${fault}`);
    }
  }

  /** A service that recorded anything after a day has signed it, at midnight or at its start. */
  async #checkDays(last: SignedHead | undefined): Promise<void> {
    const { journal, log } = this.#options;
    const days: string[] = [];
    for await (const day of this.#daysAfter(last, this.#startedMs)) {
      if (await this.#hasHead(day)) continue;
      const [next] = await journal.read(day.position, 1);
      if (next !== undefined && next.recordedAtMs < this.#startedMs) days.push(day.date);
    }
    if (days.length === 0) return;
    log.error(
      { count: days.length, first: days[0], last: days.at(-1) },
      `heads of ${days.length} past days are missing, though the service ran after them; they are signed anew now, ` +
        'which says nothing of what was recorded then: hold the record against heads that were kept elsewhere',
    );
  }

  /** Every head that can be read. */
  async #kept(): Promise<SignedHead[]> {
    const documents = await this.#options.journal.documents.list(DRAWER);
    const heads = await Promise.all(documents.map((document) => this.#headIn(document)));
    return heads.filter((head) => head !== undefined);
  }

  /**
   * The head in a document, if it can be read. One that no key verifies, because its key was taken away, is told of
   * in the log and is one all the same: the next one names it, and whoever still has the key can check it.
   */
  async #headIn({ name, text }: Document): Promise<SignedHead | undefined> {
    const { signer, log } = this.#options;
    let read: SignedHead | undefined;
    try {
      const { head } = keptSchema.parse(JSON.parse(text));
      read = signedHeadOf(dayHeadSchema.parse(decodeJwt(head)), head);
      await signer.verify('timer-head+jwt', head);
    } catch (err) {
      log.error({ err, date: name }, `the head of ${name} bears no signature of the keys in use`);
    }
    return read;
  }
}

function signedHeadOf({ kind: _, ...claims }: DayHead, head: string): SignedHead {
  return { ...claims, head };
}

function chainedOf(head: SignedHead | undefined): ChainedHead | undefined {
  return head && { number: head.number, sha256: sha256Of(head.head) };
}

function midnightBefore(epochMs: number): number {
  return epochMs - (epochMs % DAY_MS);
}

function dayAfter(day: Day | undefined): number {
  return day === undefined ? 0 : Date.parse(day.date) + DAY_MS;
}
