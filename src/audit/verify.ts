/**
 * Verifies an exported record, line by line: every entry fits its hash, follows the one before it, and fits what
 * was signed. Names the first entry that does not.
 */
import { NO_HASH } from '../journal/chain.js';
import type { AuditEntry, DayHead, ExportHead, Head } from '../protocol/audit.js';
import {
  changedWithHash,
  cutOff,
  type Finding,
  impossible,
  inserted,
  removed,
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

export interface Verdict {
  readonly finding: Finding | undefined;
  /** Entries that were found to be right. */
  readonly entries: number;
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
  readonly lastHash: string | null;
  /** Heads that were held against entries, in the export and beside it. */
  readonly heads: number;
  /** Heads of days in the export that were signed so late that others may have been there before. */
  readonly lateHeads: readonly DayHead[];
  /** What the export says of itself in its last line, if that was reached. */
  readonly end: ExportHead | undefined;
}

export class Verification {
  readonly #headsBeside: ReadonlyMap<number, DayHead>;
  readonly #lastHeadBeside: DayHead | undefined;
  readonly #revisions = new Revisions();
  #finding: Finding | undefined;
  #suspicion: Suspicion | undefined;
  #first: EntryLine | undefined;
  #last: EntryLine | undefined;
  #entries = 0;
  #heads = 0;
  /** The last entry that a head vouches for, and with it all before. */
  #vouched = 0;
  #lastHeadPosition = -1;
  #lastHead: ChainedHead | undefined;
  /** Told if nothing is wrong with any entry. */
  #headFinding: Finding | undefined;
  readonly #lateHeads: DayHead[] = [];
  #end: ExportHead | undefined;

  /** `headsBeside` are heads that were kept elsewhere. */
  constructor(headsBeside: readonly DayHead[] = []) {
    this.#headsBeside = new Map(headsBeside.map((head) => [head.position, head]));
    this.#lastHeadBeside = headsBeside.reduce<DayHead | undefined>((last, head) => {
      return last === undefined || head.position > last.position ? head : last;
    }, undefined);
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
    return {
      finding: this.#finding,
      entries: this.#entries,
      firstPosition: this.#first?.entry.position ?? null,
      lastPosition: this.#last?.entry.position ?? null,
      lastHash: this.#last?.entry.hash ?? null,
      heads: this.#heads,
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
    const head = this.#headsBeside.get(entry.position);
    if (head !== undefined) this.#hold(head, line);
  }

  /** An export that begins right behind an entry that was signed has to begin with its hash. */
  #followsHead({ position, previous_hash }: AuditEntry): boolean {
    const head = this.#headsBeside.get(position - 1);
    if (head === undefined) return true;
    this.#heads += 1;
    this.#vouched = position - 1;
    if (head.hash === previous_hash) return true;
    this.#finding = unlinkedEntry(head, position);
    return false;
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
      this.#hold(head, last);
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

  #hold(head: Head, line: EntryLine): void {
    const { position, hash } = line.entry;
    this.#heads += 1;
    if (head.hash === hash) this.#vouched = position;
    else this.#suspicion = suspectUnsigned(line, head, this.#vouchedBefore(position));
  }

  /** The hash before the first entry of an export is not its own to check, so that entry may be wrong as well. */
  #vouchedBefore(position: number): number {
    const first = this.#first?.entry.position ?? position;
    return Math.max(this.#vouched, first - 1);
  }

  #findingAtEnd(): Finding | undefined {
    const end = this.#end;
    if (end === undefined) return cutOff(this.#last?.entry.position ?? 0);
    const first = this.#first?.entry.position ?? end.position + 1;
    if (first > end.first_position) {
      const named = end.first_position === 1 ? this.#revisions.firstUnknown : undefined;
      return removed(end.first_position, first - 1, named);
    }
    const head = this.#lastHeadBeside;
    const isMissing =
      head !== undefined &&
      end.to_ms === null &&
      head.signed_at_ms <= end.signed_at_ms &&
      head.position > end.position;
    return isMissing ? removed(end.position + 1, head.position, undefined) : undefined;
  }
}

const FIRST_PLACE: Place = { position: 1, previousHash: NO_HASH };

/** An export may begin anywhere; only the first entry of all has nothing before it. */
function firstPlaceOf({ entry }: EntryLine): Place {
  const { position, previous_hash } = entry;
  return { position, previousHash: position === 1 ? NO_HASH : previous_hash };
}
