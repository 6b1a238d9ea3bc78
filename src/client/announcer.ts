/**
 * What a display announces: each warning and each end once, however often the connection broke. The
 * service announces while it is heard; when it is not, the display does so by its own count, later by its
 * error bound so that it is never early, and says that nobody confirmed it.
 */
import type { ServerMessage, Timer } from './messages.js';
import { isOver } from './timer-state.js';

export type Announcement =
  | {
      readonly type: 'warning';
      readonly thresholdSeconds: number;
      /** False when the display counted by itself. */
      readonly isVerified: boolean;
    }
  | {
      readonly type: 'end';
      readonly reason: 'expired' | 'stopped' | 'deleted';
      readonly isVerified: boolean;
    };

export class Announcer {
  /** The remaining time down to which warnings have been given. */
  #warnedDownToMs = Number.POSITIVE_INFINITY;
  #hasEnded = false;
  /** The revision heard of last; `undefined` before anything was. */
  #revision: number | undefined;

  /** Takes a message of the service, with the timer after it and what remains now. */
  hear(message: ServerMessage, timer: Timer, leftMs: number): Announcement[] {
    const isFirst = this.#revision === undefined;
    const isNews = timer.revision !== this.#revision;
    this.#revision = timer.revision;
    if (message.type === 'timer_deleted') return this.#end('deleted', true);
    if (isOver(timer.state)) {
      // A display that is opened after the end shows it, and has nothing to announce.
      if (isFirst) this.#hasEnded = true;
      return this.#end(timer.state === 'expired' ? 'expired' : 'stopped', true);
    }
    if (leftMs > 0) this.#hasEnded = false;
    if (isFirst || (isNews && leftMs > this.#warnedDownToMs)) this.#warnedDownToMs = leftMs;
    if (message.type === 'timer_warning') return this.#warn([message.threshold], true);
    // After a gap in which several were passed, the last of them says it all.
    return message.type === 'connected'
      ? this.#warn(this.#passed(timer, leftMs).slice(-1), true)
      : [];
  }

  /**
   * Counts for itself: at most `leftMs` remain for certain, and `isOverdue` says that the end should
   * have been heard of.
   */
  count(timer: Timer, leftMs: number, isOverdue: boolean): Announcement[] {
    if (timer.state !== 'running') return [];
    const warnings = this.#warn(this.#passed(timer, leftMs), false);
    return isOverdue ? [...warnings, ...this.#end('expired', false)] : warnings;
  }

  /** The remaining times, in ms, at which something is still to be announced; 0 is the end. */
  aheadOf(timer: Timer): number[] {
    const thresholds = timer.warning_thresholds.map((seconds) => seconds * 1000);
    const ahead = thresholds.filter((thresholdMs) => thresholdMs < this.#warnedDownToMs);
    return this.#hasEnded ? ahead : [...ahead, 0];
  }

  /** Thresholds in seconds that were passed and not announced, the highest first. */
  #passed(timer: Timer, leftMs: number): number[] {
    if (timer.state !== 'running') return [];
    const passed = timer.warning_thresholds.filter((seconds) => seconds * 1000 >= leftMs);
    return [...new Set(passed)].sort((a, b) => b - a);
  }

  #warn(thresholdsSeconds: readonly number[], isVerified: boolean): Announcement[] {
    return thresholdsSeconds.flatMap((thresholdSeconds) => {
      if (thresholdSeconds * 1000 >= this.#warnedDownToMs) return [];
      this.#warnedDownToMs = thresholdSeconds * 1000;
      return [{ type: 'warning', thresholdSeconds, isVerified } as const];
    });
  }

  #end(reason: 'expired' | 'stopped' | 'deleted', isVerified: boolean): Announcement[] {
    if (this.#hasEnded) return [];
    this.#hasEnded = true;
    return [{ type: 'end', reason, isVerified }];
  }
}
