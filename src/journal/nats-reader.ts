/**
 * Reads messages of the stream again. A consumer brings many at once, but only a cluster with a leader sets one up; that
 * leader may be elected seconds after the one of the stream, which is asked for one message after the other until then.
 */
import {
  type Consumer,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import type { Clock, Timeout } from '../clock.js';
import { asked, untilSilent } from './nats-connection.js';

/** A consumer has to be there after so long. */
const LONGEST_SET_UP_MS = 500;
/** So many messages it may send ahead of those that were read. */
const READ_AHEAD = 1000;
/** What takes longer without a sign of the engine has failed. */
const SILENCE_MS = 2000;

export interface Message {
  readonly seq: number;
  readonly data: Uint8Array;
  readonly subject: string;
}

/** Messages of a subject in their order; ends early when the engine falls silent, and goes on behind the last. */
export interface Reading {
  readonly messages: AsyncIterable<Message>;
  /** The server whose copy is read, if that is known. */
  readonly server: string | undefined;
  readonly isOfLeader: boolean;
}

export interface Stretch {
  /** Sequences of messages. */
  readonly first: number;
  readonly last: number;
  readonly subject: string;
}

export interface StreamReaderOptions {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly stream: string;
  readonly clock: Clock;
}

export class StreamReader {
  readonly #options: StreamReaderOptions;

  constructor(options: StreamReaderOptions) {
    this.#options = options;
  }

  /** From any copy of the stream. */
  async messages(stretch: Stretch): Promise<Reading> {
    const consumer = await this.#consumerOf(stretch);
    if (consumer === undefined) return this.messagesOfLeader(stretch);
    const { cluster } = await consumer.info(true);
    const messages = broughtBy(consumer, stretch);
    return { messages, server: cluster?.leader, isOfLeader: false };
  }

  messagesOfLeader(stretch: Stretch): Reading {
    return { messages: this.#askedFor(stretch), server: undefined, isOfLeader: true };
  }

  async #consumerOf({ first, subject }: Stretch): Promise<Consumer | undefined> {
    const { client, stream, clock } = this.#options;
    const place = {
      filter_subjects: subject,
      opt_start_seq: first,
      deliver_policy: DeliverPolicy.StartSequence,
    };
    const found = client.consumers.get(stream, place).catch(() => undefined);
    let late: Timeout;
    const silence = new Promise<undefined>((resolve) => {
      late = clock.setTimeout(() => resolve(undefined), LONGEST_SET_UP_MS);
    });
    const consumer = await Promise.race([found, silence]);
    clock.clearTimeout(late);
    // Nobody wants one that comes after all.
    if (consumer === undefined) found.then((useless) => useless?.delete()).catch(() => false);
    return consumer;
  }

  async *#askedFor({ first, subject }: Stretch): AsyncGenerator<Message> {
    const { manager, stream } = this.#options;
    for (let seq = first; ; ) {
      const query = { seq, next_by_subj: subject };
      const message = await asked(() => manager.streams.getMessage(stream, query));
      if (message === null) return;
      yield message;
      seq = message.seq + 1;
    }
  }
}

async function* broughtBy(consumer: Consumer, { first, last }: Stretch): AsyncGenerator<Message> {
  const messages = await consumer.consume({
    max_messages: Math.min(last - first + 1, READ_AHEAD),
    expires: SILENCE_MS,
  });
  untilSilent(messages).then(() => messages.stop());
  try {
    yield* messages;
  } finally {
    messages.stop();
    consumer.delete().catch(() => false);
  }
}
