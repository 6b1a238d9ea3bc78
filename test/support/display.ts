/** A display as a student's browser has it: a real WebSocket, and what it was told. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SERVER_MESSAGES, type ServerMessage } from '../../src/protocol/messages.js';

const schemas = z.union(
  Object.values(SERVER_MESSAGES).map((schema) => z.strictObject(schema.shape)),
);

type MessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

export class TestDisplay {
  /** Everything received so far, each checked against the message's schema, unknown fields refused. */
  readonly messages: ServerMessage[] = [];
  readonly webSocket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  #read = 0;
  readonly #waiting = new Set<() => void>();

  constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on('message', (data) => {
      this.messages.push(schemas.parse(JSON.parse(String(data))) as ServerMessage);
      for (const wake of this.#waiting) wake();
    });
    this.closed = new Promise((resolve) => {
      webSocket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    webSocket.on('error', () => {});
  }

  /** Connects, and waits for the first message. */
  static async connect(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TestDisplay> {
    const display = new TestDisplay(new WebSocket(url, { headers }));
    await display.next('connected');
    return display;
  }

  /** What the service calls it. */
  get displayId(): string {
    const [first] = this.messages;
    return first?.type === 'connected' ? first.display_id : '';
  }

  /** The next message of a type that was not yet asked for; those before it are passed over. */
  async next<T extends ServerMessage['type']>(type: T): Promise<MessageOf<T>> {
    for (;;) {
      while (this.#read < this.messages.length) {
        const message = this.messages[this.#read];
        this.#read += 1;
        if (message?.type === type) return message as MessageOf<T>;
      }
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
        this.closed.then(({ code }) => reject(new Error(`closed with ${code} before ${type}`)));
      });
    }
  }

  /** Waits until everything sent so far has arrived, and gives what is new since the last time. */
  async news(): Promise<ServerMessage[]> {
    const from = this.#read;
    this.webSocket.ping();
    await once(this.webSocket, 'pong');
    this.#read = this.messages.length;
    return this.messages.slice(from);
  }

  say(message: unknown): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async leave(): Promise<void> {
    this.webSocket.close();
    await this.closed;
  }
}
