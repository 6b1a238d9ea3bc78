/**
 * Retries that are safe: a change that is asked for again under the same `Idempotency-Key` is not made
 * again, and gets the answer that it got the first time, for 24 hours, also after a restart.
 *
 * What was answered is kept as a document, sealed with the key of the request, which is not kept. A crash may come
 * between a change and that. The entries of a change of timers are in the journal by then, with the name of the
 * request, and its answer is put together from them. Changes that chance has a part in have a plan, which is kept in the
 * place of the answer before they are made, so that whoever makes them again finds them made, also if they come into the
 * journal only later. Of nodes that share a log one at a time sees to a request.
 */
import { hash } from 'node:crypto';
import type { Request } from 'express';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Document, Documents } from '../journal/documents.js';
import { Lease } from '../journal/lease.js';
import type { Log } from '../log.js';
import { Problem, problemOf } from '../protocol/problems.js';
import type { Entry, Registry } from '../registry.js';
import { type Answer, type Exchange, type Handler, send } from './exchange.js';
import { seal, unseal } from './seal.js';

const DRAWER = 'answers';
/** A node that sees to a request and does not say that it has done so has ended. */
const LONGEST_UNDER_WAY_MS = 15_000;
/** While another node sees to a request, it is asked so often whether it has done so. */
const ASK_AGAIN_MS = 50;
const KEPT_MS = 24 * 60 * 60 * 1000;
const KEY = /^[\x21-\x7e]{1,255}$/;
const ID_DIGITS = 32;
const FINGERPRINT_DIGITS = 16;

/** A change that leaves entries, as a route offers it. */
export interface RecordedChange {
  /** Makes the change in the name of a request, and gives the answer. */
  readonly make: (exchange: Exchange, requestId: string | null) => Promise<Answer>;
  readonly recover: Recovery;
}

/** Gives the answer to a change that was made already, from the entries it left. */
type Recovery = (exchange: Exchange, entries: readonly Entry[]) => Promise<Answer>;

/** What chance or the present decides of a change. */
interface Planning<Plan> {
  readonly plan: (exchange: Exchange) => Plan;
  /** Reads a plan that was kept as JSON. */
  readonly planSchema: z.ZodType<Plan>;
}

/** A change that leaves no entries: all of it that chance or the present decides is in its plan. */
export interface PlannedChange<Plan> extends Planning<Plan> {
  /** Makes the change, if it was not made by the same plan already, and gives the answer. */
  readonly make: (exchange: Exchange, plan: Plan) => Promise<Answer>;
}

/** A change that leaves entries of a timer that its plan names. */
export interface RecordedCreation<Plan> extends Planning<Plan> {
  /** The same, in the name of a request. */
  readonly make: (exchange: Exchange, requestId: string | null, plan: Plan) => Promise<Answer>;
  readonly recover: Recovery;
}

const answeredSchema = z.object({
  fingerprint: z.string(),
  status: z.number(),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
});
const plannedSchema = z.object({ fingerprint: z.string(), plan: z.json() });
const keptSchema = z.union([answeredSchema, plannedSchema]);

