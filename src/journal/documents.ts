/**
 * Documents: the few things beside the record that must outlive the process, such as keys and webhooks.
 * Each has a name in a drawer and is replaced as a whole. Who reads one parses it.
 */

export interface Document {
  readonly name: string;
  /** JSON text, as it was put. */
  readonly text: string;
}

export interface Documents {
  /** The document of that name, unless it has expired or never was. */
  get(drawer: string, name: string, nowMs: number): Promise<string | undefined>;
  /** Puts a document in the place of what was there, until an instant in epoch ms or for good. */
  put(drawer: string, document: Document, expiresAtMs: number | null): Promise<void>;
  /** Takes a document away; false if there was none. */
  remove(drawer: string, name: string): Promise<boolean>;
  /** The documents of a drawer whose names begin so, in the order of their names; expired ones too. */
  list(drawer: string, prefix?: string): Promise<readonly Document[]>;
  /** Takes away what had expired at an instant. */
  purge(nowMs: number): Promise<void>;
}
