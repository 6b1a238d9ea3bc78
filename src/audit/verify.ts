/**
 * Verifies an exported record, line by line: every entry fits its hash, follows the one before it, and fits what
 * was signed. Names the first entry that does not.
 */
import { NO_HASH } from '../journal/chain.js';
import type { AuditEntry, DayHead, ExportHead } from '../protocol/audit.js';
import {
  changedWithHash,
  cutOff,
  type Finding,
  impossible,
  inserted,
  removed,
  removedAfter,
  unlinkedEntry,
  unlinkedHead,
} from './findings.js';
import { brokenLink, type ChainedHead, isLate } from './head-chain.js';
import type { Line } from './lines.js';
import { Revisions } from './revisions.js';
import {
  type EntryLine,
  type HeadLine,
  isHeadAt,
  type Place,
  type Suspicion,
  suspectBeginning,
  suspectBroken,
  suspectBrokenFirst,
  suspectGap,
  suspectLateHead,
  suspectTwins,
  suspectUnsigned,
} from './suspicions.js';
import { type KeptReceipt, type Signed, type Witness, Witnesses } from './witnesses.js';

export interface Verdict {
  readonly finding: Finding | undefined;
  /** Entries that were found to be right. */
  readonly entries: number;
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
  readonly lastHash: string | null;
  /** Heads that were held against entries, in the export and beside it. */
  readonly heads: number;
  /** Receipts that were held against entries. */
  readonly receipts: number;
  /** Receipts of entries that come before the first one, or after the last one. */
  readonly receiptsOutside: readonly KeptReceipt[];
  /** Heads of days in the export that were signed so late that others may have been there before. */
  readonly lateHeads: readonly DayHead[];
  /** What the export says of itself in its last line, if that was reached. */
  readonly end: ExportHead | undefined;
}

export class Verification {
  readonly #witnesses: Witnesses;
  readonly #revisions = new Revisions();
  #finding: Finding | undefined;
  #suspicion: Suspicion | undefined;
  #first: EntryLine | undefined;
  #last: EntryLine | undefined;
  #entries = 0;
  #heads = 0;
  #receipts = 0;
  /** The last entry that a head vouches for, and with it all before. */
  #vouched = 0;
  #lastHeadPosition = -1;
  #lastHead: ChainedHead | undefined;
  /** Told if nothing is wrong with any entry. */
  #headFinding: Finding | undefined;
  readonly #lateHeads: DayHead[] = [];
  #end: ExportHead | undefined;

  /** `witnesses` are heads and receipts that were kept elsewhere. */
  constructor(witnesses: readonly Witness[] = []) {
    this.#witnesses = new Witnesses(witnesses);
  }

  /** Whether the rest cannot change the verdict. */
  get isDecided(): boolean {
    return this.#finding !== undefined;
  }

  take(line: Line): void {
    if (this.#finding !== undefined) return;
    if (this.#suspicion !== undefined) this.#finding = this.#suspicion.take(line);
    else if (this.#end !== undefined)
      this.#finding = inserted(line, null, 'it is behind the last line of the export');
    else this.#takeNext(line);
  }

  /** What comes next is another export, which has to go on where this one ended. */
  nextPart(): void {
    this.#finding ??= this.#suspicion?.end() ?? this.#findingAtEnd();
    this.#end = undefined;
  }

  end(): Verdict {
    this.#finding ??= this.#suspicion?.end() ?? this.#findingAtEnd() ?? this.#headFinding;
    const first = this.#first?.entry.position;
    const last = this.#last?.entry.position;
    return {
      finding: this.#finding,
      entries: this.#entries,
      firstPosition: first ?? null,
      lastPosition: last ?? null,
      lastHash: this.#last?.entry.hash ?? null,
      heads: this.#heads,
      receipts: this.#receipts,
      // The entry before the first one is known by its hash.
      receiptsOutside: this.#witnesses.receiptsOutside((first ?? Infinity) - 1, last ?? 0),
      lateHeads: this.#lateHeads,
      end: this.#end,
    };
  }

  #takeNext(line: Line): void {
    if (line.kind === 'entry') this.#takeEntry(line);
    else if (line.kind === 'head') this.#takeHead(line);
    else {
      const place = this.#place ?? (line.entry?.position === 1 ? FIRST_PLACE : undefined);
      this.#suspicion =
        place === undefined
          ? suspectBrokenFirst(line)
          : suspectBroken(line, place, this.#last, this.#revisions);
    }
  }

  /** Where the next entry belongs; unknown before the first. */
  get #place(): Place | undefined {
    if (this.#last === undefined) return undefined;
    const { position, hash } = this.#last.entry;
    return { position: position + 1, previousHash: hash };
  }

  #takeEntry(line: EntryLine): void {
    const place = this.#place ?? firstPlaceOf(line);
    const { position, previous_hash } = line.entry;
    if (position > place.position) {
      this.#suspicion = suspectGap(line, place, this.#revisions);
    } else if (position < place.position) {
      this.#takeEarlier(line, place);
    } else if (previous_hash !== place.previousHash) {
      this.#finding = this.#unknownBefore(line);
    } else {
      this.#accept(line);
    }
  }

  #takeEarlier(line: EntryLine, place: Place): void {
    const { position, previous_hash } = line.entry;
    const last = this.#last;
    const isTwin = position === place.position - 1 && previous_hash === last?.entry.previous_hash;
    if (last !== undefined && isTwin) this.#suspicion = suspectTwins(last, line);
    else if (
      this.#first !== undefined &&
      last !== undefined &&
      position < this.#first.entry.position
    ) {
      this.#suspicion = suspectBeginning(this.#first, last, line);
    } else {
      this.#finding = inserted(line, place.position, `entry ${position} was there before`);
    }
  }

  #unknownBefore({ entry, number }: EntryLine): Finding {
    const last = this.#last;
    return last === undefined
      ? changedWithHash(entry, number)
      : changedWithHash(last.entry, last.number);
  }

