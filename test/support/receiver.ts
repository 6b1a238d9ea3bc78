/** A receiver of webhooks: a real server that answers as a test says, and checks nothing by itself. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { type WebhookMessage, webhookMessagesSchema } from '../../src/protocol/webhooks.js';
import { endWithTest } from './endings.js';

const running = new Set<Receiver>();
endWithTest('clients', () => {
  for (const receiver of running) receiver.close();
  running.clear();
});

/** One request that came. */
export interface Delivery {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly message: WebhookMessage;
  /** What the receiver did with it. */
  readonly answer: Answer;
}

/** A status, or nothing at all until the connection ends. */
export type Answer = number | 'hang' | ((response: ServerResponse) => void);

export class Receiver {
  /** Everything that came, in its order. */
  readonly deliveries: Delivery[] = [];
  /** Decides on each answer. */
  answer: (message: WebhookMessage) => Answer = () => 204;
  #server: Server | undefined;
  #port = 0;
  #told: () => void = () => {};

  static async open(): Promise<Receiver> {
    const receiver = new Receiver();
    await receiver.listen();
    running.add(receiver);
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  /** What was answered with success, by the ids of messages, each at its first time. */
  get received(): Delivery[] {
    const first = new Map<string, Delivery>();
    for (const delivery of this.deliveries) {
      if (delivery.answer === 204 && !first.has(delivery.id)) first.set(delivery.id, delivery);
    }
    return [...first.values()];
  }

  /** Comes back at the port it had. */
  async listen(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      const body = await text(request);
      const message = webhookMessagesSchema.parse(JSON.parse(body));
      const answer = this.answer(message);
      const { headers } = request;
      this.deliveries.push({ id: String(headers['webhook-id']), headers, body, message, answer });
      if (typeof answer === 'function') answer(response);
      else if (answer !== 'hang') response.writeHead(answer).end();
      this.#told();
    }).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = z.object({ port: z.number() }).parse(this.#server.address()).port;
  }

  /** Goes away: connections are refused from now on. */
  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** Waits until so many requests have come in all. */
  async until(count: number): Promise<void> {
    await this.untilTrue(() => this.deliveries.length >= count);
  }

  async untilTrue(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
  }
}

/** Checks a delivery as a receiver would, with the public package; throws if it is not genuine. */
export function verify(secret: string, { headers, body }: Delivery): unknown {
  const plain = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, String(value)]),
  );
  return new Webhook(secret).verify(body, plain);
}

/** What came, in short: kinds of events by timer. */
export function typesOf(deliveries: readonly Delivery[], timerId: string): string[] {
  return deliveries
    .filter(({ message }) => message.data.timer.id === timerId)
    .map(({ message }) => message.type.replace('timer.', ''));
}
