/** What is sent to whom, on real sockets; names of hosts are looked up as a test says. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Timeout } from '../../src/clock.js';
import { isPublic, type NameLookup, publicLookup } from '../../src/webhooks/addresses.js';
import { type Outcome, Sender } from '../../src/webhooks/sender.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const servers: Server[] = [];
const senders: Sender[] = [];
afterEach(() => {
  for (const sender of senders.splice(0)) sender.close();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A server on this machine that counts who connects. */
async function listen(answer: (response: ServerResponse) => void = (response) => response.end()) {
  const found = { port: 0, connections: 0 };
  const server = createServer((_, response) => answer(response)).listen(0, '127.0.0.1');
  servers.push(server);
  server.on('connection', () => {
    found.connections += 1;
  });
  await once(server, 'listening');
  found.port = z.object({ port: z.number() }).parse(server.address()).port;
  return found;
}

/** A look-up of names that gives these addresses, and counts how often it is asked. */
function namesTo(...addresses: readonly string[]) {
  const asked: string[] = [];
  const lookUp: NameLookup = (name, _, done) => {
    asked.push(name);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    done(null, found);
  };
  return { asked, lookUp };
}

/** Tells when somebody asks to be called after a delay. */
class WatchedClock extends SimulatedClock {
  readonly #asked = new Map<number, () => void>();

  isAskedFor(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#asked.set(delayMs, resolve));
  }

  override setTimeout(callback: () => void, delayMs: number): Timeout {
    this.#asked.get(delayMs)?.();
    return super.setTimeout(callback, delayMs);
  }
}

function senderWith(
  lookUp?: NameLookup,
  allowsPrivate = false,
  clock = new SimulatedClock(),
): Sender {
  const sender = new Sender({ clock, timeoutMs: 10_000, allowsPrivate, version: '0.0.0', lookUp });
  senders.push(sender);
  return sender;
}

function send(sender: Sender, url: string): Promise<Outcome> {
  return sender.post({ url, headers: {}, body: '{}', signal: new AbortController().signal });
}

function post(
  url: string,
  lookUp?: NameLookup,
  allowsPrivate = false,
  clock = new SimulatedClock(),
): Promise<Outcome> {
  return send(senderWith(lookUp, allowsPrivate, clock), url);
}

describe('W3: nothing is connected to that is not public', () => {
  it.each(['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', 'fd00::1'])(
    'W3: a name that leads to %s is refused when it is looked up',
    async (address) => {
      const { port, connections } = await listen();
      const { asked, lookUp } = namesTo(address);
      const outcome = await post(`https://rebound.example:${port}/`, lookUp);
      expect(outcome).toMatchObject({
        success: false,
        status: null,
        error: 'rebound.example has no public address',
      });
      expect(asked).toEqual(['rebound.example']);
      expect(connections).toBe(0);
    },
  );

  it.each(['https://127.0.0.1', 'https://[::1]', 'https://[::ffff:7f00:1]', 'https://2130706433'])(
    'W3: %s, which nobody looks up, is refused as well',
    async (origin) => {
      const { port, connections } = await listen();
      const outcome = await post(`${origin}:${port}/`);
      expect(outcome.error).toMatch(/^The address \S+ is not public$/);
      expect(connections).toBe(0);
    },
  );

  it('W3: of several addresses the public ones are taken, looked up once', async () => {
    const { asked, lookUp } = namesTo('10.0.0.1', '203.0.114.7', '::1', '2606:4700::7');
    const lookup = publicLookup(lookUp);
    const all = await new Promise((resolve) => {
      lookup('quiz.example', { all: true }, (_, addresses) => resolve(addresses));
    });
    expect(all).toEqual([
      { address: '203.0.114.7', family: 4 },
      { address: '2606:4700::7', family: 6 },
    ]);
    const one = await new Promise((resolve) => {
      lookup('quiz.example', {}, (_, address, family) => resolve([address, family]));
    });
    expect(one).toEqual(['203.0.114.7', 4]);
    expect(asked).toEqual(['quiz.example', 'quiz.example']);
  });

  it('W3: what is no address is not public', () => {
    for (const text of ['', 'localhost', '1.2.3', '999.1.1.1', 'fe80::1%eth0', '4000::1']) {
      expect(isPublic(text)).toBe(false);
    }
  });
});

