/** A reader of server-sent events over a real connection, and what it was told. */

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import { endWithTest } from './endings.js';

export interface ServerEvent<T> {
  readonly id: string | undefined;
  readonly data: T;
}

/** A request for events was refused. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;

  constructor(response: IncomingMessage, body: unknown) {
    super(`refused with ${response.statusCode}`);
    this.status = response.statusCode ?? 0;
    this.headers = headersOf(response);
    this.body = body;
  }
}

export function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  return headers;
}

const readers = new Set<{ leave(): void }>();
endWithTest('clients', () => {
  for (const reader of readers) reader.leave();
  readers.clear();
});

export class EventReader<T> {
  /** Everything received so far, each checked against the schema. */
  readonly events: ServerEvent<T>[] = [];
  /** What the last event said of why the stream ends. */
  ending: unknown;
  readonly response: IncomingMessage;
  /** Settles when the stream has ended, by either side. */
  readonly ended: Promise<void>;
  readonly #request: ClientRequest;
  readonly #schema: z.ZodType<T>;
  #text = '';
  #read = 0;
  #hasEnded = false;
  readonly #waiting = new Set<() => void>();

  private constructor(request: ClientRequest, response: IncomingMessage, schema: z.ZodType<T>) {
    this.#request = request;
    this.#schema = schema;
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#receive(chunk));
    // A connection that is broken off is one of the ways in which a stream may end.
    response.on('error', () => {});
    request.on('error', () => {});
    this.ended = new Promise((resolve) => {
      response.once('close', () => {
        this.#hasEnded = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Asks for events; rejects with a `RefusedError` if there are none to be had. */
  static async open<T>(
    url: string,
    schema: z.ZodType<T>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<EventReader<T>> {
    const request = httpRequest(url, { headers, agent: false });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
      request.end();
    });
    if (response.statusCode !== 200) {
      throw new RefusedError(response, JSON.parse(await text(response)));
    }
    const reader = new EventReader(request, response, schema);
    readers.add(reader);
    return reader;
  }

  get headers(): Headers {
    return headersOf(this.response);
  }

  get data(): T[] {
    return this.events.map(({ data }) => data);
  }

  /** The first event that was not yet asked for and that a condition is true of. */
  async next(condition: (data: T) => boolean = () => true): Promise<T> {
    for (;;) {
      await this.until(() => this.events.length > this.#read);
      const data = this.events[this.#read]?.data;
      this.#read += 1;
      if (data !== undefined && condition(data)) return data;
    }
  }

  /** Waits until something is true of what was received; fails when the stream ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#hasEnded) throw new Error('The stream ended before what was awaited');
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  leave(): void {
    this.#request.destroy();
  }

  #receive(chunk: string): void {
    this.#text += chunk;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, ending] = /^event: ended\ndata: (.+)$/.exec(block) ?? [];
      if (ending === undefined) this.events.push(this.#eventIn(block));
      else this.ending = JSON.parse(ending);
    }
    this.#wake();
  }

  /** An event as the service writes it: an id at most, and one line of data. */
  #eventIn(block: string): ServerEvent<T> {
    const [, id, data] = /^(?:id: (\d+)\n)?data: (.+)$/.exec(block) ?? [];
    if (data === undefined) throw new Error(`Not an event: ${block}`);
    return { id, data: this.#schema.parse(JSON.parse(data)) };
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
