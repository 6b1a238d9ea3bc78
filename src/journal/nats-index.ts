/**
 * What a node knows of the stream without asking: where each timer stands and what its entries add up to, hashes of
 * the chain, and which entries a request left lately. It is folded from the messages in their one order, so every
 * node knows the same, also which of them count for nothing; a snapshot is this, after one message. Pure; a few
 * hundred bytes for each timer.
 */
import {
  applyEntry,
  createRecord,
  ImpossibleEntryError,
  type TimerRecord,
} from '../../machines/record.js';
import { linkOf, type Milestone, NO_HASH } from './chain.js';
import {
  type Anchor,
  type Entry,
  endedAtMs,
  JournalError,
  REQUESTS_REMEMBERED_MS,
} from './journal.js';
import { KeptHashes } from './nats-hashes.js';
import { Voids } from './nats-voids.js';

/** Where a timer stands. */
export interface Head {
  readonly timerId: string;
  readonly revision: number;
  readonly firstPosition: number;
  /** The place of its last entry. */
  readonly position: number;
  /** The sequence of the last message of its subject, which need not have counted. */
  readonly sequence: number;
  readonly endedAtMs: number | null;
  /** `null` of a timer that was deleted, or ended so long ago that nobody loads it any more. */
  readonly record: TimerRecord | null;
}

/** The entries that requests left whose names begin alike. */
export interface RequestTrace {
  readonly prefix: string;
  readonly positions: readonly number[];
  readonly lastRecordedAtMs: number;
}

/** All that an index knows after one message. */
export interface IndexState {
  /** That of the message. */
  readonly sequence: number;
  /** In the order of their places; the last of them is that of the last entry. */
  readonly milestones: readonly Milestone[];
  readonly heads: readonly Head[];
  /** In the order of their last entries. */
  readonly requests: readonly RequestTrace[];
  /** The sequences of messages that count for nothing, in their order. */
  readonly voids: readonly number[];
}

export const NOTHING_KNOWN: IndexState = {
  sequence: 0,
  milestones: [{ position: 0, hash: NO_HASH }],
  heads: [],
  requests: [],
  voids: [],
};

export class StreamIndex {
  readonly hashes: KeptHashes;
  readonly #heads: Map<string, Head>;
  readonly #requests: Map<string, RequestTrace>;
  readonly #voids: Voids;
  #sequence: number;

  constructor({ sequence, milestones, heads, requests, voids }: IndexState = NOTHING_KNOWN) {
    this.#sequence = sequence;
    this.hashes = new KeptHashes(milestones);
    this.#heads = new Map(heads.map((head) => [head.timerId, head]));
    this.#requests = new Map(requests.map((trace) => [trace.prefix, trace]));
    this.#voids = new Voids(voids);
  }

  /** The sequence of the last message that was taken in. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The place of the last entry. */
  get position(): number {
    return this.hashes.last.position;
  }

  /** The sequence of the message that holds the entry at a place. */
  sequenceOf(position: number): number {
    return this.#voids.sequenceOf(position);
  }

  /** The place of the last entry up to a sequence. */
  positionUpTo(sequence: number): number {
    return this.#voids.positionUpTo(sequence);
  }

  /** Whether what a message holds came too late to be an entry. */
  isVoid(sequence: number): boolean {
    return this.#voids.isVoid(sequence);
  }

  headOf(timerId: string): Head | undefined {
    return this.#heads.get(timerId);
  }

  revisionOf(timerId: string): number {
    return this.#heads.get(timerId)?.revision ?? 0;
  }

