/**
 * Requests by the thousand at a time: each connection carries as many ahead of their answers as the service takes, as
 * opening a connection costs both sides more than a request does.
 */
import { connect, type Socket } from 'node:net';
import { MOST_UNANSWERED } from '../../src/http/pipelines.js';
import { endWithTest } from './endings.js';

export interface PipelinedReply {
  readonly status: number;
  readonly text: string;
}

interface Waiting {
  readonly resolve: (reply: PipelinedReply) => void;
  readonly reject: (error: Error) => void;
}

const END_OF_HEADERS = '\r\n\r\n';

const open = new Set<Pipeline>();
endWithTest('clients', () => {
  for (const pipeline of open) pipeline.close();
});

export class Pipelines {
  readonly #url: URL;
  readonly #pipelines: Pipeline[] = [];

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Sends a request at once, whatever else is under way; rejects when its connection ends before the answer. */
  request(method: string, path: string, body?: unknown): Promise<PipelinedReply> {
    return this.#pipelineWithRoom().request(method, path, body);
  }

  #pipelineWithRoom(): Pipeline {
    const found = this.#pipelines.find(({ hasRoom }) => hasRoom);
    if (found !== undefined) return found;
    const fresh = new Pipeline(this.#url);
    this.#pipelines.unshift(fresh);
    return fresh;
  }
}

class Pipeline {
  readonly #socket: Socket;
  readonly #host: string;
  /** Who waits for an answer, in the order of the requests and so of the answers. */
  readonly #waiting: Waiting[] = [];
  #unsent: string[] = [];
  #received: Buffer = Buffer.alloc(0);
  #end: Error | undefined;

  constructor({ host, hostname, port }: URL) {
    this.#host = host;
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('The service closed the connection')));
    open.add(this);
  }

  get hasRoom(): boolean {
    return this.#waiting.length < MOST_UNANSWERED && this.#end === undefined;
  }

  request(method: string, path: string, body: unknown): Promise<PipelinedReply> {
    const text = body === undefined ? '' : JSON.stringify(body);
    if (this.#unsent.length === 0) queueMicrotask(() => this.#send());
    this.#unsent.push(
      `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(text)}${END_OF_HEADERS}${text}`,
    );
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
    open.delete(this);
  }

  /** What was asked for in one turn leaves in one piece. */
  #send(): void {
    this.#socket.write(this.#unsent.join(''));
    this.#unsent = [];
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const answer = answerIn(this.#received);
      if (answer === undefined) return;
      this.#received = this.#received.subarray(answer.end);
      this.#waiting.shift()?.resolve(answer.reply);
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
    this.close();
  }
}

/** The first answer, when all of it has arrived. */
function answerIn(received: Buffer): { reply: PipelinedReply; end: number } | undefined {
  const endOfHeaders = received.indexOf(END_OF_HEADERS);
  if (endOfHeaders < 0) return undefined;
  const headers = received.toString('latin1', 0, endOfHeaders);
  const start = endOfHeaders + END_OF_HEADERS.length;
  const length = /^content-length: (\d+)$/im.exec(headers)?.[1];
  const isChunked = length === undefined && /^transfer-encoding: chunked$/im.test(headers);
  const body = isChunked
    ? chunksIn(received, start)
    : pieceOf(received, start, Number(length ?? 0));
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(headers)?.[1]);
  return body && { reply: { status, text: body.text }, end: body.end };
}

function pieceOf(received: Buffer, start: number, length: number) {
  const end = start + length;
  return received.length < end ? undefined : { text: received.toString('utf8', start, end), end };
}

/** A body whose length was not known when its headers were sent; none of them is cut within a character. */
function chunksIn(received: Buffer, start: number): { text: string; end: number } | undefined {
  const sizeEnd = received.indexOf('\r\n', start);
  if (sizeEnd < 0) return undefined;
  const size = Number.parseInt(received.toString('latin1', start, sizeEnd), 16);
  const piece = pieceOf(received, sizeEnd + 2, size);
  if (piece === undefined || received.length < piece.end + 2) return undefined;
  if (size === 0) return { text: '', end: piece.end + 2 };
  const others = chunksIn(received, piece.end + 2);
  return others && { text: piece.text + others.text, end: others.end };
}
