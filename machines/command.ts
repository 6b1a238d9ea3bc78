/**
 * Commands are intents; entries are facts. This file decides, from a timer's snapshot and the instant
 * a command arrived, which entry it leads to, or why none is possible.
 */
import type { SnapshotFrom } from 'xstate';
import {
  BY_ITSELF,
  type Cause,
  type Entry,
  type EntryBody,
  type TimerDefinition,
} from './entry.js';
import { stateOf, type TimerState } from './record.js';
import type { timerMachine } from './timer.machine.js';

export type TimerSnapshot = SnapshotFrom<typeof timerMachine>;

/** What an instructor can do to a timer's clock, in the order errors list it. */
export const ACTIONS = ['start', 'pause', 'resume', 'extend', 'stop'] as const;
export type Action = (typeof ACTIONS)[number];

export type Command = {
  readonly timerId: string;
  /** The command is for the timer at one of these revisions only. */
  readonly expectedRevisions?: readonly number[] | undefined;
} & (
  | { readonly type: 'create'; readonly definition: TimerDefinition }
  | { readonly type: 'start' | 'pause' | 'resume' | 'stop' | 'delete' }
  | { readonly type: 'extend'; readonly addedMs: number }
  /** Sent by a timer at its deadline, never by a person. */
  | { readonly type: 'expire' }
);

/** Why a command changed nothing. */
export type Refusal =
  | { readonly reason: 'unknown_timer' }
  | { readonly reason: 'timer_exists' }
  | {
      readonly reason: 'impossible_action';
      readonly action: Command['type'];
      readonly state: TimerState;
      readonly possible: readonly Action[];
    }
  | { readonly reason: 'wrong_revision'; readonly revision: number }
  | {
      readonly reason: 'too_many_timers';
      readonly limit: number;
      readonly of: 'service' | 'credential';
    }
  | { readonly reason: 'recovering' }
  | { readonly reason: 'shutting_down' }
  | { readonly reason: 'timer_restarting' }
  | { readonly reason: 'journal_unavailable' }
  /** The change may be recorded, or become so. */
  | { readonly reason: 'outcome_unknown' };

export type Decision =
  | { readonly type: 'propose'; readonly entry: Entry }
  /** The deadline passed unnoticed before the command came: record the expiry, then decide again. */
  | { readonly type: 'expire_first'; readonly entry: Entry }
  | { readonly type: 'refuse'; readonly refusal: Refusal };

/** A command with what the registry stamped on it. */
export interface StampedCommand {
  readonly command: Command;
  /** Epoch milliseconds at which the command arrived; one instant for a whole bulk (T7). */
  readonly atMs: number;
  readonly cause: Cause;
}

/** Decides a command for a timer, or for none when nothing is known by that id. */
export function decide(snapshot: TimerSnapshot | undefined, stamped: StampedCommand): Decision {
  const { command, cause } = stamped;
  if (command.type === 'create') {
    if (snapshot !== undefined) return refuse({ reason: 'timer_exists' });
    const { timerId, definition } = command;
    const now = { atMs: stamped.atMs, recordedAtMs: stamped.atMs };
    return {
      type: 'propose',
      entry: { timerId, revision: 1, ...now, ...cause, type: 'created', data: definition },
    };
  }
  if (snapshot === undefined) return refuse({ reason: 'unknown_timer' });

  // The change before it may have the time of a clock that is ahead of this one.
  const atMs = Math.max(stamped.atMs, snapshot.context.record.changedAtMs);
  const now = { atMs, recordedAtMs: atMs };
  const end = { atMs: deadlineOf(snapshot), recordedAtMs: atMs };
  const expiry = entryOf(snapshot, { type: 'expired', data: {} }, end, BY_ITSELF);
  const isTimeUp = stateOf(snapshot.context.record) === 'RUNNING' && atMs >= expiry.atMs;
  if (isTimeUp && command.type !== 'delete') {
    return { type: command.type === 'expire' ? 'propose' : 'expire_first', entry: expiry };
  }
  const { revision } = snapshot.context.record;
  if (command.expectedRevisions?.includes(revision) === false) {
    return refuse({ reason: 'wrong_revision', revision });
  }
  const entry = bodiesOf(command)
    .map((body) => entryOf(snapshot, body, now, cause))
    .find((candidate) => snapshot.can(candidate));
  return entry === undefined
    ? refuse(impossible(snapshot, command.type, atMs))
    : { type: 'propose', entry };
}

/** The entries a command may lead to: `start` resumes a paused timer, so it has two. */
function bodiesOf(command: Exclude<Command, { type: 'create' }>): readonly EntryBody[] {
  switch (command.type) {
    case 'start':
      return [
        { type: 'started', data: {} },
        { type: 'resumed', data: {} },
      ];
    case 'pause':
      return [{ type: 'paused', data: {} }];
    case 'resume':
      return [{ type: 'resumed', data: {} }];
    case 'extend':
      return [{ type: 'extended', data: { addedMs: command.addedMs } }];
    case 'stop':
      return [{ type: 'stopped', data: {} }];
    case 'delete':
      return [{ type: 'deleted', data: {} }];
    case 'expire':
      return [];
  }
}

function entryOf(
  snapshot: TimerSnapshot,
  body: EntryBody,
  when: Pick<Entry, 'atMs' | 'recordedAtMs'>,
  cause: Cause,
): Entry {
  const { id, revision } = snapshot.context.record;
  return { timerId: id, revision: revision + 1, ...when, ...cause, ...body };
}

function deadlineOf(snapshot: TimerSnapshot): number {
  return snapshot.context.record.deadlineMs ?? Number.POSITIVE_INFINITY;
}

function impossible(snapshot: TimerSnapshot, action: Command['type'], atMs: number): Refusal {
  const possible = ACTIONS.filter((type) => {
    const command: Command = {
      timerId: '',
      ...(type === 'extend' ? { type, addedMs: 0 } : { type }),
    };
    const now = { atMs, recordedAtMs: atMs };
    return bodiesOf(command).some((body) => snapshot.can(entryOf(snapshot, body, now, BY_ITSELF)));
  });
  return { reason: 'impossible_action', action, state: stateOf(snapshot.context.record), possible };
}

function refuse(refusal: Refusal): Decision {
  return { type: 'refuse', refusal };
}