/** Makes a change that has no answer yet; it is given what was planned for it, if that was kept. */
type Way = (exchange: Exchange, named: Named, plan: unknown) => Promise<Answer>;

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
  readonly #givingBack = new Set<Promise<unknown>>();

  constructor(options: IdempotencyOptions) {
    this.#options = options;
  }

  /** Settles when other nodes may see to every request that was answered here. */
  async settled(): Promise<void> {
    await Promise.all(this.#givingBack);
  }

  /** The route of a change, whose answer is given again to those who repeat the request. */
  recorded({ make, recover }: RecordedChange): Handler {
    return this.#handler(
      (exchange) => make(exchange, null),
      (exchange, named) =>
        this.#recoverOr(recover, exchange, named, async () => {
          exchange.confirm();
          return whole(make(exchange, requestIdOf(named)));
        }),
    );
  }

  /** The same of a change that makes a timer. */
  created<Plan>(change: RecordedCreation<Plan>): Handler {
    const { make, recover } = change;
    return this.#handler(
      (exchange) => make(exchange, null, change.plan(exchange)),
      (exchange, named, kept) =>
        this.#recoverOr(recover, exchange, named, async () => {
          const plan = await this.#planOf(change, exchange, named, kept);
          exchange.confirm();
          return whole(make(exchange, requestIdOf(named), plan));
        }),
    );
  }

  /** The same of a change that leaves no entries. */
  planned<Plan>(change: PlannedChange<Plan>): Handler {
    return this.#handler(
      (exchange) => change.make(exchange, change.plan(exchange)),
      (exchange, named, plan) => this.#makePlanned(change, exchange, named, plan),
    );
  }

  /** The same of a change that does no harm when a crash has it made twice. */
  repeatable(make: (exchange: Exchange) => Promise<Answer>): Handler {
    return this.#handler(make, (exchange) => {
      exchange.confirm();
      return whole(make(exchange));
    });
  }

  #handler(makeUnnamed: (exchange: Exchange) => Promise<Answer>, makeNamed: Way): Handler {
    return async (exchange) => {
      const named = namedOf(exchange);
      const answer =
        named === undefined ? makeUnnamed(exchange) : this.#answerTo(exchange, named, makeNamed);
      send(exchange.response, await answer);
    };
  }

  #answerTo(exchange: Exchange, named: Named, make: Way): Promise<Answer> {
    const { id, fingerprint } = named;
    const underWay = this.#underWay.get(id);
    if (underWay !== undefined) {
      requireSame(underWay.fingerprint, fingerprint);
      return underWay.answer;
    }
    const first = (): Promise<Answer> => this.#firstOrKept(exchange, named, make);
    const answer = this.#alone(id, first).finally(() => {
      this.#underWay.delete(id);
    });
    this.#underWay.set(id, { fingerprint, answer });
    return answer;
  }

  /** Lets one node at a time see to a request; whoever comes later finds what was kept. */
  async #alone(id: string, work: () => Promise<Answer>): Promise<Answer> {
    const { documents, clock } = this.#options;
    if (!documents.areShared) return work();
    const lease = new Lease(documents, clock, `request/${id}`);
    while (!(await this.#available(lease.take(LONGEST_UNDER_WAY_MS)))) {
      await new Promise<void>((resume) => clock.setTimeout(resume, ASK_AGAIN_MS));
    }
    return work().finally(() => this.#giveBack(lease));
  }

  /** Nobody waits for it with an answer: while the engine is away it takes as long as a change may take to be refused. */
  #giveBack(lease: Lease): void {
    const givingBack = lease
      .giveBack()
      .catch((err: unknown) => {
        const words = 'a request could not be given back; who repeats it elsewhere has to wait';
        this.#options.log.warn({ err }, words);
      })
      .finally(() => this.#givingBack.delete(givingBack));
    this.#givingBack.add(givingBack);
  }

  async #firstOrKept(exchange: Exchange, named: Named, make: Way): Promise<Answer> {
    const kept = await this.#kept(named);
    if (kept !== undefined) requireSame(kept.fingerprint, named.fingerprint);
    if (kept !== undefined && 'status' in kept) return kept;
    const answer = await make(exchange, named, kept?.plan);
    await this.#keep(named, answer);
    return answer;
  }

  async #recoverOr(
    recover: Recovery,
    exchange: Exchange,
    { id, fingerprint }: Named,
    make: () => Promise<Answer>,
  ): Promise<Answer> {
    const entries = await this.#entriesOf(id);
    const [first] = entries;
    if (first === undefined) return make();
    requireSame(first.requestId?.split('.')[1] ?? '', fingerprint);
    exchange.confirm();
    return this.#available(recover(exchange, entries));
  }

  async #makePlanned<Plan>(
    change: PlannedChange<Plan>,
    exchange: Exchange,
    named: Named,
    kept: unknown,
  ): Promise<Answer> {
    const plan = await this.#planOf(change, exchange, named, kept);
    exchange.confirm();
    return whole(change.make(exchange, plan));
  }

  /** The plan that was kept, or one that is kept from now on. */
  async #planOf<Plan>(
    { plan: planFor, planSchema }: Planning<Plan>,
    exchange: Exchange,
    named: Named,
    kept: unknown,
  ): Promise<Plan> {
    if (kept !== undefined) return planSchema.parse(kept);
    const plan = planFor(exchange);
    const { documents, clock } = this.#options;
    const nowMs = clock.now();
    const condition = { before: undefined, nowMs };
    const document = documentOf(named, { plan });
    const keeping = documents.replace(DRAWER, document, nowMs + KEPT_MS, condition);
    // A node that was slow may have been taken for one that ended: then another one's plan counts.
    if (!(await this.#available(keeping))) throw problemOf({ reason: 'journal_unavailable' }, '');
    return plan;
  }

  async #kept({ id, key }: Named): Promise<z.output<typeof keptSchema> | undefined> {
    const { documents, clock } = this.#options;
    const text = await this.#available(documents.get(DRAWER, id, clock.now()));
    return text === undefined ? undefined : keptSchema.parse(JSON.parse(unseal(text, key)));
  }

  /** What the request changed; a change that is too old for its answer to be kept was another request. */
  async #entriesOf(id: string): Promise<readonly Entry[]> {
    const { registry, clock } = this.#options;
    const afterMs = clock.now() - KEPT_MS;
    const entries = await this.#available(registry.entriesOfRequest(`${id}.`));
    return entries.filter(({ recordedAtMs }) => recordedAtMs > afterMs);
  }

  /** Whoever cannot find out whether a change was made, or tell others that it may be, must not make it. */
  async #available<T>(known: Promise<T>): Promise<T> {
    try {
      return await known;
    } catch (cause) {
      this.#options.log.error({ err: cause }, 'what was asked before could not be read or kept');
      throw problemOf({ reason: 'journal_unavailable' }, '');
    }
  }

  /** An answer that cannot be kept is given all the same: the change was made. */
  async #keep(named: Named, answer: Answer): Promise<void> {
    const { documents, clock } = this.#options;
    try {
      await documents.put(DRAWER, documentOf(named, answer), clock.now() + KEPT_MS);
    } catch (err) {
      this.#options.log.error({ err }, 'an answer could not be kept for those who ask again');
    }
  }
}

