/**
 * Whether the engine records at present, which is found out before it matters: an entry that was sent to an
 * engine that had just gone may come into the stream when it is back, so none is sent unless the engine has
 * shown a moment ago that it takes them. A sounding puts a document, which takes a quorum, asks whoever
 * leads the stream of entries for a message, and compares the clocks. Documents have a leader of their own, which
 * may be elected later than that of the entries; until then whoever leads the entries has to have heard from a
 * quorum since documents could not be put any more.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { ServerClock } from '../client/server-clock.js';
import type { Clock, Timeout } from '../clock.js';
import { type ClockOffset, type Engine, JournalError, type Lack } from './journal.js';
import { wordsOf } from './nats-connection.js';

/** What the engine has shown counts for so long. */
const FRESH_MS = 25;
/** A cluster that has just been started may let some of them fail. */
const FIRST_SOUNDINGS = 5;
const INTERVAL_MS = 1000;
/** Time between soundings of an engine that is away; none waits for the answer to the one before. */
const RETRY_MS = 100;
/** A leader hears from its followers every second. */
const LONGEST_SILENCE_MS = 2000;

export interface SoundingsOptions {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  /** How far the clocks may be apart, surely, before nothing is recorded. */
  readonly maxClockSkewMs: number;
  /** Has the engine keep something, with as many copies as entries have. */
  readonly mark: () => Promise<Mark>;
  /** Settles when whoever leads the stream of entries has answered. */
  readonly askLeader: () => Promise<unknown>;
  /** Gives how long ago whoever leads the stream of entries has heard from so many as make a quorum with it. */
  readonly askQuorum: () => Promise<number>;
}

export interface Mark {
  /** Gives the instant at which it was kept, by the engine's clock, in whole epoch ms. */
  readonly readInstantMs: () => Promise<number>;
}

export class Soundings implements Engine {
  readonly isElsewhere = true;
  readonly #options: SoundingsOptions;
  readonly #engineClock = new ServerClock();
  #isConnected = true;
  /** Why the last sounding failed. */
  #failure: string | undefined;
  /** When it was noticed that no mark is kept, until one is. */
  #unmarkedSinceMs: number | undefined;
  #lastSignMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<void> | undefined;
  #comparison = Promise.resolve();
  /** Counts connections: what was asked on one says nothing of the next. */
  #connections = 1;
  #next: Timeout;
  #isOver = false;

  constructor(options: SoundingsOptions) {
    this.#options = options;
    void this.#watchConnection();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get lacks(): readonly Lack[] {
    const ofEngine = this.#lackOfEngine;
    const lacks = ofEngine === undefined ? [] : [ofEngine];
    if (this.#isSkewed) {
      const offset = Math.round(this.clockOffset?.offsetMs ?? 0);
      const detail = `The clock of this node is ${Math.abs(offset)} ms ${offset > 0 ? 'ahead of' : 'behind'} that of NATS; set it and start the node again`;
      lacks.push({ part: 'clock', detail });
    }
    return lacks;
  }

  get clockOffset(): ClockOffset | undefined {
    const nowMs = this.#options.clock.now();
    const engineMs = this.#engineClock.now(nowMs);
    const errorBoundMs = this.#engineClock.errorBoundMs(nowMs);
    if (engineMs === undefined || errorBoundMs === undefined) return undefined;
    return { offsetMs: nowMs - engineMs, errorBoundMs };
  }

