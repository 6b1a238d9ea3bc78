/** Sends one message to a receiver, and says in words what became of it. Follows no redirect. */
import { Agent, type ClientRequest, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Clock } from '../clock.js';
import { faultOf, type NameLookup, publicLookup } from './addresses.js';

/** What an answer says beyond its status is of no interest; of a longer or slower one the rest is not read. */
const LARGEST_ANSWER_BYTES = 64 * 1024;
const LONGEST_ANSWER_MS = 1000;
const LONGEST_RETRY_AFTER_MS = 60 * 60 * 1000;
/** Receivers and what is between keep connections that nobody uses for longer than this. */
const LONGEST_IDLE_MS = 4000;
const KEPT = { keepAlive: true, timeout: LONGEST_IDLE_MS } as const;

export interface Posting {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Breaks the attempt off. */
  readonly signal: AbortSignal;
}

export interface Outcome {
  readonly success: boolean;
  readonly status: number | null;
  /** Why it failed, in words. */
  readonly error: string | null;
  /** How long the receiver asks not to be tried again, within bounds. */
  readonly retryAfterMs: number;
}

export interface SenderOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Whether receivers may be at addresses that are not public, and without encryption. */
  readonly allowsPrivate: boolean;
  readonly version: string;
  readonly lookUp?: NameLookup | undefined;
}

export class Sender {
  readonly #options: SenderOptions;
  /** Connections are kept for a moment, because many messages come together when an exam ends. */
  readonly #agents = { http: new Agent(KEPT), https: new HttpsAgent(KEPT) };

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Closes the connections that are kept. */
  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** Never rejects: that a receiver does not answer is an outcome too. */
  post(posting: Posting): Promise<Outcome> {
    const fault = faultOf(posting.url, this.#options.allowsPrivate);
    if (fault !== undefined) return Promise.resolve(failure(fault));
    return this.#send(posting).catch((error: unknown) => failure(String(error)));
  }

  #send(posting: Posting, isAgain = false): Promise<Outcome> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      const request = this.#open(posting, isAgain);
      let timeout = clock.setTimeout(() => {
        settle(failure(`No answer within ${timeoutMs / 1000} seconds`));
      }, timeoutMs);
      const settle = (outcome: Outcome): void => {
        clock.clearTimeout(timeout);
        resolve(outcome);
        request.destroy();
      };
      request.on('error', (error) => {
        if (!wasClosedBefore(request, error)) return settle(failure(wordsOf(error)));
        clock.clearTimeout(timeout);
        resolve(this.#send(posting, true));
      });
      request.on('upgrade', ({ statusCode = 0 }, socket) => {
        socket.destroy();
        settle(outcomeOf(statusCode, undefined, clock));
      });
      request.on('response', (response) => {
        const { statusCode = 0 } = response;
        let bytes = 0;
        const end = () => settle(outcomeOf(statusCode, response.headers['retry-after'], clock));
        clock.clearTimeout(timeout);
        timeout = clock.setTimeout(end, LONGEST_ANSWER_MS);
        response.on('data', (data: Buffer) => {
          bytes += data.length;
          if (bytes > LARGEST_ANSWER_BYTES) end();
        });
        response.on('end', end);
        response.on('error', (error) => settle(failure(wordsOf(error))));
      });
      request.end(posting.body);
    });
  }

  #open({ url, headers, body, signal }: Posting, isAgain: boolean): ClientRequest {
    const { allowsPrivate, version, lookUp } = this.#options;
    const isHttps = new URL(url).protocol === 'https:';
    const request = isHttps ? requestHttps : requestHttp;
    const agent = isHttps ? this.#agents.https : this.#agents.http;
    return request(url, {
      method: 'POST',
      agent: isAgain ? false : agent,
      signal,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'User-Agent': `synchronized-timer-service/${version}`,
        ...headers,
      },
      ...(allowsPrivate ? {} : { lookup: publicLookup(lookUp) }),
    });
  }
}

/** Whether a connection that was kept was closed by the receiver just when it was used again. */
function wasClosedBefore(request: ClientRequest, error: Error): boolean {
  const code = 'code' in error ? error.code : undefined;
  return request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
}

function failure(error: string): Outcome {
  return { success: false, status: null, error, retryAfterMs: 0 };
}

function outcomeOf(status: number, retryAfter: string | undefined, clock: Clock): Outcome {
  const success = status >= 200 && status < 300;
  if (success) return { success, status, error: null, retryAfterMs: 0 };
  const isRedirect = status >= 300 && status < 400;
  const error = `Answered ${status}${isRedirect ? ', and redirects are not followed' : ''}`;
  const mayAsk = status === 429 || status === 503;
  return { success, status, error, retryAfterMs: mayAsk ? delayOf(retryAfter ?? '', clock) : 0 };
}

/** Seconds, or a date. */
function delayOf(retryAfter: string, clock: Clock): number {
  const askedMs = /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1000
    : Date.parse(retryAfter) - clock.now();
  return Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, askedMs || 0));
}

/** A name with several addresses fails with one error for each; its own message is empty then. */
function wordsOf(error: Error): string {
  return error.message || ('code' in error ? String(error.code) : error.name);
}
