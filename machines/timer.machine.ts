/**
 * One timer. Committed entries are the only events that change it (T1, T3); its delayed transitions
 * tell displays about time that passes, and ask the registry to record the end.
 */
import { assign, emit, enqueueActions, setup } from 'xstate';
import type { MachineClock } from './clock.js';
import type { Entry } from './entry.js';
import { applyEntry, remainingMs, stateOf, type TimerRecord, thresholdsPassed } from './record.js';

export interface TimerInput {
  readonly record: TimerRecord;
  readonly clock: MachineClock;
  /** Called when the time is up; from then on the registry sees to the record of the end. */
  readonly onDue: (timerId: string) => void;
  /** Called with every warning, whether or not a display follows the timer. */
  readonly onWarning: (warning: Warning) => void;
}

/** The running clock of a timer passed a threshold. */
export interface Warning {
  /** The timer as it was then. */
  readonly record: TimerRecord;
  readonly thresholdMs: number;
}

export interface TimerContext extends TimerInput {
  /** Displays that follow this timer, and how many of them want ticks. */
  readonly displays: DisplayCounts;
  /** The remaining time down to which warnings have been given (T8). */
  readonly warnedDownToMs: number;
}

export interface DisplayCounts {
  readonly connected: number;
  readonly ticking: number;
}

const NO_DISPLAYS: DisplayCounts = { connected: 0, ticking: 0 };

export type TimerEvent =
  | Entry
  | { readonly type: 'displays'; readonly counts: DisplayCounts }
  /** The registry has kept a finished timer long enough, or needs its room. */
  | { readonly type: 'retire' };

/** What a timer tells those who watch it: the change, and the timer as it is right after it. */
export type Notice = {
  readonly record: TimerRecord;
  /** Epoch milliseconds at which it is told. */
  readonly atMs: number;
} & (
  | { readonly type: 'timer_started' }
  | { readonly type: 'timer_tick' }
  | { readonly type: 'timer_warning'; readonly thresholdMs: number }
  | { readonly type: 'timer_paused' }
  | { readonly type: 'timer_extended'; readonly addedMs: number }
  | { readonly type: 'timer_stopped' }
  | { readonly type: 'timer_expired' }
  | { readonly type: 'timer_deleted' }
  | { readonly type: 'timer_retired' }
);

/** The instant an event speaks of: its own for an entry, the present for everything else. */
function instantOf(event: { type: string }, clock: MachineClock): number {
  return 'atMs' in event && typeof event.atMs === 'number' ? event.atMs : clock.now();
}

/**
 * When what an event shows of the running clock is told: now, or at the instant of an entry that a node decided
 * whose clock is ahead, because what it ends was shown down to that instant.
 */
function toldAtMs(event: { type: string }, clock: MachineClock): number {
  return Math.max(clock.now(), instantOf(event, clock));
}

/** Milliseconds to the next whole second that displays are to be told; the end itself tells the 0. */
function untilNextTickMs(leftMs: number): number {
  const nextSecond = Math.max(1, Math.ceil(leftMs / 1000) - 1);
  return Math.max(0, leftMs - nextSecond * 1000);
}

/** The highest threshold that is still ahead; when there is none, one that is never reached. */
function nextThresholdMs({ record, warnedDownToMs }: TimerContext): number {
  let nextMs = Number.NEGATIVE_INFINITY;
  for (const thresholdMs of record.warningThresholdsMs) {
    if (thresholdMs < warnedDownToMs && thresholdMs > nextMs) nextMs = thresholdMs;
  }
  return nextMs;
}

