/** The service over HTTP: every answer is parsed by the schema that the service itself answers with. */
import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import {
  NDJSON_TYPE,
  publicKeysSchema,
  type SignedHead,
  signedHeadsSchema,
} from '../protocol/audit.js';
import { CONSOLE_MESSAGES } from '../protocol/console.js';
import {
  type createKeySchema,
  type createTokenSchema,
  type KeyResource,
  keySchema,
  type NewKey,
  newKeySchema,
  tokenSchema,
} from '../protocol/credentials.js';
import { problemSchema } from '../protocol/problems.js';
import { callerSchema, type HistoryItem, historySchema } from '../protocol/record.js';
import { bulkResultSchema, type ReasonBody, type RequestSchemas } from '../protocol/requests.js';
import { type TimerResource, timerSchema, type WireTimerState } from '../protocol/timer.js';
import {
  type Attempt,
  attemptSchema,
  attemptsSchema,
  type createWebhookSchema,
  type WebhookResource,
  type WebhookWithSecret,
  webhookSchema,
  webhooksSchema,
  webhookWithSecretSchema,
} from '../protocol/webhooks.js';
import type { Action } from '../registry.js';
import type { Credential, CredentialSource } from './credential.js';
import { RefusedError, UnreachableError } from './errors.js';
import { onOneLine } from './output.js';

export type TimerDefinition = z.input<RequestSchemas['create']>;
export type Control = z.input<RequestSchemas['control']>;
export type KeyDefinition = z.input<typeof createKeySchema>;
export type TokenDefinition = z.input<typeof createTokenSchema>;
export type WebhookDefinition = z.input<typeof createWebhookSchema>;
export type BulkResults = z.output<typeof bulkResultSchema>;

/** What a change of timers may carry beside what is done. */
export interface ChangeDetails {
  /** What an extension adds. */
  readonly seconds?: number | undefined;
  readonly reason?: ReasonBody | undefined;
}

/** A service that says nothing for this long is given up. */
const LONGEST_ANSWER_MS = 30_000;
/** What a service takes in one bulk command that has too many consoles to tell it. */
const USUAL_BULK = 1000;

const USUAL_REFUSAL =
  'The service wants a key or token that is valid: synchronized-timer login, SYNCHRONIZED_TIMER_TOKEN, or --token.';

const timersSchema = z.array(timerSchema);
const nothing = z.undefined();

interface Call<T> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly schema: z.ZodType<T>;
}

interface Reply {
  readonly response: Response;
  readonly value: unknown;
}

export class Api {
  readonly server: string;
  #credentialSource: CredentialSource;

  constructor(server: string, credentialSource: CredentialSource) {
    this.server = server;
    this.#credentialSource = credentialSource;
  }

  /** What the service knows the caller by. */
  get token(): string | undefined {
    return this.#credential()?.text;
  }

  /** Who the service takes the caller for. */
  me(): Promise<z.output<typeof callerSchema>> {
    return this.#call({ method: 'GET', path: '/me', schema: callerSchema });
  }

  create(body: TimerDefinition): Promise<TimerResource> {
    return this.#call({ method: 'POST', path: '/timers', body, schema: timerSchema });
  }

  get(timerId: string): Promise<TimerResource> {
    return this.#call({ method: 'GET', path: pathOf(timerId), schema: timerSchema });
  }

