/** The documents in a key-value bucket of JetStream, where every node sees them. */
import type { JetStreamManager, StreamConfig } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Condition, Document, Documents, Listener } from './documents.js';
import { JournalError } from './journal.js';
import { asked, isWrongLastSequence } from './nats-connection.js';
import { DrawerFollower } from './nats-drawer.js';
import type { Mark } from './nats-soundings.js';

/** A document as it is stored; without a text it was removed, which those who follow its drawer must hear of. */
const storedSchema = z.object({ text: z.string().nullable(), expiresAtMs: z.number().nullable() });
type Stored = z.output<typeof storedSchema>;

/** Marks are documents that nobody asks for, so they go when they are old. */
const MARKS = 'marks';
const MARK_KEPT_MS = 60 * 60 * 1000;
/** What was removed is purged for good after so long. */
const REMOVAL_KEPT_MS = 60 * 1000;

interface NatsDocumentsOptions {
  readonly clock: Clock;
  /** A drawer that somebody follows cannot be read any more. */
  readonly onCrash: (error: Error) => void;
}

export class NatsDocuments implements Documents {
  readonly areShared = true;
  readonly #bucket: KV;
  readonly #manager: JetStreamManager;
  readonly #name: string;
  readonly #stream: string;
  readonly #hasReplicas: boolean;
  readonly #options: NatsDocumentsOptions;
  readonly #followers = new Map<string, Set<DrawerFollower>>();

  private constructor(
    bucket: KV,
    manager: JetStreamManager,
    name: string,
    { name: stream, num_replicas }: StreamConfig,
    options: NatsDocumentsOptions,
  ) {
    this.#bucket = bucket;
    this.#manager = manager;
    this.#name = name;
    this.#stream = stream;
    this.#hasReplicas = num_replicas > 1;
    this.#options = options;
  }

  /** Opens the bucket of that name, which is made if it is not there; rejects until it can be read. */
  static async open(
    manager: JetStreamManager,
    name: string,
    replicas: number,
    options: NatsDocumentsOptions,
  ): Promise<NatsDocuments> {
    const kvm = new Kvm(manager.jetstream());
    // Whoever put a document must find it, which only the leader of the bucket can promise.
    const bucket = await kvm.create(name, { replicas, allow_direct: false });
    const { streamInfo } = await bucket.status();
    // A new bucket can be read when its leader is elected, which may come after its creation.
    await bucket.get(keyOf('', ''));
    return new NatsDocuments(bucket, manager, name, streamInfo.config, options);
  }

  get(drawer: string, name: string, nowMs: number): Promise<string | undefined> {
    return asked(async () => {
      const found = await this.#bucket.get(keyOf(drawer, name));
      if (found === null) return undefined;
      return textAt(storedIn(found), nowMs);
    });
  }

  put(drawer: string, { name, text }: Document, expiresAtMs: number | null): Promise<void> {
    return asked(() => this.#store(drawer, name, { text, expiresAtMs }));
  }

  replace(
    drawer: string,
    { name, text }: Document,
    expiresAtMs: number | null,
    { before, nowMs }: Condition,
  ): Promise<boolean> {
    return asked(async () => {
      const key = keyOf(drawer, name);
      const found = await this.#bucket.get(key);
      if ((found === null ? undefined : textAt(storedIn(found), nowMs)) !== before) return false;
      const revision = await this.#storeAfter(found?.revision ?? 0, key, { text, expiresAtMs });
      if (revision === undefined || !(await this.#isLast(key, revision))) return false;
      await this.#isTold(drawer, revision);
      return true;
    });
  }

  remove(drawer: string, name: string): Promise<boolean> {
    return asked(async () => {
      const nowMs = this.#options.clock.now();
      const found = await this.#bucket.get(keyOf(drawer, name));
      if (found === null || storedIn(found).text === null) return false;
      await this.#store(drawer, name, { text: null, expiresAtMs: nowMs + REMOVAL_KEPT_MS });
      return true;
    });
  }

  list(drawer: string, prefix = ''): Promise<readonly Document[]> {
    return asked(async () => {
      const documents: Document[] = [];
      for await (const found of await this.#bucket.history({ key: `${encoded(drawer)}.*` })) {
        const document = documentOf(found.key, storedIn(found));
        if (document?.name.startsWith(prefix)) documents.push(document);
      }
      return documents.sort(byName);
    });
  }

  purge(nowMs: number): Promise<void> {
    return asked(async () => {
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

  async follow(drawer: string, listener: Listener): Promise<() => void> {
    const documents = new Map<string, Document>();
    const follower = new DrawerFollower({
      ...this.#options,
      client: this.#manager.jetstream(),
      stream: this.#stream,
      subject: this.#subjectOf(`${encoded(drawer)}.*`),
      onChanges: (messages) => {
        for (const { subject, data } of messages) {
          const key = subject.slice(this.#subjectOf('').length);
          const document = documentOf(key, storedSchema.parse(parseJson(data)));
          if (document === undefined) documents.delete(key);
          else documents.set(key, document);
        }
        listener([...documents.values()].sort(byName));
      },
      onForgotten: () => documents.clear(),
    });
    const followers = this.#followers.get(drawer) ?? new Set();
    this.#followers.set(drawer, followers.add(follower));
    await follower.start();
    return () => {
      followers.delete(follower);
      follower.stop();
    };
  }

  /** The engine may have forgotten who listens. */
  listenAnew(): void {
    for (const follower of this.#allFollowers()) follower.listenAnew();
  }

  close(): void {
    for (const follower of this.#allFollowers()) follower.stop();
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

  #allFollowers(): DrawerFollower[] {
    return [...this.#followers.values()].flatMap((followers) => [...followers]);
  }

  async #store(drawer: string, name: string, stored: Stored): Promise<void> {
    const revision = await this.#bucket.put(keyOf(drawer, name), JSON.stringify(stored));
    await this.#isTold(drawer, revision);
  }

  /** Stores on condition of what is there; gives nothing if something else came first. */
  async #storeAfter(previousSeq: number, key: string, stored: Stored): Promise<number | undefined> {
    try {
      return await this.#bucket.put(key, JSON.stringify(stored), { previousSeq });
    } catch (error) {
      if (isWrongLastSequence(error)) return undefined;
      throw error;
    }
  }

  /**
   * Whether what was stored has stayed. The leader of a replicated bucket holds a condition against what its copies
   * have, so of those that come at the same moment it may take several, of which the last stays. What is put after
   * ours comes after all of these.
   */
  async #isLast(key: string, revision: number): Promise<boolean> {
    if (!this.#hasReplicas) return true;
    await this.#bucket.put(keyOf(MARKS, ''), JSON.stringify({ text: '', expiresAtMs: 0 }));
    return (await this.#bucket.get(key))?.revision === revision;
  }

  async #isTold(drawer: string, revision: number): Promise<void> {
    const followers = [...(this.#followers.get(drawer) ?? [])];
    await Promise.all(followers.map((follower) => follower.reached(revision)));
  }

  #subjectOf(key: string): string {
    return `$KV.${this.#name}.${key}`;
  }
}

function storedIn(found: KvEntry): Stored {
  return storedSchema.parse(found.json());
}

function textAt(stored: Stored, nowMs: number): string | undefined {
  return isOver(stored, nowMs) ? undefined : (stored.text ?? undefined);
}

function documentOf(key: string, { text }: Stored): Document | undefined {
  return text === null ? undefined : { name: nameIn(key), text };
}

function byName(a: Document, b: Document): number {
  return a.name < b.name ? -1 : 1;
}

function parseJson(data: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(data));
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
