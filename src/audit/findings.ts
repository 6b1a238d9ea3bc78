/** What can be wrong with a record, and the words for it. */
import type { AuditEntry, DayHead } from '../protocol/audit.js';
import type { BrokenLine, Line } from './lines.js';
import { nameOf, type Signed, type Witness } from './witnesses.js';

export type FindingKind = 'changed' | 'removed' | 'inserted' | 'moved' | 'rewritten';

/** The first entry that is not as it was recorded. */
export interface Finding {
  readonly kind: FindingKind;
  /** Its place in the journal, where it is known. */
  readonly position: number | null;
  readonly timerId: string | null;
  readonly revision: number | null;
  /** The line of the export that gives it away; `null` if what gives it away is missing. */
  readonly line: number | null;
  readonly words: string;
}

interface Named {
  readonly timerId: string | null;
  readonly revision: number | null;
}

const NOBODY: Named = { timerId: null, revision: null };

export function changed(line: BrokenLine, position: number | null): Finding {
  const { number, isHead, why } = line;
  const what = isHead
    ? `The signed head behind entry ${position} (line ${number})`
    : `${entryText(position, line)} (line ${number})`;
  return finding('changed', position, line, number, `${what} was changed: ${why}.`);
}

/** An entry that fits its own hash, but not the entry behind it. */
export function changedWithHash(entry: AuditEntry, number: number): Finding {
  const { position } = entry;
  const words = `${textOf(entry)} (line ${number}) was changed and given a hash that fits, but not the one that what follows has.`;
  return finding('changed', position, namesOf(entry), number, words);
}

export function inserted(line: Line, position: number | null, why: string): Finding {
  const named = line.kind === 'entry' ? namesOf(line.entry) : NOBODY;
  const what =
    line.kind === 'entry' ? `${textOf(line.entry)} (line ${line.number})` : `Line ${line.number}`;
  return finding('inserted', position, named, line.number, `${what} was inserted: ${why}.`);
}

export function moved(line: Line, why: string): Finding {
  if (line.kind === 'head') {
    const words = `The signed head of entry ${line.head.position} (line ${line.number}) was moved: ${why}.`;
    return finding('moved', line.head.position, NOBODY, line.number, words);
  }
  const entry = line.kind === 'entry' ? line.entry : undefined;
  const what =
    entry === undefined ? `Line ${line.number}` : `${textOf(entry)} (line ${line.number})`;
  const named = entry === undefined ? NOBODY : namesOf(entry);
  return finding(
    'moved',
    entry?.position ?? null,
    named,
    line.number,
    `${what} is out of order: ${why}.`,
  );
}

/** `named` is the entry that is missing, where others of its timer tell. */
export function removed(first: number, last: number, named: Named | undefined): Finding {
  if (first === last) {
    const unknown = named === undefined ? ' No later entry tells of which timer it was.' : '';
    const words = `${entryText(first, named ?? NOBODY)} was removed.${unknown}`;
    return finding('removed', first, named ?? NOBODY, null, words);
  }
  const words = `Entries ${first} to ${last} were removed.`;
  return finding('removed', first, NOBODY, null, words);
}

/** Entries after the last one, of which something speaks that was signed. */
export function removedAfter(lastPosition: number, witness: Witness): Finding {
  const { position } = witness;
  const isOnly = position === lastPosition + 1;
  const named =
    isOnly && witness.kind === 'receipt'
      ? { timerId: witness.timer_id, revision: witness.revision }
      : NOBODY;
  const what = isOnly
    ? `${entryText(position, named)} was removed`
    : `Entries ${lastPosition + 1} to ${position} were removed`;
  const words = `${what}: ${nameOf(witness)} speaks of entry ${position}.`;
  return finding('removed', lastPosition + 1, named, null, words);
}

/** A head of a day that does not follow the one before it. */
export function unlinkedHead(head: DayHead, line: number, why: string): Finding {
  const words = `The signed head of ${head.date} (line ${line}) does not follow the one before it: ${why}.`;
  return finding('removed', head.position, NOBODY, line, words);
}

export function cutOff(afterPosition: number): Finding {
  const words = `The signed last line of the export is missing: entries after ${afterPosition} may have been removed.`;
  return finding('removed', afterPosition + 1, NOBODY, null, words);
}

/** The first entry of an export, which does not follow the one before it as that was signed. */
export function unlinkedEntry(witness: Witness, position: number): Finding {
  const words =
    `Entry ${position} does not follow entry ${witness.position} with the hash that ${nameOf(witness)} says: ` +
    'one of the two, or one before them, was changed and all hashes after it were written anew.';
  return finding('rewritten', position, NOBODY, null, words);
}

/** Hashes fit each other, and yet not what was signed: at most `last` entries back it was still as it is. */
export function rewritten(signed: Signed, entry: AuditEntry, lastGood: number): Finding {
  const { position } = entry;
  const who = signed.kind === 'export' ? 'the signed last line of this export' : nameOf(signed);
  if (lastGood === position - 1) {
    const words = `${textOf(entry)} was changed and given a hash that fits, but ${who} says another one.`;
    return finding('rewritten', position, namesOf(entry), null, words);
  }
  const words =
    `One of the entries ${lastGood + 1} to ${position} was changed, removed or inserted and all hashes after it were ` +
    `written anew: the hash of entry ${position} is not the one that ${who} says.`;
  return finding('rewritten', lastGood + 1, NOBODY, null, words);
}

/** Revisions of a timer that the service can never have recorded. */
export function impossible(entry: AuditEntry, number: number, before: number): Finding {
  const words =
    `${textOf(entry)} (line ${number}) cannot be: the entry of that timer before it is revision ${before}. ` +
    'The record was written anew.';
  return finding('rewritten', entry.position, namesOf(entry), number, words);
}

function finding(
  kind: FindingKind,
  position: number | null,
  { timerId, revision }: Named,
  line: number | null,
  words: string,
): Finding {
  return { kind, position, timerId, revision, line, words };
}

function namesOf({ timer_id, revision }: AuditEntry): Named {
  return { timerId: timer_id, revision };
}

function textOf(entry: AuditEntry): string {
  return entryText(entry.position, namesOf(entry));
}

function entryText(position: number | null, { timerId, revision }: Named): string {
  const place = position === null ? 'An entry' : `Entry ${position}`;
  return timerId === null ? place : `${place}, revision ${revision ?? '?'} of ${timerId},`;
}