export const timerMachine = setup({
  types: {
    context: {} as TimerContext,
    input: {} as TimerInput,
    events: {} as TimerEvent,
    emitted: {} as Notice,
    output: {} as TimerRecord,
  },
  actions: {
    apply: assign(({ context, event }) =>
      'revision' in event ? { record: applyEntry(context.record, event) } : {},
    ),
    countDisplays: assign(({ event }) =>
      event.type === 'displays' ? { displays: event.counts } : {},
    ),
    beginWarnings: assign(({ context, event }) => ({
      warnedDownToMs: remainingMs(context.record, instantOf(event, context.clock)),
    })),
    warn: enqueueActions(({ context, event, enqueue }) => {
      const { record, clock, warnedDownToMs } = context;
      const leftMs = remainingMs(record, instantOf(event, clock));
      if (nextThresholdMs(context) < leftMs) return;
      const atMs = toldAtMs(event, clock);
      for (const thresholdMs of thresholdsPassed(record, warnedDownToMs, leftMs)) {
        enqueue.emit({ type: 'timer_warning', thresholdMs, record, atMs });
        enqueue(() => context.onWarning({ record, thresholdMs }));
      }
      enqueue.assign({ warnedDownToMs: leftMs });
    }),
    tellTick: emit(({ context, event }) => ({
      type: 'timer_tick',
      record: context.record,
      atMs: toldAtMs(event, context.clock),
    })),
    tellStarted: emit(({ context }) => ({ type: 'timer_started', ...present(context) })),
    tellPaused: emit(({ context }) => ({ type: 'timer_paused', ...present(context) })),
    tellExtended: emit(({ context, event }) => ({
      type: 'timer_extended',
      addedMs: event.type === 'extended' ? event.data.addedMs : 0,
      ...present(context),
    })),
    tellStopped: emit(({ context }) => ({ type: 'timer_stopped', ...present(context) })),
    tellExpired: emit(({ context }) => ({ type: 'timer_expired', ...present(context) })),
    tellDeleted: emit(({ context }) => ({ type: 'timer_deleted', ...present(context) })),
    tellRetired: emit(({ context }) => ({ type: 'timer_retired', ...present(context) })),
    askForExpiry: ({ context }) => context.onDue(context.record.id),
  },
  guards: {
    wasCreated: ({ context }) => stateOf(context.record) === 'CREATED',
    wasRunning: ({ context }) => stateOf(context.record) === 'RUNNING',
    wasPaused: ({ context }) => stateOf(context.record) === 'PAUSED',
    wasExpired: ({ context }) => stateOf(context.record) === 'EXPIRED',
    inTime: ({ context, event }) =>
      instantOf(event, context.clock) < (context.record.deadlineMs ?? 0),
    isTimeUp: ({ context, event }) =>
      instantOf(event, context.clock) >= (context.record.deadlineMs ?? 0),
    isWarningDue: ({ context }) => {
      const leftMs = remainingMs(context.record, context.clock.now());
      return leftMs > 0 && nextThresholdMs(context) >= leftMs;
    },
    isWarningMissed: ({ context }) =>
      nextThresholdMs(context) >= remainingMs(context.record, context.clock.now()),
    hasTickAhead: ({ context }) =>
      context.displays.ticking > 0 && remainingMs(context.record, context.clock.now()) > 1000,
  },
  delays: {
    deadline: ({ context }) => Math.max(0, (context.record.deadlineMs ?? 0) - context.clock.now()),
    // Before the clock of this node has reached the instant of the start, more is left than the duration.
    nextTick: ({ context }) =>
      untilNextTickMs((context.record.deadlineMs ?? 0) - context.clock.now()),
    nextThreshold: ({ context }) =>
      Math.max(0, remainingMs(context.record, context.clock.now()) - nextThresholdMs(context)),
  },
}).createMachine({
  id: 'timer',
  context: ({ input }) => ({
    ...input,
    displays: NO_DISPLAYS,
    warnedDownToMs: 0,
  }),
  output: ({ context }) => context.record,
  initial: 'RESTORING',
  on: {
    displays: { actions: 'countDisplays' },
    deleted: { target: '.REMOVED', actions: ['apply', 'tellDeleted'] },
  },
  states: {
    RESTORING: {
      description:
        'Leads a timer to the state its record says, which arms the delays of that state.',
      always: [
        { guard: 'wasCreated', target: 'CREATED' },
        { guard: 'wasRunning', target: 'RUNNING' },
        { guard: 'wasPaused', target: 'PAUSED' },
        { guard: 'wasExpired', target: 'EXPIRED' },
        { target: 'COMPLETED' },
      ],
    },
    CREATED: {
      on: {
        started: { target: 'RUNNING', actions: ['apply', 'tellStarted'] },
        extended: { actions: ['apply', 'tellExtended'] },
        stopped: { target: 'COMPLETED', actions: ['apply', 'tellStopped'] },
      },
    },
    RUNNING: {
      entry: 'beginWarnings',
      initial: 'silent',
      after: {
        deadline: [
          {
            description: 'The process was held up over the last thresholds.',
            guard: 'isWarningMissed',
            target: '.due',
            actions: ['warn', 'tellTick'],
          },
          { target: '.due', actions: 'tellTick' },
        ],
        // A threshold is a whole second, so the tick of that second is due with it; whichever of the two
        // comes first does both.
        nextThreshold: [
          {
            guard: 'isWarningDue',
            target: 'RUNNING',
            reenter: true,
            actions: ['warn', 'tellTick'],
          },
          { guard: 'inTime', target: 'RUNNING', reenter: true },
        ],
      },
      on: {
        paused: { guard: 'inTime', target: 'PAUSED', actions: ['warn', 'apply', 'tellPaused'] },
        extended: {
          guard: 'inTime',
          target: 'RUNNING',
          reenter: true,
          actions: ['warn', 'apply', 'tellExtended'],
        },
        stopped: {
          guard: 'inTime',
          target: 'COMPLETED',
          actions: ['warn', 'apply', 'tellStopped'],
        },
        expired: {
          description: 'Somebody else noticed the end first.',
          guard: 'isTimeUp',
          target: 'EXPIRED',
          actions: ['warn', 'tellTick', 'apply', 'tellExpired'],
        },
      },
      states: {
        silent: { always: { guard: 'hasTickAhead', target: 'ticking' } },
        ticking: {
          after: {
            nextTick: [
              { guard: 'inTime', target: 'silent', actions: ['warn', 'tellTick'] },
              { target: 'silent' },
            ],
          },
        },
        due: {
          description: 'The time is up; the timer is over when the journal has recorded it.',
          entry: 'askForExpiry',
          on: {
            expired: {
              guard: 'isTimeUp',
              target: '#timer.EXPIRED',
              actions: ['apply', 'tellExpired'],
            },
          },
        },
      },
    },
    PAUSED: {
      on: {
        resumed: { target: 'RUNNING', actions: ['apply', 'tellStarted'] },
        extended: { actions: ['apply', 'tellExtended'] },
        stopped: { target: 'COMPLETED', actions: ['apply', 'tellStopped'] },
      },
    },
    EXPIRED: {
      on: { retire: { target: 'REMOVED', actions: 'tellRetired' } },
    },
    COMPLETED: {
      on: { retire: { target: 'REMOVED', actions: 'tellRetired' } },
    },
    REMOVED: { type: 'final' },
  },
});

function present({ record, clock }: TimerContext): { record: TimerRecord; atMs: number } {
  return { record, atMs: clock.now() };
}
