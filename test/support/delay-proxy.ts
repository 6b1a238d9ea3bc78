/**
 * A bad network: a TCP proxy that keeps what passes through it back for a while, each piece for another
 * time, differently in the two directions, without changing the order. It can also be cut off.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Delays {
  /** How long the next piece is kept back on its way to the service, in ms. */
  readonly there: () => number;
  /** The same for the way back. */
  readonly back: () => number;
}

export class DelayProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isDown = false;

  private constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port');
    this.url = `http://127.0.0.1:${address.port}`;
  }

  /** Starts a proxy before the service at `target`. */
  static async start(target: string, delays: Delays): Promise<DelayProxy> {
    const { hostname, port } = new URL(target);
    const server = createServer((client) => {
      if (proxy.#isDown) {
        client.destroy();
        return;
      }
      const service = connect(Number(port), hostname);
      for (const socket of [client, service]) {
        socket.setNoDelay(true);
        socket.on('error', () => {});
        proxy.#sockets.add(socket);
        socket.on('close', () => proxy.#sockets.delete(socket));
      }
      passOn(client, service, delays.there);
      passOn(service, client, delays.back);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new DelayProxy(server);
    return proxy;
  }

  /** Breaks every connection, as when the network goes away for a moment. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes the network away, or brings it back. */
  setDown(isDown: boolean): void {
    this.#isDown = isDown;
    if (isDown) this.cut();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }
}

/** Passes on what arrives, later: no piece overtakes another. */
function passOn(from: Socket, to: Socket, delayMs: () => number): void {
  const waiting: { readonly dueMs: number; readonly action: () => void }[] = [];
  const pass = (): void => {
    const nowMs = performance.now();
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (next.dueMs > nowMs) {
        setTimeout(pass, next.dueMs - nowMs);
        return;
      }
      waiting.shift();
      next.action();
    }
  };
  const later = (action: () => void): void => {
    const dueMs = performance.now() + delayMs();
    waiting.push({ dueMs, action });
    if (waiting.length === 1) setTimeout(pass, dueMs - performance.now());
  };
  from.on('data', (piece) => later(() => to.write(piece)));
  from.on('end', () => later(() => to.end()));
  from.on('close', () => later(() => to.destroy()));
}
