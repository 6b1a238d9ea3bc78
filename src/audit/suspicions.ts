/**
 * What does not fit is seen at one line, and what was done can often be told only from the lines behind it. A
 * suspicion takes these, until it knows.
 */
import { hashOf } from '../journal/chain.js';
import type { AuditEntry, ExportHead, Head } from '../protocol/audit.js';
import {
  changed,
  changedWithHash,
  type Finding,
  inserted,
  moved,
  removed,
  rewritten,
} from './findings.js';
import type { BrokenLine, Line } from './lines.js';
import type { Revisions } from './revisions.js';
import type { Signed } from './witnesses.js';

export interface Suspicion {
  /** The finding, once it is certain. */
  take(line: Line): Finding | undefined;
  /** The finding when there are no more lines. */
  end(): Finding;
}

/** What the next entry of an untouched record has. */
export interface Place {
  readonly position: number;
  readonly previousHash: string;
}

export type EntryLine = Extract<Line, { kind: 'entry' }>;
export type HeadLine = Extract<Line, { kind: 'head' }>;

/** Where more entries were taken away at once, and the others numbered anew, it is not told how many. */
const MOST_MISSING = 1000;

const FOREIGN = 'the entries before and behind it follow each other';

/**
 * A line that is not as it was written was changed, or was never there. Or entries were given other places than
 * they were written at, because one before them was taken away or put in.
 */
export function suspectBroken(
  line: BrokenLine,
  place: Place,
  last: EntryLine | undefined,
  revisions: Revisions,
): Suspicion {
  const missing = revisions.missingFrom(line.entry);
  const changedHere = changedAt(line, place);
  const putIn = last !== undefined && fitsAt(line.entry, placeOf(last.entry));
  let missingCount = 0;
  const decide = (next: Line): Finding | undefined => {
    if (line.isHead) return changedHere;
    if (isAt(next, place)) return inserted(line, place.position, FOREIGN);
    if (next.kind === 'broken' && fitsAt(next.entry, place)) {
      return swappedOrInserted(line, next.entry, place);
    }
    missingCount = entriesMissing(line.entry, place, next);
    return missingCount === 0 ? changedHere : undefined;
  };
  return {
    take: (next) => {
      if (last !== undefined && putIn) return putInFinding(last);
      if (next.kind !== 'head' && next.entry !== undefined) missing.take(next.entry);
      if (missingCount === 0) return decide(next);
      const isMissing = next.kind === 'broken' && fitsAt(next.entry, place);
      return isMissing ? movedFrom(next, place.position) : undefined;
    },
    end: () => {
      if (last !== undefined && putIn) return putInFinding(last);
      const { position } = place;
      return missingCount === 0
        ? changedHere
        : removed(position, position + missingCount - 1, missing.only);
    },
  };
}

function putInFinding(last: EntryLine): Finding {
  const { position } = last.entry;
  return inserted(last, position, 'the entry behind it was written at its place');
}

/** The entry that belongs to a place is only the next one. */
function swappedOrInserted(line: BrokenLine, next: AuditEntry | undefined, place: Place): Finding {
  const position = place.position + 1;
  return fitsAt(line.entry, { position, previousHash: next?.hash ?? '' })
    ? movedFrom(line, position)
    : inserted(line, place.position, 'the entry behind it was written at its place');
}

function movedFrom(line: BrokenLine, position: number): Finding {
  const { entry, number } = line;
  const why = `it was written as entry ${position}`;
  if (entry === undefined) return moved(line, why);
  return moved({ kind: 'entry', number, entry: { ...entry, position } }, why);
}

/**
 * How many entries are missing before one that does not fit: those that its place leaves out, or as many places as
 * the entry behind it, which follows it, was written later.
 */
function entriesMissing(entry: AuditEntry | undefined, place: Place, next: Line): number {
  if (entry === undefined || next.kind === 'head' || next.entry === undefined) return 0;
  const following = { position: entry.position + 1, previousHash: entry.hash };
  if (isAt(next, following)) return Math.max(0, entry.position - place.position);
  const { position, previous_hash } = next.entry;
  if (previous_hash !== entry.hash) return 0;
  for (let count = 1; count <= MOST_MISSING; count += 1) {
    const later = { position: position + count, previousHash: previous_hash };
    if (fitsAt(next.entry, later)) return count;
  }
  return 0;
}

/** Whether an entry has the hash that it would have at a place. */
function fitsAt(entry: AuditEntry | undefined, { position, previousHash }: Place): boolean {
  if (entry === undefined) return false;
  return hashOf({ ...entry, position, previous_hash: previousHash }) === entry.hash;
}

function placeOf({ position, previous_hash }: AuditEntry): Place {
  return { position, previousHash: previous_hash };
}

function changedAt(line: BrokenLine, { position }: Place): Finding {
  return changed(line, line.isHead ? position - 1 : position);
}