  history(timerId: string): Promise<HistoryItem[]> {
    return this.#call({
      method: 'GET',
      path: `${pathOf(timerId)}/history`,
      schema: historySchema,
    });
  }

  control(timerId: string, body: Control): Promise<TimerResource> {
    const path = `${pathOf(timerId)}/control`;
    return this.#call({ method: 'POST', path, body, schema: timerSchema });
  }

  bulk(
    action: Action,
    timer_ids: readonly string[],
    { seconds, reason }: ChangeDetails,
  ): Promise<BulkResults> {
    const body = { timer_ids, seconds, reason };
    const path = `/timers/bulk/${action}`;
    return this.#call({ method: 'POST', path, body, schema: bulkResultSchema });
  }

  /** How many timers one bulk command takes, which the service tells consoles before anything else. */
  async largestBulk(): Promise<number> {
    const { value } = await this.#reach('/events', {}, firstEvent);
    const told = CONSOLE_MESSAGES.overview.safeParse(contentOf(value));
    return told.success ? told.data.max_bulk_timers : USUAL_BULK;
  }

  async delete(timerId: string, reason: ReasonBody | undefined): Promise<void> {
    const query = new URLSearchParams({
      ...(reason && { reason_category: reason.category }),
      ...(reason?.text && { reason_text: reason.text }),
    });
    const path = `${pathOf(timerId)}${query.size === 0 ? '' : `?${query}`}`;
    await this.#call({ method: 'DELETE', path, schema: nothing });
  }

  /** All timers, oldest first, however many pages they take. */
  async *list(state?: WireTimerState): AsyncGenerator<TimerResource> {
    let after = '';
    for (let hasMore = true; hasMore; ) {
      const query = new URLSearchParams({ ...(state && { state }), after });
      const reply = await this.#send('GET', `/timers?${query}`);
      const page = this.#parse(reply, timersSchema);
      yield* page;
      after = page.at(-1)?.id ?? '';
      hasMore = after !== '' && reply.response.headers.get('link')?.includes('rel="next"') === true;
    }
  }

  /** The signed heads of the record. */
  heads(): Promise<SignedHead[]> {
    return this.#call({ method: 'GET', path: '/audit/heads', schema: signedHeadsSchema });
  }

  /** The public keys that receipts and heads are checked with. */
  publicKeys(): Promise<z.output<typeof publicKeysSchema>> {
    const path = '/.well-known/jwks.json';
    return this.#call({ method: 'GET', path, schema: publicKeysSchema });
  }

  /** The bytes of the exported record, as they come; it may be long, so only silence ends it. */
  async *audit(query: URLSearchParams): AsyncGenerator<Uint8Array> {
    const path = `/audit${query.size === 0 ? '' : `?${query}`}`;
    const { response, value } = await this.#reach(path, { signal: null }, async (answer) =>
      answer.ok ? undefined : contentOf(await answer.text()),
    );
    const isRecord = response.headers.get('content-type')?.startsWith(NDJSON_TYPE) === true;
    if (!isRecord || response.body === null) this.#parse({ response, value }, z.never());
    try {
      yield* response.body ?? [];
    } catch (error) {
      throw new UnreachableError(this.server, `the record broke off (${reasonOf(error)})`);
    }
  }

  createKey(body: KeyDefinition): Promise<NewKey> {
    return this.#call({ method: 'POST', path: '/keys', body, schema: newKeySchema });
  }

  keys(): Promise<KeyResource[]> {
    return this.#call({ method: 'GET', path: '/keys', schema: z.array(keySchema) });
  }

  async revokeKey(keyId: string): Promise<void> {
    await this.#call({ method: 'DELETE', path: `/keys/${keyId}`, schema: nothing });
  }

  createToken(timerId: string, body: TokenDefinition): Promise<z.output<typeof tokenSchema>> {
    const path = `${pathOf(timerId)}/tokens`;
    return this.#call({ method: 'POST', path, body, schema: tokenSchema });
  }

  createWebhook(body: WebhookDefinition): Promise<WebhookWithSecret> {
    return this.#call({ method: 'POST', path: '/webhooks', body, schema: webhookWithSecretSchema });
  }

  webhooks(): Promise<WebhookResource[]> {
    return this.#call({ method: 'GET', path: '/webhooks', schema: webhooksSchema });
  }

  async deleteWebhook(webhookId: string): Promise<void> {
    await this.#call({ method: 'DELETE', path: `/webhooks/${webhookId}`, schema: nothing });
  }

  rotateWebhook(webhookId: string): Promise<WebhookWithSecret> {
    const path = `/webhooks/${webhookId}/rotate`;
    return this.#call({ method: 'POST', path, schema: webhookWithSecretSchema });
  }

  enableWebhook(webhookId: string): Promise<WebhookResource> {
    const path = `/webhooks/${webhookId}/enable`;
    return this.#call({ method: 'POST', path, schema: webhookSchema });
  }

  deliveries(webhookId: string, limit: number): Promise<Attempt[]> {
    const path = `/webhooks/${webhookId}/deliveries?limit=${limit}`;
    return this.#call({ method: 'GET', path, schema: attemptsSchema });
  }

  redeliver(webhookId: string, messageId: string): Promise<Attempt> {
    const path = `/webhooks/${webhookId}/deliveries/${messageId}/redeliver`;
    return this.#call({ method: 'POST', path, schema: attemptSchema });
  }

  /** Found once, when it is first shown. */
  #credential(): Credential | undefined {
    const credential = this.#credentialSource();
    this.#credentialSource = () => credential;
    return credential;
  }

  async #call<T>({ method, path, body, schema }: Call<T>): Promise<T> {
    return this.#parse(await this.#send(method, path, body), schema);
  }

  async #send(method: string, path: string, body?: unknown): Promise<Reply> {
    const init = {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json' },
      }),
    };
    const { response, value } = await this.#reach(path, init, (answer) => answer.text());
    return { response, value: contentOf(value) };
  }

  async #reach<T>(
    path: string,
    init: RequestInit,
    read: (response: Response) => Promise<T>,
  ): Promise<{ readonly response: Response; readonly value: T }> {
    const signal = AbortSignal.timeout(LONGEST_ANSWER_MS);
    const headers = new Headers(init.headers);
    const { token } = this;
    if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
    try {
      const response = await fetch(`${this.server}${path}`, { signal, ...init, headers });
      return { response, value: await read(response) };
    } catch (error) {
      throw new UnreachableError(this.server, reasonOf(error));
    }
  }

  #parse<T>({ response, value }: Reply, schema: z.ZodType<T>): T {
    if (response.ok) {
      const result = schema.safeParse(value);
      if (result.success) return result.data;
    }
    const problem = problemSchema.safeParse(value);
    if (problem.success) throw new RefusedError(onOneLine(this.#wordsOf(problem.data)));
    throw new UnreachableError(this.server, 'what answers there is no Synchronized Timer Service');
  }

  /** What the service says of headers is for programs; people say it in another way here. */
  #wordsOf({ code, detail }: z.output<typeof problemSchema>): string {
    return code === 'unauthenticated' ? (this.#credential()?.refusal ?? USUAL_REFUSAL) : detail;
  }
}

function pathOf(timerId: string): string {
  return `/timers/${encodeURIComponent(timerId)}`;
}

/** The data of the first event of a stream, or all of an answer that is none. */
async function firstEvent(response: Response): Promise<string> {
  if (!response.ok || response.body === null) return response.text();
  let first: string | undefined;
  const parser = createParser({
    onEvent: ({ data }) => {
      first ??= data;
    },
  });
  const decoder = new TextDecoder();
  // Leaving the loop ends the stream.
  for await (const piece of response.body) {
    parser.feed(decoder.decode(piece, { stream: true }));
    if (first !== undefined) break;
  }
  return first ?? '';
}

/** An answer that is no JSON is kept as text, which no schema takes. */
function contentOf(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** fetch says only that it failed; why is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${LONGEST_ANSWER_MS / 1000} seconds`;
  return error.cause === undefined ? error.message : causeText(error.cause);
}

/** A host with several addresses fails with one error for each; its own message is empty then. */
function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
