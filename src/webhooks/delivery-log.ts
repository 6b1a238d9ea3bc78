/**
 * The delivery log of one webhook: its last attempts. They are kept in memory and written from time to time,
 * many at once, because a write for each would hold up the record of changes. Nodes that share a log write batches of
 * their own.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Documents } from '../journal/documents.js';
import { type Attempt, attemptSchema } from '../protocol/webhooks.js';

const DRAWER = 'webhook-attempts';
const MOST_ATTEMPTS = 1000;
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

const batchSchema = z.array(attemptSchema);

/** Attempts that were written together. */
interface Batch {
  readonly name: string;
  readonly size: number;
}

export class DeliveryLog {
  readonly #documents: Documents;
  readonly #webhookId: string;
  /** Oldest first. */
  #attempts: Attempt[] = [];
  #unwritten: Attempt[] = [];
  /** How often messages failed that were not delivered since. */
  readonly #failures = new Map<string, number>();
  /** Oldest first. */
  #batches: Batch[] = [];

  private constructor(documents: Documents, webhookId: string) {
    this.#documents = documents;
    this.#webhookId = webhookId;
  }

  /** Reads what was written; messages that failed no later than an instant in epoch ms begin their schedule anew. */
  static async open(
    documents: Documents,
    webhookId: string,
    nowMs: number,
    forgivenMs: number,
  ): Promise<DeliveryLog> {
    const log = new DeliveryLog(documents, webhookId);
    for (const { name, text } of await documents.list(DRAWER, `${webhookId}/`)) {
      const attempts = batchSchema.parse(JSON.parse(text));
      log.#batches.push({ name, size: attempts.length });
      for (const attempt of attempts) {
        const atMs = Date.parse(attempt.at);
        if (atMs > nowMs - KEPT_MS) log.#note(attempt, atMs > forgivenMs);
      }
    }
    return log;
  }

  /** Newest first. */
  list(limit: number): Attempt[] {
    return this.#attempts.slice(-limit).reverse();
  }

  /** The last attempt to send a message. */
  find(messageId: string): Attempt | undefined {
    return this.#attempts.findLast(({ message_id }) => message_id === messageId);
  }

  /** How often a message failed since it was delivered, or forgiven. */
  failuresOf(messageId: string): number {
    return this.#failures.get(messageId) ?? 0;
  }

  add(attempt: Attempt): void {
    this.#note(attempt);
    this.#unwritten.push(attempt);
    if (this.#unwritten.length > MOST_ATTEMPTS) this.#unwritten.shift();
  }

  /** Writes what was added, and takes away what is too old for the log. */
  async write(nowMs: number): Promise<void> {
    if (this.#unwritten.length === 0) return;
    const attempts = this.#unwritten;
    this.#unwritten = [];
    const name = this.#nameAfter(this.#batches.at(-1)?.name, nowMs);
    try {
      const text = JSON.stringify(attempts);
      await this.#documents.put(DRAWER, { name, text }, nowMs + KEPT_MS);
    } catch (error) {
      this.#unwritten = [...attempts, ...this.#unwritten].slice(-MOST_ATTEMPTS);
      throw error;
    }
    this.#batches.push({ name, size: attempts.length });
    await this.#removeSurplus();
  }

  async remove(): Promise<void> {
    const batches = await this.#documents.list(DRAWER, `${this.#webhookId}/`);
    for (const { name } of batches) await this.#documents.remove(DRAWER, name);
    this.#batches = [];
  }

  #note(attempt: Attempt, counts = true): void {
    const { message_id, success } = attempt;
    this.#attempts.push(attempt);
    if (this.#attempts.length > MOST_ATTEMPTS) this.#attempts.shift();
    if (success) this.#failures.delete(message_id);
    else if (counts) this.#failures.set(message_id, attempt.attempt);
  }

  async #removeSurplus(): Promise<void> {
    let kept = this.#batches.reduce((sum, { size }) => sum + size, 0);
    for (;;) {
      const [oldest] = this.#batches;
      if (oldest === undefined || kept - oldest.size < MOST_ATTEMPTS) return;
      await this.#documents.remove(DRAWER, oldest.name);
      this.#batches.shift();
      kept -= oldest.size;
    }
  }

  /** Batches begin with their instant, with leading zeros, so that their names are in their order. */
  #nameAfter(name: string | undefined, nowMs: number): string {
    const last = Number.parseInt(name?.split('/')[1] ?? '0', 10);
    const instant = String(Math.max(last + 1, nowMs)).padStart(15, '0');
    return `${this.#webhookId}/${instant}-${randomUUID()}`;
  }
}
