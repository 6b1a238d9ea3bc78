/**
 * Retries that are safe: a change that is asked for again under the same `Idempotency-Key` is not made
 * again, and gets the answer that it got the first time, for 24 hours, also after a restart.
 *
 * What was answered is kept as a document, sealed with the key of the request, which is not kept. Before it can be, the entries of the change are in the journal
 * with the name of the request, so a crash between the two leaves the change known and its answer to be
 * put together anew.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Documents } from '../journal/documents.js';
import type { Log } from '../log.js';
import { Problem, problemOf } from '../protocol/problems.js';
import type { Entry, Registry } from '../registry.js';
import { type Answer, type Exchange, type Handler, send } from './exchange.js';
import { seal, unseal } from './seal.js';

const DRAWER = 'answers';
const KEPT_MS = 24 * 60 * 60 * 1000;
const KEY = /^[\x21-\x7e]{1,255}$/;
const ID_DIGITS = 32;
const FINGERPRINT_DIGITS = 16;

/** A change of something, as a route offers it. */
export interface Change {
  /** Makes the change in the name of a request, and gives the answer. */
  readonly make: (exchange: Exchange, requestId: string | null) => Promise<Answer>;
  /** Gives the answer to a change that was made already, from the entries it left. */
  readonly recover?: (exchange: Exchange, entries: readonly Entry[]) => Promise<Answer>;
}

const keptSchema = z.object({
  fingerprint: z.string(),
  status: z.number(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
});

/** A request with a name of its own. */
interface Named {
  /** What it is known by where it is kept, from which its key cannot be told. */
  readonly id: string;
  /** Opens what was kept of its answer. */
  readonly key: string;
  readonly fingerprint: string;
}

interface UnderWay {
  readonly fingerprint: string;
  readonly answer: Promise<Answer>;
}

export interface IdempotencyOptions {
  readonly registry: Registry;
  readonly documents: Documents;
  readonly clock: Clock;
  readonly log: Log;
}

export class Idempotency {
  readonly #options: IdempotencyOptions;
  readonly #underWay = new Map<string, UnderWay>();

  constructor(options: IdempotencyOptions) {
    this.#options = options;
  }

  /** The route of a change, whose answer is given again to those who repeat the request. */
  handler(change: Change): Handler {
    return async (exchange) => send(exchange.response, await this.#answerTo(exchange, change));
  }

  #answerTo(exchange: Exchange, change: Change): Promise<Answer> {
    const key = exchange.request.get('Idempotency-Key');
    if (key === undefined) return change.make(exchange, null);
    if (!KEY.test(key)) {
      throw new Problem(
        'invalid_request',
        'An Idempotency-Key has 1 to 255 visible ASCII characters',
      );
    }
    const id = digits(`${exchange.caller.credential}\n${key}`, ID_DIGITS);
    const fingerprint = fingerprintOf(exchange);
    const underWay = this.#underWay.get(id);
    if (underWay !== undefined) {
      requireSame(underWay.fingerprint, fingerprint);
      return underWay.answer;
    }
    const named = { id, key, fingerprint };
    const answer = this.#firstOrKept(exchange, change, named).finally(() => {
      this.#underWay.delete(id);
    });
    this.#underWay.set(id, { fingerprint, answer });
    return answer;
  }

  async #firstOrKept(exchange: Exchange, change: Change, named: Named): Promise<Answer> {
    const { id, fingerprint } = named;
    const kept = await this.#kept(named);
    if (kept !== undefined) {
      requireSame(kept.fingerprint, fingerprint);
      return kept;
    }
    const entries = await this.#entriesOf(id);
    const [first] = entries;
    if (first !== undefined) requireSame(first.requestId?.split('.')[1] ?? '', fingerprint);
    exchange.confirm();
    const answer =
      first === undefined || change.recover === undefined
        ? await whole(change.make(exchange, `${id}.${fingerprint}`))
        : await this.#readable(change.recover(exchange, entries));
    await this.#keep(named, answer);
    return answer;
  }

  async #kept({ id, key }: Named): Promise<z.output<typeof keptSchema> | undefined> {
    const { documents, clock } = this.#options;
    const text = await this.#readable(documents.get(DRAWER, id, clock.now()));
    return text === undefined ? undefined : keptSchema.parse(JSON.parse(unseal(text, key)));
  }

  /** What the request changed; a change that is too old for its answer to be kept was another request. */
  async #entriesOf(id: string): Promise<readonly Entry[]> {
    const { registry, clock } = this.#options;
    const afterMs = clock.now() - KEPT_MS;
    const entries = await this.#readable(registry.entriesOfRequest(`${id}.`));
    return entries.filter(({ recordedAtMs }) => recordedAtMs > afterMs);
  }

  /** Whoever cannot find out whether a change was made must not make it. */
  async #readable<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (cause) {
      this.#options.log.error({ err: cause }, 'what was asked before could not be read');
      throw problemOf({ reason: 'journal_unavailable' }, '');
    }
  }

  /** An answer that cannot be kept is given all the same: the change was made. */
  async #keep({ id, key, fingerprint }: Named, answer: Answer): Promise<void> {
    const { documents, clock, log } = this.#options;
    const text = seal(JSON.stringify({ fingerprint, ...answer }), key);
    try {
      await documents.put(DRAWER, { name: id, text }, clock.now() + KEPT_MS);
    } catch (err) {
      log.error({ err }, 'an answer could not be kept for those who ask again');
    }
  }
}

/** Turns a refusal that another try would meet again into an answer that can be kept. */
async function whole(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500 || error.status === 429) throw error;
    const body = error.toJSON();
    return { status: error.status, headers: error.headers, body };
  }
}

function fingerprintOf({ request }: Exchange): string {
  const body = JSON.stringify(request.body ?? null);
  const condition = request.get('If-Match') ?? '';
  const text = `${request.method} ${request.originalUrl}\n${condition}\n${body}`;
  return digits(text, FINGERPRINT_DIGITS);
}

function requireSame(before: string, now: string): void {
  if (before === now) return;
  throw new Problem(
    'idempotency_key_reused',
    'This Idempotency-Key was sent with another request before; take a new one for each change',
  );
}

function digits(text: string, count: number): string {
  return hash('sha256', text).slice(0, count);
}