/** Where an export begins, only its last line says. */
export function suspectBrokenFirst(line: BrokenLine): Suspicion {
  let following: AuditEntry | undefined;
  const decidedBy = ({ first_position, position }: ExportHead): Finding => {
    const isForeign = (following?.position ?? position + 1) === first_position;
    return isForeign
      ? inserted(line, first_position, 'the export begins behind it')
      : changed(line, first_position);
  };
  return {
    take: (next) => {
      if (next.kind === 'entry') following ??= next.entry;
      const isEnd = next.kind === 'head' && next.head.kind === 'export';
      return isEnd ? decidedBy(next.head) : undefined;
    },
    end: () => changed(line, following === undefined ? null : following.position - 1),
  };
}

/** An entry comes behind the one that the record began with: one of the two is at the wrong place. */
export function suspectBeginning(first: EntryLine, last: EntryLine, line: EntryLine): Suspicion {
  const { position, hash } = line.entry;
  const comesAfterLast = `it comes after entry ${last.entry.position}`;
  let isFirstNext = true;
  let isFirstAhead = false;
  return {
    take: (next) => {
      const isNext = isAt(next, { position: position + 1, previousHash: hash });
      if (isFirstNext) isFirstAhead = isNext && first === last;
      isFirstNext = false;
      if (next.kind !== 'entry') return undefined;
      if (next.entry.position < position) return moved(next, comesAfterLast);
      if (next.entry.position !== first.entry.position || !isFirstAhead) return undefined;
      return inserted(first, position, `it is a copy of entry ${first.entry.position}`);
    },
    end: () =>
      isFirstAhead
        ? moved(first, `it comes before entry ${position}`)
        : moved(line, comesAfterLast),
  };
}

/** A head stands behind an entry that it does not speak of: it was moved, or the entry is a copy. */
export function suspectLateHead(line: HeadLine, last: EntryLine): Suspicion {
  const { position, hash } = last.entry;
  const late = moved(line, `it comes after entry ${position}`);
  return {
    take: (next) => {
      const isCopy = next.kind === 'entry' && next.entry.hash === hash;
      return isCopy ? inserted(last, position, `it is a copy of entry ${position}`) : late;
    },
    end: () => late,
  };
}

/** An entry is not the one that was signed: it alone was changed if the next one follows what was signed. */
export function suspectUnsigned(line: EntryLine, signed: Signed, lastGood: number): Suspicion {
  const { position } = line.entry;
  const rest = rewritten(signed, line.entry, lastGood);
  return {
    take: (next) => {
      if (next.kind === 'head') return undefined;
      const isAlone = isAt(next, { position: position + 1, previousHash: signed.hash });
      return isAlone ? changedWithHash(line.entry, line.number) : rest;
    },
    end: () => rest,
  };
}

/**
 * Entries are missing before a line: they were removed, or come later, or the line comes too early. Which it is the
 * first of them says, for the others may be behind only because the line was put before them.
 */
export function suspectGap(
  line: EntryLine | HeadLine,
  place: Place,
  revisions: Revisions,
): Suspicion {
  const position = line.kind === 'entry' ? line.entry.position : line.head.position + 1;
  let lastMissing = position - 1;
  let isFirst = true;
  let isAhead = false;
  const missing = revisions.missingFrom(line.kind === 'entry' ? line.entry : undefined);
  return {
    take: (next) => {
      if (isFirst) isAhead = isAt(next, place);
      isFirst = false;
      if (next.kind !== 'entry') return undefined;
      missing.take(next.entry);
      const found = next.entry.position;
      if (isAhead && line.kind === 'entry' && found === position) {
        return inserted(line, place.position, `it is a copy of entry ${position}`);
      }
      if (!isAhead && found === place.position) {
        return moved(next, `it comes after entry ${position}`);
      }
      if (found > place.position) lastMissing = Math.min(lastMissing, found - 1);
      return undefined;
    },
    end: () =>
      isAhead
        ? moved(line, `it comes before entry ${place.position}`)
        : removed(place.position, lastMissing, missing.only),
  };
}

/** Two entries for one place, each fitting what is before: what follows says which of them is the right one. */
export function suspectTwins(first: EntryLine, second: EntryLine): Suspicion {
  const { position } = first.entry;
  const foreign = (line: EntryLine) => inserted(line, position, `entry ${position} is there twice`);
  return {
    take: (next) => {
      const follows = isAt(next, { position: position + 1, previousHash: second.entry.hash });
      return follows && first.entry.hash !== second.entry.hash ? foreign(first) : foreign(second);
    },
    end: () => foreign(second),
  };
}

/** Whether a line is what comes next at a place of the record: the next entry, or a head of the last. */
function isAt(line: Line, { position, previousHash }: Place): boolean {
  switch (line.kind) {
    case 'entry':
      return line.entry.position === position && line.entry.previous_hash === previousHash;
    case 'head':
      return isHeadAt(line.head, { position, previousHash });
    case 'broken':
      return false;
  }
}

export function isHeadAt(head: Head, { position, previousHash }: Place): boolean {
  return head.position === position - 1 && head.hash === previousHash;
}
