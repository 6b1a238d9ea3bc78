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
const READS_AT_ONCE = 100;
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
      const { entries } = await this.#read(drawer);
      const documents = entries.map((entry) => documentOf(entry.key, storedIn(entry)));
      return documents
        .filter((document) => document?.name.startsWith(prefix) === true)
        .filter((document) => document !== undefined)
        .sort(byName);
    });
  }

  purge(nowMs: number): Promise<void> {
    return asked(async () => {
      const { keys } = await this.#keysIn('*');
      for await (const entries of this.#entriesOf(keys)) {
        for (const entry of entries) {
          if (!isOver(storedIn(entry), nowMs)) continue;
          // What was put in its place meanwhile has a later sequence and stays.
          const options = { filter: this.#subjectOf(entry.key), seq: entry.revision + 1 };
          await this.#manager.streams.purge(this.#stream, options);
        }
      }
    });
  }

  async follow(drawer: string, listener: Listener): Promise<() => void> {
    const known = new Map<string, { readonly revision: number; readonly stored: Stored }>();
    const tell = (): void => {
      const documents = [...known].map(([key, { stored }]) => documentOf(key, stored));
      listener(documents.filter((document) => document !== undefined).sort(byName));
    };
    const follower = new DrawerFollower({
      ...this.#options,
      client: this.#manager.jetstream(),
      stream: this.#stream,
      subject: this.#subjectOf(`${encoded(drawer)}.*`),
      readAll: async () => {
        const { lastRevision, entries } = await this.#read(drawer);
        // Changes may have been told while this was read.
        const newer = [...known].filter(([, { revision }]) => revision > lastRevision);
        known.clear();
        for (const entry of entries) {
          known.set(entry.key, { revision: entry.revision, stored: storedIn(entry) });
        }
        for (const [key, change] of newer) known.set(key, change);
        tell();
        return lastRevision;
      },
      onMessage: ({ subject, seq, data }) => {
        const key = subject.slice(this.#subjectOf('').length);
        if (seq <= (known.get(key)?.revision ?? 0)) return;
        known.set(key, { revision: seq, stored: storedSchema.parse(parseJson(data)) });
        tell();
      },
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

  /** What the leader has of a drawer, what was removed lately too; nothing up to its last revision is missing. */
  async #read(drawer: string): Promise<{ lastRevision: number; entries: readonly KvEntry[] }> {
    const { lastRevision, keys } = await this.#keysIn(encoded(drawer));
    const entries: KvEntry[] = [];
    for await (const some of this.#entriesOf(keys)) entries.push(...some);
    return { lastRevision, entries };
  }

  async #keysIn(drawers: string): Promise<{ lastRevision: number; keys: readonly string[] }> {
    const subjects_filter = this.#subjectOf(`${drawers}.*`);
    const { state } = await this.#manager.streams.info(this.#stream, { subjects_filter });
    const prefix = this.#subjectOf('').length;
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix));
    return { lastRevision: state.last_seq, keys };
  }

  /** Asks for one after the other: a reading of all of them together misses its end when one is replaced meanwhile. */
  async *#entriesOf(keys: readonly string[]): AsyncGenerator<readonly KvEntry[]> {
    for (let first = 0; first < keys.length; first += READS_AT_ONCE) {
      const some = keys.slice(first, first + READS_AT_ONCE);
      const found = await Promise.all(some.map((key) => this.#bucket.get(key)));
      yield found.filter((entry) => entry !== null);
    }
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
