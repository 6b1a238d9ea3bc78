/** The documents in a key-value bucket of JetStream, where every node sees them. */
import type { JetStreamManager } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import { z } from 'zod';
import type { Document, Documents } from './documents.js';
import { JournalError } from './journal.js';
import { wordsOf } from './nats-connection.js';
import type { Mark } from './nats-soundings.js';

const storedSchema = z.object({ text: z.string(), expiresAtMs: z.number().nullable() });
type Stored = z.output<typeof storedSchema>;

/** Marks are documents that nobody asks for, so they go when they are old. */
const MARKS = 'marks';
const MARK_KEPT_MS = 60 * 60 * 1000;

export class NatsDocuments implements Documents {
  readonly #bucket: KV;
  readonly #manager: JetStreamManager;
  readonly #name: string;
  readonly #stream: string;

  private constructor(bucket: KV, manager: JetStreamManager, name: string, stream: string) {
    this.#bucket = bucket;
    this.#manager = manager;
    this.#name = name;
    this.#stream = stream;
  }

  /** Opens the bucket of that name, which is made if it is not there; rejects until it can be read. */
  static async open(
    manager: JetStreamManager,
    name: string,
    replicas: number,
  ): Promise<NatsDocuments> {
    const kvm = new Kvm(manager.jetstream());
    // Whoever put a document must find it, which only the leader of the bucket can promise.
    const bucket = await kvm.create(name, { replicas, allow_direct: false });
    const { streamInfo } = await bucket.status();
    // A new bucket can be read when its leader is elected, which may come after its creation.
    await bucket.get(keyOf('', ''));
    return new NatsDocuments(bucket, manager, name, streamInfo.config.name);
  }

  get(drawer: string, name: string, nowMs: number): Promise<string | undefined> {
    return explained(async () => {
      const found = await this.#bucket.get(keyOf(drawer, name));
      if (found === null) return undefined;
      const stored = storedIn(found);
      return isOver(stored, nowMs) ? undefined : stored.text;
    });
  }

  put(drawer: string, { name, text }: Document, expiresAtMs: number | null): Promise<void> {
    const stored: Stored = { text, expiresAtMs };
    return explained(async () => {
      await this.#bucket.put(keyOf(drawer, name), JSON.stringify(stored));
    });
  }

  remove(drawer: string, name: string): Promise<boolean> {
    const filter = this.#subjectOf(keyOf(drawer, name));
    return explained(async () => {
      const { purged } = await this.#manager.streams.purge(this.#stream, { filter });
      return purged > 0;
    });
  }

  list(drawer: string, prefix = ''): Promise<readonly Document[]> {
    return explained(async () => {
      const documents: Document[] = [];
      for await (const found of await this.#bucket.history({ key: `${encoded(drawer)}.*` })) {
        const name = nameIn(found.key);
        if (name.startsWith(prefix)) documents.push({ name, text: storedIn(found).text });
      }
      return documents.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  purge(nowMs: number): Promise<void> {
    return explained(async () => {
      const expired: KvEntry[] = [];
      for await (const found of await this.#bucket.history()) {
        if (isOver(storedIn(found), nowMs)) expired.push(found);
      }
      for (const { key, revision } of expired) {
        // What was put in its place meanwhile has a later sequence and stays.
        const options = { filter: this.#subjectOf(key), seq: revision + 1 };
        await this.#manager.streams.purge(this.#stream, options);
      }
    });
  }

  /** Puts what nobody reads in the name of a node, in place of what was there. */
  async mark(nodeId: string, nowMs: number): Promise<Mark> {
    const stored: Stored = { text: '', expiresAtMs: nowMs + MARK_KEPT_MS };
    const seq = await this.#bucket.put(keyOf(MARKS, nodeId), JSON.stringify(stored));
    return {
      readInstantMs: async () => {
        const message = await this.#manager.streams.getMessage(this.#stream, { seq });
        if (message === null) throw new JournalError('Another mark came in its place');
        return message.time.getTime();
      },
    };
  }

  #subjectOf(key: string): string {
    return `$KV.${this.#name}.${key}`;
  }
}

function storedIn(found: KvEntry): Stored {
  return storedSchema.parse(found.json());
}

function isOver({ expiresAtMs }: Stored, nowMs: number): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs;
}

/** Keys of a bucket take few characters, and a dot separates their parts. */
function keyOf(drawer: string, name: string): string {
  return `${encoded(drawer)}.${encoded(name)}`;
}

function nameIn(key: string): string {
  return Buffer.from(key.slice(key.indexOf('.') + 2), 'base64url').toString();
}

/** No part of a key may be empty, so each begins with a letter. */
function encoded(text: string): string {
  return `k${Buffer.from(text).toString('base64url')}`;
}

/** @throws {JournalError} for whatever the engine fails with. */
async function explained<T>(asking: () => Promise<T>): Promise<T> {
  try {
    return await asking();
  } catch (error) {
    throw new JournalError(`NATS cannot be asked for documents: ${wordsOf(error)}`, {
      cause: error,
    });
  }
}
