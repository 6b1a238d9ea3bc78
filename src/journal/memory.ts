/** A journal that forgets everything with the process: for tests, and for trying things out. */
import { type Link, linkOf, NO_HASH } from './chain.js';
import { type Condition, type Document, type Documents, OwnDocuments } from './documents.js';
import {
  type Anchor,
  type Beginning,
  type Commit,
  type Entry,
  endedAtMs,
  type Journal,
  type JournalAnswer,
  type RecordedEntry,
  type ReplayBatch,
  recordsOf,
  VERY_BEGINNING,
} from './journal.js';

const REPLAY_BATCH_TIMERS = 500;

export class MemoryJournal implements Journal {
  readonly description = 'memory (nothing is kept)';
  readonly documents: Documents = new OwnDocuments(new MemoryDrawers());
  /** Every entry; the one after the beginning is at index 0. */
  #entries: Entry[] = [];
  #beginning = VERY_BEGINNING;
  readonly #links = new WeakMap<Entry, Link>();
  readonly #histories = new Map<string, Entry[]>();
  #lastHash = NO_HASH;
  readonly #listeners = new Set<(commit: Commit) => void>();

  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    const sinceMs = Math.max(endedBeforeMs, this.#beginning.endedBeforeMs);
    const wanted = [...this.#histories.values()].filter((history) =>
      isUnfinished(history, sinceMs),
    );
    while (wanted.length > 0) {
      const records = recordsOf(wanted.splice(0, REPLAY_BATCH_TIMERS));
      yield { records, timersLeft: wanted.length };
    }
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    const copies = structuredClone(entries);
    await Promise.resolve();
    const committed: Entry[] = [];
    const answers = copies.map((entry): JournalAnswer => {
      const history = this.#histories.get(entry.timerId) ?? [];
      if (entry.revision !== (history.at(-1)?.revision ?? 0) + 1) return 'conflict';
      const link = linkOf(entry, this.#lastPosition + 1, this.#lastHash);
      this.#lastHash = link.hash;
      this.#links.set(entry, link);
      this.#entries.push(entry);
      history.push(entry);
      this.#histories.set(entry.timerId, history);
      committed.push(entry);
      return 'committed';
    });
    const commit = { entries: committed, lastPosition: this.#lastPosition };
    if (committed.length > 0) for (const listener of this.#listeners) listener(commit);
    return answers;
  }

  async history(timerId: string): Promise<readonly RecordedEntry[]> {
    return this.#recorded(this.#histories.get(timerId) ?? []);
  }

  async read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    const first = Math.max(0, afterPosition - this.#beginning.position);
    return this.#recorded(this.#entries.slice(first, first + limit));
  }

  async positionBefore(epochMs: number): Promise<number> {
    const found = this.#entries.findIndex(({ recordedAtMs }) => recordedAtMs >= epochMs);
    return this.#beginning.position + (found === -1 ? this.#entries.length : found);
  }

  async entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    return this.#entries.filter(({ requestId }) => requestId?.startsWith(requestIdPrefix));
  }

  async beginning(): Promise<Beginning> {
    return this.#beginning;
  }

  async firstUnfinished(epochMs: number): Promise<Anchor | undefined> {
    const index = this.#entries.findIndex(({ timerId }) =>
      isUnfinished(this.#histories.get(timerId) ?? [], epochMs),
    );
    const timerId = this.#entries[index]?.timerId;
    if (timerId === undefined) return undefined;
    return { position: this.#beginning.position + index + 1, timerId };
  }

  async takeOut(upTo: Beginning): Promise<void> {
    const count = upTo.position - this.#beginning.position;
    const taken = new Set(this.#entries.slice(0, count));
    this.#entries = this.#entries.slice(count);
    this.#beginning = upTo;
    for (const [timerId, history] of this.#histories) {
      const left = history.filter((entry) => !taken.has(entry));
      if (left.length === 0) this.#histories.delete(timerId);
      else this.#histories.set(timerId, left);
    }
  }

  get #lastPosition(): number {
    return this.#beginning.position + this.#entries.length;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  #recorded(entries: readonly Entry[]): RecordedEntry[] {
    return entries.flatMap((entry) => {
      const link = this.#links.get(entry);
      return link === undefined ? [] : { ...entry, ...link };
    });
  }
}

function isUnfinished(history: readonly Entry[], epochMs: number): boolean {
  const last = history.at(-1);
  const endMs = last === undefined ? 0 : endedAtMs(last);
  return endMs === null || endMs > epochMs;
}

class MemoryDrawers {
  readonly #drawers = new Map<string, Map<string, { text: string; expiresAtMs: number | null }>>();

  async get(drawer: string, name: string, nowMs: number): Promise<string | undefined> {
    const found = this.#drawers.get(drawer)?.get(name);
    return found === undefined || isOver(found.expiresAtMs, nowMs) ? undefined : found.text;
  }

  async put(drawer: string, { name, text }: Document, expiresAtMs: number | null): Promise<void> {
    const documents = this.#drawers.get(drawer) ?? new Map();
    this.#drawers.set(drawer, documents.set(name, { text, expiresAtMs }));
  }

  async replace(
    drawer: string,
    document: Document,
    expiresAtMs: number | null,
    { before, nowMs }: Condition,
  ): Promise<boolean> {
    const found = this.#drawers.get(drawer)?.get(document.name);
    const isThere = found !== undefined && !isOver(found.expiresAtMs, nowMs);
    if ((isThere ? found.text : undefined) !== before) return false;
    await this.put(drawer, document, expiresAtMs);
    return true;
  }

  async remove(drawer: string, name: string): Promise<boolean> {
    return this.#drawers.get(drawer)?.delete(name) ?? false;
  }

  async list(drawer: string, prefix = ''): Promise<readonly Document[]> {
    const documents = [...(this.#drawers.get(drawer) ?? [])];
    return documents
      .map(([name, { text }]) => ({ name, text }))
      .filter(({ name }) => name.startsWith(prefix))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async purge(nowMs: number): Promise<void> {
    for (const documents of this.#drawers.values()) {
      for (const [name, { expiresAtMs }] of documents) {
        if (isOver(expiresAtMs, nowMs)) documents.delete(name);
      }
    }
  }
}

function isOver(expiresAtMs: number | null, nowMs: number): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs;
}
