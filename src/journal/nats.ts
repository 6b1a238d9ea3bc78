/**
 * The journal of a cluster: one stream of NATS JetStream, with a subject for each timer. Every node reads
 * the one stream from its beginning and goes on listening, so all of them see all entries in one order.
 *
 * An entry is published on condition that the last message of its timer is the one it was decided on, and
 * under a name of its own, so that publishing again when the engine did not answer records it once. The
 * engine keeps both promises for messages that its copies have, not for those on their way to them, so what
 * became of an entry is not taken from its answer but from the stream: of all messages with a revision of a
 * timer the first is the entry, and the others count for nothing, on every node.
 */
import { randomUUID } from 'node:crypto';
import {
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock, Timeout } from '../clock.js';
import {
  type Commit,
  type Documents,
  type Entry,
  entrySchema,
  type Journal,
  type JournalAnswer,
  JournalError,
  type RecordedEntry,
  type ReplayBatch,
} from './journal.js';
import { connectTo, type NatsAccess, openStream, patiently, wordsOf } from './nats-connection.js';
import { NatsDocuments } from './nats-documents.js';
import { Gate } from './nats-gate.js';
import { StreamIndex } from './nats-index.js';

const REPLAY_BATCH_TIMERS = 500;
/** Messages that the engine may send ahead of those that were taken in. */
const READ_AHEAD = 1000;
/** An entry is published so often; who asked for the change waits no longer than all of this. */
const ATTEMPTS = 3;
const ATTEMPT_TIMEOUT_MS = 600;
const REQUEST_TIMEOUT_MS = 2000;
/** After so long without any sign from the engine another attempt is made to listen to it. */
const SILENCE_MS = 2000;
/** Time between attempts to listen to an engine that is not there. */
const RETRY_MS = 250;
/** So long the stream may take to bring what the engine has recorded, or has refused an entry for. */
const LONGEST_WAY_BACK_MS = 5000;
/** So many entries are published before the engine has answered; more would only wait there. */
const MOST_IN_FLIGHT = 500;
/** Ids that can be a part of a subject as they are. */
const SUBJECT_PART = /^[\w-]+$/;

export interface NatsJournalOptions {
  readonly access: NatsAccess;
  /** Name of the stream, and of what is made beside it. */
  readonly stream: string;
  /** Copies of the stream in a cluster; without it three, and one on a server that stands alone. */
  readonly replicas: number | undefined;
  readonly clock: Clock;
  /** The stream cannot be followed any more. */
  readonly onCrash: (error: Error) => void;
}

/** An entry that is on its way to the stream. There is one of each timer at a time. */
interface Proposal {
  readonly revision: number;
  readonly messageId: string;
  readonly settle: (answer: JournalAnswer) => void;
  readonly fail: (error: Error) => void;
  /** Called when a message of its timer has come. */
  heardMore: () => void;
}

interface Arrived {
  readonly entry: Entry;
  readonly position: number;
}

export class NatsJournal implements Journal {
  readonly description: string;
  readonly documents: Documents;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #clock: Clock;
  readonly #onCrash: (error: Error) => void;
  readonly #index = new StreamIndex();
  readonly #listeners = new Set<(commit: Commit) => void>();
  readonly #nodeId = randomUUID();
  readonly #gate = new Gate(MOST_IN_FLIGHT);
  readonly #proposals = new Map<string, Proposal>();
  /** By timer, settles when what was proposed last is settled. */
  readonly #lanes = new Map<string, Promise<void>>();
  /** Entries that are in the index but were not delivered yet. */
  #arrived: Entry[] = [];
  #appendsUnderWay = 0;
  #lastMessage = 0;
  #isFlushDue = false;
  #isConnected = true;
  #isClosed = false;
  #failure: Error | undefined;
  /** Who opens the journal, and waits until all up to a place has been taken in. */
  #opening:
    | {
        readonly lastSequence: number;
        readonly resolve: () => void;
        readonly reject: (error: Error) => void;
      }
    | undefined;
  #stopListening: () => void = () => {};

  private constructor(parts: {
    readonly options: NatsJournalOptions;
    readonly connection: NatsConnection;
    readonly manager: JetStreamManager;
    readonly documents: Documents;
  }) {
    const { options, connection, manager, documents } = parts;
    this.description = `nats (stream ${options.stream} at ${options.access.servers.join(', ')})`;
    this.documents = documents;
    this.#connection = connection;
    this.#client = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
    this.#manager = manager;
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#onCrash = options.onCrash;
  }

