/**
 * A small HTTP client: one keep-alive connection that carries one request at a time. It costs a
 * fraction of what Node's own client does, which matters because it shares the machine's cores with
 * the service it measures.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

const NOTHING = Buffer.alloc(0);
const END_OF_HEADERS = '\r\n\r\n';

export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  /** What each request says of who sends it. */
  readonly #authorization: string;
  #received: Buffer = NOTHING;
  #waiting: Waiting | undefined;
  #end: Error | undefined;

  private constructor(socket: Socket, host: string, credential: string | undefined) {
    this.#socket = socket;
    this.#host = host;
    this.#authorization = credential === undefined ? '' : `Authorization: Bearer ${credential}\r\n`;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('The service closed the connection')));
  }

  static async open(url: URL, credential?: string): Promise<HttpConnection> {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    await once(socket, 'connect');
    return new HttpConnection(socket, url.host, credential);
  }

  request(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    if (this.#waiting !== undefined) throw new Error('One request at a time');
    const text = body === undefined ? '' : JSON.stringify(body);
    const type = body === undefined ? '' : 'Content-Type: application/json\r\n';
    const length = Buffer.byteLength(text);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${this.#authorization}${type}` +
          `Content-Length: ${length}\r\n\r\n${text}`,
      );
    });
  }

  /** Requests something that must succeed, and checks the form of the answer. */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return parsed(await this.request('GET', path), schema);
  }

  async post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return parsed(await this.request('POST', path, body), schema);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const answer = answerIn(this.#received);
    if (answer === undefined) return;
    this.#received = NOTHING;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  #fail(error: Error): void {
    this.#end ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** The answer, when all of it has arrived; the service always says how long a body is. */
function answerIn(received: Buffer): Answer | undefined {
  const end = received.indexOf(END_OF_HEADERS);
  if (end < 0) return undefined;
  const headers = received.toString('latin1', 0, end);
  const length = Number(/^content-length: (\d+)$/im.exec(headers)?.[1] ?? 0);
  const start = end + END_OF_HEADERS.length;
  if (received.length < start + length) return undefined;
  return {
    status: Number(headers.slice(9, 12)),
    body: received.toString('utf8', start, start + length),
  };
}

function parsed<T>({ status, body }: Answer, schema: z.ZodType<T>): T {
  if (status >= 300) throw new Error(`The service answered ${status}: ${body.slice(0, 300)}`);
  return schema.parse(JSON.parse(body));
}

/** Does something `count` times, as many at once as there are connections; results in their order. */
export async function times<T>(
  connections: readonly HttpConnection[],
  count: number,
  act: (connection: HttpConnection, index: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  async function work(connection: HttpConnection): Promise<void> {
    while (next < count) {
      const index = next;
      next += 1;
      results[index] = await act(connection, index);
    }
  }
  await Promise.all(connections.map(work));
  return results;
}

/** What the measurements read of a timer. */
export const timerSchema = z.object({
  id: z.string(),
  state: z.string(),
  connected_clients: z.number(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  deadline_ms: z.number().nullable(),
});
export type Timer = z.output<typeof timerSchema>;

export interface NewTimer {
  readonly name: string;
  readonly duration_seconds: number;
  readonly auto_start?: boolean;
  readonly warning_thresholds?: readonly number[];
}

/** Creates timers and gives their ids. */
export function createTimers(
  connections: readonly HttpConnection[],
  count: number,
  timer: NewTimer,
): Promise<string[]> {
  return times(connections, count, async (connection) => {
    return (await connection.post('/timers', timer, timerSchema)).id;
  });
}
