/** A bus between the services of one process, on which messages can get lost. */
import type { Bus } from '../../src/bus.js';
import {
  type Anchor,
  type Beginning,
  type Commit,
  type Documents,
  type Entry,
  type Journal,
  type JournalAnswer,
  JournalError,
  type RecordedEntry,
  type ReplayBatch,
} from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';

type Hear = (message: unknown) => unknown;

export class LocalBus implements Bus {
  readonly #topics = new Map<string, Set<Hear>>();
  /** Everything that was told, in its order. */
  readonly told: { readonly topic: string; readonly message: unknown }[] = [];
  /** While true, what is told and asked gets lost. */
  isCut = false;

  tell(topic: string, message: unknown): void {
    this.told.push({ topic, message });
    if (this.isCut) return;
    for (const hear of [...(this.#topics.get(topic) ?? [])]) hear(sent(message));
  }

  listen(topic: string, hear: Hear): () => void {
    const listeners = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, listeners.add(hear));
    return () => listeners.delete(hear);
  }

  async ask(topic: string, message: unknown): Promise<unknown> {
    const [hear] = this.#topics.get(topic) ?? [];
    if (this.isCut || hear === undefined) throw new Error('Nobody answers');
    return sent((await hear(sent(message))) ?? null);
  }
}

/** A log that several services of one process share. */
export class SharedJournal extends MemoryJournal {
  readonly bus = new LocalBus();
  /** Everything that was proposed, by any of them. */
  readonly proposed: Entry[] = [];
  override async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    this.proposed.push(...entries);
    return super.append(entries);
  }

  /** The others go on. */
  override async close(): Promise<void> {}
}

/** What one node has of a shared log, and can lose while others have it. */
export class NodeJournal implements Journal {
  readonly description = 'a shared log';
  readonly documents: Documents;
  readonly bus: Bus;
  readonly #shared: SharedJournal;
  isAway = false;

  constructor(shared: SharedJournal) {
    this.#shared = shared;
    this.documents = shared.documents;
    this.bus = shared.bus;
  }

  replay(endedBeforeMs: number): AsyncIterable<ReplayBatch> {
    return this.#shared.replay(endedBeforeMs);
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    return this.#shared.subscribe(listener);
  }

  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    if (this.isAway) throw new JournalError('The log cannot be reached');
    return this.#shared.append(entries);
  }

  history(timerId: string): Promise<readonly RecordedEntry[]> {
    return this.#shared.history(timerId);
  }

  read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    return this.#shared.read(afterPosition, limit);
  }

  positionBefore(epochMs: number): Promise<number> {
    return this.#shared.positionBefore(epochMs);
  }

  entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    return this.#shared.entriesOfRequest(requestIdPrefix);
  }

  beginning(): Promise<Beginning> {
    return this.#shared.beginning();
  }

  firstUnfinished(epochMs: number): Promise<Anchor | undefined> {
    return this.#shared.firstUnfinished(epochMs);
  }

  takeOut(upTo: Beginning): Promise<void> {
    return this.#shared.takeOut(upTo);
  }

  async close(): Promise<void> {}
}

function sent(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message));
}