  /**
   * Connects, makes the stream if it is not there, and reads all of it.
   * @throws {JournalError} if the engine cannot be used, or the stream is no journal.
   */
  static async open(options: NatsJournalOptions): Promise<NatsJournal> {
    const { access, stream, replicas, clock } = options;
    const connection = await connectTo(access, `synchronized-timer ${stream}`);
    try {
      const manager = await jetstreamManager(connection, {
        checkAPI: false,
        timeout: REQUEST_TIMEOUT_MS,
      });
      const { state, documents } = await patiently(clock, async () => {
        const { state, config } = await openStream(manager, stream, replicas);
        const drawers = `${stream}_documents`;
        const documents = await NatsDocuments.open(manager, drawers, config.num_replicas);
        return { state, documents };
      });
      const journal = new NatsJournal({ options, connection, manager, documents });
      await journal.#catchUp(state.last_seq);
      return journal;
    } catch (error) {
      await connection.close();
      throw error instanceof JournalError
        ? error
        : new JournalError(`The journal in NATS cannot be opened: ${wordsOf(error)}`, {
            cause: error,
          });
    }
  }

  /** What is committed after its beginning is not in it, and delivered to those who subscribed before. */
  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    this.#flush();
    const upTo = this.#delivered;
    const wanted = this.#index.unfinishedAt(endedBeforeMs);
    let timersLeft = wanted.size;
    if (timersLeft === 0) return;
    const begun = new Map<string, Entry[]>();
    let whole: Entry[][] = [];
    for await (const { entry } of this.#scan(1, upTo)) {
      const revisions = wanted.get(entry.timerId);
      if (revisions === undefined) continue;
      const history = begun.get(entry.timerId) ?? [];
      history.push(entry);
      begun.set(entry.timerId, history);
      if (history.length < revisions) continue;
      begun.delete(entry.timerId);
      whole.push(history);
      if (whole.length < Math.min(REPLAY_BATCH_TIMERS, timersLeft)) continue;
      timersLeft -= whole.length;
      yield { histories: whole, timersLeft };
      whole = [];
    }
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#flush();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Each entry is a commit of its own here. Before anything is published all of them are checked, and the
   * engine must be connected; when that fails, nothing was committed. When the engine stops answering after
   * that, the append is rejected although some of its entries may be in the stream, or come into it when the
   * engine is back. No entry is lost or applied twice by that: what is in the stream is delivered like the
   * entries of other nodes.
   */
  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    const payloads = entries.map(payloadOf);
    if (this.#isClosed) throw new JournalError('The journal is closed');
    this.#requireConnection();
    this.#appendsUnderWay += 1;
    const fates = await Promise.allSettled(
      entries.map((entry, index) => this.#queue(entry, payloads[index] ?? '')),
    );
    this.#appendsUnderWay -= 1;
    this.#flush();
    return fates.map((fate) => {
      if (fate.status === 'rejected') throw fate.reason;
      return fate.value;
    });
  }

  async history(timerId: string): Promise<readonly RecordedEntry[]> {
    const { firstPosition, position } = this.#index.headOf(timerId);
    if (position === 0) return [];
    const recorded: RecordedEntry[] = [];
    for await (const arrived of this.#scan(firstPosition, position, this.#subjectOf(timerId))) {
      recorded.push(this.#recorded(arrived));
    }
    // Somebody may have gone on meanwhile; what is given must not end before what was delivered.
    if (this.#index.headOf(timerId).position > position) return this.history(timerId);
    return recorded.filter((entry) => entry.position <= this.#delivered);
  }

  async read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    const last = Math.min(afterPosition + limit, this.#delivered);
    const recorded: RecordedEntry[] = [];
    if (last <= afterPosition) return recorded;
    for await (const arrived of this.#scan(afterPosition + 1, last)) {
      recorded.push(this.#recorded(arrived));
    }
    return recorded;
  }

  /** Entries are recorded in the order of time, as far as the clocks of the nodes agree. */
  async positionBefore(epochMs: number): Promise<number> {
    let [before, after] = [0, this.#delivered + 1];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if ((await this.#entryAt(middle)).recordedAtMs < epochMs) before = middle;
      else after = middle;
    }
    return before;
  }

  async entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    const entries: Entry[] = [];
    for (const position of this.#index.ofRequests(requestIdPrefix)) {
      const entry = await this.#entryAt(position);
      if (entry.requestId?.startsWith(requestIdPrefix)) entries.push(entry);
    }
    return entries;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(this.#lanes.values());
    this.#stopListening();
    await this.#connection.close();
    this.#listeners.clear();
  }

  /** The place of the last entry that was delivered. */
  get #delivered(): number {
    return this.#index.position - this.#arrived.length;
  }

  /** Reads the stream from its beginning, and settles when all that is there by now has been taken in. */
  async #catchUp(lastSequence: number): Promise<void> {
    void this.#watchConnection();
    const isRead = new Promise<void>((resolve, reject) => {
      this.#opening = { lastSequence, resolve, reject };
      if (lastSequence === 0) resolve();
    });
    void this.#follow();
    await isRead;
    this.#opening = undefined;
  }

  /**
   * Listens to the stream, and begins again after the last entry whenever the engine falls silent: the
   * server that kept the place for us may be gone, and another one takes over.
   */
  async #follow(): Promise<void> {
    while (!this.#isClosed && this.#failure === undefined) {
      try {
        await this.#listen();
      } catch {
        await new Promise<void>((resume) => this.#clock.setTimeout(resume, RETRY_MS));
      }
    }
  }

  /** Takes in what comes after the last entry, until the engine falls silent or the journal is closed. */
  async #listen(): Promise<void> {
    const consumer = await this.#client.consumers.get(this.#stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#index.sequence + 1,
    });
    if (this.#isClosed) return;
    const messages = await consumer.consume({
      max_messages: READ_AHEAD,
      expires: SILENCE_MS,
      callback: (message) => this.#take(message),
    });
    this.#stopListening = () => messages.stop();
    await untilSilent(messages);
    messages.stop();
    consumer.delete().catch(() => false);
  }

  #take(message: JsMsg): void {
    if (this.#failure !== undefined || message.seq <= this.#index.sequence) return;
    try {
      this.#arrive(message);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#index.sequence >= (this.#opening?.lastSequence ?? 0)) this.#opening?.resolve();
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect') this.#isConnected = false;
      if (type !== 'reconnect') continue;
      this.#isConnected = true;
      this.#stopListening();
    }
  }

  #arrive(message: JsMsg): void {
    const entry = entryIn(message.data, message.seq);
    const counts = this.#index.fold(entry, message.seq);
    const proposal = this.#proposals.get(entry.timerId);
    if (counts && proposal?.revision === entry.revision) {
      const isOurs = message.headers?.get('Nats-Msg-Id') === proposal.messageId;
      proposal.settle(isOurs ? 'committed' : 'conflict');
    }
    proposal?.heardMore();
    if (!counts) return;
    this.#arrived.push(entry);
    this.#flushSoon();
  }

