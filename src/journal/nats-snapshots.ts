/**
 * Snapshots in an object store of JetStream, where a new node finds them. Each has a name of its own that begins
 * with its place, so that nodes that make one at the same time do not disturb each other; the store holds
 * each against its SHA-256 when it is read. Those before the last two are taken away, and those that are of no use.
 * What is known where the stream begins is kept here too, by a name that its document tells; it is no snapshot that
 * could be left out, so it stays until the stream begins later.
 */
import { randomUUID } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import type { JetStreamManager } from '@nats-io/jetstream';
import { type ObjectStore, Objm } from '@nats-io/obj';
import type { Clock, Timeout } from '../clock.js';
import { JournalError } from './journal.js';
import type { IndexState } from './nats-index.js';
import { linesOfSnapshot, readSnapshot } from './nats-snapshot.js';

const KEPT = 2;
const DIGITS_OF_POSITION = 16;
const IS_SNAPSHOT = /^\d/;
const BEGINNING = 'beginning-';
/** The store says nothing when a piece of an object is missing. */
const LONGEST_SILENCE_MS = 5000;
/** What repeats itself is found at the fastest level too. */
const LEVEL = 1;

/** A snapshot that is there; nobody has looked into it. */
export interface SnapshotName {
  readonly name: string;
  readonly position: number;
}

export class Snapshots {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  /** Names of those that are of no use. */
  readonly #rejected = new Set<string>();

  private constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Opens the store of that name, which is made if it is not there. */
  static async open(
    manager: JetStreamManager,
    name: string,
    replicas: number,
    clock: Clock,
  ): Promise<Snapshots> {
    return new Snapshots(await new Objm(manager.jetstream()).create(name, { replicas }), clock);
  }

  /** Those that are there and of use, as far as is known, the latest first. */
  async list(): Promise<SnapshotName[]> {
    const names = await this.#names();
    return names
      .filter((name) => IS_SNAPSHOT.test(name) && !this.#rejected.has(name))
      .sort()
      .reverse()
      .map((name) => ({ name, position: Number.parseInt(name, 10) }));
  }

  /** One that is of no use is as good as not there, and taken away when there is another. */
  reject({ name }: SnapshotName): void {
    this.#rejected.add(name);
  }

  /** @throws if it cannot be read, or is not what was written. */
  async read({ name }: Pick<SnapshotName, 'name'>): Promise<IndexState> {
    const found = await this.#store.get(name);
    if (found === null) throw new JournalError('it is gone');
    const pieces = Readable.from(this.#unlessSilent(found.data));
    const text = pipeline(pieces, createGunzip(), () => {}).setEncoding('utf8');
    const [state] = await Promise.all([readSnapshot(text), found.error]);
    return state;
  }

  async write(state: IndexState): Promise<void> {
    await this.#put(nameFor(state), state);
    const old = (await this.list()).slice(KEPT).map((snapshot) => snapshot.name);
    for (const useless of [...old, ...this.#rejected]) await this.#store.delete(useless);
    this.#rejected.clear();
  }

  /** Keeps what is known where the stream begins, and gives the name by which it can be read. */
  async keepBeginning(state: IndexState): Promise<string> {
    const name = `${BEGINNING}${nameFor(state)}`;
    await this.#put(name, state);
    return name;
  }

  /** Forgets what was known where the stream began before a place. */
  async forgetBeginnings(beforePosition: number): Promise<void> {
    const names = (await this.#names()).filter((name) => name.startsWith(BEGINNING));
    for (const name of names) {
      const position = Number.parseInt(name.slice(BEGINNING.length), 10);
      if (position < beforePosition) await this.#store.delete(name);
    }
  }

  async #names(): Promise<string[]> {
    return (await this.#store.list()).map(({ name }) => name);
  }

  async #put(name: string, state: IndexState): Promise<void> {
    const zipped = createGzip({ level: LEVEL });
    pipeline(Readable.from(linesOfSnapshot(state)), zipped, () => {});
    await this.#store.put({ name }, Readable.toWeb(zipped));
  }

  async *#unlessSilent(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const reader = stream.getReader();
    let timeout: Timeout;
    try {
      for (;;) {
        const silence = new Promise<never>((_, reject) => {
          const fail = (): void => reject(new JournalError('a piece of it is missing'));
          timeout = this.#clock.setTimeout(fail, LONGEST_SILENCE_MS);
        });
        const { done, value } = await Promise.race([reader.read(), silence]);
        this.#clock.clearTimeout(timeout);
        if (done) return;
        yield value;
      }
    } finally {
      this.#clock.clearTimeout(timeout);
      reader.cancel().catch(() => {});
    }
  }
}

/** Begins with its place, and is no other's. */
function nameFor({ milestones }: IndexState): string {
  const position = milestones.at(-1)?.position ?? 0;
  return `${`${position}`.padStart(DIGITS_OF_POSITION, '0')}-${randomUUID()}`;
}
