/** The revisions of each timer while a record is read: they go up by one, from 1 where the record is complete. */
import type { AuditEntry } from '../protocol/audit.js';

interface NamedRevision {
  readonly timerId: string;
  readonly revision: number;
}

export class Revisions {
  readonly #last = new Map<string, number>();
  /** Whether the record is read from its beginning, so that no timer can have entries before. */
  isComplete = false;
  /** Of the first timer whose entries did not begin with its creation: the revision before them. */
  firstUnknown: NamedRevision | undefined;

  /** The revision before an entry, if that leaves no gap; else the one that is known. */
  gapBefore({ timer_id, revision }: AuditEntry): number | undefined {
    const last = this.#last.get(timer_id) ?? (this.isComplete ? 0 : revision - 1);
    return last === revision - 1 ? undefined : last;
  }

  take({ timer_id, revision, type }: AuditEntry): void {
    if (revision > 1 && !this.#last.has(timer_id)) {
      this.firstUnknown ??= { timerId: timer_id, revision: revision - 1 };
    }
    // Nothing comes after a deletion, so a long record does not fill the memory with what is over.
    if (type === 'deleted') this.#last.delete(timer_id);
    else this.#last.set(timer_id, revision);
  }

  /** Looks in the entries behind a gap for the revision that is missing. */
  missingFrom(first: AuditEntry | undefined): MissingRevision {
    const missing = new MissingRevision(this);
    if (first !== undefined) missing.take(first);
    return missing;
  }
}

export class MissingRevision {
  readonly #revisions: Revisions;
  /** By timer, in the order in which entries told of them. */
  readonly #firstMissing = new Map<string, number>();

  constructor(revisions: Revisions) {
    this.#revisions = revisions;
  }

  /** The first revision that is missing, as far as entries told. */
  get only(): NamedRevision | undefined {
    const [first] = this.#firstMissing;
    return first && { timerId: first[0], revision: first[1] };
  }

  take(entry: AuditEntry): void {
    const { timer_id, revision } = entry;
    if (this.#firstMissing.get(timer_id) === revision) this.#firstMissing.delete(timer_id);
    const last = this.#revisions.gapBefore(entry);
    // One that comes late is no news of its timer.
    if (last !== undefined && last >= revision) return;
    if (last !== undefined && !this.#firstMissing.has(timer_id)) {
      this.#firstMissing.set(timer_id, last + 1);
    }
    this.#revisions.take(entry);
  }
}
