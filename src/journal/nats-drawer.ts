/**
 * Follows one drawer of the bucket: what is in it, and then each change. Whenever the engine fell silent, or the
 * connection was lost, it begins anew with all that is in it, so that no change is missed.
 */
import { DeliverPolicy, type JetStreamClient, type JsMsg } from '@nats-io/jetstream';
import type { Clock, Timeout } from '../clock.js';
import { JournalError } from './journal.js';
import { untilSilent } from './nats-connection.js';

const RETRY_MS = 250;
/** After so long without any sign from the engine another attempt is made to listen to it. */
const SILENCE_MS = 2000;
/** So long a change that was made here may take to come back. */
const LONGEST_WAY_BACK_MS = 5000;
/** After so long all is read again: nobody may be there to tell of changes. */
const USUAL_WAY_BACK_MS = 250;

export interface DrawerFollowerOptions {
  readonly client: JetStreamClient;
  readonly stream: string;
  readonly subject: string;
  readonly clock: Clock;
  /** Reads all that is there, from which on changes are told; gives the revision up to which none is missing. */
  readonly readAll: () => Promise<number>;
  readonly onMessage: (message: JsMsg) => void;
  readonly onCrash: (error: Error) => void;
}

interface Waiting {
  readonly sequence: number;
  readonly resolve: () => void;
}

export class DrawerFollower {
  readonly #options: DrawerFollowerOptions;
  /** Of the last change that was told. */
  #sequence = 0;
  readonly #waiting = new Set<Waiting>();
  #isStopped = false;
  #stopListening: () => void = () => {};

  constructor(options: DrawerFollowerOptions) {
    this.#options = options;
  }

  /** Settles when all that is there was told; rejects if it cannot be read. */
  async start(): Promise<void> {
    const revision = await this.#readAll();
    void this.#follow(revision);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopListening();
  }

  listenAnew(): void {
    this.#stopListening();
  }

  /** Settles when a change was told, or a later one. */
  async reached(sequence: number): Promise<void> {
    if (this.#sequence >= sequence) return;
    const { clock } = this.#options;
    let late: Timeout;
    let slow: Timeout;
    let waiting: Waiting | undefined;
    await new Promise<void>((resolve, reject) => {
      waiting = { sequence, resolve };
      this.#waiting.add(waiting);
      const silence = new JournalError('NATS does not tell what became of a change');
      late = clock.setTimeout(() => reject(silence), LONGEST_WAY_BACK_MS);
      slow = clock.setTimeout(() => this.#readAll().catch(() => {}), USUAL_WAY_BACK_MS);
    }).finally(() => {
      clock.clearTimeout(late);
      clock.clearTimeout(slow);
      if (waiting !== undefined) this.#waiting.delete(waiting);
    });
  }

  /** Listens, and begins anew after each silence. */
  async #follow(revision: number): Promise<void> {
    let afterRevision = revision;
    while (!this.#isStopped) {
      try {
        await this.#listen(afterRevision);
      } catch {
        await new Promise<void>((resume) => this.#options.clock.setTimeout(resume, RETRY_MS));
      }
      if (this.#isStopped) return;
      afterRevision = await this.#readAll().catch(() => this.#sequence);
    }
  }

  async #readAll(): Promise<number> {
    const revision = await this.#options.readAll();
    this.#reach(revision);
    return revision;
  }

  /** Takes in what comes after a revision, until the engine falls silent or nobody wants to hear more. */
  async #listen(afterRevision: number): Promise<void> {
    const { client, stream, subject } = this.#options;
    const consumer = await client.consumers.get(stream, {
      filter_subjects: subject,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: afterRevision + 1,
    });
    if (this.#isStopped) return;
    const messages = await consumer.consume({
      expires: SILENCE_MS,
      callback: (message) => this.#take(message),
    });
    this.#stopListening = () => messages.stop();
    if (this.#isStopped) messages.stop();
    await untilSilent(messages);
    messages.stop();
    consumer.delete().catch(() => false);
  }

  #take(message: JsMsg): void {
    if (this.#isStopped) return;
    try {
      this.#options.onMessage(message);
      this.#reach(message.seq);
    } catch (error) {
      this.stop();
      this.#options.onCrash(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #reach(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
    for (const waiting of this.#waiting) {
      if (waiting.sequence <= this.#sequence) waiting.resolve();
    }
  }
}
