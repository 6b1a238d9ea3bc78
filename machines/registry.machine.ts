/**
 * The registry: the one supervising actor. Commands come in, are decided on the snapshots of timers
 * and proposed to the journal; what the journal has committed comes back and is applied to the timers.
 */
import {
  type ActorSystem,
  type ActorSystemInfo,
  type AnyActorRef,
  emit,
  enqueueActions,
  fromCallback,
  type InspectionEvent,
  type Observer,
  raise,
  setup,
} from 'xstate';
import type { MachineClock } from './clock.js';
import type { Command, Refusal } from './command.js';
import { CommandDesk, type JournalAnswer, type Outcome } from './desk.js';
import { type DirectorySettings, TimerDirectory } from './directory.js';
import type { Cause, Entry } from './entry.js';
import { ImpossibleEntryError, recordOf, type TimerRecord } from './record.js';
import { type ShardReport, shardMachine } from './shard.machine.js';
import { Turns } from './turns.js';

/** How long after a failed write the ends that were in it are proposed again. */
const RETRY_EXPIRY_MS = 1000;

export interface RegistryInput extends DirectorySettings {
  /** How many of the nodes that share the journal are to record the end of a timer before this one. */
  readonly rankOf?: ((timerId: string) => number) | undefined;
  readonly clock: MachineClock;
  readonly shardLogic?: typeof shardMachine;
  readonly inspect?: Observer<InspectionEvent> | undefined;
}

export interface RegistryContext {
  readonly clock: MachineClock;
  readonly directory: TimerDirectory;
  readonly desk: CommandDesk;
  readonly turns: Turns;
}

/** What the journal actor is asked to do. */
export type JournalRequest =
  | { readonly type: 'append'; readonly entries: readonly Entry[] }
  | { readonly type: 'read'; readonly timerId: string };

/** What the journal actor reports. */
export type JournalReport =
  /** Timers as their entries leave them, each in one report only, all before `journal.replayed`. */
  | { readonly type: 'journal.records'; readonly records: readonly TimerRecord[] }
  | { readonly type: 'journal.replayed' }
  | { readonly type: 'journal.broken'; readonly error: unknown }
  /** Newly committed entries, everybody's, in the order of their commit. */
  | {
      readonly type: 'journal.committed';
      readonly entries: readonly Entry[];
      /** The place of the last of them in the journal; the others come right before it. */
      readonly lastPosition: number;
    }
  /** The fate of entries that this registry proposed. */
  | {
      readonly type: 'journal.answered';
      readonly entries: readonly Entry[];
      readonly answers: readonly JournalAnswer[];
    }
  | {
      readonly type: 'journal.failed';
      readonly entries: readonly Entry[];
      /** Those of them that may have been recorded, or become so. */
      readonly inDoubt: readonly Entry[];
      readonly error: unknown;
    }
  /** The fate of these entries is not known yet, and will not be soon. */
  | { readonly type: 'journal.stalled'; readonly entries: readonly Entry[] }
  | { readonly type: 'journal.read'; readonly timerId: string; readonly history: readonly Entry[] }
  | { readonly type: 'journal.unread'; readonly timerId: string; readonly error: unknown };

export type RegistryEvent =
  | {
      readonly type: 'commands';
      readonly commands: readonly Command[];
      readonly cause: Cause;
      /** Called once for each command with its index, at the moment its fate is known. */
      readonly settle: (index: number, outcome: Outcome) => void;
    }
  /** The time of these timers is up, or was when their ends could not be recorded. */
  | { readonly type: 'timers.due'; readonly timerIds: readonly string[] }
  /** It is the turn of this node to record the ends of these timers, if nobody has. */
  | { readonly type: 'turn.came'; readonly timerIds: readonly string[] }
  | { readonly type: 'retention.over' }
  | { readonly type: 'timer.restart'; readonly timerId: string }
  | { readonly type: 'shard.failed'; readonly index: number; readonly error: unknown }
  | { readonly type: 'drain' }
  | ShardReport
  | JournalReport;

/** What the registry tells the process around it. */
export type RegistryNotice =
  | { readonly type: 'timer.failed'; readonly timerId: string; readonly error: unknown }
  | {
      readonly type: 'timer.restarted';
      readonly timerId: string;
      readonly ownerId: string;
      /** All that it has applied by now. */
      readonly history: readonly Entry[];
    }
  | { readonly type: 'timer.removed'; readonly timerId: string; readonly ownerId: string }
  /** One commit of the journal, right after its entries were applied. */
  | {
      readonly type: 'entries.committed';
      readonly entries: readonly Entry[];
      readonly lastPosition: number;
    }
  | { readonly type: 'append.failed'; readonly entries: number; readonly error: unknown }
  | { readonly type: 'journal.broken'; readonly error: unknown };

/** Stands for the journal until `provide` gives the real one. */
const noJournal = fromCallback<JournalRequest>(() => {
  throw new Error('The registry needs a journal: registryMachine.provide({ actors: { journal } })');
});

/** What a history adds up to, or how it contradicts itself. */
function recordOrError(history: readonly Entry[]): TimerRecord | ImpossibleEntryError {
  try {
    return recordOf(history);
  } catch (error) {
    if (error instanceof ImpossibleEntryError) return error;
    throw error;
  }
}

