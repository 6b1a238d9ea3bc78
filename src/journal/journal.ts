/**
 * The journal: a durable log of entries, the only memory the service has. This is the port; `memory`,
 * `sqlite` and `nats` stand behind it, and every one of them passes the same contract suite.
 */
import { z } from 'zod';
import type { JournalAnswer } from '../../machines/desk.js';
import { type Entry, REASON_CATEGORIES, ROLES } from '../../machines/entry.js';
import { ImpossibleEntryError, recordOf, type TimerRecord } from '../../machines/record.js';
import type { Bus } from '../bus.js';
import { type Milestone, NO_HASH, type RecordedEntry } from './chain.js';
import type { DocumentPlace, Documents } from './documents.js';

export type { JournalAnswer } from '../../machines/desk.js';
export type { Entry } from '../../machines/entry.js';
export { endedAtMs } from '../../machines/entry.js';
export type { TimerRecord } from '../../machines/record.js';
export type { Milestone, RecordedEntry } from './chain.js';
export type { Document, Documents } from './documents.js';

/** How long what a request left can be found by its name, at least. */
export const REQUESTS_REMEMBERED_MS = 2 * 24 * 60 * 60 * 1000;

/** Entries that were committed together. */
export interface Commit {
  readonly entries: readonly Entry[];
  /** The place of the last of them; the others come right before it. */
  readonly lastPosition: number;
}

/** Some timers as their entries left them, and how many timers are still to come. */
export interface ReplayBatch {
  readonly records: readonly TimerRecord[];
  readonly timersLeft: number;
}

/** What keeps an engine from recording, or this node from using it. */
export interface Lack {
  readonly part: 'disk' | 'connection' | 'quorum' | 'clock';
  /** In words that end with what is done about it. */
  readonly detail: string;
}

/** What the clock of this node is ahead of the engine's, and how far that may be off. */
export interface ClockOffset {
  readonly offsetMs: number;
  readonly errorBoundMs: number;
}

/** What is known of what records: a disk of our own, or an engine that is elsewhere. */
export interface Engine {
  /** An engine elsewhere may never answer; a disk of our own does in the end, however slow it is. */
  readonly isElsewhere: boolean;
  /** What is missing at present for an append; empty when nothing is. */
  readonly lacks: readonly Lack[];
  /** `undefined` before it was measured, and where there is no other clock. */
  readonly clockOffset: ClockOffset | undefined;
}

/**
 * What the first entry follows that is there: entries up to its place were taken out, all of timers that had
 * ended at an instant in epoch ms.
 */
export interface Beginning extends Milestone {
  readonly endedBeforeMs: number;
}

/** The beginning of a journal that nothing was taken out of. */
export const VERY_BEGINNING: Beginning = { position: 0, hash: NO_HASH, endedBeforeMs: 0 };

/** Where the beginning is kept beside the entries. */
export const BEGINNING_DOCUMENT: DocumentPlace = { drawer: 'journal', name: 'beginning' };

export const beginningSchema = z.object({
  position: z.number().int().min(0),
  hash: z.string().length(NO_HASH.length),
  endedBeforeMs: z.number().int().min(0),
}) satisfies z.ZodType<Beginning>;

/** An entry that has to stay, with all that follow it. */
export interface Anchor {
  readonly position: number;
  readonly timerId: string;
}

export interface Journal {
  /** What and where it is, for the log and for people. */
  readonly description: string;

  /** Only where there is one that may fail while this process is well. */
  readonly engine?: Engine;

  /** Only where several nodes share one: how they tell each other what is not recorded. */
  readonly bus?: Bus;

  /**
   * Only where several nodes share one: settles when all that is recorded by now was delivered here.
   * @throws {JournalError} if that cannot be found out within 2 s.
   */
  caughtUp?(): Promise<void>;

  /**
   * Every timer as everything recorded so far leaves it, each once. Timers that ended at or before
   * `endedBeforeMs` (epoch ms) are left out, and deleted ones always.
   */
  replay(endedBeforeMs: number): AsyncIterable<ReplayBatch>;

  /**
   * Delivers entries committed from now on, by anyone, in the order of their commit: after the call
   * of `append` that brought them has returned, and, unless a network is between, before its promise
   * is settled. What was delivered may be delivered again, alone or together with what comes next.
   */
  subscribe(listener: (commit: Commit) => void): () => void;

