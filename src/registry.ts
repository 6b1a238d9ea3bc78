/**
 * The registry's public face: what routes and displays may ask of it. Behind it are the registry actor
 * and the journal actor; nothing outside this file sends them events.
 */
import {
  type ActorRefFrom,
  createActor,
  type InspectionEvent,
  type Observer,
  type Subscription,
} from 'xstate';
import type { Action, Command, Refusal } from '../machines/command.js';
import type { Outcome } from '../machines/desk.js';
import type { Author, Cause, Entry, Reason, TimerDefinition } from '../machines/entry.js';
import { noticesOf } from '../machines/notices.js';
import { stateOf, type TimerRecord, type TimerState } from '../machines/record.js';
import { type RegistryNotice, registryMachine } from '../machines/registry.machine.js';
import type { shardMachine } from '../machines/shard.machine.js';
import type { DisplayCounts, Notice, Warning } from '../machines/timer.machine.js';
import type { Clock } from './clock.js';
import { sortableId } from './ids.js';
import { journalActor } from './journal/actor.js';
import { type Journal, JournalError, type RecordedEntry } from './journal/journal.js';
import type { Log } from './log.js';

export type {
  Action,
  Author,
  Cause,
  Command,
  DisplayCounts,
  Entry,
  Notice,
  Reason,
  RecordedEntry,
  Refusal,
  TimerDefinition,
  TimerRecord,
  TimerState,
  Warning,
};

/** A recovery that takes longer than this says how far it is, and again each time this has passed. */
const PROGRESS_INTERVAL_MS = 1000;

/** A timer as it is at one instant. */
export interface TimerStatus {
  readonly record: TimerRecord;
  readonly state: TimerState;
  readonly connectedClients: number;
  /** The instant, in epoch ms. */
  readonly atMs: number;
}

export type CommandResult =
  /** `timer` is the timer right after the change, `undefined` when it is gone. */
  | { readonly ok: true; readonly timer: TimerStatus | undefined }
  | { readonly ok: false; readonly refusal: Refusal };

/** Why a timer cannot be shown. */
export type Absence = Extract<
  Refusal,
  {
    reason:
      | 'unknown_timer'
      | 'timer_restarting'
      | 'recovering'
      | 'shutting_down'
      | 'journal_unavailable';
  }
>;

export type LookUp =
  | { readonly ok: true; readonly timer: TimerStatus }
  | { readonly ok: false; readonly refusal: Absence };

/** One party that follows what a timer tells, through restarts of its actor. */
export interface Following {
  /** Says how many displays this party serves, which decides whether the timer ticks. */
  count(counts: DisplayCounts): void;
  end(): void;
}

/** One entry that was committed, and what its timer is called and whose it is. */
export interface Change {
  readonly entry: Entry;
  /** Its place in the journal. */
  readonly position: number;
  /** The timer right after it; `undefined` for a timer that is down. */
  readonly record: TimerRecord | undefined;
  readonly name: string;
  readonly ownerId: string;
}

/** One party that is told of all timers. */
export interface Watcher {
  /** Entries were committed and applied; they come in the order of their commit. */
  changed(changes: readonly Change[]): void;
  /** A timer is to be looked up anew for another reason: it left memory, or came back into it. */
  touched(timerId: string, ownerId: string): void;
  /** The running clock of a timer passed a threshold, which is told before whatever came after it. */
  warned?(warning: Warning): void;
}

export type CommandType = Command['type'];
/** What became of a command: it was done, or why it was refused. */
export type CommandOutcome = 'done' | Refusal['reason'];

/** Hears how the registry fares. */
export interface RegistryMeasures {
  command(command: CommandType, outcome: CommandOutcome): void;
  append(elapsedMs: number, isDone: boolean): void;
}

const UNMEASURED: RegistryMeasures = { command: () => {}, append: () => {} };

export type Phase = 'recovering' | 'serving' | 'draining' | 'stopped';

