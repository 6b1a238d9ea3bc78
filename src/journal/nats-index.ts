/**
 * What a node knows of the stream without asking: where each timer stands, the hash of every entry, and
 * which entries a request left. It is folded from the messages in their one order, so every node knows the
 * same, also which of them count for nothing. Pure; about 32 bytes for each entry and a few hundred for each timer.
 */
import { type Link, linkOf, NO_HASH } from './chain.js';
import { type Entry, endedAtMs, JournalError } from './journal.js';
import { Voids } from './nats-voids.js';

const HASH_BYTES = 32;

/** Where a timer stands. */
export interface Head {
  readonly revision: number;
  readonly firstPosition: number;
  /** The place of its last entry; 0 before the first. */
  readonly position: number;
  /** The sequence of the last message of its subject, which need not have counted. */
  readonly sequence: number;
  readonly endedAtMs: number | null;
}

const NO_HEAD: Head = { revision: 0, firstPosition: 0, position: 0, sequence: 0, endedAtMs: null };

export class StreamIndex {
  readonly #heads = new Map<string, Head>();
  /** The places of entries that requests left, by what the names of the requests begin with. */
  readonly #ofRequests = new Map<string, number[]>();
  #hashes = Buffer.alloc(1024 * HASH_BYTES);
  readonly #voids = new Voids();
  #sequence = 0;

  /** The sequence of the last message that was taken in. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The place of the last entry. */
  get position(): number {
    return this.positionUpTo(this.#sequence);
  }

  /** The sequence of the message that holds the entry at a place. */
  sequenceOf(position: number): number {
    return this.#voids.sequenceOf(position);
  }

  /** The place of the last entry up to a sequence. */
  positionUpTo(sequence: number): number {
    return this.#voids.positionUpTo(sequence);
  }

  /** Whether what a message holds came too late to be an entry. */
  isVoid(sequence: number): boolean {
    return this.#voids.isVoid(sequence);
  }

  headOf(timerId: string): Head {
    return this.#heads.get(timerId) ?? NO_HEAD;
  }

  /** The timers that had not ended at an instant, and the revision that each has. */
  unfinishedAt(epochMs: number): Map<string, number> {
    const found = new Map<string, number>();
    for (const [timerId, { revision, endedAtMs: endMs }] of this.#heads) {
      if (endMs === null || endMs > epochMs) found.set(timerId, revision);
    }
    return found;
  }

  /**
   * Takes the next message in, and gives whether what it holds is an entry: not if another one of that
   * revision came before it.
   * @throws {JournalError} if it is not the next one, which is when somebody else wrote to the stream.
   */
  fold(entry: Entry, sequence: number): boolean {
    const { timerId, revision } = entry;
    const head = this.headOf(timerId);
    if (sequence !== this.#sequence + 1 || revision > head.revision + 1) {
      throw new JournalError(
        `The journal is damaged: message ${sequence} of the stream, revision ${revision} of timer ` +
          `${timerId}, does not follow what is before it. Restore the stream from a backup.`,
      );
    }
    this.#sequence = sequence;
    if (revision <= head.revision) {
      this.#voids.add(sequence);
      this.#heads.set(timerId, { ...head, sequence });
      return false;
    }
    const { position } = this;
    const { hash } = linkOf(entry, position, this.#hashOf(position - 1));
    this.#keepHash(position, hash);
    const firstPosition = revision === 1 ? position : head.firstPosition;
    const endMs = endedAtMs(entry);
    this.#heads.set(timerId, { revision, firstPosition, position, sequence, endedAtMs: endMs });
    if (entry.requestId !== null) this.#noteRequest(entry.requestId, position);
    return true;
  }

  linkAt(position: number): Link {
    return {
      position,
      previousHash: this.#hashOf(position - 1),
      hash: this.#hashOf(position),
    };
  }

  /** The places of all entries whose request may have a name that begins so. */
  ofRequests(prefix: string): readonly number[] {
    const group = groupOf(prefix);
    if (group !== prefix) return this.#ofRequests.get(group) ?? [];
    return [...this.#ofRequests]
      .flatMap(([name, positions]) => (name.startsWith(prefix) ? positions : []))
      .sort((a, b) => a - b);
  }

  #noteRequest(requestId: string, position: number): void {
    const group = groupOf(requestId);
    const positions = this.#ofRequests.get(group);
    if (positions === undefined) this.#ofRequests.set(group, [position]);
    else positions.push(position);
  }

  #hashOf(position: number): string {
    if (position === 0) return NO_HASH;
    return this.#hashes.toString('hex', (position - 1) * HASH_BYTES, position * HASH_BYTES);
  }

  #keepHash(position: number, hash: string): void {
    if (position * HASH_BYTES > this.#hashes.length) {
      this.#hashes = Buffer.concat([this.#hashes], this.#hashes.length * 2);
    }
    this.#hashes.write(hash, (position - 1) * HASH_BYTES, 'hex');
  }
}

/** Requests are asked for by what stands before the first dot of their name. */
function groupOf(requestId: string): string {
  const dot = requestId.indexOf('.');
  return dot === -1 ? requestId : requestId.slice(0, dot);
}
