/** The service's REST interface as the console uses it. Every answer is parsed, every failure has words. */
import { createParser } from 'eventsource-parser';
import type * as z from 'zod/mini';
import { type Timer, timerSchema, timeSchema } from '../../client/messages.js';
import type { Exchange } from '../../client/server-clock.js';
import {
  type BulkResult,
  bulkResultsSchema,
  type Caller,
  callerSchema,
  type DisplayToken,
  displayTokenSchema,
  type HistoryItem,
  historySchema,
  problemSchema,
  timerListSchema,
} from './messages.js';
import { problemWords } from './problem-words.js';
import type { Reason } from './reason.js';
import type { Session } from './session.js';

const PAGE_SIZE = 1000;
const TIMEOUT_MS = 20_000;
const TIME_TIMEOUT_MS = 5000;

export type Action = 'start' | 'pause' | 'resume' | 'extend' | 'stop';

export interface Definition {
  readonly name: string;
  readonly durationSeconds: number;
  readonly warningThresholds: readonly number[];
  readonly autoStart: boolean;
}

/** Something that did not work, in words for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Undefined when the service could not be reached at all. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }

  /** Whether nothing was done for certain, rather than done and not answered. */
  get isRefusal(): boolean {
    return this.status !== undefined && (this.status < 500 || this.status === 503);
  }
}

/** What a change of timers may carry beside what is done. */
export interface ChangeDetails {
  /** What an extension adds. */
  readonly seconds?: number | undefined;
  readonly reason?: Reason | undefined;
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Shown instead of what the session has, to try it. */
  readonly credential?: string | undefined;
}

export class Api {
  readonly #base: string;
  readonly #session: Pick<Session, 'credential' | 'refuse'> | undefined;

  /** `base` is the service's address, empty for the one that served this page. */
  constructor(base = '', session?: Pick<Session, 'credential' | 'refuse'>) {
    this.#base = base;
    this.#session = session;
  }

  /** Who the service takes this page for, or whoever shows another credential. */
  async me(credential?: string): Promise<Caller> {
    return read(callerSchema, await this.#call('/me', { credential }));
  }

  async create(definition: Definition): Promise<Timer> {
    const { name, durationSeconds, warningThresholds, autoStart } = definition;
    const body = {
      name,
      duration_seconds: durationSeconds,
      warning_thresholds: warningThresholds,
      auto_start: autoStart,
    };
    return read(timerSchema, await this.#call('/timers', { method: 'POST', body }));
  }

  /** Page by page, so that the first timers are there while the others are on their way. */
  async *list(): AsyncGenerator<Timer[]> {
    let after = '';
    for (;;) {
      const query = new URLSearchParams({ limit: `${PAGE_SIZE}`, ...(after && { after }) });
      const response = await this.#call(`/timers?${query}`);
      const page = await read(timerListSchema, response);
      yield page;
      const last = page.at(-1);
      if (last === undefined || !response.headers.has('Link')) return;
      after = last.id;
    }
  }

  async control(
    timerId: string,
    action: Action,
    { seconds, reason }: ChangeDetails = {},
  ): Promise<Timer> {
    const body = { action, extend_seconds: seconds, reason: reasonBody(reason) };
    return read(
      timerSchema,
      await this.#call(`${address(timerId)}/control`, { method: 'POST', body }),
    );
  }

  /** One command: its timers share one instant. */
  async bulk(
    timer_ids: readonly string[],
    action: Action,
    { seconds, reason }: ChangeDetails = {},
  ): Promise<BulkResult[]> {
    const body = { timer_ids, seconds, reason: reasonBody(reason) };
    const response = await this.#call(`/timers/bulk/${action}`, { method: 'POST', body });
    return read(bulkResultsSchema, response);
  }

  async remove(timerId: string, reason?: Reason): Promise<void> {
    const query = new URLSearchParams({
      ...(reason && { reason_category: reason.category }),
      ...(reason?.text && { reason_text: reason.text }),
    });
    await this.#call(`${address(timerId)}?${query}`, { method: 'DELETE' });
  }

  /** Everything that ever happened to a timer, oldest first. */
  async history(timerId: string): Promise<HistoryItem[]> {
    return read(historySchema, await this.#call(`${address(timerId)}/history`));
  }

  /** A token with which a display can follow this timer, and do nothing else. */
  async displayToken(timerId: string, label: string): Promise<DisplayToken> {
    const body = { label: label || undefined };
    const response = await this.#call(`${address(timerId)}/tokens`, { method: 'POST', body });
    return read(displayTokenSchema, response);
  }

  /** Tells what a stream of server-sent events tells, until it ends; by `fetch`, which can show a credential. */
  async follow(
    path: string,
    signal: AbortSignal,
    onMessage: (text: string) => void,
  ): Promise<void> {
    const headers = { Accept: 'text/event-stream' };
    const { body } = await this.#call(path, { headers, signal });
    if (body === null) return;
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === undefined) onMessage(data);
      },
    });
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  /** One exchange of timestamps with the service's clock. */
  async time(): Promise<Exchange> {
    const sentMs = performance.now();
    const response = await this.#call('/time', { signal: AbortSignal.timeout(TIME_TIMEOUT_MS) });
    const receivedMs = performance.now();
    const { server_received_ms, server_sent_ms } = await read(timeSchema, response);
    return {
      sentMs,
      serverReceivedMs: server_received_ms,
      serverSentMs: server_sent_ms,
      receivedMs,
    };
  }

  async #call(path: string, call: Call = {}): Promise<Response> {
    const { method = 'GET', body, signal = AbortSignal.timeout(TIMEOUT_MS) } = call;
    const credential = call.credential ?? this.#session?.credential;
    const headers = {
      ...call.headers,
      ...(credential !== undefined && { Authorization: `Bearer ${credential}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    };
    const response = await fetch(`${this.#base}${path}`, {
      method,
      signal,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch(() => {
      throw new ApiError('The service cannot be reached; is it running?');
    });
    if (response.ok) return response;
    if (response.status === 401 && call.credential === undefined) this.#session?.refuse(credential);
    throw new ApiError(await detailOf(response), response.status);
  }
}

function reasonBody(reason: Reason | undefined) {
  return reason && { category: reason.category, text: reason.text || undefined };
}

async function read<S extends z.ZodMiniType>(schema: S, response: Response): Promise<z.output<S>> {
  const result = schema.safeParse(await response.json().catch(() => undefined));
  if (!result.success)
    throw new ApiError('The service gave an answer that this page does not know');
  return result.data;
}

async function detailOf(response: Response): Promise<string> {
  const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
  return problem.success
    ? problemWords(problem.data)
    : `The service answered with ${response.status}`;
}

function address(timerId: string): string {
  return `/timers/${encodeURIComponent(timerId)}`;
}

/**
 * The address of a timer's display page. The token stands behind the `#`, which browsers keep to themselves, so
 * that it is in no log of a server or proxy.
 */
export function displayUrl(
  origin: string,
  timerId: string,
  { label = '', token }: { readonly label?: string; readonly token?: string | undefined } = {},
): string {
  const url = new URL(`/display/${encodeURIComponent(timerId)}`, origin);
  if (label !== '') url.searchParams.set('label', label);
  if (token !== undefined) url.hash = `${new URLSearchParams({ access_token: token })}`;
  return url.href;
}
