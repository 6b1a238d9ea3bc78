/**
 * A shard supervises a few hundred timers on behalf of the registry. It exists because an actor pays
 * for the number of its siblings when it is spawned, and for the number of delayed events in its
 * system when it stops; a shard is therefore the root of a small system of its own.
 */
import { type ActorRefFrom, type AnyActorRef, sendTo, setup, spawnChild, stopChild } from 'xstate';
import type { TimerRecord } from './record.js';
import { Slots } from './slots.js';
import { type TimerInput, timerMachine } from './timer.machine.js';

export interface ShardInput {
  /** Receives `timer.removed` and `timer.failed`. */
  readonly registry: AnyActorRef;
  /** Whether the actors of timers are named by the ids of those, for people who watch them. */
  readonly namesTimers: boolean;
}

export interface ShardContext extends ShardInput {
  /** Taken by who has a timer spawned, freed by the shard when the timer is gone; the ids of its actors. */
  readonly slots: Slots;
}

export type ShardEvent =
  | { readonly type: 'spawn'; readonly slot: string; readonly input: TimerInput }
  /** The registry saw a timer do what it must not: it is dropped and reported like one that failed. */
  | { readonly type: 'condemn'; readonly actorId: string; readonly error: unknown }
  | {
      readonly type: `xstate.done.actor.${string}`;
      readonly actorId: string;
      readonly output: TimerRecord;
    }
  | {
      readonly type: `xstate.error.actor.${string}`;
      readonly actorId: string;
      readonly error: unknown;
    };

/** What a shard reports to the registry. */
export type ShardReport =
  | { readonly type: 'timer.removed'; readonly timerId: string; readonly ownerId: string }
  | { readonly type: 'timer.failed'; readonly timerId: string; readonly error: unknown };

export const shardMachine = setup({
  types: {
    context: {} as ShardContext,
    input: {} as ShardInput,
    events: {} as ShardEvent,
  },
  actors: { timer: timerMachine },
  actions: {
    spawnTimer: spawnChild('timer', {
      id: ({ event }) => (event.type === 'spawn' ? event.slot : ''),
      input: ({ event }) => {
        if (event.type !== 'spawn') throw new TypeError(`Cannot spawn on ${event.type}`);
        return event.input;
      },
    }),
    dropTimer: stopChild(({ event }) => ('actorId' in event ? event.actorId : '')),
    reportRemoved: sendTo(
      ({ context }) => context.registry,
      ({ context, event }) => ({
        type: 'timer.removed',
        timerId: 'actorId' in event ? context.slots.timerIdIn(event.actorId) : '',
        ownerId: 'output' in event ? event.output.ownerId : '',
      }),
    ),
    reportFailed: sendTo(
      ({ context }) => context.registry,
      ({ context, event }) => ({
        type: 'timer.failed',
        timerId: 'actorId' in event ? context.slots.timerIdIn(event.actorId) : '',
        error: 'error' in event ? event.error : undefined,
      }),
    ),
    freeSlot: ({ context, event }) => {
      if ('actorId' in event) context.slots.free(event.actorId);
    },
  },
}).createMachine({
  id: 'shard',
  context: ({ input }) => ({ ...input, slots: new Slots(input.namesTimers) }),
  initial: 'SUPERVISING',
  states: {
    SUPERVISING: {
      on: {
        spawn: { actions: 'spawnTimer' },
        condemn: { actions: ['dropTimer', 'reportFailed', 'freeSlot'] },
        'xstate.done.actor.*': { actions: ['reportRemoved', 'freeSlot'] },
        'xstate.error.actor.*': { actions: ['dropTimer', 'reportFailed', 'freeSlot'] },
      },
    },
  },
});

export type ShardRef = ActorRefFrom<typeof shardMachine>;
export type TimerRef = ActorRefFrom<typeof timerMachine>;