/** What is kept of a request, sealed. */
function documentOf(
  { id, key, fingerprint }: Named,
  content: Answer | { plan: unknown },
): Document {
  return { name: id, text: seal(JSON.stringify({ fingerprint, ...content }), key) };
}

/** What the entries of a request are called by. */
function requestIdOf({ id, fingerprint }: Named): string {
  return `${id}.${fingerprint}`;
}

/** Whether a caller gave the request a name, so that its answer is kept. */
export function isNamed(request: Request): boolean {
  return keyOf(request) !== undefined;
}

function keyOf(request: Request): string | undefined {
  return request.get('Idempotency-Key');
}

/** The name of a request, if its caller gave it one. */
function namedOf(exchange: Exchange): Named | undefined {
  const key = keyOf(exchange.request);
  if (key === undefined) return undefined;
  if (!KEY.test(key)) {
    throw new Problem(
      'invalid_request',
      'An Idempotency-Key has 1 to 255 visible ASCII characters',
    );
  }
  const id = digits(`${exchange.caller.credential}\n${key}`, ID_DIGITS);
  return { id, key, fingerprint: fingerprintOf(exchange) };
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

/** Of the body as it came: to write it anew, before it was looked at, would take a stack as deep as it is nested. */
function fingerprintOf({ request, bytes }: Exchange): string {
  const body = hash('sha256', bytes);
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
