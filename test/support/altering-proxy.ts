/** A way to a server of NATS that brings messages of the stream altered, as a copy of it does that differs from the others. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Transform } from 'node:stream';
import { endWithTest } from './endings.js';
import type { NatsServer } from './nats.js';

const proxies = new Set<AlteringProxy>();

endWithTest('services', async () => {
  for (const proxy of proxies) proxy.close();
  proxies.clear();
});

export class AlteringProxy {
  readonly url: string;
  readonly #close: () => void;
  /** What a message says, and what it says instead, which has to be as long. */
  #alteration: readonly [string, string] = ['', ''];
  #isOfLeader = false;

  private constructor(port: number, close: () => void) {
    this.url = `nats://127.0.0.1:${port}`;
    this.#close = close;
  }

  static async start(target: NatsServer): Promise<AlteringProxy> {
    const { hostname, port } = new URL(target.url);
    const listener = createServer((client) => {
      const server = connect(Number(port), hostname);
      for (const socket of [client, server]) socket.on('error', () => {});
      client.pipe(server);
      const altering = new Transform({
        transform: (chunk: Buffer, _, done) => done(null, proxy.#altered(chunk)),
      });
      server.pipe(altering).pipe(client);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port');
    const proxy = new AlteringProxy(address.port, () => listener.close());
    proxies.add(proxy);
    return proxy;
  }

  /** From now on, what consumers bring; and what the leader says, if it is to be altered, too. */
  alter(from: string, to: string, { isOfLeader = false } = {}): void {
    this.#alteration = [from, to];
    this.#isOfLeader = isOfLeader;
  }

  close(): void {
    this.#close();
  }

  #altered(chunk: Buffer): Buffer {
    const [from, to] = this.#alteration;
    if (from === '') return chunk;
    const text = chunk.toString('latin1').replaceAll(from, to);
    const told = !this.#isOfLeader
      ? text
      : text.replaceAll(/"data":"([\w+/=]+)"/g, (_, data: string) => {
          const said = Buffer.from(data, 'base64').toString('latin1').replaceAll(from, to);
          return `"data":"${Buffer.from(said, 'latin1').toString('base64')}"`;
        });
    return Buffer.from(told, 'latin1');
  }
}
