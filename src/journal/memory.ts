/** A journal that forgets everything with the process: for tests, and for trying things out. */
import {
  type Entry,
  endedAtMs,
  type Journal,
  type JournalAnswer,
  type ReplayBatch,
} from './journal.js';

const REPLAY_BATCH_TIMERS = 500;

export class MemoryJournal implements Journal {
  readonly description = 'memory (nothing is kept)';
  readonly #histories = new Map<string, Entry[]>();
  readonly #listeners = new Set<(entries: readonly Entry[]) => void>();

  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    const wanted = [...this.#histories.values()].filter((history) => {
      const last = history.at(-1);
      const endMs = last === undefined ? 0 : endedAtMs(last);
      return endMs === null || endMs > endedBeforeMs;
    });
    while (wanted.length > 0) {
      const histories = wanted.splice(0, REPLAY_BATCH_TIMERS).map((history) => [...history]);
      yield { histories, timersLeft: wanted.length };
    }
  }

  subscribe(listener: (entries: readonly Entry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    const copies = structuredClone(entries);
    await Promise.resolve();
    const committed: Entry[] = [];
    const answers = copies.map((entry): JournalAnswer => {
      const history = this.#histories.get(entry.timerId) ?? [];
      if (entry.revision !== history.length + 1) return 'conflict';
      history.push(entry);
      this.#histories.set(entry.timerId, history);
      committed.push(entry);
      return 'committed';
    });
    if (committed.length > 0) for (const listener of this.#listeners) listener(committed);
    return answers;
  }

  async history(timerId: string): Promise<readonly Entry[]> {
    return [...(this.#histories.get(timerId) ?? [])];
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
