/**
 * Reads entries of the stream again. Whichever server is nearest at hand brings them, and copies of a stream can differ
 * for good, so what is brought is held against what this node knows: the hashes that it keeps, and how many entries a
 * timer has. What does not fit is asked of whoever leads the stream, whose copy counts.
 */
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Log } from '../log.js';
import { linkOf, type Milestone } from './chain.js';
import { type Entry, entrySchema, JournalError, type RecordedEntry } from './journal.js';
import { asked } from './nats-connection.js';
import type { Head, StreamIndex } from './nats-index.js';
import type { Message, Reading, Stretch } from './nats-reader.js';

export interface Arrived {
  readonly entry: Entry;
  readonly position: number;
}

/** How messages are read: from any copy, or from that of the leader. */
export interface MessageReader {
  messages(stretch: Stretch): Promise<Reading>;
  messagesOfLeader(stretch: Stretch): Reading;
}

export interface EntryReaderOptions {
  readonly index: StreamIndex;
  readonly reader: MessageReader;
  readonly subjectOf: (timerId: string) => string;
  /** Of all entries. */
  readonly subject: string;
  /** @throws {JournalError} if nothing can be read now. */
  readonly requireConnection: () => void;
  readonly log: Log;
}

/** What was read is not what was recorded. */
class DifferingError extends JournalError {
  constructor(position: number) {
    super(
      `What NATS has of entry ${position} is not what was recorded. If its servers differ, ` +
        'see "What an election takes" in docs/scaling.md.',
    );
  }
}

export class EntryReader {
  readonly #options: EntryReaderOptions;
  /** Where the last reading of entries ended: the next one often goes on there. */
  #lastRead: Milestone | undefined;
  /** Servers that were told of, so that each is told of once. */
  readonly #differing = new Set<string>();

  constructor(options: EntryReaderOptions) {
    this.#options = options;
  }

