/** Those who listen to a node of the simulation, and hold what they are told against the model. */
import type { Entry } from '../../src/journal/journal.js';
import type { Notice, TimerStatus, Warning } from '../../src/registry.js';
import { leftAt, type Model, must } from './model.js';

const SECOND_MS = 1000;

/** A display of one timer on one node. */
export class DisplayWitness {
  readonly #timerId: string;
  readonly #model: Model;
  readonly #wantsTicks: boolean;
  #lastRevision = 0;
  #lastTick: { readonly revision: number; readonly leftMs: number } | undefined;
  isOver = false;

  constructor(timerId: string, model: Model, wantsTicks: boolean) {
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

  /** The first tick since a change may be late, with the warning that was passed before the change came. */
  #ticked(what: string, revision: number, leftMs: number): void {
    const lastMs = this.#lastTickOf(revision);
    this.#lastTick = { revision, leftMs };
    if (lastMs === undefined) return;
    const isDue = this.#wantsTicks ? leftMs === nextSecondMs(lastMs) : leftMs < lastMs;
    must(
      'T9',
      leftMs % SECOND_MS === 0 && isDue,
      () => `${what} says ${leftMs} ms after ${lastMs}`,
    );
  }

  #warned(what: string, revision: number, leftMs: number): void {
    const lastMs = this.#lastTickOf(revision) ?? Number.POSITIVE_INFINITY;
    must('T9', leftMs < lastMs, () => `${what} comes after the tick of its second`);
  }

  #changed(what: string, revision: number, type: Notice['type']): void {
    must('T3', revision > this.#lastRevision, () => `${what} is told after ${this.#lastRevision}`);
    this.#lastRevision = revision;
    this.isOver = type === 'timer_deleted';
    if (type !== 'timer_expired') return;
    const lastMs = this.#lastTickOf(revision - 1) ?? 0;
    must('T9', lastMs === 0, () => `${what} comes after a tick at ${lastMs} ms`);
  }

  #lastTickOf(revision: number): number | undefined {
    return this.#lastTick?.revision === revision ? this.#lastTick.leftMs : undefined;
  }
}

function nextSecondMs(leftMs: number): number {
  return (Math.ceil(leftMs / SECOND_MS) - 1) * SECOND_MS;
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
    const leftMs = leftAt(counted, this.#clock.now());
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
    const [fromMs, toMs] = [leftAt(counted, heard.sinceMs), leftAt(counted, atMs)];
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
