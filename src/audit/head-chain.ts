/**
 * The chain of the heads of days: each has a number and the hash of the one before it, so that one that is missing
 * or was replaced shows at the next. Compares what it is given, and touches nothing else.
 */
import { hash } from 'node:crypto';
import { NO_HASH } from '../journal/chain.js';
import type { DayHead } from '../protocol/audit.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** A service that was not running at midnight signs at its next start, so a day more is nothing unusual. */
const LATE_AFTER_MS = 2 * DAY_MS;

/** A head with the hash by which the next one names it. */
export interface ChainedHead {
  readonly number: number;
  readonly sha256: string;
}

/** What the next head says of the one before it. */
export type HeadLink = Pick<DayHead, 'number' | 'previous_head_sha256'>;

export function sha256Of(jws: string): string {
  return hash('sha256', jws);
}

export function linkTo(before: ChainedHead | undefined): HeadLink {
  if (before === undefined) return { number: 1, previous_head_sha256: NO_HASH };
  return { number: before.number + 1, previous_head_sha256: before.sha256 };
}

/** How a head does not follow the one before it, in words; nothing if it does. */
export function brokenLink(head: HeadLink, before: ChainedHead | undefined): string | undefined {
  const due = linkTo(before);
  if (head.number === due.number + 1) return `head ${due.number} is missing`;
  if (head.number > due.number) return `heads ${due.number} to ${head.number - 1} are missing`;
  if (head.number === due.number && head.previous_head_sha256 === due.previous_head_sha256) {
    return undefined;
  }
  return `head ${head.number} was signed behind another one than is there`;
}

/** Whether a head was signed so long after its day that others may have been in its place. */
export function isLate({ date, signed_at_ms }: Pick<DayHead, 'date' | 'signed_at_ms'>): boolean {
  return signed_at_ms > Date.parse(date) + DAY_MS + LATE_AFTER_MS;
}
