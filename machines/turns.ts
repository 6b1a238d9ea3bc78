/**
 * Whose turn it is to record an end: all nodes that share a log notice it at the same instant, and one entry
 * suffices. Each timer has a node that is first; the others wait, and do it if that node did not. Part of the
 * registry; changed in place.
 */

/** What the next node waits, and what is added for each end that waits already: many take long to record. */
const TURN_MS = 500;
const TURN_MS_FOR_EACH = 0.5;

/** Timers whose ends wait for the turn of this node. */
export interface Postponed {
  readonly timerIds: readonly string[];
  readonly delayMs: number;
}

export class Turns {
  readonly #rankOf: (timerId: string) => number;
  #waiting = 0;

  /** `rankOf` gives how many nodes are before this one for a timer. */
  constructor(rankOf: (timerId: string) => number) {
    this.#rankOf = rankOf;
  }

  /** Tells those that it is the turn of this node for now from those that wait. */
  sort(timerIds: readonly string[]): {
    readonly now: readonly string[];
    readonly later: readonly Postponed[];
  } {
    const byRank = new Map<number, string[]>();
    for (const timerId of timerIds) {
      const rank = this.#rankOf(timerId);
      const ofRank = byRank.get(rank);
      if (ofRank === undefined) byRank.set(rank, [timerId]);
      else ofRank.push(timerId);
    }
    const now = byRank.get(0) ?? [];
    byRank.delete(0);
    for (const ofRank of byRank.values()) this.#waiting += ofRank.length;
    const turnMs = TURN_MS + TURN_MS_FOR_EACH * this.#waiting;
    const later = [...byRank].map(([rank, ofRank]) => ({
      timerIds: ofRank,
      delayMs: rank * turnMs,
    }));
    return { now, later };
  }

  /** Notes that the turn of this node has come for so many. */
  came(ends: number): void {
    this.#waiting -= ends;
  }
}
