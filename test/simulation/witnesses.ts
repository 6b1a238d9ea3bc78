/** Those who listen to a node of the simulation, and hold what they are told against the model. */
import type { Entry } from '../../src/journal/journal.js';
import type { Notice, TimerStatus, Warning } from '../../src/registry.js';
import { leftAt, type Model, must } from './model.js';

const SECOND_MS = 1000;
/** A clock that runs too fast skips a millisecond now and then, and what is due in it comes in the next. */
const LONGEST_SKIP_MS = 1;

/** A display of one timer on one node. */
export class DisplayWitness {
  readonly #timerId: string;
  readonly #model: Model;
  readonly #wantsTicks: boolean;
  readonly #clock: { readonly isRight: boolean };
  #lastRevision = 0;
  #lastTick: { readonly revision: number; readonly leftMs: number } | undefined;
  isOver = false;

  constructor(
    timerId: string,
    model: Model,
    wantsTicks: boolean,
    clock: { readonly isRight: boolean },
  ) {
    this.#clock = clock;
    this.#timerId = timerId;
    this.#model = model;
    this.#wantsTicks = wantsTicks;
  }

  heard({ type, record, atMs }: Notice): void {
    const { revision } = record;
    const what = `${type} of ${this.#timerId} at revision ${revision}`;
    const counted = this.#model.at(this.#timerId, revision);
    must('T3', counted !== undefined, () => `${what} is told before it is committed`);
    if (counted === undefined) return;
    const leftMs = leftAt(counted, atMs);
    if (type === 'timer_tick') this.#ticked(what, revision, leftMs);
    else if (type === 'timer_warning') this.#warned(what, revision, leftMs);
    else if (type === 'timer_retired') this.isOver = true;
    else this.#changed(what, revision, type);
  }

  /** What failed ticks no more, and the change over which it did is told when it is back. */
  timerFailed(): void {
    this.#lastTick = undefined;
  }

  /** The first tick since a change may be late, with the warning that was passed before the change came. */
  #ticked(what: string, revision: number, leftMs: number): void {
    const lastMs = this.#lastTickOf(revision);
    const saidMs = Math.ceil(leftMs / SECOND_MS) * SECOND_MS;
    this.#lastTick = { revision, leftMs: saidMs };
    // A node whose clock is wrong says so itself, and hears of ends by others' clocks.
    if (lastMs === undefined || !this.#clock.isRight) return;
    const isDue = this.#wantsTicks ? saidMs === lastMs - SECOND_MS : saidMs < lastMs;
    const isExact = saidMs - leftMs <= LONGEST_SKIP_MS;
    must('T9', isExact && isDue, () => `${what} says ${leftMs} ms after ${lastMs}`);
  }

  #warned(what: string, revision: number, leftMs: number): void {
    const lastMs = this.#lastTickOf(revision) ?? Number.POSITIVE_INFINITY;
    must('T9', leftMs < lastMs, () => `${what} comes after the tick of its second`);
  }

  #changed(what: string, revision: number, type: Notice['type']): void {
    must('T3', revision > this.#lastRevision, () => `${what} is told after ${this.#lastRevision}`);
    this.#lastRevision = revision;
    this.isOver = type === 'timer_deleted';
    if (type !== 'timer_expired' || !this.#clock.isRight) return;
    const lastMs = this.#lastTickOf(revision - 1) ?? 0;
    must('T9', lastMs === 0, () => `${what} comes after a tick at ${lastMs} ms`);
  }

  #lastTickOf(revision: number): number | undefined {
    return this.#lastTick?.revision === revision ? this.#lastTick.leftMs : undefined;
  }
}

/** The warnings of one timer since its last entry. */
interface Warned {
  readonly revision: number;
  readonly thresholdsMs: readonly number[];
}

/** Whoever hears all warnings of a node. */
export class WarningWitness {
  readonly #model: Model;
  readonly #clock: { now(): number };
  readonly #warned = new Map<string, Warned>();
  /** The last entry of each timer that the node applied, and since when it counts; none if the timer came back since. */
  readonly #heard = new Map<string, { readonly revision: number; readonly sinceMs: number }>();

  constructor(model: Model, clock: { now(): number }) {
    this.#model = model;
    this.#clock = clock;
  }

  /** What was passed before the node knew of the timer, nobody could follow there. */
  heard({ timerId, revision, type, atMs }: Entry): void {
    const sinceMs = type === 'created' ? this.#clock.now() : atMs;
    this.#heard.set(timerId, { revision, sinceMs });
  }

  /** The timer left memory or came back, and may have missed the passing of a threshold. */
  lost(timerId: string): void {
    this.#heard.delete(timerId);
  }

  warned({ record: { id, revision }, thresholdMs }: Warning): void {
    const what = `a warning at ${thresholdMs} ms of ${id}`;
    const counted = this.#model.at(id, revision);
    must('T3', counted !== undefined, () => `${what} is told before its timer is committed`);
    if (counted === undefined) return;
    must('T8', counted.thresholdsMs.includes(thresholdMs), () => `${what} is none of its own`);
    // A change of a node whose clock is ahead is told with what it ends.
    const nextMs = this.#model.at(id, revision + 1)?.atMs ?? 0;
    const leftMs = leftAt(counted, Math.max(this.#clock.now(), nextMs));
    must('T8', leftMs <= thresholdMs, () => `${what} comes at ${leftMs} ms`);
    const before = this.#thresholdsWarned(id, revision);
    const lastMs = before.at(-1) ?? Number.POSITIVE_INFINITY;
    must('T8', thresholdMs < lastMs, () => `${what} comes after the one at ${lastMs} ms`);
    this.#warned.set(id, { revision, thresholdsMs: [...before, thresholdMs] });
  }

  /** Every threshold that was passed since the last entry has been warned of. */
  check({ record: { id, revision }, atMs }: TimerStatus): void {
    const heard = this.#heard.get(id);
    const counted = this.#model.at(id, revision);
    if (heard?.revision !== revision || counted === undefined || counted.sinceMs === null) return;
    const [sinceMs, toMs] = [leftAt(counted, heard.sinceMs), leftAt(counted, atMs)];
    // A node whose clock is behind hears of a start before it.
    const fromMs = Math.min(sinceMs, counted.durationMs);
    const warned = this.#thresholdsWarned(id, revision);
    for (const thresholdMs of counted.thresholdsMs) {
      const isPassed = thresholdMs < fromMs && thresholdMs > toMs;
      const isTold = !isPassed || warned.includes(thresholdMs);
      must('T8', isTold, () => `${id} does not warn at ${thresholdMs} ms, and ${toMs} ms are left`);
    }
  }

  #thresholdsWarned(timerId: string, revision: number): readonly number[] {
    const warned = this.#warned.get(timerId);
    return warned?.revision === revision ? warned.thresholdsMs : [];
  }
}
