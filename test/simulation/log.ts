/**
 * A log that several nodes share, as a cluster has one: every node sees the one order of commits, but each at
 * moments of its own, some of it twice. Answers are late and get lost, and a node may be cut off.
 */
import { BY_ITSELF, endedAtMs } from '../../machines/entry.js';
import type { Clock } from '../../src/clock.js';
import { linkOf, NO_HASH } from '../../src/journal/chain.js';
import type { Documents } from '../../src/journal/documents.js';
import {
  type Beginning,
  type Commit,
  DoubtError,
  type Engine,
  type Entry,
  type Journal,
  type JournalAnswer,
  JournalError,
  type RecordedEntry,
  type ReplayBatch,
  recordsOf,
  type TimerRecord,
  VERY_BEGINNING,
} from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { type IndexState, StreamIndex } from '../../src/journal/nats-index.js';
import { linesOfSnapshot, readSnapshot } from '../../src/journal/nats-snapshot.js';
import { must } from './model.js';
import type { Random } from './random.js';

const COMMITS_PER_LOSS = 5;
const EARLY_MS = 20;
const ANSWER_TIMEOUT_MS = 2000;
const ENTRIES_BETWEEN_SNAPSHOTS = 5;
const LONGEST_STRAY_MS = 30_000;
const LONGEST_OVERLAP_MS = 80;
const NOT_REACHED = 'the log cannot be reached';
const NOT_ANSWERED = 'the log did not answer';
const CLOCK_IS_OFF = 'the clock of this node is off';
export const LOG_FAILURES = [NOT_REACHED, NOT_ANSWERED, CLOCK_IS_OFF] as const;
const REPLAY_BATCH_TIMERS = 2;
const LONGEST_READING_MS = 300;
const LONGEST_COMMIT = 5;
const LONGEST_REPEAT = 4;

/** Faults that a test puts into the log, to see that the simulation finds them. */
export type Bug =
  | 'revision off by one'
  | 'lost entry'
  | 'early expiry'
  | 'clock ahead'
  | 'change told twice'
  | 'stale snapshot';

export interface NodeClock extends Clock {
  /** Whether it lets its node record. */
  readonly isRight: boolean;
}

export interface LogOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly bug?: Bug | undefined;
  /** Called at the moment an entry is committed, which its node knows as `recordedMs`, before anybody hears of it. */
  readonly onCommit: (entry: Entry, recordedMs: number) => void;
  readonly onConflict: (entry: Entry) => void;
  /** Called when the answer to an append gets lost, whose entries were committed. */
  readonly onLostAnswer: () => void;
  /** What a node knows of the log from a snapshot does not fit it. */
  readonly onDamaged: (error: unknown) => void;
}

interface Message {
  readonly entry: Entry;
  /** Whether it is an entry, or came too late to be one. */
  readonly counts: boolean;
  /** The place of the last entry up to it. */
  readonly position: number;
}

export class SimulatedLog {
  readonly clock: Clock;
  readonly random: Random;
  readonly documents: Documents = new MemoryJournal().documents;
  /** In the order of their commit; the entry at position 1 is at index 0. */
  readonly entries: Entry[] = [];
  /** All that the log was given that may have been an entry, of which some came too late to be one. */
  readonly messages: Message[] = [];
  /** The last one that was written: of those before it nobody reads any, and together they would be large. */
  snapshot: { readonly position: number; readonly state: IndexState } | undefined;
  readonly #histories = new Map<string, Entry[]>();
  readonly #connections = new Set<NodeJournal>();
  #commits = 0;
  readonly bug: Bug | undefined;
  readonly #onCommit: (entry: Entry, recordedMs: number) => void;
  readonly #onConflict: (entry: Entry) => void;
  readonly onLostAnswer: () => void;
  readonly onDamaged: (error: unknown) => void;

  constructor({ clock, random, bug, onCommit, onConflict, onLostAnswer, onDamaged }: LogOptions) {
    this.clock = clock;
    this.random = random;
    this.bug = bug;
    this.#onCommit = onCommit;
    this.#onConflict = onConflict;
    this.onLostAnswer = onLostAnswer;
    this.onDamaged = onDamaged;
  }

  /** The log as a node sees it that starts now. */
  connect(node: NodeClock): NodeJournal {
    const connection = new NodeJournal(this, node);
    this.#connections.add(connection);
    return connection;
  }

  disconnect(connection: NodeJournal): void {
    this.#connections.delete(connection);
  }