export interface RegistryOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly log: Log;
  readonly maxTimers: number;
  /** Unfinished timers of one credential; 0 is no limit. */
  readonly maxTimersPerOwner: number;
  readonly retainFinishedMs: number;
  readonly measures?: RegistryMeasures;
  /** How many displays of other nodes follow a timer. */
  readonly connectedElsewhere?: (timerId: string) => number;
  /** How many other nodes are to record the end of a timer before this one. */
  readonly rankOf?: (timerId: string) => number;
  readonly inspect?: Observer<InspectionEvent> | undefined;
  /** The registry itself failed, which it never should: nothing works any more. */
  readonly onFailure: (error: unknown) => void;
  /** Another supervision of timers than the usual one, for tests of failure. */
  readonly shardLogic?: typeof shardMachine;
}

interface Followed {
  readonly listener: (notice: Notice) => void;
  /** The last revision that was told. */
  toldRevision: number;
  counts: DisplayCounts;
  subscription: Subscription | undefined;
}

export class Registry {
  readonly #actor: ActorRefFrom<typeof registryMachine>;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #measures: RegistryMeasures;
  readonly #connectedElsewhere: (timerId: string) => number;
  readonly #watchers = new Set<Watcher>();
  readonly #followed = new Map<string, Followed>();
  /** The time that the last id begins with: no two begin with the same, so that their order is strict. */
  #lastIdMs = 0;
  readonly #onFailure: (error: unknown) => void;
  #hasServed = false;
  /** Settles when commands are taken; rejects when the journal cannot be read. */
  readonly recovered: Promise<void>;