  /** Delivers what came in one piece from the network as one commit. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      // What an append brought is delivered together, as it was proposed.
      if (this.#appendsUnderWay === 0) this.#flush();
    });
  }

  #flush(): void {
    const entries = this.#arrived;
    if (entries.length === 0) return;
    this.#arrived = [];
    const commit = { entries, lastPosition: this.#index.position };
    for (const listener of this.#listeners) listener(commit);
  }

  /** Proposes an entry when those of its timer before it are settled. */
  #queue(entry: Entry, payload: string): Promise<JournalAnswer> {
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

  async #propose(entry: Entry, payload: string): Promise<JournalAnswer> {
    const { timerId, revision } = entry;
    if (this.#index.headOf(timerId).revision + 1 !== revision) return 'conflict';
    await this.#gate.enter();
    let late: Timeout;
    try {
      if (this.#index.headOf(timerId).revision + 1 !== revision) return 'conflict';
      this.#lastMessage += 1;
      const messageId = `${this.#nodeId}.${this.#lastMessage}`;
      return await new Promise<JournalAnswer>((settle, fail) => {
        const proposal = { revision, messageId, settle, fail, heardMore: () => {} };
        this.#proposals.set(timerId, proposal);
        this.#publish(timerId, payload, proposal).then(() => {
          if (this.#index.headOf(timerId).revision >= revision) return;
          late = this.#clock.setTimeout(() => fail(silence()), LONGEST_WAY_BACK_MS);
        }, fail);
      });
    } finally {
      this.#clock.clearTimeout(late);
      this.#proposals.delete(timerId);
      this.#gate.leave();
    }
  }

