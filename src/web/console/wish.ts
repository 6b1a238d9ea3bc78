/** What a person wants to do, on its way from a button up to the console. */
import type { Action } from './api.js';

export type Wish =
  | {
      readonly what:
        | Exclude<Action, 'extend'>
        | 'delete'
        | 'details'
        | 'share'
        | 'displays'
        | 'dismiss';
    }
  /** Without seconds it is asked how many. */
  | { readonly what: 'extend'; readonly seconds?: number };

export class WishEvent extends Event {
  readonly wish: Wish;
  /** Undefined for the selected timers. */
  readonly timerId: string | undefined;

  constructor(wish: Wish, timerId?: string) {
    super('wish', { bubbles: true, composed: true });
    this.wish = wish;
    this.timerId = timerId;
  }
}

/** A checkbox of the list was used. */
export class SelectEvent extends Event {
  readonly timerId: string;
  /** Whether all from the last one on are meant. */
  readonly isRange: boolean;

  constructor(timerId: string, isRange: boolean) {
    super('select-timer', { bubbles: true, composed: true });
    this.timerId = timerId;
    this.isRange = isRange;
  }
}