  /** The timers that had not ended at an instant. */
  unfinishedAt(epochMs: number): Head[] {
    return [...this.#heads.values()].filter((head) => isUnfinished(head, epochMs));
  }

  /**
   * Takes the next message in, and gives whether what it holds is an entry: not if another one of that
   * revision came before it.
   * @throws {JournalError} if it is not the next one, which is when somebody else wrote to the stream.
   */
  fold(entry: Entry, sequence: number): boolean {
    const { timerId, revision } = entry;
    const head = this.headOf(timerId);
    if (sequence !== this.#sequence + 1 || revision > this.revisionOf(timerId) + 1) {
      throw new JournalError(
        `The journal is damaged: message ${sequence} of the stream, revision ${revision} of timer ` +
          `${timerId}, does not follow what is before it. Restore the stream from a backup.`,
      );
    }
    if (head !== undefined && revision <= head.revision) {
      this.#sequence = sequence;
      this.#voids.add(sequence);
      this.#heads.set(timerId, { ...head, sequence });
      return false;
    }
    const record = recordAfter(entry, head);
    const position = this.position + 1;
    this.#sequence = sequence;
    this.hashes.keepNext(linkOf(entry, position, this.hashes.last.hash).hash);
    const firstPosition = head?.firstPosition ?? position;
    const endMs = endedAtMs(entry);
    const next = { timerId, revision, firstPosition, position, sequence, endedAtMs: endMs, record };
    this.#heads.set(timerId, next);
    this.#noteRequest(entry, position);
    return true;
  }

  /** The places of entries whose request may have a name that begins so. */
  ofRequests(prefix: string): readonly number[] {
    const group = groupOf(prefix);
    if (group !== prefix) return this.#requests.get(group)?.positions ?? [];
    return [...this.#requests.values()]
      .flatMap((trace) => (trace.prefix.startsWith(prefix) ? trace.positions : []))
      .sort((a, b) => a - b);
  }

  /** The first entry of those timers that had not ended at an instant. */
  firstUnfinished(epochMs: number): Anchor | undefined {
    let first: Anchor | undefined;
    for (const { timerId, firstPosition: position } of this.unfinishedAt(epochMs)) {
      if (first === undefined || position < first.position) first = { position, timerId };
    }
    return first;
  }

  /** The timers that have messages up to a sequence and behind it. */
  astride(sequence: number): Head[] {
    const position = this.positionUpTo(sequence);
    return [...this.#heads.values()].filter(
      (head) => head.firstPosition <= position && head.sequence > sequence,
    );
  }

  /** What another node needs to know of the messages up to a sequence, if they are taken out. */
  beginningAt(sequence: number, milestone: Milestone, heads: readonly Head[]): IndexState {
    return {
      sequence,
      milestones: [milestone],
      heads,
      requests: [],
      voids: this.#voids.upTo(sequence),
    };
  }

  /** Forgets what was taken out of the stream. */
  takeOut({ sequence, milestones, heads }: IndexState): void {
    const [milestone] = milestones;
    if (milestone === undefined || milestone.position <= this.hashes.first.position) return;
    const firstPosition = milestone.position + 1;
    this.hashes.beginAt(milestone);
    // Timers that went on behind the joint, of which this index may not have heard yet.
    const astride = new Set(heads.map(({ timerId }) => timerId));
    for (const [timerId, head] of this.#heads) {
      if (head.sequence <= sequence && !astride.has(timerId)) this.#heads.delete(timerId);
      else if (head.firstPosition < firstPosition)
        this.#heads.set(timerId, { ...head, firstPosition });
    }
    for (const [prefix, trace] of this.#requests) {
      const positions = trace.positions.filter((position) => position >= firstPosition);
      if (positions.length === 0) this.#requests.delete(prefix);
      else this.#requests.set(prefix, { ...trace, positions });
    }
  }

  /** What is known now; what comes later does not change it. */
  capture(): IndexState {
    return {
      sequence: this.#sequence,
      milestones: this.hashes.milestones(),
      heads: [...this.#heads.values()],
      requests: [...this.#requests.values()],
      voids: this.#voids.upTo(this.#sequence),
    };
  }

  /** Forgets what timers added up to that ended at an instant or before. */
  forgetRecords(endedBeforeMs: number): void {
    for (const [timerId, head] of this.#heads) {
      if (head.record === null || isUnfinished(head, endedBeforeMs)) continue;
      this.#heads.set(timerId, { ...head, record: null });
    }
  }

  /** The latest are at the end, so those that are too old are found at the beginning. */
  #noteRequest({ requestId, recordedAtMs }: Entry, position: number): void {
    if (requestId === null) return;
    const prefix = groupOf(requestId);
    const positions = [...(this.#requests.get(prefix)?.positions ?? []), position];
    this.#requests.delete(prefix);
    this.#requests.set(prefix, { prefix, positions, lastRecordedAtMs: recordedAtMs });
    for (const trace of this.#requests.values()) {
      if (trace.lastRecordedAtMs > recordedAtMs - REQUESTS_REMEMBERED_MS) return;
      this.#requests.delete(trace.prefix);
    }
  }
}

function isUnfinished({ endedAtMs: endMs }: Head, epochMs: number): boolean {
  return endMs === null || endMs > epochMs;
}

function recordAfter(entry: Entry, head: Head | undefined): TimerRecord | null {
  if (entry.type === 'deleted') return null;
  try {
    if (head === undefined) return createRecord(entry);
    return head.record === null ? null : applyEntry(head.record, entry);
  } catch (cause) {
    if (!(cause instanceof ImpossibleEntryError)) throw cause;
    throw new JournalError(
      `The journal is damaged. ${cause.message}. Restore the stream from a backup.`,
      { cause },
    );
  }
}

/** Requests are asked for by what stands before the first dot of their name. */
function groupOf(requestId: string): string {
  const dot = requestId.indexOf('.');
  return dot === -1 ? requestId : requestId.slice(0, dot);
}
