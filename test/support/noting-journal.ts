/** A journal in memory that notes which of its drawers are changed. */
import { type Documents, OwnDocuments } from '../../src/journal/documents.js';
import { MemoryJournal } from '../../src/journal/memory.js';

export class NotingJournal extends MemoryJournal {
  readonly #drawers = new MemoryJournal().documents;
  readonly #changed = new Set<string>();
  override readonly documents: Documents = new OwnDocuments({
    get: (...asked) => this.#drawers.get(...asked),
    list: (...asked) => this.#drawers.list(...asked),
    put: (...asked) => this.#noting(asked[0]).put(...asked),
    replace: (...asked) => this.#noting(asked[0]).replace(...asked),
    remove: (...asked) => this.#noting(asked[0]).remove(...asked),
    purge: (...asked) => this.#drawers.purge(...asked),
  });

  /** The drawers that somebody changed, or tried to, since this was asked last. */
  takeChanged(): string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  #noting(drawer: string): Documents {
    this.#changed.add(drawer);
    return this.#drawers;
  }
}