  /**
   * Appends entries in one durable commit and answers for each of them. Rejects when nothing could
   * be written: then no entry of the call was committed or will be, other than those that were delivered,
   * and later calls may well succeed.
   * @throws {DoubtError} if it cannot be found out what became of some entries, which names them.
   */
  append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]>;

  /** The whole history of one timer, oldest entry first; empty when there is none. */
  history(timerId: string): Promise<readonly RecordedEntry[]>;

  /** The next entries of all timers after a position, in the order of their commit. */
  read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]>;

  /** The position of the last entry that was recorded before an instant in epoch ms; 0 if none was. */
  positionBefore(epochMs: number): Promise<number>;

  /**
   * Entries whose request has an id that begins so, in the order of their commit; those that were recorded
   * more than two days before the last one may be missing.
   */
  entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]>;

  beginning(): Promise<Beginning>;

  /** The first entry of those timers that had not ended at an instant in epoch ms. */
  firstUnfinished(epochMs: number): Promise<Anchor | undefined>;

  /**
   * Takes out the entries up to a new beginning for good, all of which are of timers that had ended. What is left of a
   * timer that has entries on both sides is its later part.
   */
  takeOut(upTo: Beginning): Promise<void>;

  /** What else is kept beside the entries. */
  readonly documents: Documents;

  /** Finishes what was begun and lets go of files and connections. */
  close(): Promise<void>;
}

/** The journal cannot be used as it is; the message says what is wrong and what to do. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
}

/** Some entries of an append may be in the journal, or come into it later; all others are not. */
export class DoubtError extends JournalError {
  readonly entries: readonly Entry[];

  constructor(message: string, entries: readonly Entry[]) {
    super(message);
    this.entries = entries;
  }
}

const wholeMs = z.number().int().min(0);
const nothing = z.strictObject({});
const common = {
  timerId: z.string().min(1),
  revision: z.number().int().min(1),
  atMs: wholeMs,
  recordedAtMs: wholeMs,
  by: z.object({
    credential: z.string(),
    role: z.enum(ROLES),
    label: z.string().nullable(),
    address: z.string().nullable(),
  }),
  reason: z.object({ category: z.enum(REASON_CATEGORIES), text: z.string().nullable() }).nullable(),
  requestId: z.string().nullable(),
};

/** Entries as they are read back from storage. */
export const entrySchema = z.discriminatedUnion('type', [
  z.object({
    ...common,
    type: z.literal('created'),
    data: z.object({
      name: z.string(),
      durationMs: wholeMs,
      warningThresholdsMs: z.array(wholeMs),
      autoStart: z.boolean(),
    }),
  }),
  z.object({ ...common, type: z.literal('started'), data: nothing }),
  z.object({ ...common, type: z.literal('paused'), data: nothing }),
  z.object({ ...common, type: z.literal('resumed'), data: nothing }),
  z.object({ ...common, type: z.literal('extended'), data: z.object({ addedMs: wholeMs }) }),
  z.object({ ...common, type: z.literal('stopped'), data: nothing }),
  z.object({ ...common, type: z.literal('expired'), data: nothing }),
  z.object({ ...common, type: z.literal('deleted'), data: nothing }),
]) satisfies z.ZodType<Entry>;

/** The records of timers as they are read back from where they were folded. */
export const recordSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  revision: z.number().int().min(1),
  ownerId: z.string(),
  durationMs: wholeMs,
  warningThresholdsMs: z.array(wholeMs),
  createdAtMs: wholeMs,
  changedAtMs: wholeMs,
  startedAtMs: wholeMs.nullable(),
  completedAtMs: wholeMs.nullable(),
  deadlineMs: wholeMs.nullable(),
  heldMs: wholeMs.nullable(),
}) satisfies z.ZodType<TimerRecord>;

/**
 * What whole histories add up to.
 * @throws {JournalError} if one contradicts itself.
 */
export function recordsOf(histories: readonly (readonly Entry[])[]): TimerRecord[] {
  return unlessImpossible(() => histories.map(recordOf));
}

/** @throws {JournalError} if entries that are folded contradict each other. */
export function unlessImpossible<T>(fold: () => T): T {
  try {
    return fold();
  } catch (cause) {
    if (!(cause instanceof ImpossibleEntryError)) throw cause;
    throw new JournalError(`The journal is damaged. ${cause.message}. Restore it from a backup.`, {
      cause,
    });
  }
}

/** Groups entries that are sorted by timer into one history for each. */
export function groupByTimer(entries: readonly Entry[]): Entry[][] {
  const histories: Entry[][] = [];
  for (const entry of entries) {
    const last = histories.at(-1);
    if (last?.[0]?.timerId === entry.timerId) last.push(entry);
    else histories.push([entry]);
  }
  return histories;
}
