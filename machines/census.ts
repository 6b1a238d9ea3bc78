/** How many timers there are of each state and of each owner, kept up to date so that nobody has to count. */
import { stateOf, type TimerRecord, type TimerState } from './record.js';
import { Tally } from './tally.js';

export class TimerCensus {
  /** Each timer as it was counted. */
  readonly #counted = new Map<string, TimerRecord>();
  readonly #states = new Tally<TimerState>();
  readonly #unfinishedOwners = new Tally<string>();

  /** Counts a timer as it is now, whether or not it was counted before. */
  count(record: TimerRecord): void {
    this.forget(record.id);
    this.#counted.set(record.id, record);
    this.#states.add(stateOf(record));
    if (record.completedAtMs === null) this.#unfinishedOwners.add(record.ownerId);
  }

  forget(timerId: string): void {
    const record = this.#counted.get(timerId);
    if (record === undefined) return;
    this.#counted.delete(timerId);
    this.#states.remove(stateOf(record));
    if (record.completedAtMs === null) this.#unfinishedOwners.remove(record.ownerId);
  }

  inState(state: TimerState): number {
    return this.#states.of(state);
  }

  /** Timers of an owner that are neither expired nor completed. */
  unfinishedOf(ownerId: string): number {
    return this.#unfinishedOwners.of(ownerId);
  }
}
