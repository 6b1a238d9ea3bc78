/** Sends one message to a receiver, and says in words what became of it. Follows no redirect. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Clock } from '../clock.js';
import { faultOf, type NameLookup, publicLookup } from './addresses.js';

/** What an answer says beyond its status is of no interest; of a longer or slower one the rest is not read. */
const LARGEST_ANSWER_BYTES = 64 * 1024;
const LONGEST_ANSWER_MS = 1000;
const LONGEST_RETRY_AFTER_MS = 60 * 60 * 1000;

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

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Never rejects: that a receiver does not answer is an outcome too. */
  post(posting: Posting): Promise<Outcome> {
    const fault = faultOf(posting.url, this.#options.allowsPrivate);
    if (fault !== undefined) return Promise.resolve(failure(fault));
    return this.#send(posting).catch((error: unknown) => failure(String(error)));
  }

  #send(posting: Posting): Promise<Outcome> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      const request = this.#open(posting);
      let timeout = clock.setTimeout(() => {
        settle(failure(`No answer within ${timeoutMs / 1000} seconds`));
      }, timeoutMs);
      const settle = (outcome: Outcome): void => {
        clock.clearTimeout(timeout);
        resolve(outcome);
        request.destroy();
      };
      request.on('error', (error) => settle(failure(wordsOf(error))));
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

  /** Every attempt has a connection of its own, so that none meets one that the receiver has just closed. */
  #open({ url, headers, body, signal }: Posting) {
    const { allowsPrivate, version, lookUp } = this.#options;
    const request = new URL(url).protocol === 'https:' ? requestHttps : requestHttp;
    return request(url, {
      method: 'POST',
      agent: false,
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