  constructor(options: RegistryOptions) {
    const { clock, journal, log, inspect, shardLogic } = options;
    const { maxTimers, maxTimersPerOwner, retainFinishedMs, measures = UNMEASURED } = options;
    this.#clock = clock;
    this.#journal = journal;
    this.#log = log;
    this.#measures = measures;
    this.#connectedElsewhere = options.connectedElsewhere ?? (() => 0);
    const logic = registryMachine.provide({
      actors: {
        journal: journalActor({
          journal,
          endedBeforeMs: clock.now() - retainFinishedMs,
          onProgress: progressLogger(clock, log),
          clock,
          onAppend: (elapsedMs, isDone) => measures.append(elapsedMs, isDone),
        }),
      },
    });
    this.#actor = createActor(logic, {
      clock,
      ...(inspect === undefined ? {} : { inspect }),
      input: {
        clock,
        maxTimers,
        maxTimersPerOwner,
        retainFinishedMs,
        rankOf: options.rankOf,
        onWarning: (warning) => {
          for (const watcher of this.#watchers) watcher.warned?.(warning);
        },
        inspect,
        ...(shardLogic === undefined ? {} : { shardLogic }),
      },
    });
    this.#actor.on('*', (notice) => this.#hear(notice));
    this.#onFailure = options.onFailure;
    this.#actor.subscribe({ error: options.onFailure });
    this.recovered = this.#untilServing();
    this.#actor.start();
  }

  get phase(): Phase {
    const snapshot = this.#actor.getSnapshot();
    if (snapshot.matches('RECOVERING')) return 'recovering';
    if (snapshot.matches('SERVING')) return 'serving';
    if (snapshot.matches('DRAINING')) return 'draining';
    return 'stopped';
  }

  /** Timers that are neither expired nor completed. */
  get unfinishedTimers(): number {
    return this.#directory.unfinished;
  }

  /** Timers in memory that are in a state. */
  timersIn(state: TimerState): number {
    return this.#directory.inState(state);
  }

  /** Whether every command taken so far has been settled. */
  get isIdle(): boolean {
    return this.#actor.getSnapshot().context.desk.isClear;
  }

  /** An id for another timer. */
  newTimerId(): string {
    this.#lastIdMs = Math.max(this.#clock.now(), this.#lastIdMs + 1);
    return sortableId('timer', this.#lastIdMs);
  }

  create(
    definition: TimerDefinition,
    cause: Cause,
    timerId = this.newTimerId(),
  ): Promise<CommandResult> {
    return this.execute({ type: 'create', timerId, definition }, cause);
  }

  /** Carries out one command; settles when it is durable and applied, or refused. */
  execute(command: Command, cause: Cause): Promise<CommandResult> {
    return new Promise((resolve) => {
      this.#send([command], cause, (_, outcome) => resolve(this.#resultOf(command, outcome)));
    });
  }

  /** Carries out commands that share one instant (T7); the results are in the order of the commands. */
  executeAll(commands: readonly Command[], cause: Cause): Promise<CommandResult[]> {
    if (commands.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const results = new Map<number, CommandResult>();
      this.#send(commands, cause, (index, outcome) => {
        const command = commands[index];
        if (command !== undefined) results.set(index, this.#resultOf(command, outcome));
        if (results.size < commands.length) return;
        resolve([...results].sort(([a], [b]) => a - b).map(([, result]) => result));
      });
    });
  }

  /** Why nothing can be asked of the service at all, if that is so. */
  get absence(): Absence | undefined {
    if (this.phase === 'recovering') return { reason: 'recovering' };
    return this.phase === 'stopped' ? { reason: 'shutting_down' } : undefined;
  }

  lookUp(timerId: string): LookUp {
    const { absence } = this;
    if (absence !== undefined) return { ok: false, refusal: absence };
    const timer = this.#status(timerId);
    if (timer !== undefined) return { ok: true, timer };
    const reason = this.#directory.isDown(timerId) ? 'timer_restarting' : 'unknown_timer';
    return { ok: false, refusal: { reason } };
  }

  /**
   * Finds out whether timers that are unknown here are so everywhere, as another node may just have created them, and
   * gives how to look them up from then on: where it could not be found out, none of them is called unknown.
   */
  async hear(timerIds: readonly string[]): Promise<(timerId: string) => LookUp> {
    const lookUp = (timerId: string): LookUp => this.lookUp(timerId);
    if (!timerIds.some((timerId) => isUnknown(lookUp(timerId)))) return lookUp;
    try {
      await this.#journal.caughtUp?.();
      return lookUp;
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      const unheard: LookUp = { ok: false, refusal: { reason: 'journal_unavailable' } };
      return (timerId) => (isUnknown(lookUp(timerId)) ? unheard : lookUp(timerId));
    }
  }

  /** Timers in the order of their creation, after the given id, in one state or all. */
  *list(after: string, state: TimerState | undefined): Generator<TimerStatus> {
    for (const timerId of this.#directory.sortedIds) {
      if (timerId <= after) continue;
      const timer = this.#status(timerId);
      if (timer !== undefined && (state === undefined || timer.state === state)) yield timer;
    }
  }

  /** Follows a timer, which must be there. One party at a time follows each timer. */
  follow(timerId: string, listener: (notice: Notice) => void): Following {
    const toldRevision = this.#directory.snapshotOf(timerId)?.context.record.revision ?? 0;
    const followed: Followed = {
      listener: (notice) => {
        followed.toldRevision = notice.record.revision;
        listener(notice);
      },
      toldRevision,
      counts: { connected: 0, ticking: 0 },
      subscription: undefined,
    };
    this.#followed.set(timerId, followed);
    this.#attach(timerId, followed);
    return {
      count: (counts) => {
        followed.counts = counts;
        if (this.phase !== 'stopped')
          this.#directory.get(timerId)?.send({ type: 'displays', counts });
      },
      end: () => {
        followed.subscription?.unsubscribe();
        if (this.#followed.get(timerId) === followed) this.#followed.delete(timerId);
      },
    };
  }

  /** Watches all timers until the function it gives is called. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Every entry of a timer, oldest first, as far as they are recorded; rejects if they cannot be read. */
  history(timerId: string): Promise<readonly RecordedEntry[]> {
    return this.#journal.history(timerId);
  }

  /** Entries that a request left, found by how its id begins; rejects if they cannot be read. */
  entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    return this.#journal.entriesOfRequest(requestIdPrefix);
  }

  /** Takes no more commands, and settles when every one that was taken is. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#actor.subscribe({ complete: resolve, error: () => resolve() });
      this.#actor.send({ type: 'drain' });
    });
  }

  get #directory() {
    return this.#actor.getSnapshot().context.directory;
  }

  #send(
    commands: readonly Command[],
    cause: Cause,
    onSettled: (index: number, outcome: Outcome) => void,
  ): void {
    const settle = (index: number, outcome: Outcome): void => {
      const type = commands[index]?.type;
      if (type !== undefined) {
        this.#measures.command(type, outcome.ok ? 'done' : outcome.refusal.reason);
      }
      onSettled(index, outcome);
    };
    if (this.phase === 'stopped') {
      commands.forEach((_, index) => {
        settle(index, { ok: false, refusal: { reason: 'shutting_down' } });
      });
      return;
    }
    this.#actor.send({ type: 'commands', commands, cause, settle });
  }

  #resultOf(command: Command, outcome: Outcome): CommandResult {
    return outcome.ok ? { ok: true, timer: this.#status(command.timerId) } : outcome;
  }

  #status(timerId: string): TimerStatus | undefined {
    const snapshot = this.#directory.snapshotOf(timerId);
    if (snapshot === undefined || snapshot.status !== 'active') return undefined;
    const { record, displays } = snapshot.context;
    return {
      record,
      state: stateOf(record),
      connectedClients: displays.connected + this.#connectedElsewhere(timerId),
      atMs: this.#clock.now(),
    };
  }

  #attach(timerId: string, followed: Followed): void {
    const timer = this.#directory.get(timerId);
    followed.subscription?.unsubscribe();
    followed.subscription = timer?.on('*', followed.listener);
    timer?.send({ type: 'displays', counts: followed.counts });
  }

  /** What a timer failed over, and what came while it was down, its actor has told nobody. */
  #tellMissed({ listener, toldRevision }: Followed, history: readonly Entry[]): void {
    for (const notice of noticesOf(history, toldRevision, Number.POSITIVE_INFINITY)) {
      listener(notice);
    }
  }

  #hear(notice: RegistryNotice): void {
    switch (notice.type) {
      case 'timer.failed':
        this.#log.error({ timer: notice.timerId, err: notice.error }, 'a timer failed');
        break;
      case 'timer.restarted': {
        this.#log.info({ timer: notice.timerId }, 'a timer was restarted from the journal');
        const followed = this.#followed.get(notice.timerId);
        if (followed !== undefined) {
          this.#attach(notice.timerId, followed);
          this.#tellMissed(followed, notice.history);
        }
        for (const watcher of this.#watchers) watcher.touched(notice.timerId, notice.ownerId);
        break;
      }
      case 'timer.removed':
        for (const watcher of this.#watchers) watcher.touched(notice.timerId, notice.ownerId);
        break;
      case 'entries.committed':
        this.#tellWatchers(notice.entries, notice.lastPosition);
        break;
      case 'append.failed':
        this.#log.error(
          { entries: notice.entries, err: notice.error },
          'the journal could not record changes; they were refused',
        );
        break;
      case 'journal.broken':
        if (this.#hasServed) this.#onFailure(notice.error);
        break;
    }
  }

  /** Costs nothing while nobody watches; what does not depend on the watcher is done once for all. */
  #tellWatchers(entries: readonly Entry[], lastPosition: number): void {
    if (this.#watchers.size === 0) return;
    const beforeFirst = lastPosition - entries.length;
    const changes = entries.map((entry, index) => ({
      entry,
      position: beforeFirst + index + 1,
      ...this.#about(entry),
    }));
    for (const watcher of this.#watchers) watcher.changed(changes);
  }

  /** A timer that was just deleted is still known; of one that is down there is nothing to tell. */
  #about({ type, data, timerId, revision, by }: Entry): Omit<Change, 'entry' | 'position'> {
    const known = this.#directory.snapshotOf(timerId)?.context.record;
    const record = known?.revision === revision ? known : undefined;
    if (type === 'created') return { record, name: data.name, ownerId: by.credential };
    return { record, name: known?.name ?? '', ownerId: known?.ownerId ?? '' };
  }

  #untilServing(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#actor.on('journal.broken', ({ error }) => reject(error));
      const serving = this.#actor.subscribe({
        next: (snapshot) => {
          if (!snapshot.matches('SERVING')) return;
          serving.unsubscribe();
          this.#hasServed = true;
          resolve();
        },
        error: reject,
      });
    });
  }
}

function isUnknown(found: LookUp): boolean {
  return !found.ok && found.refusal.reason === 'unknown_timer';
}

function progressLogger(clock: Clock, log: Log): (timersRead: number, timersLeft: number) => void {
  let lastMs = clock.now();
  return (timersRead, timersLeft) => {
    if (clock.now() - lastMs < PROGRESS_INTERVAL_MS) return;
    lastMs = clock.now();
    const percent = Math.floor((100 * timersRead) / (timersRead + timersLeft));
    log.info({ timersRead, timersLeft }, `recovering: ${percent}% of the timers`);
  };
}
