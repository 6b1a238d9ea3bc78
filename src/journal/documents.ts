/**
 * Documents: the few things beside the record that must outlive the process, such as keys and webhooks.
 * Each has a name in a drawer and is replaced as a whole. Who reads one parses it.
 */

export interface Document {
  readonly name: string;
  /** JSON text, as it was put. */
  readonly text: string;
}

/** What must be so for a document to be replaced. */
export interface Condition {
  /** The text that is there; nothing if there must be none, or one that has expired. */
  readonly before: string | undefined;
  readonly nowMs: number;
}

/** Where a document is, or would be. */
export interface DocumentPlace {
  readonly drawer: string;
  readonly name: string;
}

export interface Documents {
  /** Whether other processes may change them as well. */
  readonly areShared: boolean;
  /** The document of that name, unless it has expired or never was. */
  get(drawer: string, name: string, nowMs: number): Promise<string | undefined>;
  /** Puts a document in the place of what was there, until an instant in epoch ms or for good. */
  put(drawer: string, document: Document, expiresAtMs: number | null): Promise<void>;
  /** Puts a document only if the condition is met; false if it is not. Of many that try one succeeds. */
  replace(
    drawer: string,
    document: Document,
    expiresAtMs: number | null,
    condition: Condition,
  ): Promise<boolean>;
  /** Takes a document away; false if there was none. */
  remove(drawer: string, name: string): Promise<boolean>;
  /** The documents of a drawer whose names begin so, in the order of their names; expired ones too. */
  list(drawer: string, prefix?: string): Promise<readonly Document[]>;
  /** Takes away what had expired at an instant. */
  purge(nowMs: number): Promise<void>;
  /**
   * Tells the documents of a drawer, at first before its promise is settled, and again after each change, whoever
   * made it. A change that was made here is told before its own promise is settled. What a listener throws at
   * first rejects; later it is a failure of the journal.
   */
  follow(drawer: string, listener: Listener): Promise<() => void>;
}

/** Told documents in the order of their names. */
export type Listener = (documents: readonly Document[]) => void;

/** Documents that nobody else changes: whoever follows them is told of what is done here. */
export class OwnDocuments implements Documents {
  readonly areShared = false;
  readonly #drawers: Omit<Documents, 'areShared' | 'follow'>;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(drawers: Omit<Documents, 'areShared' | 'follow'>) {
    this.#drawers = drawers;
  }

  get(drawer: string, name: string, nowMs: number): Promise<string | undefined> {
    return this.#drawers.get(drawer, name, nowMs);
  }

  async put(drawer: string, document: Document, expiresAtMs: number | null): Promise<void> {
    await this.#drawers.put(drawer, document, expiresAtMs);
    await this.#tell(drawer);
  }

  async replace(
    drawer: string,
    document: Document,
    expiresAtMs: number | null,
    condition: Condition,
  ): Promise<boolean> {
    const isDone = await this.#drawers.replace(drawer, document, expiresAtMs, condition);
    if (isDone) await this.#tell(drawer);
    return isDone;
  }

  async remove(drawer: string, name: string): Promise<boolean> {
    const wasThere = await this.#drawers.remove(drawer, name);
    if (wasThere) await this.#tell(drawer);
    return wasThere;
  }

  list(drawer: string, prefix?: string): Promise<readonly Document[]> {
    return this.#drawers.list(drawer, prefix);
  }

  purge(nowMs: number): Promise<void> {
    return this.#drawers.purge(nowMs);
  }

  async follow(drawer: string, listener: Listener): Promise<() => void> {
    const listeners = this.#listeners.get(drawer) ?? new Set();
    this.#listeners.set(drawer, listeners.add(listener));
    listener(await this.#drawers.list(drawer));
    return () => listeners.delete(listener);
  }

  async #tell(drawer: string): Promise<void> {
    const listeners = this.#listeners.get(drawer) ?? [];
    for (const listener of listeners) listener(await this.#drawers.list(drawer));
  }
}