  /** The entries of a timer up to where it stood. */
  async ofTimer(head: Head): Promise<readonly Arrived[]> {
    const { timerId, firstPosition, position } = head;
    if (position < firstPosition) return [];
    const stretch = this.#stretch(firstPosition, position, this.#options.subjectOf(timerId));
    return this.#surely(stretch, async (reading) => {
      const arrived: Arrived[] = [];
      for await (const one of this.#entriesIn(reading, stretch)) arrived.push(one);
      this.#requireAllOf(head, arrived);
      for (const one of arrived) this.#requireLinked(one);
      return arrived;
    });
  }

  /** An entry with its links. */
  async recorded({ entry, position }: Arrived): Promise<RecordedEntry> {
    const { hashes } = this.#options.index;
    const previousHash = hashes.at(position - 1);
    const hash = hashes.at(position);
    if (previousHash !== undefined && hash !== undefined) {
      return { ...entry, position, previousHash, hash };
    }
    const [recorded] = await this.linked(position, position);
    if (recorded === undefined) throw new DifferingError(position);
    return recorded;
  }

  /**
   * The entries of some places; hashes that are not kept are computed from the last one before that is, and held against
   * the next one that is.
   */
  async linked(first: number, last: number): Promise<RecordedEntry[]> {
    const milestone = this.#milestoneUpTo(first - 1);
    const { position: sure } = this.#options.index.hashes.from(last);
    const stretch = this.#stretch(milestone.position + 1, sure, this.#options.subject);
    const chain = await this.#surely(stretch, (reading) =>
      this.#chainIn(this.#entriesIn(reading, stretch), milestone),
    );
    const recorded = chain.filter(({ position }) => position >= first && position <= last);
    const end = recorded.at(-1);
    if (end !== undefined) this.#lastRead = { position: end.position, hash: end.hash };
    return recorded;
  }

  async #chainIn(entries: AsyncIterable<Arrived>, before: Milestone): Promise<RecordedEntry[]> {
    const { hashes } = this.#options.index;
    const chain: RecordedEntry[] = [];
    let last = before;
    for await (const { entry, position } of entries) {
      if (position !== last.position + 1) throw new DifferingError(last.position + 1);
      const link = linkOf(entry, position, last.hash);
      if ((hashes.at(position) ?? link.hash) !== link.hash) throw new DifferingError(position);
      chain.push({ ...entry, ...link });
      last = link;
    }
    return chain;
  }

  #requireAllOf({ firstPosition, position, revision }: Head, arrived: readonly Arrived[]): void {
    const joint = this.#options.index.hashes.first.position;
    // The first part of a timer that begins right behind a joint may have been taken out.
    const isWhole = joint === 0 || firstPosition > joint + 1;
    const before = revision - arrived.length;
    const isAll = arrived.every(({ entry }, at) => entry.revision === before + at + 1);
    const begins = !isWhole || arrived[0]?.position === firstPosition;
    if (!isAll || !begins || (isWhole && before > 0)) throw new DifferingError(position);
  }

  /** Held against hashes only where both are kept; others are when they are linked. */
  #requireLinked({ entry, position }: Arrived): void {
    const { hashes } = this.#options.index;
    const [previousHash, hash] = [hashes.at(position - 1), hashes.at(position)];
    if (previousHash === undefined || hash === undefined) return;
    if (linkOf(entry, position, previousHash).hash !== hash) throw new DifferingError(position);
  }

  /** Reads from whichever copy is at hand, and, if that is not what was recorded, from the leader's. */
  async #surely<T>(stretch: Stretch, read: (reading: Reading) => Promise<T>): Promise<T> {
    this.#options.requireConnection();
    const { reader } = this.#options;
    const reading = await reader.messages(stretch);
    try {
      return await read(reading);
    } catch (error) {
      if (!(error instanceof JournalError) || reading.isOfLeader) throw error;
      this.#options.requireConnection();
      const result = await read(reader.messagesOfLeader(stretch));
      if (error instanceof DifferingError) this.#tellOf(reading.server, error);
      return result;
    }
  }

  #tellOf(server = 'one of its servers', err: JournalError): void {
    if (this.#differing.has(server)) return;
    this.#differing.add(server);
    this.#options.log.error(
      { err, server },
      `what NATS has at ${server} differs from what its leader has, which counts; compare the copies, and have the one ` +
        'that differs made anew',
    );
  }

  #stretch(first: number, last: number, subject: string): Stretch {
    const { index } = this.#options;
    return { first: index.sequenceOf(first), last: index.sequenceOf(last), subject };
  }

  async *#entriesIn({ messages }: Reading, { last }: Stretch): AsyncGenerator<Arrived> {
    const { index } = this.#options;
    for await (const message of messages) {
      const { seq } = message;
      const position = index.positionUpTo(seq);
      if (seq > last) throw new DifferingError(index.positionUpTo(last));
      if (!index.isVoid(seq)) yield { entry: this.#entryIn(message, position), position };
      if (seq === last) return;
    }
    throw new JournalError('NATS fell silent while entries were read');
  }

  #entryIn({ data, subject }: Message, position: number): Entry {
    const result = entrySchema.safeParse(parseJson(data));
    const isOfTimer = result.success && this.#options.subjectOf(result.data.timerId) === subject;
    if (!isOfTimer) throw new DifferingError(position);
    return result.data;
  }

  #milestoneUpTo(position: number): Milestone {
    const kept = this.#options.index.hashes.upTo(position);
    const read = this.#lastRead;
    return read !== undefined && read.position > kept.position && read.position <= position
      ? read
      : kept;
  }
}

/** The entry that the leader of the stream has at a sequence. */
export async function entryAt(
  manager: JetStreamManager,
  stream: string,
  sequence: number,
): Promise<Entry | undefined> {
  const message = await asked(() => manager.streams.getMessage(stream, { seq: sequence }));
  return message === null ? undefined : entryIn(message.data, sequence);
}

export function entryIn(data: Uint8Array, sequence: number): Entry {
  const result = entrySchema.safeParse(parseJson(data));
  if (result.success) return result.data;
  throw damaged(sequence, result.error.issues[0]?.message ?? 'unknown reason');
}

export function damaged(sequence: number, reason: string): JournalError {
  return new JournalError(
    `The journal is damaged: message ${sequence} of the stream is not readable (${reason}). ` +
      'Restore the stream from a backup.',
  );
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