/** The timers whose ends a failed append would have recorded. */
function expiredIn(event: RegistryEvent): string[] {
  if (event.type !== 'journal.failed') return [];
  return event.entries.filter(({ type }) => type === 'expired').map(({ timerId }) => timerId);
}

function expiriesOf(timerIds: readonly string[], { clock, desk }: RegistryContext): Entry[] {
  const atMs = clock.now();
  return timerIds.flatMap((timerId) => desk.takeExpiry(timerId, atMs));
}

function propose(system: ActorSystem<ActorSystemInfo>, entries: readonly Entry[]): void {
  if (entries.length > 0) journalOf(system).send({ type: 'append', entries });
}

function journalOf(system: ActorSystem<ActorSystemInfo>): AnyActorRef {
  const journal = system.get('journal');
  if (journal === undefined) throw new Error('The journal is gone');
  return journal;
}

export const registryMachine = setup({
  types: {
    context: {} as RegistryContext,
    input: {} as RegistryInput,
    events: {} as RegistryEvent,
    emitted: {} as RegistryNotice,
  },
  actors: { journal: noJournal },
  actions: {
    restore: ({ context, event, system }) => {
      if (event.type !== 'journal.records') return;
      const { clock, desk, directory } = context;
      const nowMs = clock.now();
      for (const record of event.records) {
        directory.spawn(record);
        const isOverdue = record.deadlineMs !== null && record.deadlineMs <= nowMs;
        if (isOverdue) propose(system, desk.takeExpiry(record.id, nowMs));
      }
    },
    retireSurplus: ({ context }) => context.directory.retireSurplus(),
    take: ({ context, event, system }) => {
      if (event.type !== 'commands') return;
      const { commands, cause, settle } = event;
      const atMs = context.clock.now();
      const inHand = commands.map((command, index) => ({
        command,
        atMs,
        cause,
        settle: (outcome: Outcome) => settle(index, outcome),
      }));
      propose(system, context.desk.take(inHand));
    },
    refuse: (
      { event },
      params: { reason: Extract<Refusal['reason'], 'recovering' | 'shutting_down'> },
    ) => {
      if (event.type !== 'commands') return;
      event.commands.forEach((_, index) => {
        event.settle(index, { ok: false, refusal: { reason: params.reason } });
      });
    },
    takeExpiries: enqueueActions(({ context, event, system, enqueue }) => {
      if (event.type !== 'timers.due') return;
      const { now, later } = context.turns.sort(event.timerIds);
      propose(system, expiriesOf(now, context));
      for (const { timerIds, delayMs } of later) {
        enqueue.raise({ type: 'turn.came', timerIds }, { delay: delayMs });
      }
    }),
    takeTurn: ({ context, event, system }) => {
      if (event.type !== 'turn.came') return;
      const { turns, directory } = context;
      turns.came(event.timerIds.length);
      const isRunning = (timerId: string): boolean => directory.isRunning(timerId);
      propose(system, expiriesOf(event.timerIds.filter(isRunning), context));
    },
    scheduleRetry: enqueueActions(({ event, enqueue }) => {
      const timerIds = expiredIn(event);
      if (timerIds.length === 0) return;
      enqueue.raise({ type: 'timers.due', timerIds }, { delay: RETRY_EXPIRY_MS });
    }),
    retireOutdated: ({ context }) => context.directory.retireOutdated(),
    scheduleRetirement: enqueueActions(({ context, enqueue }) => {
      const { clock, directory } = context;
      const atMs = directory.nextRetirementMs;
      enqueue.cancel('retirement');
      if (atMs === undefined) return;
      const delay = Math.max(0, atMs - clock.now());
      enqueue.raise({ type: 'retention.over' }, { id: 'retirement', delay });
    }),
    applyCommitted: ({ context, event, system }) => {
      if (event.type !== 'journal.committed') return;
      const applied = event.entries.filter((entry) => context.directory.apply(entry));
      propose(system, context.desk.applied(applied));
    },
    noteAnswers: ({ context, event, system }) => {
      if (event.type !== 'journal.answered') return;
      propose(system, context.desk.answered(event.entries, event.answers));
    },
    noteFailedAppend: ({ context, event, system }) => {
      if (event.type !== 'journal.failed') return;
      propose(system, context.desk.failed(event.entries, new Set(event.inDoubt)));
    },
    noteStalledAppend: ({ context, event }) => {
      if (event.type === 'journal.stalled') context.desk.stalled(event.entries);
    },
    removeTimer: ({ context, event }) => {
      if (event.type === 'timer.removed') context.directory.remove(event.timerId);
    },
    readHistory: ({ event, system }) => {
      if (event.type === 'timer.restart') {
        journalOf(system).send({ type: 'read', timerId: event.timerId });
      }
    },
    restartTimer: enqueueActions(({ context, event, self, system, enqueue }) => {
      if (event.type !== 'journal.read') return;
      const { timerId, history } = event;
      const record = recordOrError(history);
      if (record instanceof ImpossibleEntryError) {
        self.send({ type: 'timer.failed', timerId, error: record });
        return;
      }
      // It failed over its own deletion, and does not come back.
      const isDeleted = history.at(-1)?.type === 'deleted';
      if (isDeleted) context.directory.remove(timerId);
      const missed = isDeleted ? [] : context.directory.restart(record);
      propose(system, context.desk.applied([...history, ...missed]));
      const { ownerId, revision } = record;
      const whole = [...history, ...missed.filter((entry) => entry.revision > revision)];
      enqueue.emit({ type: 'timer.restarted', timerId, ownerId, history: whole });
    }),
    failShard: ({ context, event, self }) => {
      if (event.type !== 'shard.failed') return;
      for (const timerId of context.directory.dropShard(event.index)) {
        self.send({ type: 'timer.failed', timerId, error: event.error });
      }
    },
    stopTimers: ({ context }) => context.directory.stop(),
    tellCommitted: emit(({ event }) => ({
      type: 'entries.committed',
      entries: event.type === 'journal.committed' ? event.entries : [],
      lastPosition: event.type === 'journal.committed' ? event.lastPosition : 0,
    })),
    tellRemoved: emit(({ event }) => ({
      type: 'timer.removed',
      timerId: 'timerId' in event ? event.timerId : '',
      ownerId: 'ownerId' in event ? event.ownerId : '',
    })),
    tellFailedTimer: emit(({ event }) => ({
      type: 'timer.failed',
      timerId: 'timerId' in event ? event.timerId : '',
      error: 'error' in event ? event.error : undefined,
    })),
    tellFailedAppend: emit(({ event }) => ({
      type: 'append.failed',
      entries: event.type === 'journal.failed' ? event.entries.length : 0,
      error: 'error' in event ? event.error : undefined,
    })),
    tellBrokenJournal: emit(({ event }) => ({
      type: 'journal.broken',
      error: 'error' in event ? event.error : undefined,
    })),
    scheduleRestart: raise(
      ({ event }) => ({
        type: 'timer.restart',
        timerId: 'timerId' in event ? event.timerId : '',
      }),
      {
        delay: ({ context, event }) =>
          context.directory.fail('timerId' in event ? event.timerId : ''),
      },
    ),
  },
  guards: {
    nothingInHand: ({ context }) => context.desk.isClear,
  },
}).createMachine({
  id: 'registry',
  context: ({ input, self }) => {
    const { clock, shardLogic = shardMachine, rankOf = () => 0 } = input;
    const directory = new TimerDirectory({ ...input, shardLogic, registry: self });
    return { clock, directory, desk: new CommandDesk(directory), turns: new Turns(rankOf) };
  },
  invoke: { src: 'journal', id: 'journal', systemId: 'journal' },
  initial: 'RECOVERING',
  on: {
    'timers.due': { actions: 'takeExpiries' },
    'turn.came': { actions: 'takeTurn' },
    'retention.over': { actions: ['retireOutdated', 'scheduleRetirement'] },
    'timer.removed': { actions: ['removeTimer', 'tellRemoved'] },
    'timer.failed': { actions: ['tellFailedTimer', 'scheduleRestart'] },
    'timer.restart': { actions: 'readHistory' },
    'shard.failed': { actions: 'failShard' },
    'journal.committed': { actions: ['applyCommitted', 'tellCommitted', 'scheduleRetirement'] },
    'journal.answered': { actions: 'noteAnswers' },
    'journal.failed': { actions: ['noteFailedAppend', 'tellFailedAppend', 'scheduleRetry'] },
    'journal.stalled': { actions: 'noteStalledAppend' },
    'journal.read': { actions: ['restartTimer', 'scheduleRetirement'] },
    'journal.unread': { actions: ['tellFailedTimer', 'scheduleRestart'] },
    'journal.broken': { target: '.BROKEN' },
    'xstate.error.actor.journal': { target: '.BROKEN' },
  },
  states: {
    RECOVERING: {
      description: 'Timers are rebuilt from the journal; those whose time is up are expired first.',
      initial: 'replaying',
      on: {
        commands: { actions: { type: 'refuse', params: { reason: 'recovering' } } },
        drain: { target: 'DRAINING' },
      },
      states: {
        replaying: {
          on: {
            'journal.records': { actions: 'restore' },
            'journal.replayed': 'catchingUp',
          },
        },
        catchingUp: {
          always: {
            guard: 'nothingInHand',
            target: '#registry.SERVING',
            actions: ['retireSurplus', 'scheduleRetirement'],
          },
        },
      },
    },
    SERVING: {
      on: {
        commands: { actions: 'take' },
        drain: { target: 'DRAINING' },
      },
    },
    DRAINING: {
      description: 'What was accepted is finished; nothing new is.',
      on: {
        commands: { actions: { type: 'refuse', params: { reason: 'shutting_down' } } },
        'timers.due': {},
        'turn.came': {},
      },
      always: { guard: 'nothingInHand', target: 'STOPPED' },
    },
    STOPPED: { type: 'final', entry: 'stopTimers' },
    BROKEN: { type: 'final', entry: ['tellBrokenJournal', 'stopTimers'] },
  },
});