  /** Publishes an entry until the engine has taken it, or the stream has told what became of it. */
  async #publish(timerId: string, payload: string, proposal: Proposal): Promise<void> {
    for (let attempt = 1; ; ) {
      const { revision, sequence: lastSubjectSequence } = this.#index.headOf(timerId);
      if (revision >= proposal.revision) return;
      try {
        this.#requireConnection();
        await this.#client.publish(this.#subjectOf(timerId), payload, {
          msgID: proposal.messageId,
          expect: { streamName: this.#stream, lastSubjectSequence },
          timeout: ATTEMPT_TIMEOUT_MS,
        });
        return;
      } catch (error) {
        if (isWrongLastSequence(error)) {
          // What came before it may count for nothing itself, and is no conflict then.
          await this.#heardSince(lastSubjectSequence, timerId, proposal);
          continue;
        }
        attempt += 1;
        if (attempt <= ATTEMPTS && !(error instanceof JournalError)) continue;
        throw new JournalError(`NATS did not record an entry: ${wordsOf(error)}`, { cause: error });
      }
    }
  }

  /** Settles when the stream has brought a message of a timer after the one that was known as its last. */
  async #heardSince(sequence: number, timerId: string, proposal: Proposal): Promise<void> {
    if (this.#index.headOf(timerId).sequence > sequence) return;
    let late: Timeout;
    await new Promise<void>((resolve, reject) => {
      proposal.heardMore = resolve;
      late = this.#clock.setTimeout(() => reject(silence()), LONGEST_WAY_BACK_MS);
    }).finally(() => this.#clock.clearTimeout(late));
  }

  /** The entries from one place to another, of all timers or one; the last place must hold one of them. */
  async *#scan(from: number, to: number, subject = `${this.#stream}.*`): AsyncGenerator<Arrived> {
    this.#requireConnection();
    const [first, last] = [this.#index.sequenceOf(from), this.#index.sequenceOf(to)];
    const consumer = await this.#client.consumers.get(this.#stream, {
      filter_subjects: subject,
      opt_start_seq: first,
      deliver_policy: DeliverPolicy.StartSequence,
    });
    const messages = await consumer.consume({
      max_messages: Math.min(last - first + 1, READ_AHEAD),
      expires: SILENCE_MS,
    });
    untilSilent(messages).then(() => messages.stop());
    try {
      for await (const message of messages) {
        const { seq, data } = message;
        const position = this.#index.positionUpTo(seq);
        if (!this.#index.isVoid(seq)) yield { entry: entryIn(data, seq), position };
        if (seq >= last) return;
      }
    } finally {
      messages.stop();
      consumer.delete().catch(() => false);
    }
    throw new JournalError('NATS fell silent while entries were read');
  }

  async #entryAt(position: number): Promise<Entry> {
    this.#requireConnection();
    const seq = this.#index.sequenceOf(position);
    const message = await this.#manager.streams.getMessage(this.#stream, { seq });
    if (message === null) throw damaged(seq, 'it is gone');
    return entryIn(message.data, seq);
  }

  #recorded({ entry, position }: Arrived): RecordedEntry {
    return { ...entry, ...this.#index.linkAt(position) };
  }

  #subjectOf(timerId: string): string {
    const isPart = SUBJECT_PART.test(timerId);
    const part = isPart ? timerId : `=${Buffer.from(timerId).toString('base64url')}`;
    return `${this.#stream}.${part}`;
  }

  #requireConnection(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isConnected) throw new JournalError('NATS is not connected; it is tried again');
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = cause instanceof Error ? cause : new JournalError(wordsOf(cause), { cause });
    this.#failure = failure;
    for (const { fail } of this.#proposals.values()) fail(failure);
    this.#stopListening();
    if (this.#opening === undefined) this.#onCrash(failure);
    else this.#opening.reject(failure);
  }
}

/**
 * Settles when nothing came for a while, not even a sign that nothing is there, when the engine has
 * forgotten that we listen, or when we stopped.
 */
async function untilSilent(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) {
    if (type === 'heartbeats_missed' || type === 'consumer_deleted') return;
  }
}

/** @throws {JournalError} if it is nothing that could be read back. */
function payloadOf(entry: Entry): string {
  const result = entrySchema.safeParse(entry);
  if (result.success) return JSON.stringify(result.data);
  throw new JournalError(`Entry ${entry.revision} of timer ${entry.timerId} cannot be recorded`);
}

function entryIn(data: Uint8Array, sequence: number): Entry {
  const result = entrySchema.safeParse(parseJson(data));
  if (result.success) return result.data;
  throw damaged(sequence, result.error.issues[0]?.message ?? 'unknown reason');
}

/** Whether an entry was recorded cannot be found out now. */
function silence(): JournalError {
  return new JournalError('NATS does not tell what became of an entry');
}

function damaged(sequence: number, reason: string): JournalError {
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

function isWrongLastSequence(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence
  );
}
