/**
 * The directory: every timer in memory, the shards that supervise them, and which ones are down.
 * Part of the registry; changed in place, because copying an index of 100,000 timers for each command
 * would cost more than the command.
 */
import { type AnyActorRef, createActor, type InspectionEvent, type Observer } from 'xstate';
import { TimerCensus } from './census.js';
import type { MachineClock } from './clock.js';
import type { Refusal, TimerSnapshot } from './command.js';
import type { End } from './end-queue.js';
import { ANONYMOUS, type Entry } from './entry.js';
import { FinishedTimers } from './finished.js';
import {
  createRecord,
  ImpossibleEntryError,
  stateOf,
  type TimerRecord,
  type TimerState,
} from './record.js';
import type { ShardRef, shardMachine, TimerRef } from './shard.machine.js';
import { spread } from './spread.js';
import type { Warning } from './timer.machine.js';

/** More shards make spawning and stopping timers cheaper; each costs about 4 KB. */
const SHARD_COUNT = 1024;
const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 30_000;
/** So many timers that are due at once are not kept waiting for the others of their instant. */
const FULL_DUE_BATCH = 1000;

export interface DirectorySettings {
  /** Timers in memory; finished ones make room for new ones, those of the same owner first. */
  readonly maxTimers: number;
  /** Timers of one owner that have not ended; 0 is no limit. Those of nobody in particular are not counted. */
  readonly maxTimersPerOwner: number;
  /** How long a finished timer stays in memory. */
  readonly retainFinishedMs: number;
  /** Called with every warning of every timer. */
  readonly onWarning: (warning: Warning) => void;
}

export interface DirectoryOptions extends DirectorySettings {
  readonly clock: MachineClock;
  readonly registry: AnyActorRef;
  readonly shardLogic: typeof shardMachine;
  readonly inspect?: Observer<InspectionEvent> | undefined;
}

export class TimerDirectory {
  readonly #options: DirectoryOptions;
  readonly #clock: MachineClock;
  #isStopped = false;
  /** Started when their first timer comes. */
  readonly #shards = new Map<number, ShardRef>();
  readonly #timers = new Map<string, TimerRef>();
  /** Kept until a timer comes or goes: to sort 100,000 for each page of a list takes 10 ms. */
  #sortedIds: readonly string[] | undefined;
  readonly #finished = new FinishedTimers();
  readonly #census = new TimerCensus();
  /** How often each failing timer failed since it last applied an entry. */
  readonly #failures = new Map<string, number>();
  /** Entries that came for timers while they were down, which the history they come back with may not have yet. */
  readonly #missed = new Map<string, Entry[]>();
  /** Timers whose time is up, gathered so that a large exam that ends is a few events and not thousands. */
  #due: string[] = [];

