/**
 * What one console is still to be told. Timers and displays wait as ids, and are looked up when they are
 * told; only of the changes themselves are the last ones kept. So a slow reader costs bounded memory.
 */

import {
  type ConsoleMessage,
  type ConsoleSettings,
  overviewMessage,
  updateMessage,
} from '../protocol/console.js';
import type { DisplaySummary } from '../protocol/displays.js';
import { type TimerResource, timerResource } from '../protocol/timer.js';
import type { Change, Registry, TimerRecord } from '../registry.js';
import type { Hub } from './hub.js';

/** Changes that wait; older ones are dropped. */
const MOST_CHANGES = 1000;
/** Ids of one kind in one message, so that no message is too large; the others wait for the next. */
const MOST_IDS = 1000;

/** Whether whoever sits at a console may see a timer. */
export type Sees = (timer: Pick<TimerRecord, 'id' | 'ownerId'>) => boolean;

export class ConsoleNews {
  readonly #registry: Registry;
  readonly #hub: Hub;
  readonly #sees: Sees;
  #changes: readonly Change[] = [];
  readonly #timerIds = new Set<string>();
  /** Ids of the timers of which the displays changed. */
  readonly #attendedIds: Set<string>;

  constructor(registry: Registry, hub: Hub, sees: Sees) {
    this.#registry = registry;
    this.#hub = hub;
    this.#sees = sees;
    this.#attendedIds = new Set([...hub.followedAnywhere()].filter((id) => this.#seesById(id)));
  }

  get isEmpty(): boolean {
    return this.#changes.length + this.#timerIds.size + this.#attendedIds.size === 0;
  }

  addChanges(changes: readonly Change[]): void {
    const seen = changes.filter(({ entry, ownerId }) => this.#sees({ id: entry.timerId, ownerId }));
    this.#changes = [...this.#changes, ...seen.slice(-MOST_CHANGES)].slice(-MOST_CHANGES);
    for (const { entry } of seen) this.#addTimer(entry.timerId);
  }

  /** Notes that a timer left memory, or came back into it. */
  addTouched(timer: Pick<TimerRecord, 'id' | 'ownerId'>): void {
    if (!this.#sees(timer)) return;
    this.#addTimer(timer.id);
    // While it was away nobody could say whose it is.
    this.#attendedIds.add(timer.id);
  }

  addDisplaysOf(timerId: string): void {
    if (this.#seesById(timerId)) this.#attendedIds.add(timerId);
  }

  /** With a timer changes whether its displays are current. */
  #addTimer(timerId: string): void {
    this.#timerIds.add(timerId);
    if (this.#hub.isFollowed(timerId)) this.#attendedIds.add(timerId);
  }

  /** The first message; what has no room in it is left for the updates. */
  overview(nowMs: number, settings: ConsoleSettings): ConsoleMessage {
    return overviewMessage(nowMs, settings, this.#takeDisplays());
  }

  update(nowMs: number): ConsoleMessage {
    const changes = this.#changes;
    this.#changes = [];
    return updateMessage(nowMs, {
      changes,
      ...this.#takeTimers(),
      displays: this.#takeDisplays(),
    });
  }

  #takeTimers(): { timers: TimerResource[]; removed: string[] } {
    const timers: TimerResource[] = [];
    const removed: string[] = [];
    for (const timerId of take(this.#timerIds)) {
      const found = this.#registry.lookUp(timerId);
      if (found.ok) {
        if (this.#sees(found.timer.record)) timers.push(timerResource(found.timer));
      } else if (found.refusal.reason === 'unknown_timer') {
        removed.push(timerId);
      }
    }
    return { timers, removed };
  }

  /** Of a timer that is gone or away nothing is said: its displays are gone, or are told when it comes back. */
  #seesById(timerId: string): boolean {
    const found = this.#registry.lookUp(timerId);
    return found.ok && this.#sees(found.timer.record);
  }

  #takeDisplays(): DisplaySummary[] {
    const seen = take(this.#attendedIds).filter((timerId) => this.#seesById(timerId));
    return seen.flatMap((timerId) => this.#hub.summaryOf(timerId) ?? []);
  }
}

/** Takes the ids that were added first out of a set. */
function take(ids: Set<string>): string[] {
  const taken: string[] = [];
  for (const id of ids) {
    if (taken.length === MOST_IDS) break;
    taken.push(id);
    ids.delete(id);
  }
  return taken;
}
