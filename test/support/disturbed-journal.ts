/** A journal in memory on a disk that a test can slow down and break. */
import { OwnDocuments } from '../../src/journal/documents.js';
import {
  type Documents,
  type Entry,
  type JournalAnswer,
  JournalError,
} from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';

export class DisturbedJournal extends MemoryJournal {
  /** Everything it was asked to append, also what failed, in the order it was asked. */
  readonly appends: (readonly Entry[])[] = [];
  /** While true, appends wait to be released. */
  isHeld = false;
  /** An append with an entry that is refused fails as a whole. */
  refuses: (entry: Entry) => boolean = () => false;
  /** While true, documents are neither put nor removed. */
  isFull = false;
  /** The disk is full as soon as something was changed in this drawer. */
  fullAfter: string | undefined;
  readonly #held: (() => void)[] = [];
  readonly #drawers = new MemoryJournal().documents;
  override readonly documents: Documents = new OwnDocuments({
    get: (...asked) => this.#drawers.get(...asked),
    list: (...asked) => this.#drawers.list(...asked),
    put: (...asked) => this.#unlessFull(() => this.#drawers.put(...asked), asked[0]),
    replace: (...asked) => this.#unlessFull(() => this.#drawers.replace(...asked), asked[0]),
    remove: (...asked) => this.#unlessFull(() => this.#drawers.remove(...asked), asked[0]),
    purge: (...asked) => this.#unlessFull(() => this.#drawers.purge(...asked)),
  });

  override async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    this.appends.push(entries);
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (entries.some(this.refuses)) throw new Error('disk I/O error');
    return super.append(entries);
  }

  async #unlessFull<T>(change: () => Promise<T>, drawer?: string): Promise<T> {
    if (this.isFull) throw new JournalError('database or disk is full');
    const changed = await change();
    if (drawer !== undefined && drawer === this.fullAfter) this.isFull = true;
    return changed;
  }

  /** Lets the append go on that has waited longest. */
  release(): void {
    this.#held.shift()?.();
  }
}
