/**
 * The journal of a cluster: one stream of NATS JetStream, with a subject for each timer. Every node begins
 * with a snapshot, if there is one, reads what comes after it in the one stream and goes on listening, so all
 * of them see all entries in one order. Now and then a node makes a snapshot for those that start later.
 *
 * What became of an entry that was published is not taken from the engine's answer but from the stream: of all
 * messages with a revision of a timer the first is the entry, and the others count for nothing, on every node,
 * because the engine keeps its promises for messages that its copies have, not for those on their way to them.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { setImmediate as othersHadTheirTurn } from 'node:timers/promises';
import {
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type { Bus } from '../bus.js';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { linkOf } from './chain.js';
import {
  type Anchor,
  BEGINNING_DOCUMENT,
  type Beginning,
  type Commit,
  DoubtError,
  type Engine,
  type Entry,
  endedAtMs,
  entrySchema,
  type Journal,
  type JournalAnswer,
  JournalError,
  type RecordedEntry,
  type ReplayBatch,
  recordsOf,
  type TimerRecord,
} from './journal.js';
import { Beginnings, type StreamBeginning } from './nats-beginning.js';
import { NatsBus } from './nats-bus.js';
import {
  asked,
  connectTo,
  type NatsAccess,
  openStream,
  patiently,
  requireWhole,
  tellOfFewCopies,
  unopened,
  untilSilent,
  wordsOf,
} from './nats-connection.js';
import { NatsDocuments } from './nats-documents.js';
import { damaged, EntryReader, entryAt, entryIn } from './nats-entries.js';
import { type Head, type IndexState, StreamIndex } from './nats-index.js';
import { InDoubtError, Publisher } from './nats-publisher.js';
import { StreamReader } from './nats-reader.js';
import { type SnapshotName, Snapshots } from './nats-snapshots.js';
import { Soundings } from './nats-soundings.js';

const REPLAY_BATCH_TIMERS = 500;
/** Messages that the engine may send ahead of those that were taken in. */
const READ_AHEAD = 1000;
/** What takes longer has failed: somebody waits for the answer. */
const REQUEST_TIMEOUT_MS = 1200;
/** After so long without any sign from the engine another attempt is made to listen to it. */
const SILENCE_MS = 2000;
/** Time between attempts to listen to an engine that is not there. */
const RETRY_MS = 250;
/** What an append brings is delivered together, unless it takes longer than this. */
const LONGEST_HOLD_MS = 100;
/** A snapshot is made when so many entries have come since the last one. */
const ENTRIES_BETWEEN_SNAPSHOTS = 50_000;
/** Nodes wait for up to this part more, so that they do not all make one at the same time. */
const SNAPSHOT_STAGGER = 0.2;
/** A node that stops makes one already when this part of the entries has come. */
const PART_AT_THE_END = 0.1;
/** Somebody waits for an answer about a timer that this node may not have heard of yet. */
const LONGEST_CATCHING_UP_MS = 1800;
/** More of them need more memory, and fewer more consumers. */
const ENTRIES_READ_TOGETHER = 10_000;
/** A purge is a deed for which nobody waits like for an answer; of many entries it takes the engine a while. */
const LONGEST_PURGE_MS = 60_000;
const NS_PER_MS = 1_000_000;
/** Ids that can be a part of a subject as they are. */
const SUBJECT_PART = /^[\w-]+$/;

export interface NatsJournalOptions {
  readonly access: NatsAccess;
  /** Name of the stream, and of what is made beside it. */
  readonly stream: string;
  /** Copies of the stream in a cluster; without it three, and one on a server that stands alone. */
  readonly replicas: number | undefined;
  /** How far the clock of this node may be off that of the engine before it records nothing. */
  readonly maxClockSkewMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Of timers that ended longer ago only the entries are of interest. */
  readonly retainFinishedMs: number;
  readonly entriesBetweenSnapshots?: number;
  /** The stream cannot be followed any more. */
  readonly onCrash: (error: Error) => void;
}

/** A message of the stream. */
interface Brought {
  readonly seq: number;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** Whether whoever leads the stream was asked for it; it may come from any copy else. */
  readonly isOfLeader: boolean;
}