describe('W1: what comes soon after needs no connection of its own', () => {
  it('W1: messages that follow one another share a connection', async () => {
    const receiver = await listen();
    const sender = senderWith(undefined, true);
    for (let sent = 0; sent < 3; sent += 1) {
      expect(await send(sender, `http://127.0.0.1:${receiver.port}/`)).toMatchObject({
        status: 200,
      });
    }
    expect(receiver.connections).toBe(1);
  });

  it('W1: one that the receiver closes just when it is used is no failure: another is opened', async () => {
    let came = 0;
    const receiver = await listen((response) => {
      came += 1;
      if (came === 2) response.socket?.resetAndDestroy();
      else response.end();
    });
    const sender = senderWith(undefined, true);
    const url = `http://127.0.0.1:${receiver.port}/`;
    expect(await send(sender, url)).toMatchObject({ status: 200 });
    expect(await send(sender, url)).toMatchObject({ success: true, status: 200 });
    expect([came, receiver.connections]).toEqual([3, 2]);
  });

  it('W4: a new connection that the receiver closes is a failure', async () => {
    const receiver = await listen((response) => response.socket?.resetAndDestroy());
    const outcome = await post(`http://127.0.0.1:${receiver.port}/`, undefined, true);
    expect(outcome).toMatchObject({ success: false, error: expect.stringContaining('ECONNRESET') });
    expect(receiver.connections).toBe(1);
  });
});

describe('W4: what becomes of an attempt', () => {
  it('W4: says why a receiver cannot be reached', async () => {
    const outcome = await post('http://127.0.0.1:9/', undefined, true);
    expect(outcome).toMatchObject({ success: false, status: null });
    expect(outcome.error).toContain('ECONNREFUSED');
  });

  it('W4: goes by the status of an answer that does not end', async () => {
    const { port } = await listen((response) => {
      const piece = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (response.write(piece));
        response.once('drain', more);
      };
      more();
    });
    const outcome = await post(`http://127.0.0.1:${port}/`, undefined, true);
    expect(outcome).toMatchObject({ success: true, status: 200 });
  });

  it('W4: goes by the status of an answer that comes by drops, after a second', async () => {
    const { port } = await listen((response) => {
      response.writeHead(200).write('a drop');
    });
    const clock = new WatchedClock();
    const posted = post(`http://127.0.0.1:${port}/`, undefined, true, clock);
    await clock.isAskedFor(1000);
    await clock.advance(1000);
    expect(await posted).toMatchObject({ success: true, status: 200 });
    expect(clock.pendingTimeouts).toBe(0);
  });

  it.each([
    { what: 'an upgrade', head: 'Upgrade: websocket\r\nConnection: Upgrade\r\n' },
    { what: 'a 101 that names no protocol', head: '' },
  ])('W4: $what is a failure at once', async ({ head }) => {
    const { port } = await listen(({ socket }) => {
      socket?.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n`);
    });
    const outcome = await post(`http://127.0.0.1:${port}/`, undefined, true);
    expect(outcome).toMatchObject({ success: false, status: 101, error: 'Answered 101' });
  });

  it('W4: an answer that breaks off is none', async () => {
    const { port } = await listen((response) => {
      response.writeHead(200, { 'Content-Length': 10 });
      response.write('half', () => response.destroy());
    });
    const outcome = await post(`http://127.0.0.1:${port}/`, undefined, true);
    expect(outcome).toMatchObject({ success: false, status: null });
  });
});
