/** The documents in a key-value bucket of JetStream, where every node sees them. */
import type { JetStreamManager } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import { z } from 'zod';
import type { Document, Documents } from './documents.js';

const storedSchema = z.object({ text: z.string(), expiresAtMs: z.number().nullable() });
type Stored = z.output<typeof storedSchema>;

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

  async get(drawer: string, name: string, nowMs: number): Promise<string | undefined> {
    const found = await this.#bucket.get(keyOf(drawer, name));
    if (found === null) return undefined;
    const stored = storedIn(found);
    return isOver(stored, nowMs) ? undefined : stored.text;
  }

  async put(drawer: string, { name, text }: Document, expiresAtMs: number | null): Promise<void> {
    const stored: Stored = { text, expiresAtMs };
    await this.#bucket.put(keyOf(drawer, name), JSON.stringify(stored));
  }

  async remove(drawer: string, name: string): Promise<boolean> {
    const filter = this.#subjectOf(keyOf(drawer, name));
    const { purged } = await this.#manager.streams.purge(this.#stream, { filter });
    return purged > 0;
  }

  async list(drawer: string, prefix = ''): Promise<readonly Document[]> {
    const documents: Document[] = [];
    for await (const found of await this.#bucket.history({ key: `${encoded(drawer)}.*` })) {
      const name = nameIn(found.key);
      if (name.startsWith(prefix)) documents.push({ name, text: storedIn(found).text });
    }
    return documents.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async purge(nowMs: number): Promise<void> {
    const expired: KvEntry[] = [];
    for await (const found of await this.#bucket.history()) {
      if (isOver(storedIn(found), nowMs)) expired.push(found);
    }
    for (const { key, revision } of expired) {
      // What was put in its place meanwhile has a later sequence and stays.
      const options = { filter: this.#subjectOf(key), seq: revision + 1 };
      await this.#manager.streams.purge(this.#stream, options);
    }
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