  timerIds(): string[] {
    return [...this.#histories.keys()];
  }

  historyOf(timerId: string): readonly Entry[] {
    return [...(this.#histories.get(timerId) ?? [])];
  }

  commit(entries: readonly Entry[], recorder: NodeClock): JournalAnswer[] {
    const answers = entries.map((entry) => this.#commitOne({ ...entry }, recorder));
    for (const connection of this.#connections) connection.hurry();
    return answers;
  }

  /** How long something takes on its way: mostly little, now and then long. */
  delayMs(): number {
    return this.random.chance(0.05) ? this.random.between(50, 1500) : this.random.between(0, 20);
  }

  #isToBeLost(): boolean {
    this.#commits += 1;
    return this.#commits % COMMITS_PER_LOSS === 0;
  }

  #commitOne(entry: Entry, recorder: NodeClock): JournalAnswer {
    const history = this.#histories.get(entry.timerId) ?? [];
    const isNext = entry.revision === history.length + 1;
    const passesByMistake =
      this.bug === 'revision off by one' && history.length > 0 && entry.revision === history.length;
    if (!isNext && !passesByMistake) {
      this.#keep(entry, false);
      this.#onConflict(entry);
      return 'conflict';
    }
    if (this.bug === 'lost entry' && this.#isToBeLost()) return 'committed';
    if (this.bug === 'early expiry') {
      for (const connection of this.#connections) connection.expireEarly(entry);
    }
    history.push(entry);
    this.#histories.set(entry.timerId, history);
    this.entries.push(entry);
    this.#keep(entry, true);
    this.#onCommit(entry, recorder.now());
    return 'committed';
  }

  #keep(entry: Entry, counts: boolean): void {
    this.messages.push({ entry, counts, position: this.entries.length });
  }
}

/** One node's connection to the log, from the start of the node to its crash. */
export class NodeJournal implements Journal {
  readonly description = 'a simulated log';
  readonly engine: Engine = { isElsewhere: true, lacks: [], clockOffset: undefined };
  readonly documents: Documents;
  readonly #log: SimulatedLog;
  readonly #clock: NodeClock;
  /** The highest revision of each timer that the node has been given. */
  readonly givenRevisions = new Map<string, number>();
  /** The same, only of what the node was given as whole histories. */
  readonly readRevisions = new Map<string, number>();
  #index = new StreamIndex();
  #listener: ((commit: Commit) => void) | undefined;
  #firstPosition = 1;
  #nextPosition = 1;
  #isDelivering = false;
  #isCutOff = false;
  #isGone = false;
  /** So many of the next answers to appends get lost on their way. */
  answersToLose = 0;
  /** Since when the log takes and answers all that the node appends, unless it is cut off. */
  reachedSinceMs: number;
  #untilHealed: (() => void)[] = [];

  constructor(log: SimulatedLog, clock: NodeClock) {
    this.#log = log;
    this.#clock = clock;
    this.documents = log.documents;
    this.reachedSinceMs = log.clock.now();
  }

  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Whether the node has been given all there is. */
  get isCaughtUp(): boolean {
    return this.#nextPosition > this.#log.entries.length;
  }

  cutOff(): void {
    this.#isCutOff = true;
  }

  heal(): void {
    if (this.#isCutOff) this.reachedSinceMs = this.#log.clock.now();
    this.#isCutOff = false;
    for (const resume of this.#untilHealed.splice(0)) resume();
    this.hurry();
  }

  /** The node crashed: it is never answered again, and hears nothing more. */
  abandon(): void {
    this.#isGone = true;
    this.#log.disconnect(this);
  }

  async caughtUp(): Promise<void> {
    await this.#travel();
    if (this.#isCutOff) return this.#fail(new JournalError(NOT_REACHED));
    const { length } = this.#log.entries;
    const giveUpMs = this.#log.clock.now() + ANSWER_TIMEOUT_MS;
    while (this.#nextPosition <= length) {
      if (this.#log.clock.now() > giveUpMs) throw new JournalError(NOT_ANSWERED);
      await this.#travel();
    }
  }

  /** By a snapshot and what came after it, or from the histories of all timers. */
  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    await this.#travel();
    const hasSnapshots = this.#log.random.chance(0.7);
    const batches = hasSnapshots
      ? this.#readIndex(endedBeforeMs)
      : this.#readHistories(endedBeforeMs);
    for await (const records of batches) {
      yield { records, timersLeft: 0 };
      await this.#wait(this.#log.random.between(0, LONGEST_READING_MS));
      await this.#reconnected();
    }
  }

  async *#readHistories(endedBeforeMs: number): AsyncGenerator<readonly TimerRecord[]> {
    const timerIds = this.#log.timerIds();
    while (timerIds.length > 0) {
      const histories = timerIds
        .splice(0, REPLAY_BATCH_TIMERS)
        .map((timerId) => this.#log.historyOf(timerId))
        .filter((history) => isWanted(history, endedBeforeMs));
      await this.#wait(this.#log.random.between(0, LONGEST_READING_MS));
      for (const history of histories) this.#noteRead(history);
      yield recordsOf(histories);
    }
  }

  async *#readIndex(endedBeforeMs: number): AsyncGenerator<readonly TimerRecord[]> {
    const { snapshot } = this.#log;
    if (snapshot !== undefined)
      this.#index = new StreamIndex(await readSnapshot(piecesOf(linesOfSnapshot(snapshot.state))));
    this.#foldUpTo(this.#log.entries.length);
    // What the node must know by that is said by the log, and not by the index that is to be tested.
    for (const timerId of this.#log.timerIds()) {
      const history = this.#log.historyOf(timerId);
      if (isWanted(history, endedBeforeMs)) this.#noteRead(history);
    }
    yield this.#index.unfinishedAt(endedBeforeMs).flatMap(({ record }) => record ?? []);
  }

  /** What was delivered is in the index, of which a snapshot is made now and then. */
  #foldUpTo(position: number): void {
    const isStale = this.#log.bug === 'stale snapshot';
    let headsBefore = isStale ? this.#index.capture().heads : [];
    for (const message of this.#log.messages.slice(this.#index.sequence)) {
      if (message.position > position) break;
      if (isStale && message.counts) headsBefore = this.#index.capture().heads;
      this.#fold(message);
    }
    const lastPosition = this.#log.snapshot?.position ?? 0;
    if (this.#index.position < lastPosition + ENTRIES_BETWEEN_SNAPSHOTS) return;
    const state = this.#index.capture();
    const written = isStale ? { ...state, heads: headsBefore } : state;
    this.#log.snapshot = { position: this.#index.position, state: written };
  }

  #fold({ entry: { type, timerId, revision }, entry, counts }: Message): void {
    const isTaken = this.#index.fold(entry, this.#index.sequence + 1);
    const what = `${type} of ${timerId}, revision ${revision}, which came too late`;
    must('T5', isTaken === counts, () => `a node counts wrongly for an entry or not: ${what}`);
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#listener = listener;
    this.#firstPosition = this.#log.entries.length + 1;
    this.#nextPosition = this.#firstPosition;
    return () => {
      this.#listener = undefined;
    };
  }

  /** What is refused while the node is cut off was not committed; what is answered too late was. */
  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    if (!this.#clock.isRight && this.#log.bug !== 'clock ahead')
      throw new JournalError(CLOCK_IS_OFF);
    await this.#travel();
    if (this.#isCutOff) return this.#fail(new JournalError(NOT_REACHED));
    const isToBeLost = this.answersToLose > 0;
    if (isToBeLost) {
      this.answersToLose -= 1;
      this.reachedSinceMs = this.#log.clock.now();
    }
    if (isToBeLost && this.#log.random.chance(0.5)) return this.#failAndArriveLater(entries);
    const answers = this.#log.commit(entries, this.#clock);
    await this.#travel();
    if (!isToBeLost && !this.#isCutOff) return answers;
    this.#log.onLostAnswer();
    return this.#fail(new DoubtError(NOT_ANSWERED, entries));
  }

  /** Nobody knows yet, but what is appended comes into the log a while after, or never. */
  async #failAndArriveLater(entries: readonly Entry[]): Promise<never> {
    const { random, clock } = this.#log;
    this.#log.onLostAnswer();
    const silenceMs = random.between(0, ANSWER_TIMEOUT_MS);
    // Most dangerous is what arrives just when it is asked for again.
    const delayMs = random.pick([
      Number.POSITIVE_INFINITY,
      random.between(0, LONGEST_STRAY_MS),
      silenceMs + random.between(0, LONGEST_OVERLAP_MS),
    ]);
    clock.setTimeout(() => this.#log.commit(entries, this.#clock), delayMs);
    await this.#wait(silenceMs);
    throw new DoubtError(NOT_ANSWERED, entries);
  }

  async history(timerId: string): Promise<readonly RecordedEntry[]> {
    await this.#travel();
    if (this.#isCutOff) return this.#fail(new JournalError(NOT_REACHED));
    const history = this.#log.historyOf(timerId);
    await this.#wait(this.#log.random.between(0, LONGEST_READING_MS));
    // Who reads a history may only want to answer by it: what it tells ahead of the log is not given to the timer.
    this.#noteReadRevisions(history);
    return history.map((entry, index) => ({ ...entry, ...linkOf(entry, index + 1, NO_HASH) }));
  }

  async read(): Promise<readonly RecordedEntry[]> {
    return [];
  }

  async positionBefore(): Promise<number> {
    return 0;
  }

  async entriesOfRequest(prefix: string): Promise<readonly Entry[]> {
    await this.#travel();
    if (this.#isCutOff) return this.#fail(new JournalError(NOT_REACHED));
    const known = this.#log.entries.slice(0, this.#nextPosition - 1);
    return known.filter(({ requestId }) => requestId?.startsWith(prefix));
  }

  async beginning(): Promise<Beginning> {
    return VERY_BEGINNING;
  }

  async firstUnfinished(): Promise<undefined> {
    return undefined;
  }

  async takeOut(): Promise<void> {
    throw new Error('nothing is taken out of a simulated log');
  }

  async close(): Promise<void> {
    this.abandon();
  }

  /** Has the node record the end of a timer a moment before its deadline, unless something else happens to it. */
  expireEarly(entry: Entry): void {
    if (entry.type !== 'created' || !entry.data.autoStart) return;
    const { timerId, data, atMs } = entry;
    const endMs = atMs + data.durationMs;
    const clock = this.#clock;
    clock.setTimeout(
      () => {
        const when = { atMs: endMs, recordedAtMs: clock.now() };
        const end = {
          ...BY_ITSELF,
          ...when,
          timerId,
          revision: 2,
          type: 'expired',
          data: {},
        } as const;
        this.#log.commit([end], clock);
      },
      endMs - EARLY_MS - clock.now(),
    );
  }

  /** There is something to deliver, or may be. */
  hurry(): void {
    if (this.#isDelivering || this.#isCutOff || this.#isGone || this.isCaughtUp) return;
    this.#isDelivering = true;
    this.#log.clock.setTimeout(() => {
      this.#isDelivering = false;
      if (this.#isCutOff || this.#isGone) return;
      this.#deliverSome();
      this.hurry();
    }, this.#log.delayMs());
  }

  #deliverSome(): void {
    const { random, entries } = this.#log;
    const last = Math.min(entries.length, this.#nextPosition + random.between(0, LONGEST_COMMIT));
    const isRepeated = random.chance(0.1);
    const first = isRepeated
      ? Math.max(this.#firstPosition, this.#nextPosition - random.between(1, LONGEST_REPEAT))
      : this.#nextPosition;
    this.#nextPosition = last + 1;
    this.#deliver(first, last);
    if (random.chance(0.1)) this.#deliver(first, last);
  }

  #deliver(first: number, last: number): void {
    try {
      this.#foldUpTo(last);
    } catch (error) {
      this.#log.onDamaged(error);
    }
    const entries = this.#log.entries.slice(first - 1, last);
    this.#note(entries);
    this.#listener?.({ entries, lastPosition: last });
  }

  #noteRead(history: readonly Entry[]): void {
    this.#noteReadRevisions(history);
    this.#note(history);
  }

  #noteReadRevisions(history: readonly Entry[]): void {
    for (const { timerId, revision } of history) this.readRevisions.set(timerId, revision);
  }

  #note(entries: readonly Entry[]): void {
    for (const { timerId, revision } of entries) {
      const before = this.givenRevisions.get(timerId) ?? 0;
      this.givenRevisions.set(timerId, Math.max(before, revision));
    }
  }

  /** Something is on its way to the node or to the log; it never arrives if the node crashed meanwhile. */
  #travel(): Promise<void> {
    return this.#wait(this.#log.delayMs());
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#log.clock.setTimeout(() => {
        if (!this.#isGone) resolve();
      }, delayMs);
    });
  }

  async #reconnected(): Promise<void> {
    if (this.#isCutOff) await new Promise<void>((resolve) => this.#untilHealed.push(resolve));
  }

  async #fail(error: Error): Promise<never> {
    await this.#wait(this.#log.random.between(0, ANSWER_TIMEOUT_MS));
    throw error;
  }
}

async function* piecesOf(lines: Iterable<string>): AsyncGenerator<string> {
  yield* lines;
}

function isWanted(history: readonly Entry[], endedBeforeMs: number): boolean {
  const last = history.at(-1);
  const endMs = last === undefined ? 0 : endedAtMs(last);
  return endMs === null || endMs > endedBeforeMs;
}
