/** The timers that have ended and are still in memory, in the order in which they leave it. */
import { type End, EndQueue } from './end-queue.js';

export class FinishedTimers {
  readonly #all = new EndQueue();
  readonly #byOwner = new Map<string, EndQueue>();

  get size(): number {
    return this.#all.size;
  }

  /** The one that ended first. */
  get first(): End | undefined {
    return this.#all.first;
  }

  /**
   * The one to make room for a new timer of an owner: the owner's own first, so that nobody can push the
   * timers of others out of memory by creating and ending many.
   */
  firstToMakeRoomFor(ownerId: string): End | undefined {
    return this.#byOwner.get(ownerId)?.first ?? this.#all.first;
  }

  add(end: End): void {
    this.#all.add(end);
    const own = this.#byOwner.get(end.ownerId) ?? new EndQueue();
    own.add(end);
    this.#byOwner.set(end.ownerId, own);
  }

  delete(timerId: string): void {
    const end = this.#all.delete(timerId);
    if (end === undefined) return;
    const own = this.#byOwner.get(end.ownerId);
    own?.delete(timerId);
    if (own?.size === 0) this.#byOwner.delete(end.ownerId);
  }
}