  constructor(options: DirectoryOptions) {
    this.#options = options;
    const { clock } = options;
    this.#clock = {
      now: () => clock.now(),
      setTimeout: (callback, delayMs) =>
        this.#isStopped ? undefined : clock.setTimeout(callback, delayMs),
      clearTimeout: (timeout) => clock.clearTimeout(timeout),
    };
  }

  /** Timers that are neither expired nor completed. */
  get unfinished(): number {
    return this.#timers.size - this.#finished.size;
  }

  /** Timers in memory that are in a state. */
  inState(state: TimerState): number {
    return this.#census.inState(state);
  }

  get(timerId: string): TimerRef | undefined {
    return this.#timers.get(timerId);
  }

  snapshotOf(timerId: string): TimerSnapshot | undefined {
    return this.#timers.get(timerId)?.getSnapshot();
  }

  isRunning(timerId: string): boolean {
    const record = this.snapshotOf(timerId)?.context.record;
    return record !== undefined && stateOf(record) === 'RUNNING';
  }

  /** The ids of all timers, oldest first: ids begin with the time of their creation. */
  get sortedIds(): readonly string[] {
    this.#sortedIds ??= [...this.#timers.keys()].sort();
    return this.#sortedIds;
  }

  /** Whether a timer failed and is waiting to be restarted (T11). */
  isDown(timerId: string): boolean {
    return this.#failures.has(timerId) && !this.#timers.has(timerId);
  }

  /** Why `coming` timers, of which some are of one owner, find no room even in the place of finished ones. */
  lackOfRoom(coming: number, ownerId: string, comingOfOwner: number): Refusal | undefined {
    const { maxTimers, maxTimersPerOwner } = this.#options;
    if (this.unfinished + coming > maxTimers) {
      return { reason: 'too_many_timers', limit: maxTimers, of: 'service' };
    }
    if (maxTimersPerOwner === 0 || ownerId === ANONYMOUS) return undefined;
    const ofOwner = this.#census.unfinishedOf(ownerId) + comingOfOwner;
    if (ofOwner <= maxTimersPerOwner) return undefined;
    return { reason: 'too_many_timers', limit: maxTimersPerOwner, of: 'credential' };
  }

  /** When the timer that finished first leaves memory, in epoch ms; `undefined` when none has finished. */
  get nextRetirementMs(): number | undefined {
    const end = this.#finished.first;
    return end === undefined ? undefined : end.atMs + this.#options.retainFinishedMs;
  }

  /** Retires the timers that were kept long enough. */
  retireOutdated(): void {
    const endedBeforeMs = this.#clock.now() - this.#options.retainFinishedMs;
    for (;;) {
      const end = this.#finished.first;
      if (end === undefined || end.atMs > endedBeforeMs) return;
      this.#retire(end.timerId);
    }
  }

  /** Lets those finished timers go, the longest finished first, that a recovery has found no room for. */
  retireSurplus(): void {
    this.#retireDownTo(this.#options.maxTimers, () => this.#finished.first);
  }

  /** Spawns the actor of a timer in the state its record says. */
  spawn(record: TimerRecord): void {
    const shard = this.#shardOf(record.id);
    const onDue = this.#noteDue;
    const { onWarning } = this.#options;
    const input = { record, clock: this.#clock, onDue, onWarning };
    const slot = shard.getSnapshot().context.slots.take(record.id);
    shard.send({ type: 'spawn', slot, input });
    const timer = shard.getSnapshot().children[slot];
    if (timer === undefined) return;
    this.#timers.set(record.id, timer);
    this.#sortedIds = undefined;
    this.#note(record);
  }

  /**
   * Applies a committed entry to its timer; an entry the timer has already seen changes nothing.
   * False when the timer is down, or went down over this entry: its restart will apply it.
   */
  apply(entry: Entry): boolean {
    const isApplied = !this.isDown(entry.timerId) && this.#applyToTimer(entry);
    if (!isApplied) this.#noteMissed(entry);
    return isApplied;
  }

  /** Brings a timer back that was down, and gives the entries it has missed and applied now. */
  restart(record: TimerRecord): Entry[] {
    this.spawn(record);
    const missed = this.#missed.get(record.id) ?? [];
    const applied = missed.filter((entry) => this.apply(entry));
    if (applied.length === missed.length) this.#missed.delete(record.id);
    return applied;
  }

  /** Forgets a timer that was deleted or has left memory. */
  remove(timerId: string): void {
    this.#drop(timerId);
    this.#missed.delete(timerId);
    this.#failures.delete(timerId);
  }

  /** Notes that a timer failed, and gives the time to wait before its restart, in ms. */
  fail(timerId: string): number {
    this.#drop(timerId);
    const failures = this.#failures.get(timerId) ?? 0;
    this.#failures.set(timerId, failures + 1);
    if (failures === 0) return 0;
    return Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  }

  /** Drops a shard that failed, and gives the ids of the timers that went down with it. */
  dropShard(index: number): string[] {
    this.#shards.delete(index);
    return [...this.#timers.keys()].filter((timerId) => spread(timerId, SHARD_COUNT) === index);
  }

  /**
   * Silences every timer: what is pending fires once more at the most, into nothing, and no timeout is
   * set again. The actors are left as they are, because stopping 100,000 of them takes long.
   */
  stop(): void {
    this.#isStopped = true;
  }

  readonly #noteDue = (timerId: string): void => {
    this.#due.push(timerId);
    if (this.#due.length === 1) this.#clock.setTimeout(() => this.#tellDue(), 0);
    if (this.#due.length >= FULL_DUE_BATCH) this.#tellDue();
  };

  #tellDue(): void {
    const timerIds = this.#due;
    this.#due = [];
    if (timerIds.length === 0 || this.#isStopped) return;
    this.#options.registry.send({ type: 'timers.due', timerIds });
  }

  /** Retires one finished timer after the other until so many timers are left, or none has finished. */
  #retireDownTo(timers: number, next: () => End | undefined): void {
    while (this.#timers.size > timers) {
      const end = next();
      if (end === undefined) return;
      this.#retire(end.timerId);
    }
  }

  #makeRoomFor(ownerId: string): void {
    this.#retireDownTo(this.#options.maxTimers - 1, () =>
      this.#finished.firstToMakeRoomFor(ownerId),
    );
  }

  #drop(timerId: string): void {
    this.#timers.delete(timerId);
    this.#sortedIds = undefined;
    this.#finished.delete(timerId);
    this.#census.forget(timerId);
  }

  #retire(timerId: string): void {
    const timer = this.#timers.get(timerId);
    this.remove(timerId);
    timer?.send({ type: 'retire' });
  }

  #applyToTimer(entry: Entry): boolean {
    const timer = this.#timers.get(entry.timerId);
    if (timer === undefined) {
      if (entry.type === 'created') {
        const record = createRecord(entry);
        this.#makeRoomFor(record.ownerId);
        this.spawn(record);
      }
      return true;
    }
    if (entry.revision <= timer.getSnapshot().context.record.revision) return true;
    timer.send(entry);
    const { status, context } = timer.getSnapshot();
    if (status === 'error') return false;
    if (context.record.revision !== entry.revision) {
      const error = new ImpossibleEntryError(entry, `refused in ${stateOf(context.record)}`);
      this.#shardOf(entry.timerId).send({ type: 'condemn', actorId: timer.id, error });
      return false;
    }
    this.#note(context.record);
    this.#failures.delete(entry.timerId);
    return true;
  }

  #noteMissed(entry: Entry): void {
    const missed = this.#missed.get(entry.timerId) ?? [];
    if (!missed.includes(entry)) this.#missed.set(entry.timerId, [...missed, entry]);
  }

  #shardOf(timerId: string): ShardRef {
    const index = spread(timerId, SHARD_COUNT);
    const shard = this.#shards.get(index) ?? this.#startShard(index);
    this.#shards.set(index, shard);
    return shard;
  }

  #startShard(index: number): ShardRef {
    const { registry, shardLogic, inspect } = this.#options;
    const shard = createActor(shardLogic, {
      clock: this.#clock,
      input: { registry, namesTimers: inspect !== undefined },
      ...(inspect === undefined ? {} : { inspect }),
    });
    shard.subscribe({ error: (error) => registry.send({ type: 'shard.failed', index, error }) });
    return shard.start();
  }

  #note(record: TimerRecord): void {
    this.#census.count(record);
    if (record.completedAtMs === null) return;
    const { id: timerId, ownerId, completedAtMs: atMs } = record;
    this.#finished.add({ timerId, ownerId, atMs });
  }
}
