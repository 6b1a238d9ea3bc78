/** What nodes tell each other over plain subjects of NATS, which keeps nothing of it. */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Bus } from '../bus.js';

const ANSWER_TIMEOUT_MS = 500;

export class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #prefix: string;
  readonly #isConnected: () => boolean;

  /** `prefix` is what all its subjects begin with. */
  constructor(connection: NatsConnection, prefix: string, isConnected: () => boolean) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#isConnected = isConnected;
  }

  /** What is told without a connection would only wait in memory, and be old when there is one. */
  tell(topic: string, message: unknown): void {
    if (this.#connection.isClosed() || !this.#isConnected()) return;
    this.#connection.publish(this.#subjectOf(topic), JSON.stringify(message));
  }

  listen(topic: string, hear: (message: unknown) => unknown): () => void {
    if (this.#connection.isClosed()) return () => {};
    const subscription = this.#connection.subscribe(this.#subjectOf(topic), {
      callback: (error, message) => {
        if (error !== null) return;
        const answer = hear(parsed(message.data));
        if (message.reply !== undefined && message.reply !== '') {
          message.respond(JSON.stringify(answer ?? null));
        }
      },
    });
    return () => subscription.unsubscribe();
  }

  async ask(topic: string, message: unknown): Promise<unknown> {
    const timeout = ANSWER_TIMEOUT_MS;
    const subject = this.#subjectOf(topic);
    const answer = await this.#connection.request(subject, JSON.stringify(message), { timeout });
    return parsed(answer.data);
  }

  #subjectOf(topic: string): string {
    return `${this.#prefix}.${topic}`;
  }
}

/** What is no JSON is nothing, which no schema takes. */
function parsed(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