export class NatsJournal implements Journal {
  readonly description: string;
  readonly documents: NatsDocuments;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #clock: Clock;
  readonly #onCrash: (error: Error) => void;
  readonly #index: StreamIndex;
  readonly #beginnings: Beginnings;
  #beginning: Beginning;
  readonly #snapshots: Snapshots;
  readonly #log: Log;
  readonly #retainFinishedMs: number;
  readonly #entriesBetweenSnapshots: number;
  #snapshotUnderWay: Promise<void> | undefined;
  #replays = 0;
  /** The place of the last snapshot that this node knows of. */
  #lastSnapshot: number;
  readonly #listeners = new Set<(commit: Commit) => void>();
  readonly #soundings: Soundings;
  readonly #publisher: Publisher;
  readonly #entries: EntryReader;
  /** Entries that are in the index but were not delivered yet. */
  #arrived: Entry[] = [];
  #appendsUnderWay = 0;
  #isFlushDue = false;
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
  #reading: Promise<void> | undefined;
  /** The server whose copy is listened to. */
  #bringer = 'a server of NATS';
  /** While the leader is asked whether a message is right. */
  #doubt: Promise<void> | undefined;
  /** Who waits until all up to a message was delivered. */
  #catchingUp: { readonly sequence: number; readonly resolve: () => void }[] = [];

