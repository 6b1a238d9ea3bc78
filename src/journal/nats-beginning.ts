/**
 * Where a stream begins after entries were taken out of it: a document beside it, which is put before they are
 * and tells every node what it must know of them. What else is missing from a stream is damage. What is known of timers
 * there may be more than a document holds, so it is kept with the snapshots, by a name that the document tells.
 */
import { z } from 'zod';
import {
  BEGINNING_DOCUMENT,
  type Beginning,
  beginningSchema,
  type Documents,
  JournalError,
  VERY_BEGINNING,
} from './journal.js';
import { asked, wordsOf } from './nats-connection.js';
import { type IndexState, NOTHING_KNOWN } from './nats-index.js';
import { headSchema } from './nats-snapshot.js';
import type { Snapshots } from './nats-snapshots.js';

export interface StreamBeginning {
  readonly beginning: Beginning;
  /** What a node knows that begins to read there. */
  readonly state: IndexState;
}

const placeSchema = beginningSchema.extend({ sequence: z.number().int().min(0) });
const namingSchema = placeSchema.extend({ state: z.string() });
/** Once all of it was in the document. */
const wholeSchema = placeSchema.extend({
  heads: z.array(headSchema),
  voids: z.array(z.number().int()),
});
const storedSchema = z.union([namingSchema, wholeSchema]);
type Stored = z.output<typeof storedSchema>;

const NOTHING_TAKEN_OUT: StreamBeginning = { beginning: VERY_BEGINNING, state: NOTHING_KNOWN };

export class Beginnings {
  readonly #documents: Documents;
  readonly #snapshots: Snapshots;

  constructor(documents: Documents, snapshots: Snapshots) {
    this.#documents = documents;
    this.#snapshots = snapshots;
  }

  /** @throws {JournalError} if it cannot be read. */
  async read(): Promise<StreamBeginning> {
    return (await this.readAfter(-1)) ?? NOTHING_TAKEN_OUT;
  }

  /**
   * Where the stream begins, if that is after a place.
   * @throws {JournalError} if it cannot be read.
   */
  async readAfter(position: number): Promise<StreamBeginning | undefined> {
    const text = await this.#text();
    if (text === undefined) return undefined;
    const stored = storedSchema.parse(JSON.parse(text));
    if (stored.position <= position) return undefined;
    try {
      return await this.#begun(stored);
    } catch (cause) {
      // It is forgotten as soon as the stream begins later.
      if ((await this.#text()) !== text) return this.readAfter(position);
      throw new JournalError(
        `What is known where the journal begins cannot be read: ${wordsOf(cause)}. Try again; if it is lost, ` +
          'restore the stream and the buckets beside it from a backup.',
        { cause },
      );
    }
  }

  /**
   * Puts it down.
   * @throws {JournalError} if it is not known to be, also because somebody else did at the same moment.
   */
  async write({ beginning, state }: StreamBeginning): Promise<void> {
    const before = await this.#text();
    const last = before === undefined ? VERY_BEGINNING : storedSchema.parse(JSON.parse(before));
    if (last.position > beginning.position) throw overtaken();
    const kept = await asked(() => this.#snapshots.keepBeginning(state));
    const stored: z.input<typeof namingSchema> = {
      ...beginning,
      sequence: state.sequence,
      state: kept,
    };
    const { drawer, name } = BEGINNING_DOCUMENT;
    const document = { name, text: JSON.stringify(stored) };
    const isOurs = await this.#documents.replace(drawer, document, null, { before, nowMs: 0 });
    if (!isOurs) throw overtaken();
  }

  #text(): Promise<string | undefined> {
    const { drawer, name } = BEGINNING_DOCUMENT;
    return this.#documents.get(drawer, name, 0);
  }

  async #begun(stored: Stored): Promise<StreamBeginning> {
    const { position, hash, endedBeforeMs, sequence } = stored;
    const { heads, voids } =
      'state' in stored ? await this.#snapshots.read({ name: stored.state }) : stored;
    return {
      beginning: { position, hash, endedBeforeMs },
      state: { sequence, milestones: [{ position, hash }], heads, requests: [], voids },
    };
  }
}

function overtaken(): JournalError {
  return new JournalError('Another compaction was faster; nothing was taken out by this one.');
}