  /** Begins to take soundings, and settles when one has succeeded and the clocks were compared, or some failed. */
  async start(): Promise<void> {
    for (let taken = 0; taken < FIRST_SOUNDINGS; taken += 1) {
      await this.#sound();
      if (this.#failure === undefined) break;
    }
    await this.#comparison;
    this.#schedule();
  }

  stop(): void {
    this.#isOver = true;
    this.#options.clock.clearTimeout(this.#next);
  }

  /** Notes that the engine has recorded an entry. */
  noteSign(): void {
    this.#lastSignMs = this.#options.clock.preciseMs();
  }

  /** Notes that an entry was not answered, so that what was known before counts no more. */
  noteSilence(): void {
    this.#lastSignMs = Number.NEGATIVE_INFINITY;
    void this.#sound();
  }

  /**
   * Settles when the engine has shown a moment ago that it takes entries.
   * @throws {JournalError} if it does not.
   */
  async require(): Promise<void> {
    this.requireAsKnown();
    await this.requireSign();
    this.requireAsKnown();
  }

  /**
   * Settles when the engine has shown a moment ago that it takes entries, whatever our own clock says.
   * @throws {JournalError} if it does not.
   */
  async requireSign(): Promise<void> {
    this.#requireEngine();
    if (this.#options.clock.preciseMs() - this.#lastSignMs <= FRESH_MS) return;
    await this.#sound();
    this.#requireEngine();
  }

  /** @throws {JournalError} if the engine is known not to take entries. */
  requireAsKnown(): void {
    const [lack] = this.lacks;
    if (lack !== undefined) throw new JournalError(lack.detail);
  }

  #requireEngine(): void {
    const lack = this.#lackOfEngine;
    if (lack !== undefined) throw new JournalError(lack.detail);
  }

  get #lackOfEngine(): Lack | undefined {
    if (!this.#isConnected) {
      return { part: 'connection', detail: 'NATS is not connected; it is tried again' };
    }
    if (this.#failure === undefined) return undefined;
    return { part: 'quorum', detail: `NATS records nothing (${this.#failure}); it is tried again` };
  }

  get #isSkewed(): boolean {
    const { clockOffset } = this;
    if (clockOffset === undefined) return false;
    const surelyMs = Math.abs(clockOffset.offsetMs) - clockOffset.errorBoundMs;
    return surelyMs > this.#options.maxClockSkewMs;
  }

  /** Those who ask while a sounding is under way share it. */
  #sound(): Promise<void> {
    if (this.#underWay !== undefined) return this.#underWay;
    const sounding = this.#take().finally(() => {
      if (this.#underWay === sounding) this.#underWay = undefined;
    });
    this.#underWay = sounding;
    return sounding;
  }

  async #take(): Promise<void> {
    const { clock, askLeader } = this.#options;
    const connection = this.#connections;
    const beganMs = clock.preciseMs();
    try {
      await Promise.all([this.#showQuorum(), askLeader()]);
      if (connection !== this.#connections) return;
      this.#failure = undefined;
      this.noteSign();
    } catch (error) {
      // Behind much that the engine is busy to record, a sounding may come too late.
      const hasShown = this.#lastSignMs >= beganMs;
      if (connection !== this.#connections || hasShown) return;
      this.#failure = wordsOf(error);
      this.#schedule();
    }
  }

  /** Settles when a mark is kept, or, where lately none was, the leader of the entries has shown as much. */
  async #showQuorum(): Promise<void> {
    const marked = this.#mark();
    if (this.#unmarkedSinceMs === undefined) return marked;
    try {
      await Promise.any([marked, this.#requireQuorumSince(this.#unmarkedSinceMs)]);
    } catch {
      await marked;
    }
  }

  async #mark(): Promise<void> {
    const { clock, mark } = this.#options;
    const connection = this.#connections;
    const sentMs = clock.now();
    try {
      const kept = await mark();
      if (connection !== this.#connections) return;
      this.#unmarkedSinceMs = undefined;
      this.#comparison = this.#compareClocks(kept, sentMs, clock.now());
    } catch (error) {
      this.#unmarkedSinceMs ??= clock.preciseMs();
      throw error;
    }
  }

  async #requireQuorumSince(sinceMs: number): Promise<void> {
    const { clock, askQuorum } = this.#options;
    const askedMs = clock.preciseMs();
    const heardMs = askedMs - (await askQuorum());
    if (heardMs > sinceMs && askedMs - heardMs <= LONGEST_SILENCE_MS) return;
    throw new JournalError('The leader of the entries has not heard from the others');
  }

  /** The node's times are rounded down, so the answer may have come almost a millisecond later. */
  async #compareClocks(kept: Mark, sentMs: number, answeredMs: number): Promise<void> {
    const keptMs = await kept.readInstantMs().catch(() => undefined);
    if (keptMs === undefined) return;
    const receivedMs = answeredMs + 1;
    this.#engineClock.add({ sentMs, serverReceivedMs: keptMs, serverSentMs: keptMs, receivedMs });
  }

  #schedule(): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#next);
    if (this.#isOver) return;
    const isAway = this.#failure !== undefined;
    this.#next = clock.setTimeout(
      () => {
        if (isAway) this.#underWay = undefined;
        if (this.#isConnected) void this.#sound();
        this.#schedule();
      },
      isAway ? RETRY_MS : INTERVAL_MS,
    );
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#options.connection.status()) {
      if (type === 'disconnect') {
        this.#isConnected = false;
        this.#lastSignMs = Number.NEGATIVE_INFINITY;
      }
      if (type !== 'reconnect') continue;
      this.#isConnected = true;
      this.#connections += 1;
      this.#underWay = undefined;
      void this.#sound();
    }
  }
}
