/**
 * Compaction: takes old entries out of the journal after they were exported. It cuts right behind an entry that a
 * signed head vouches for, so that the export and what is left are one chain with a signature at the joint.
 */
import type { Clock } from '../clock.js';
import { type Journal, REQUESTS_REMEMBERED_MS } from '../journal/journal.js';
import type { SignedHead } from '../protocol/audit.js';
import { isoTime } from '../protocol/timer.js';
import { undeliveredAfter } from '../webhooks/webhooks.js';
import type { Audit } from './export.js';

const DAY_MS = 24 * 60 * 60 * 1000;

export interface CompactionOptions {
  readonly journal: Journal;
  readonly audit: Audit;
  readonly clock: Clock;
  /** How long a finished timer may be asked for. */
  readonly retainFinishedMs: number;
}

/** What can be taken out: the entries up to one that was signed. */
export interface Cut {
  readonly firstPosition: number;
  readonly head: SignedHead;
  readonly endedBeforeMs: number;
}

/** Nothing can be taken out; why, in words. */
export interface NoCut {
  readonly why: string;
}

export class Compaction {
  readonly #options: CompactionOptions;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** What can be taken out of what was recorded before an instant in epoch ms. */
  async plan(beforeMs: number): Promise<Cut | NoCut> {
    const { journal, audit, clock, retainFinishedMs } = this.#options;
    const keptMs = Math.max(retainFinishedMs, REQUESTS_REMEMBERED_MS);
    const endedBeforeMs = Math.min(beforeMs, clock.now() - keptMs);
    const { position: beginning } = await journal.beginning();
    const old = (await audit.heads()).filter(
      ({ date, position }) => endOf(date) <= endedBeforeMs && position > beginning,
    );
    if (old.length === 0) {
      const why = `no day that was over at ${isoTime(endedBeforeMs)} has entries and a signed head`;
      return { why };
    }
    const anchor = await journal.firstUnfinished(endedBeforeMs);
    const undelivered = await undeliveredAfter(journal.documents);
    const last = Math.min((anchor?.position ?? Number.POSITIVE_INFINITY) - 1, undelivered);
    const head = old.findLast(({ position }) => position <= last);
    if (head !== undefined) return { firstPosition: beginning + 1, head, endedBeforeMs };
    if (undelivered === last) return { why: `a webhook waits for entry ${undelivered + 1}` };
    return { why: `timer ${anchor?.timerId}, of entry ${anchor?.position}, has not ended` };
  }

  /** The export of what is to be taken out, in pieces. */
  export({ head }: Cut): AsyncGenerator<string> {
    return this.#options.audit.export({
      fromMs: undefined,
      toMs: endOf(head.date),
      lastPosition: head.position,
    });
  }

  /** Takes the entries out for good. */
  carryOut({ head, endedBeforeMs }: Cut): Promise<void> {
    const { position, hash } = head;
    return this.#options.journal.takeOut({ position, hash, endedBeforeMs });
  }
}

/** The midnight in UTC at which a day ends. */
function endOf(date: string): number {
  return Date.parse(date) + DAY_MS;
}
