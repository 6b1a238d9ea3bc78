/**
 * A way through TCP that a test can take away. It leads to the first of its targets that takes connections,
 * beginning with another one each time, as a load balancer does; with one target it is a cable.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #targets: readonly number[];
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #connections = 0;
  #isCut = false;

  private constructor(server: Server, targets: readonly number[]) {
    this.#server = server;
    this.#targets = targets;
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port');
    this.port = address.port;
  }

  /** Starts a proxy before ports of this machine. */
  static async start(targets: readonly number[]): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true }, (client) => void proxy.#accept(client));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TcpProxy(server, targets);
    return proxy;
  }

  /** Nothing gets through any more, and neither side is told, as when a cable is pulled. */
  cut(): void {
    this.#isCut = true;
    for (const pair of this.#pairs) unjoin(pair);
  }

  /** Lets through what is sent from now on, and what was held back. */
  mend(): void {
    this.#isCut = false;
    for (const pair of this.#pairs) join(pair);
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async #accept(client: Socket): Promise<void> {
    client.on('error', () => {});
    const target = await this.#connectToAny();
    if (target === undefined || client.destroyed) {
      client.destroy();
      target?.destroy();
      return;
    }
    const pair = [client, target] as const;
    this.#pairs.add(pair);
    for (const [socket, other] of [pair, pair.toReversed()]) {
      socket?.setNoDelay(true);
      socket?.on('close', () => {
        this.#pairs.delete(pair);
        other?.destroy();
      });
    }
    if (!this.#isCut) join(pair);
  }

  async #connectToAny(): Promise<Socket | undefined> {
    this.#connections += 1;
    const first = this.#connections % this.#targets.length;
    for (const port of [...this.#targets.slice(first), ...this.#targets.slice(0, first)]) {
      const target = connect(port, '127.0.0.1').pause();
      const isThere = await once(target, 'connect').catch(() => undefined);
      target.on('error', () => {});
      if (isThere !== undefined) return target;
    }
    return undefined;
  }
}

function join([one, other]: readonly [Socket, Socket]): void {
  one.pipe(other);
  other.pipe(one);
}

function unjoin([one, other]: readonly [Socket, Socket]): void {
  one.unpipe(other).pause();
  other.unpipe(one).pause();
}
