/**
 * Publishes entries, and finds out what became of each. An entry is published on condition that the last
 * message of its timer is the last one that is known here, and under a name of its own, so that publishing it
 * again when the engine did not answer mostly records it once; another copy would count for nothing. One that
 * may have been taken is published again until it is known what became of it, or for too long: without the
 * engine nobody can tell.
 */
import { randomUUID } from 'node:crypto';
import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import type { Clock, Timeout } from '../clock.js';
import { type Entry, type JournalAnswer, JournalError } from './journal.js';
import { isWrongLastSequence, wordsOf } from './nats-connection.js';
import { Gate } from './nats-gate.js';
import type { Head } from './nats-index.js';
import type { Soundings } from './nats-soundings.js';

const ATTEMPT_TIMEOUT_MS = 600;
const RETRY_MS = 100;
/** An entry that the engine surely does not have is tried for so long. */
const LONGEST_ATTEMPT_MS = 400;
/** An entry that it may have, for so long: an election takes it five seconds and more. */
const LONGEST_DOUBT_MS = 8000;
/** So long the stream may take to bring what the engine has refused an entry for. */
const LONGEST_WAY_BACK_MS = 1000;
/** What the stream has not brought after so long, it is asked for. */
const USUAL_WAY_BACK_MS = 100;
/** So many entries are published before the engine has answered; more would only wait there. */
const MOST_IN_FLIGHT = 500;
/** A message of that name is on its way already, and may still be dropped. */
const DUPLICATE_UNDER_WAY = 10158;

export interface PublisherOptions {
  readonly client: JetStreamClient;
  readonly stream: string;
  readonly clock: Clock;
  readonly soundings: Soundings;
  readonly headOf: (timerId: string) => Pick<Head, 'revision' | 'sequence'>;
  readonly subjectOf: (timerId: string) => string;
  /** Asks the stream for what it has and has not brought; never rejects. */
  readonly readOn: () => Promise<void>;
}

/** An entry that is on its way to the stream. There is one of each timer at a time. */
interface Proposal {
  readonly revision: number;
  readonly timerId: string;
  readonly payload: string;
  readonly messageId: string;
  readonly settle: (answer: JournalAnswer) => void;
  readonly fail: (error: Error) => void;
  /** Called when a message of its timer has come. */
  heardMore: () => void;
}

