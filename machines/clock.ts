/** The clock that statecharts are given: they have none of their own. */
import type { createActor } from 'xstate';

type XStateClock = NonNullable<NonNullable<Parameters<typeof createActor>[1]>['clock']>;

export type MachineClock = XStateClock & {
  /** Epoch milliseconds as a whole number; never goes back while the process lives (T6). */
  now(): number;
};
