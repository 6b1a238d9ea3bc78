/** The service's REST interface as the console uses it. Every answer is parsed, every failure has words. */
import type * as z from 'zod/mini';
import { type Timer, timerSchema, timeSchema } from '../../client/messages.js';
import type { Exchange } from '../../client/server-clock.js';
import { type BulkResult, bulkResultsSchema, problemSchema, timerListSchema } from './messages.js';
import { problemWords } from './problem-words.js';

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

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

export class Api {
  readonly #base: string;

  /** `base` is the service's address, empty for the one that served this page. */
  constructor(base = '') {
    this.#base = base;
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

  async control(timerId: string, action: Action, seconds?: number): Promise<Timer> {
    const body = { action, ...(seconds !== undefined && { extend_seconds: seconds }) };
    return read(
      timerSchema,
      await this.#call(`${address(timerId)}/control`, { method: 'POST', body }),
    );
  }

  /** One command: its timers share one instant. */
  async bulk(
    timer_ids: readonly string[],
    action: Action,
    seconds?: number,
  ): Promise<BulkResult[]> {
    const body = { timer_ids, ...(seconds !== undefined && { seconds }) };
    const response = await this.#call(`/timers/bulk/${action}`, { method: 'POST', body });
    return read(bulkResultsSchema, response);
  }

  async remove(timerId: string): Promise<void> {
    await this.#call(address(timerId), { method: 'DELETE' });
  }

  /** One exchange of timestamps with the service's clock. */
  async time(): Promise<Exchange> {
    const sentMs = performance.now();
    const response = await this.#call('/time', { timeoutMs: TIME_TIMEOUT_MS });
    const receivedMs = performance.now();
    const { server_received_ms, server_sent_ms } = await read(timeSchema, response);
    return {
      sentMs,
      serverReceivedMs: server_received_ms,
      serverSentMs: server_sent_ms,
      receivedMs,
    };
  }

  async #call(path: string, { method = 'GET', body, timeoutMs = TIMEOUT_MS }: Call = {}) {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json' },
      }),
    }).catch(() => {
      throw new ApiError('The service cannot be reached; is it running?');
    });
    if (!response.ok) throw new ApiError(await detailOf(response), response.status);
    return response;
  }
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

/** The address of a timer's display page. */
export function displayUrl(origin: string, timerId: string): string {
  return `${origin}/display/${encodeURIComponent(timerId)}`;
}
