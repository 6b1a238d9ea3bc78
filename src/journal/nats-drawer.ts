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

export interface DrawerFollowerOptions {
  readonly client: JetStreamClient;
  readonly stream: string;
  readonly subject: string;
  readonly clock: Clock;
  /** What was told is to be forgotten, because all of it is told anew. */
  readonly onForgotten: () => void;
  /** Told all that is there, and then each change. */
  readonly onChanges: (messages: readonly JsMsg[]) => void;
  readonly onCrash: (error: Error) => void;
}

interface Waiting {
  readonly sequence: number;
  readonly resolve: () => void;
}

export class DrawerFollower {
  readonly #options: DrawerFollowerOptions;
  /** What is there, until all of it has come. */
  #gathered: JsMsg[] | undefined = [];
  /** Of the last change that was told. */
  #sequence = 0;
  readonly #waiting = new Set<Waiting>();
  #isStopped = false;
  #stopListening: () => void = () => {};

  constructor(options: DrawerFollowerOptions) {
    this.#options = options;
  }

  /** Settles when all that is there was told. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      void this.#follow(resolve, reject);
    });
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
    let waiting: Waiting | undefined;
    await new Promise<void>((resolve, reject) => {
      waiting = { sequence, resolve };
      this.#waiting.add(waiting);
      const silence = new JournalError('NATS does not tell what became of a change');
      late = clock.setTimeout(() => reject(silence), LONGEST_WAY_BACK_MS);
    }).finally(() => {
      clock.clearTimeout(late);
      if (waiting !== undefined) this.#waiting.delete(waiting);
    });
  }

  async #follow(onTold: () => void, onFailed: (error: unknown) => void): Promise<void> {
    let isTold = false;
    const told = (): void => {
      isTold = true;
      onTold();
    };
    while (!this.#isStopped) {
      try {
        await this.#listen(told, (error) => {
          this.stop();
          if (isTold) this.#options.onCrash(error);
          else onFailed(error);
        });
      } catch {
        if (this.#isStopped) return;
        await new Promise<void>((resume) => this.#options.clock.setTimeout(resume, RETRY_MS));
      }
    }
  }

  async #listen(onTold: () => void, onBroken: (error: Error) => void): Promise<void> {
    const { client, stream, subject } = this.#options;
    const consumer = await client.consumers.get(stream, {
      filter_subjects: subject,
      deliver_policy: DeliverPolicy.LastPerSubject,
    });
    this.#gathered = [];
    const take = (tell: () => void): void => {
      try {
        tell();
        onTold();
      } catch (error) {
        onBroken(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const { num_pending } = await consumer.info(true);
    if (this.#isStopped) return;
    if (num_pending === 0) take(() => this.#tellAll());
    const messages = await consumer.consume({
      expires: SILENCE_MS,
      callback: (message) => take(() => this.#take(message)),
    });
    this.#stopListening = () => messages.stop();
    if (this.#isStopped) messages.stop();
    await untilSilent(messages);
    messages.stop();
    consumer.delete().catch(() => false);
  }

  #take(message: JsMsg): void {
    if (this.#isStopped) return;
    if (this.#gathered === undefined) {
      this.#tell([message]);
      return;
    }
    this.#gathered.push(message);
    if (message.info.pending === 0) this.#tellAll();
  }

  #tellAll(): void {
    const gathered = this.#gathered ?? [];
    this.#gathered = undefined;
    this.#options.onForgotten();
    this.#tell(gathered);
  }

  #tell(messages: readonly JsMsg[]): void {
    this.#options.onChanges(messages);
    this.#sequence = Math.max(this.#sequence, ...messages.map(({ seq }) => seq));
    for (const { sequence, resolve } of this.#waiting) if (sequence <= this.#sequence) resolve();
  }
}