  #accept(line: EntryLine): void {
    const { entry, number } = line;
    if (this.#first === undefined) this.#revisions.isComplete = entry.position === 1;
    const gap = this.#revisions.gapBefore(entry);
    if (gap !== undefined) {
      this.#finding = impossible(entry, number, gap);
      return;
    }
    this.#revisions.take(entry);
    this.#first ??= line;
    this.#last = line;
    this.#entries += 1;
    if (this.#first === line && !this.#followsHead(entry)) return;
    this.#holdAll(this.#witnesses.at(entry.position), line);
  }

  /** An export that begins right behind an entry that was signed has to begin with its hash. */
  #followsHead({ position, previous_hash }: AuditEntry): boolean {
    const witnesses = this.#witnesses.at(position - 1);
    const against = witnesses.find(({ hash }) => hash !== previous_hash);
    this.#count(witnesses);
    if (witnesses.length > 0) this.#vouched = position - 1;
    if (against !== undefined) this.#finding = unlinkedEntry(against, position);
    return against === undefined;
  }

  #takeHead(line: HeadLine): void {
    const { head } = line;
    if (head.kind === 'export') this.#end = head;
    const last = this.#last;
    if (last === undefined) return;
    const { position, previous_hash } = last.entry;
    const place = { position: position + 1, previousHash: last.entry.hash };
    if (head.position > position) {
      this.#suspicion = suspectGap(line, place, this.#revisions);
    } else if (head.kind === 'day' && head.position === this.#lastHeadPosition) {
      this.#finding = inserted(line, position, 'that head is there twice');
    } else if (head.position === position) {
      if (head.kind === 'day') this.#takeDay(head, line);
      this.#holdAll([head], last);
    } else if (head.kind === 'day') {
      this.#suspicion = suspectLateHead(line, last);
    } else if (isHeadAt(head, { position, previousHash: previous_hash })) {
      this.#finding = inserted(last, position, 'the export ended before it');
    } else {
      const why = `the export ended with entry ${head.position}`;
      this.#finding = inserted(last, head.position + 1, why);
    }
  }

  #takeDay(head: DayHead, { number, sha256 }: HeadLine): void {
    // An export that begins later begins with any head.
    const isFollowing = this.#lastHead !== undefined || this.#first?.entry.position === 1;
    const fault = isFollowing ? brokenLink(head, this.#lastHead) : undefined;
    if (fault !== undefined) this.#headFinding ??= unlinkedHead(head, number, fault);
    if (isLate(head)) this.#lateHeads.push(head);
    this.#lastHeadPosition = head.position;
    this.#lastHead = { number: head.number, sha256 };
  }

  #holdAll(signed: readonly Signed[], line: EntryLine): void {
    const { position, hash } = line.entry;
    const against = signed.find((one) => one.hash !== hash);
    this.#count(signed);
    if (against !== undefined) {
      this.#suspicion = suspectUnsigned(line, against, this.#vouchedBefore(position));
    } else if (signed.length > 0) {
      this.#vouched = position;
    }
  }

  #count(signed: readonly Signed[]): void {
    const receipts = signed.filter(({ kind }) => kind === 'receipt').length;
    this.#receipts += receipts;
    this.#heads += signed.length - receipts;
  }

  /** The hash before the first entry of an export is not its own to check, so that entry may be wrong as well. */
  #vouchedBefore(position: number): number {
    const first = this.#first?.entry.position ?? position;
    return Math.min(position - 1, Math.max(this.#vouched, first - 1));
  }

  #findingAtEnd(): Finding | undefined {
    const end = this.#end;
    if (end === undefined) return cutOff(this.#last?.entry.position ?? 0);
    const first = this.#first?.entry.position ?? end.position + 1;
    if (first > end.first_position) {
      const named = end.first_position === 1 ? this.#revisions.firstUnknown : undefined;
      return removed(end.first_position, first - 1, named);
    }
    const witness = this.#witnesses.missedBy(end);
    return witness && removedAfter(end.position, witness);
  }
}

const FIRST_PLACE: Place = { position: 1, previousHash: NO_HASH };

/** An export may begin anywhere; only the first entry of all has nothing before it. */
function firstPlaceOf({ entry }: EntryLine): Place {
  const { position, previous_hash } = entry;
  return { position, previousHash: position === 1 ? NO_HASH : previous_hash };
}
