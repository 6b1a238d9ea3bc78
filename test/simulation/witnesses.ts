/** Those who listen to a node of the simulation, and hold what they are told against the model. */
import type { Entry } from '../../src/journal/journal.js';
import type { DisplayEvent } from '../../src/protocol/messages.js';
import type { TimerStatus, Warning } from '../../src/registry.js';
import { type Counted, endOf, leftAt, type Model, must } from './model.js';

const SECOND_MS = 1000;
/** A clock that runs too fast skips a millisecond now and then, and what is due in it comes in the next. */
const LONGEST_SKIP_MS = 1;

export interface DisplayWitnessOptions {
  readonly name: string;
  readonly timerId: string;
  readonly model: Model;
  readonly wantsTicks: boolean;
  /** That of the node. */
  readonly clock: { readonly isRight: boolean };
  /** The last revision that the display knew before. */
  readonly revision: number | undefined;
}

/** A display of one timer on one node, as long as its connection lasts. */
export class DisplayWitness {
  readonly #options: DisplayWitnessOptions;
  #revision: number | undefined;
  #lastTick: { readonly revision: number; readonly leftMs: number } | undefined;
  /** It has been told what it missed, and how the timer is. */
  isConnected = false;
  isOver = false;
  /** It has read slowly, and was told only the latest of the ticks that waited. */
  missesTicks = false;

  constructor(options: DisplayWitnessOptions) {
    this.#options = options;
    this.#revision = options.revision;
  }

  /** The last revision that it was told of, or knew. */
  get revision(): number | undefined {
    return this.#revision;
  }

  heard(message: DisplayEvent): void {
    if (message.type === 'connected') {
      this.#connected(message.timer);
      return;
    }
    const { revision, type } = message;
    const { model, timerId, name } = this.#options;
    const what = `${type} of ${timerId} at revision ${revision}, to display ${name}`;
    const counted = model.at(timerId, revision);
    must('T3', counted !== undefined, () => `${what}, is told before it is committed`);
    if (counted === undefined) return;
    if (type === 'timer_deleted') {
      this.#changed(what, revision, type);
      return;
    }
    const leftMs = leftAt(counted, message.server_time_ms);
    this.#checkFigures(what, counted, message);
    if (type === 'timer_tick') this.#ticked(what, revision, leftMs);
    else if (type === 'timer_warning') this.#warned(what, revision, leftMs);
    else if (type !== 'keepalive') this.#changed(what, revision, type);
  }

  /** The timer failed: it ticks no more, and the change over which it did is told when it is back. */
  timerFailed(): void {
    this.#lastTick = undefined;
  }

  /** What was missed was told before; a node that is behind what the display knows begins with what it has. */
  #connected({ revision }: { readonly revision: number }): void {
    const { name, timerId } = this.#options;
    const before = this.#revision;
    const what = `display ${name} of ${timerId} is connected at ${revision} after ${before}`;
    must('D2', before === undefined || revision <= before, () => what);
    must('D2', !this.isConnected, () => `${what}, and was before`);
    this.#revision = revision;
    this.isConnected = true;
  }

  #checkFigures(what: string, counted: Counted, figures: Figures): void {
    const { remaining_ms, deadline_ms, server_time_ms } = figures;
    const leftMs = Math.min(counted.durationMs, leftAt(counted, server_time_ms));
    const deadlineMs = counted.sinceMs === null ? null : endOf(counted);
    const isRight = remaining_ms === leftMs && deadline_ms === deadlineMs;
    must('T2', isRight, () => `${what}, says ${remaining_ms} ms, not ${leftMs}`);
  }

  /** The first tick since a change may be late, with the warning that was passed before the change came. */
  #ticked(what: string, revision: number, leftMs: number): void {
    const { wantsTicks, clock } = this.#options;
    const lastMs = this.#lastTickOf(revision);
    const saidMs = Math.ceil(leftMs / SECOND_MS) * SECOND_MS;
    this.#lastTick = { revision, leftMs: saidMs };
    // A node whose clock is wrong says so itself, and hears of ends by others' clocks.
    if (lastMs === undefined || !clock.isRight) return;
    const isDue = wantsTicks && !this.missesTicks ? saidMs === lastMs - SECOND_MS : saidMs < lastMs;
    const isExact = saidMs - leftMs <= LONGEST_SKIP_MS;
    must('T9', isExact && isDue, () => `${what}, says ${leftMs} ms after ${lastMs}`);
  }

  #warned(what: string, revision: number, leftMs: number): void {
    const lastMs = this.#lastTickOf(revision) ?? Number.POSITIVE_INFINITY;
    must('T9', leftMs < lastMs, () => `${what}, comes after the tick of its second`);
  }

  /** Each change is told once, and in order. */
  #changed(what: string, revision: number, type: DisplayEvent['type']): void {
    const before = this.#revision;
    must(
      'D2',
      before !== undefined && revision === before + 1,
      () => `${what}, is told after ${before}`,
    );
    this.#revision = revision;
    this.isOver = type === 'timer_deleted';
    const hearsTicks = this.#options.clock.isRight && !this.missesTicks;
    if (type !== 'timer_expired' || !hearsTicks) return;
    const lastMs = this.#lastTickOf(revision - 1) ?? 0;
    must('T9', lastMs === 0, () => `${what}, comes after a tick at ${lastMs} ms`);
  }

  #lastTickOf(revision: number): number | undefined {
    return this.#lastTick?.revision === revision ? this.#lastTick.leftMs : undefined;
  }
}

interface Figures {
  readonly remaining_ms: number;
  readonly deadline_ms: number | null;
  readonly server_time_ms: number;
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
