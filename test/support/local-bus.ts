/** A bus between the services of one process, on which messages can get lost. */
import type { Bus } from '../../src/journal/bus.js';
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

  /** The others go on. */
  override async close(): Promise<void> {}
}

function sent(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message));
}