/** It is not known, and will not be before the engine is back, whether an entry is recorded. */
export class InDoubtError extends JournalError {}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #run = randomUUID();
  readonly #gate = new Gate(MOST_IN_FLIGHT);
  readonly #proposals = new Map<string, Proposal>();
  /** By timer, settles when what was proposed last is settled. */
  readonly #lanes = new Map<string, Promise<void>>();
  #lastMessage = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Proposes an entry when those of its timer before it are settled.
   * @throws {InDoubtError} if it may be recorded, or become so.
   * @throws {JournalError} if it is not, and will not be.
   */
  propose(entry: Entry, payload: string): Promise<JournalAnswer> {
    const { timerId } = entry;
    const before = this.#lanes.get(timerId);
    const fate =
      before === undefined
        ? this.#propose(entry, payload)
        : before.then(() => this.#propose(entry, payload));
    const settled = fate.then(
      () => {},
      () => {},
    );
    const lane = settled.then(() => {
      if (this.#lanes.get(timerId) === lane) this.#lanes.delete(timerId);
    });
    this.#lanes.set(timerId, lane);
    return fate;
  }

  /** Notes a message of the stream: what was proposed, somebody else's entry, or one that counts for nothing. */
  heard({ timerId, revision }: Entry, counts: boolean, messageId: string | undefined): void {
    const proposal = this.#proposals.get(timerId);
    if (proposal === undefined) return;
    if (counts && proposal.revision === revision) {
      proposal.settle(messageId === proposal.messageId ? 'committed' : 'conflict');
    }
    proposal.heardMore();
  }

  /** The stream cannot be followed any more. */
  fail(failure: Error): void {
    for (const { fail } of this.#proposals.values()) fail(failure);
  }

  /** Settles when nothing is on its way. */
  async settled(): Promise<void> {
    await Promise.all(this.#lanes.values());
  }

  async #propose({ timerId, revision }: Entry, payload: string): Promise<JournalAnswer> {
    const { headOf, soundings } = this.#options;
    if (headOf(timerId).revision + 1 !== revision) return 'conflict';
    await this.#gate.enter();
    let stopWaiting = (): void => {};
    try {
      // It may have waited for its turn while the engine went away, or while another's entry came.
      soundings.requireAsKnown();
      if (headOf(timerId).revision + 1 !== revision) return 'conflict';
      this.#lastMessage += 1;
      const messageId = `${this.#run}.${this.#lastMessage}`;
      return await new Promise<JournalAnswer>((settle, fail) => {
        const published = { timerId, revision, payload, messageId };
        const proposal = { ...published, settle, fail, heardMore: () => {} };
        this.#proposals.set(timerId, proposal);
        this.#publish(proposal).then(() => {
          if (headOf(timerId).revision < revision) stopWaiting = this.#awaitWayBack(fail);
        }, fail);
      });
    } finally {
      stopWaiting();
      this.#proposals.delete(timerId);
      this.#gate.leave();
    }
  }

  /** Publishes an entry until the engine has taken it, or the stream has told what became of it. */
  async #publish(proposal: Proposal): Promise<void> {
    const { clock, headOf, soundings } = this.#options;
    const beganMs = clock.preciseMs();
    let isInDoubt = false;
    for (;;) {
      const { revision, sequence } = headOf(proposal.timerId);
      if (revision >= proposal.revision) return;
      let reason = soundings.lacks[0]?.detail;
      if (reason === undefined) {
        try {
          if (await this.#attempt(proposal, sequence)) return;
          isInDoubt = true;
          reason = 'it is on its way';
        } catch (error) {
          // What came before it may count for nothing itself, and is no conflict then.
          if (isWrongLastSequence(error) && (await this.#heardSince(sequence, proposal))) continue;
          reason = wordsOf(error);
          if (!isRefusal(error)) {
            isInDoubt = true;
            soundings.noteSilence();
          }
        }
      }
      const longestMs = isInDoubt ? LONGEST_DOUBT_MS : LONGEST_ATTEMPT_MS;
      if (clock.preciseMs() - beganMs >= longestMs) throw failureOf(reason, isInDoubt);
      await new Promise<void>((resume) => clock.setTimeout(resume, RETRY_MS));
    }
  }

  /** Sees to it that the stream brings an entry that it has; gives the function that ends this. */
  #awaitWayBack(fail: (error: Error) => void): () => void {
    const { clock, readOn } = this.#options;
    const beganMs = clock.preciseMs();
    let isOver = false;
    let next: Timeout;
    const wait = (): void => {
      if (!isOver) next = clock.setTimeout(ask, USUAL_WAY_BACK_MS);
    };
    const ask = (): void => {
      if (clock.preciseMs() - beganMs < LONGEST_DOUBT_MS) void readOn().then(wait);
      else fail(failureOf('the stream has not brought it', true));
    };
    wait();
    return () => {
      isOver = true;
      clock.clearTimeout(next);
    };
  }

  /** False if the engine has heard of it already, and has not recorded it yet. */
  async #attempt(proposal: Proposal, lastSubjectSequence: number): Promise<boolean> {
    const { client, stream: streamName, soundings, subjectOf } = this.#options;
    const { seq } = await client.publish(subjectOf(proposal.timerId), proposal.payload, {
      msgID: proposal.messageId,
      expect: { streamName, lastSubjectSequence },
      timeout: ATTEMPT_TIMEOUT_MS,
    });
    if (seq === 0) return false;
    soundings.noteSign();
    return true;
  }

  /** Whether the stream brings a message of the timer after the one that was known as its last. */
  async #heardSince(sequence: number, proposal: Proposal): Promise<boolean> {
    const { clock, headOf, readOn } = this.#options;
    const hasHeard = (): boolean => headOf(proposal.timerId).sequence > sequence;
    if (hasHeard()) return true;
    await new Promise<void>((resolve) => {
      const late = clock.setTimeout(resolve, LONGEST_WAY_BACK_MS);
      proposal.heardMore = () => {
        clock.clearTimeout(late);
        resolve();
      };
      void readOn();
    });
    return hasHeard();
  }
}

function failureOf(why: string, isInDoubt: boolean): JournalError {
  return isInDoubt
    ? new InDoubtError(`NATS did not say whether it recorded an entry: ${why}`)
    : new JournalError(`NATS did not record an entry: ${why}`);
}

/** Whether the engine, or the server that we are connected to, said that it did not take an entry. */
function isRefusal(error: unknown): boolean {
  // Nobody listens on the subject.
  if (error instanceof Error && error.name === 'JetStreamNotEnabled') return true;
  return error instanceof JetStreamApiError && error.code !== DUPLICATE_UNDER_WAY;
}