  private constructor(parts: {
    readonly options: NatsJournalOptions;
    readonly connection: NatsConnection;
    readonly manager: JetStreamManager;
    readonly documents: NatsDocuments;
    readonly snapshots: Snapshots;
    readonly index: StreamIndex;
    readonly beginnings: Beginnings;
    readonly beginning: Beginning;
  }) {
    const { options, connection, manager, documents, snapshots, index } = parts;
    const { beginnings, beginning } = parts;
    const { stream, clock, maxClockSkewMs } = options;
    const nodeId = randomUUID();
    this.description = `nats (stream ${options.stream} at ${options.access.servers.join(', ')})`;
    this.documents = documents;
    this.#connection = connection;
    this.#client = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
    this.#manager = manager;
    this.#stream = options.stream;
    this.#snapshots = snapshots;
    this.#index = index;
    this.#beginnings = beginnings;
    this.#beginning = beginning;
    this.#lastSnapshot = index.position;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#retainFinishedMs = options.retainFinishedMs;
    const entries = options.entriesBetweenSnapshots ?? ENTRIES_BETWEEN_SNAPSHOTS;
    this.#entriesBetweenSnapshots = entries + randomInt(Math.ceil(entries * SNAPSHOT_STAGGER));
    this.#onCrash = options.onCrash;
    this.#soundings = new Soundings({
      connection,
      clock,
      maxClockSkewMs,
      mark: () => documents.mark(nodeId, clock.now()),
      askLeader: async () => {
        if (await this.#readNext()) this.#readOn().catch(() => {});
      },
      askQuorum: async () => silenceMs(await manager.streams.info(stream)),
    });
    this.#entries = new EntryReader({
      index,
      reader: new StreamReader({ client: this.#client, manager, stream, clock }),
      subjectOf: (timerId) => this.#subjectOf(timerId),
      subject: `${stream}.*`,
      requireConnection: () => this.#requireConnection(),
      log: options.log,
    });
    this.#publisher = new Publisher({
      client: this.#client,
      stream,
      clock,
      soundings: this.#soundings,
      headOf: (timerId) => this.#index.headOf(timerId) ?? { revision: 0, sequence: 0 },
      subjectOf: (timerId) => this.#subjectOf(timerId),
      readOn: () => this.#readOn().catch(() => {}),
    });
  }

  get bus(): Bus {
    const isConnected = (): boolean => this.#soundings.isConnected;
    return new NatsBus(this.#connection, `${this.#stream}_nodes`, isConnected);
  }

  get engine(): Engine {
    return this.#soundings;
  }

  /**
   * Connects, makes the stream if it is not there, and reads what is in it after the last snapshot.
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
      const { info, infos, ...beside } = await patiently(clock, async () => {
        const info = await openStream(manager, stream, replicas);
        const copies = info.config.num_replicas;
        const documents = await NatsDocuments.open(manager, `${stream}_documents`, copies, options);
        const snapshots = await Snapshots.open(manager, `${stream}_snapshots`, copies, clock);
        const buckets = [`KV_${stream}_documents`, `OBJ_${stream}_snapshots`];
        const infos = await Promise.all(buckets.map((name) => manager.streams.info(name)));
        return { info, infos, documents, snapshots };
      });
      tellOfFewCopies([info, ...infos], replicas, options.log);
      const beginnings = new Beginnings(beside.documents, beside.snapshots);
      const { beginning, state } = await beginnings.read();
      requireWhole(info, state.sequence);
      const lookUp = (sequence: number) => entryAt(manager, stream, sequence);
      const index = await lastIndex(beside.snapshots, state, lookUp, options.log);
      const parts = { options, connection, manager, index, beginnings, beginning, ...beside };
      const journal = new NatsJournal(parts);
      await beside.documents.follow(BEGINNING_DOCUMENT.drawer, () => {
        void journal.#hearOfBeginning();
      });
      await Promise.all([journal.#catchUp(info.state.last_seq), journal.#soundings.start()]);
      return journal;
    } catch (error) {
      await connection.close();
      throw unopened(error);
    }
  }

  /** What is committed after its beginning is not in it, and delivered to those who subscribed before. */
  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    this.#flush();
    // Of timers that ended before, entries may have been taken out.
    const sinceMs = Math.max(endedBeforeMs, this.#beginning.endedBeforeMs);
    const wanted = this.#index.unfinishedAt(sinceMs);
    this.#replays += 1;
    try {
      for (let first = 0; first < wanted.length; first += REPLAY_BATCH_TIMERS) {
        const records: TimerRecord[] = [];
        const batch = wanted.slice(first, first + REPLAY_BATCH_TIMERS);
        for (const head of batch) records.push(head.record ?? (await this.#recordOf(head)));
        yield { records, timersLeft: wanted.length - first - batch.length };
        await othersHadTheirTurn();
      }
    } finally {
      this.#replays -= 1;
    }
    this.#snapshotIfDue();
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#flush();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Each entry is a commit of its own here. Before anything is published all of them are checked, and the
   * engine must have shown that it records; when that fails, nothing was committed.
   */
  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    const payloads = entries.map(payloadOf);
    this.#requireOpen();
    await this.#soundings.require();
    this.#appendsUnderWay += 1;
    const late = this.#clock.setTimeout(() => this.#flush(), LONGEST_HOLD_MS);
    const fates = await Promise.allSettled(
      entries.map((entry, index) => this.#publisher.propose(entry, payloads[index] ?? '')),
    );
    this.#clock.clearTimeout(late);
    this.#appendsUnderWay -= 1;
    this.#flush();
    return answersIn(entries, fates);
  }

  /** A leader that lost its quorum answers for a while as if there were nothing newer, so the engine must record. */
  async caughtUp(): Promise<void> {
    await Promise.all([this.#soundings.requireSign(), this.#heardAll()]);
  }

  /**
   * Settles when all that the stream has by now was delivered here.
   * @throws {JournalError} if that cannot be found out, or takes too long.
   */
  async #heardAll(): Promise<void> {
    const giveUpMs = this.#clock.preciseMs() + LONGEST_CATCHING_UP_MS;
    const { state } = await asked(() => this.#manager.streams.info(this.#stream));
    const sequence = state.last_seq;
    if (this.#hasDelivered(sequence)) return;
    await new Promise<void>((resolve, reject) => {
      const late = this.#clock.setTimeout(
        () => reject(new JournalError('NATS is slow to bring what is recorded')),
        giveUpMs - this.#clock.preciseMs(),
      );
      this.#catchingUp.push({
        sequence,
        resolve: () => {
          this.#clock.clearTimeout(late);
          resolve();
        },
      });
      this.#readOn().catch(() => {});
    });
  }

  async history(timerId: string): Promise<readonly RecordedEntry[]> {
    const head = this.#index.headOf(timerId);
    if (head === undefined) return [];
    const arrived = await this.#entries.ofTimer(head);
    const recorded: RecordedEntry[] = [];
    for (const one of arrived) recorded.push(await this.#entries.recorded(one));
    // Somebody may have gone on meanwhile; what is given must not end before what was delivered.
    if (this.#index.revisionOf(timerId) > head.revision) return this.history(timerId);
    return recorded.filter((entry) => entry.position <= this.#delivered);
  }

  async read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    const before = Math.max(afterPosition, this.#beginning.position);
    const last = Math.min(before + limit, this.#delivered);
    return last <= before ? [] : this.#entries.linked(before + 1, last);
  }

  /** Entries are recorded in the order of time, as far as the clocks of the nodes agree. */
  async positionBefore(epochMs: number): Promise<number> {
    let [before, after] = [this.#beginning.position, this.#delivered + 1];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if ((await this.#wholeEntryAt(middle)).recordedAtMs < epochMs) before = middle;
      else after = middle;
    }
    return before;
  }

  /** Another node may have been asked the same, and its entries be on their way to this one. */
  async entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    await this.#heardAll();
    const entries: Entry[] = [];
    for (const position of this.#index.ofRequests(requestIdPrefix)) {
      const entry = await this.#wholeEntryAt(position);
      if (entry.requestId?.startsWith(requestIdPrefix)) entries.push(entry);
    }
    return entries;
  }

  /** Another node may have taken something out just now. */
  async beginning(): Promise<Beginning> {
    const begun = await this.#beginnings.readAfter(this.#beginning.position);
    if (begun !== undefined) this.#beginAt(begun);
    return this.#beginning;
  }

  async firstUnfinished(epochMs: number): Promise<Anchor | undefined> {
    return this.#index.firstUnfinished(epochMs);
  }

  /**
   * It is put down before it is done: who is stopped in between leaves entries that nobody reads any more, which the
   * next one takes out with its own. So once it is put down it is done, whatever comes of the purge.
   */
  async takeOut(upTo: Beginning): Promise<void> {
    this.#requireConnection();
    await this.#requirePurgeable();
    const sequence = this.#index.sequenceOf(upTo.position);
    const heads = await this.#headsAt(sequence, upTo.position);
    const state = this.#index.beginningAt(sequence, upTo, heads);
    await this.#putDown({ beginning: upTo, state });
    this.#beginAt({ beginning: upTo, state });
    await this.#purgeUpTo(sequence, upTo.position);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#publisher.settled();
    this.#snapshotIfDue(this.#entriesBetweenSnapshots * PART_AT_THE_END);
    await this.#snapshotUnderWay;
    this.#soundings.stop();
    this.#stopListening();
    this.documents.close();
    await this.#connection.close();
    this.#listeners.clear();
  }

  /** The place of the last entry that was delivered. */
  get #delivered(): number {
    return this.#index.position - this.#arrived.length;
  }

  #hasDelivered(sequence: number): boolean {
    return this.#index.sequence >= sequence && this.#arrived.length === 0;
  }

  #tellCaughtUp(): void {
    const all = this.#catchingUp;
    if (all.length === 0) return;
    this.#catchingUp = all.filter(({ sequence }) => !this.#hasDelivered(sequence));
    for (const { sequence, resolve } of all) if (this.#hasDelivered(sequence)) resolve();
  }

  /** Reads the stream from its beginning, and settles when all that is there by now has been taken in. */
  async #catchUp(lastSequence: number): Promise<void> {
    void this.#watchConnection();
    const isRead = new Promise<void>((resolve, reject) => {
      this.#opening = { lastSequence, resolve, reject };
      if (lastSequence <= this.#index.sequence) resolve();
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
      await this.#doubt;
      try {
        await this.#listen();
      } catch {
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resume) => this.#clock.setTimeout(resume, RETRY_MS));
  }

  /** Takes in what comes after the last entry, until the engine falls silent or the journal is closed. */
  async #listen(): Promise<void> {
    const consumer = await this.#readingOn(
      this.#client.consumers.get(this.#stream, {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#index.sequence + 1,
      }),
    );
    if (this.#isClosed) return;
    this.#bringer = (await consumer.info(true)).cluster?.leader ?? 'a server of NATS';
    const messages = await consumer.consume({
      max_messages: READ_AHEAD,
      expires: SILENCE_MS,
      callback: ({ seq, data, headers }) => this.#take({ seq, data, headers, isOfLeader: false }),
    });
    this.#stopListening = () => messages.stop();
    await untilSilent(messages);
    messages.stop();
    consumer.delete().catch(() => false);
  }

  /** Waits for something, and asks for what comes meanwhile. */
  async #readingOn<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    const readOn = async (): Promise<void> => {
      for (await this.#pause(); !isDone; await this.#pause()) {
        await this.#readOn().catch(() => {});
      }
    };
    void readOn();
    return done;
  }

  /**
   * Asks whoever leads the stream for what comes next, until nothing does, or it comes without being asked for. Nobody
   * brings it when the server that did is gone, and has another do it only when the cluster, too, has elected a leader.
   */
  #readOn(): Promise<void> {
    const read = async (): Promise<void> => {
      while (await this.#readNext());
    };
    this.#reading ??= read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Gives whether there was a next message that had to be asked for. */
  async #readNext(): Promise<boolean> {
    const seq = this.#index.sequence + 1;
    const message = await this.#manager.streams.getMessage(this.#stream, { seq });
    if (message === null || this.#index.sequence >= seq || this.#isClosed) return false;
    this.#take({ seq, data: message.data, headers: message.header, isOfLeader: true });
    return this.#failure === undefined;
  }

  #take(message: Brought): void {
    const isInDoubt = this.#doubt !== undefined && !message.isOfLeader;
    if (this.#failure !== undefined || message.seq <= this.#index.sequence || isInDoubt) return;
    try {
      this.#arrive(message);
    } catch (error) {
      if (message.isOfLeader) this.#fail(error);
      else this.#askLeaderInstead(error);
    }
    this.#tellCaughtUp();
    if (this.#index.sequence >= (this.#opening?.lastSequence ?? 0)) this.#opening?.resolve();
  }

  /** What one copy has may differ from the others for good, and is no damage unless whoever leads the stream has it too. */
  #askLeaderInstead(error: unknown): void {
    this.#stopListening();
    const asking = async (): Promise<void> => {
      const { sequence } = this.#index;
      try {
        await this.#readNext();
        if (this.#index.sequence === sequence) this.#fail(error);
        else
          this.#log.error(
            { err: error },
            `${this.#bringer} has another message than the leader of the stream, which counts`,
          );
      } catch {
        // Who listens anew meets the same message, and asks again.
        await this.#pause();
      }
    };
    this.#doubt ??= asking().finally(() => {
      this.#doubt = undefined;
    });
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type !== 'reconnect') continue;
      this.#stopListening();
      this.documents.listenAnew();
    }
  }

  #arrive(message: Brought): void {
    const entry = entryIn(message.data, message.seq);
    const counts = this.#index.fold(entry, message.seq);
    this.#publisher.heard(entry, counts, message.headers?.get('Nats-Msg-Id'));
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
    this.#tellCaughtUp();
    this.#snapshotIfDue();
  }

  /** Takes in where the journal begins by now, as soon as this node has heard of all before it and can read it. */
  async #hearOfBeginning(): Promise<void> {
    while (!this.#isClosed && this.#failure === undefined) {
      try {
        const begun = await this.#beginnings.readAfter(this.#beginning.position);
        if (begun === undefined || this.#beginAt(begun)) return;
      } catch (err) {
        if (!this.#isClosed) this.#log.warn({ err }, 'a new beginning cannot be read; once more');
      }
      await this.#pause();
    }
  }

  /** Takes in that something was taken out, here or by another node, unless this node has not heard of all of it. */
  #beginAt({ beginning, state }: StreamBeginning): boolean {
    if (state.sequence > this.#index.sequence) return false;
    if (beginning.position <= this.#beginning.position) return true;
    this.#beginning = beginning;
    this.#index.takeOut(state);
    return true;
  }

  async #requirePurgeable(): Promise<void> {
    const { config } = await asked(() => this.#manager.streams.info(this.#stream));
    if (!config.deny_purge) return;
    throw new JournalError(
      `The stream ${this.#stream} was made so that nothing can be taken out of it. ` +
        'Only a copy of it in a stream without deny_purge could be shortened.',
    );
  }

  /** An answer that is lost is no failure: what counts is what is put down. */
  async #putDown(begun: StreamBeginning): Promise<void> {
    try {
      await this.#beginnings.write(begun);
    } catch (error) {
      const { beginning } = await this.#beginnings.read();
      if (beginning.position !== begun.beginning.position) throw error;
    }
  }

  async #purgeUpTo(sequence: number, position: number): Promise<void> {
    const options = { checkAPI: false, timeout: LONGEST_PURGE_MS };
    try {
      const patient = await jetstreamManager(this.#connection, options);
      await asked(() => patient.streams.purge(this.#stream, { seq: sequence + 1 }));
      await this.#snapshots.forgetBeginnings(position);
    } catch (err) {
      this.#log.warn(
        { err, sequence },
        'entries that were taken out may still be in the stream, where nobody reads them; the next compaction purges them',
      );
    }
  }

  /**
   * The timers with entries on both sides of a joint as they were there; what comes after it is read from there on.
   * They are read together: a consumer for each of thousands would keep the engine busy for longer than it is asked for.
   */
  async #headsAt(sequence: number, position: number): Promise<Head[]> {
    const astride = this.#index.astride(sequence);
    const wanted = new Set(astride.map(({ timerId }) => timerId));
    if (wanted.size === 0) return [];
    const heads = new Map<string, Head>();
    // Some have nothing between where the stream begins by now and the joint.
    for (const head of (await this.#beginnings.read()).state.heads) {
      const firstPosition = position + 1;
      if (wanted.has(head.timerId)) heads.set(head.timerId, { ...head, firstPosition });
    }
    const first = astride.reduce((least, head) => Math.min(least, head.firstPosition), position);
    for (let from = first; from <= position; from += ENTRIES_READ_TOGETHER) {
      const last = Math.min(from + ENTRIES_READ_TOGETHER - 1, position);
      for (const entry of await this.#entries.linked(from, last)) {
        if (wanted.has(entry.timerId)) heads.set(entry.timerId, this.#headBehind(entry, position));
      }
    }
    return [...heads.values()];
  }

  #headBehind(entry: RecordedEntry, joint: number): Head {
    const { timerId, revision, position } = entry;
    const sequence = this.#index.sequenceOf(position);
    const place = { firstPosition: joint + 1, position, sequence };
    return { timerId, revision, ...place, endedAtMs: endedAtMs(entry), record: null };
  }

  /** Makes a snapshot if enough has come since the last one, and nothing more urgent is under way. */
  #snapshotIfDue(entries = this.#entriesBetweenSnapshots): void {
    const isDue = this.#index.position - this.#lastSnapshot >= entries;
    const isBusy =
      this.#opening !== undefined || this.#replays > 0 || this.#snapshotUnderWay !== undefined;
    if (!isDue || isBusy || !this.#soundings.isConnected || this.#failure !== undefined) return;
    this.#snapshotUnderWay = this.#makeSnapshot(entries)
      .catch((err: unknown) => {
        if (!this.#isClosed) this.#log.warn({ err }, 'a snapshot could not be made; later again');
        this.#lastSnapshot = this.#index.position;
      })
      .finally(() => {
        this.#snapshotUnderWay = undefined;
      });
  }

  async #makeSnapshot(entries: number): Promise<void> {
    const [others] = await this.#snapshots.list();
    if (others !== undefined && this.#index.position - others.position < entries) {
      this.#lastSnapshot = others.position;
      return;
    }
    this.#index.forgetRecords(this.#clock.now() - this.#retainFinishedMs);
    const state = this.#index.capture();
    this.#lastSnapshot = this.#index.position;
    await this.#snapshots.write(state);
  }

  async #recordOf(head: Head): Promise<TimerRecord> {
    const history = (await this.#entries.ofTimer(head)).map(({ entry }) => entry);
    const [record] = recordsOf([history]);
    if (record === undefined) throw damaged(head.sequence, 'it is gone');
    return record;
  }

  async #wholeEntryAt(position: number): Promise<Entry> {
    this.#requireConnection();
    const sequence = this.#index.sequenceOf(position);
    const entry = await entryAt(this.#manager, this.#stream, sequence);
    if (entry === undefined) throw damaged(sequence, 'it is gone');
    return entry;
  }

  #subjectOf(timerId: string): string {
    const isPart = SUBJECT_PART.test(timerId);
    const part = isPart ? timerId : `=${Buffer.from(timerId).toString('base64url')}`;
    return `${this.#stream}.${part}`;
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new JournalError('The journal is closed');
    if (this.#failure !== undefined) throw this.#failure;
  }

  #requireConnection(): void {
    this.#requireOpen();
    if (!this.#soundings.isConnected) throw new JournalError('NATS is not connected');
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = cause instanceof Error ? cause : new JournalError(wordsOf(cause), { cause });
    this.#failure = failure;
    this.#publisher.fail(failure);
    this.#stopListening();
    if (this.#opening === undefined) this.#onCrash(failure);
    else this.#opening.reject(failure);
  }
}

/**
 * What is known of the stream from the last snapshot that can be used, or from where it begins. A snapshot is
 * of use only if the entry at its place is in the stream and has the hash that it says.
 */
async function lastIndex(
  snapshots: Snapshots,
  beginning: IndexState,
  lookUp: (sequence: number) => Promise<Entry | undefined>,
  log: Log,
): Promise<StreamIndex> {
  for (const snapshot of await listed(snapshots, log)) {
    try {
      const state = await snapshots.read(snapshot);
      if (state.sequence < beginning.sequence) break;
      const index = new StreamIndex(state);
      const { position, hash } = index.hashes.last;
      const previousHash = index.hashes.at(position - 1);
      const entry = await lookUp(index.sequenceOf(position));
      const isOfStream =
        entry !== undefined &&
        previousHash !== undefined &&
        linkOf(entry, position, previousHash).hash === hash;
      if (!isOfStream) throw new JournalError('it does not fit the stream');
      index.takeOut(beginning);
      log.info({ position }, `the log is read from entry ${position + 1}, after a snapshot`);
      return index;
    } catch (err) {
      const { name } = snapshot;
      snapshots.reject(snapshot);
      log.warn({ err, snapshot: name }, 'a snapshot cannot be used; more of the log is read');
    }
  }
  return new StreamIndex(beginning);
}

async function listed(snapshots: Snapshots, log: Log): Promise<readonly SnapshotName[]> {
  try {
    return await snapshots.list();
  } catch (err) {
    log.warn({ err }, 'snapshots cannot be listed; the whole log is read');
    return [];
  }
}

/** How long ago the leader of a stream has heard from so many as make a quorum with it. */
function silenceMs({ cluster }: StreamInfo): number {
  const others = cluster?.replicas ?? [];
  const silences = others.map(({ active }) => active / NS_PER_MS).sort((a, b) => a - b);
  const needed = Math.floor((others.length + 1) / 2);
  return needed === 0 ? 0 : (silences[needed - 1] ?? Number.POSITIVE_INFINITY);
}

/**
 * What became of each entry.
 * @throws {DoubtError} if that is not known of some.
 * @throws {JournalError} if some were not recorded; those that were have been delivered.
 */
function answersIn(
  entries: readonly Entry[],
  fates: readonly PromiseSettledResult<JournalAnswer>[],
): JournalAnswer[] {
  const doubts = fates.flatMap((fate, index) => {
    const entry = entries[index];
    const isInDoubt = fate.status === 'rejected' && fate.reason instanceof InDoubtError;
    return isInDoubt && entry !== undefined ? [{ entry, reason: wordsOf(fate.reason) }] : [];
  });
  const [first] = doubts;
  if (first !== undefined) {
    const inDoubt = doubts.map(({ entry }) => entry);
    throw new DoubtError(first.reason, inDoubt);
  }
  return fates.map((fate) => {
    if (fate.status === 'rejected') throw fate.reason;
    return fate.value;
  });
}

/** @throws {JournalError} if it is nothing that could be read back. */
function payloadOf(entry: Entry): string {
  const result = entrySchema.safeParse(entry);
  if (result.success) return JSON.stringify(result.data);
  throw new JournalError(`Entry ${entry.revision} of timer ${entry.timerId} cannot be recorded`);
}
