/** What is refused before any route sees it, because it is no request that a route could be given. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { IncomingMessage, Server } from 'node:http';
import { connect, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { problemSchema } from '../../src/protocol/problems.js';
import { TestService } from '../support/service.js';

const HANDSHAKE = {
  Host: 'localhost',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** Sends bytes on a connection of their own, and gives all that comes back before it is closed. */
async function exchange(service: TestService, bytes: string): Promise<string> {
  const { hostname, port } = new URL(service.service.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.write(bytes);
  return text(socket);
}

function request(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

/** The head of a request whose body does not come. */
function slowRequest(path: string): string {
  const type = { 'Content-Type': 'application/json' };
  return request('POST', path, { Host: 'localhost', ...type, 'Content-Length': '100' });
}

const started = z.object({
  request: z.instanceof(IncomingMessage),
  socket: z.instanceof(Socket),
  server: z.instanceof(Server),
});

/** The next request of a method that the service begins with, as Node sees it. */
function nextRequest(method: string): Promise<z.output<typeof started>> {
  return new Promise((resolve) => {
    const note = (message: unknown): void => {
      const seen = started.parse(message);
      if (seen.request.method !== method) return;
      unsubscribe('http.server.request.start', note);
      resolve(seen);
    };
    subscribe('http.server.request.start', note);
  });
}

/** The same for what ends with a POST that Node finds too slow, once something else came back if that is awaited. */
async function exchangeTooSlowly(
  service: TestService,
  bytes: string,
  awaited = '',
): Promise<string> {
  const posted = nextRequest('POST');
  const { hostname, port } = new URL(service.service.url);
  const client = connect({ host: hostname, port: Number(port) });
  // A connection that is broken off may end with a reset.
  client.on('error', () => {});
  const closed = new Promise((resolve) => client.once('close', resolve));
  let received = '';
  client.on('data', (chunk) => {
    received += String(chunk);
  });
  client.write(bytes);
  const { server, socket } = await posted;
  while (!received.includes(awaited)) await once(client, 'data');
  const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
  server.emit('clientError', error, socket);
  await closed;
  return received;
}

function without(name: string, headers: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name));
}

/** The only answer in what came back, which must be a problem. */
function problemOf(answer: string) {
  const [head = '', body = '', ...more] = answer.split('\r\n\r\n');
  expect(more).toEqual([]);
  expect(head.toLowerCase()).toContain('\r\ncontent-type: application/problem+json');
  expect(head.toLowerCase()).toContain('\r\nconnection: close');
  const problem = problemSchema.parse(JSON.parse(body));
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${problem.status} `));
  return { head, ...problem };
}

describe('T12: what no route is given is refused as everything else is', () => {
  it.each([
    ['what is no HTTP', 'Good morning\r\n\r\n', 400, 'unreadable_request'],
    ['a method that there is not', 'PLAY /timers HTTP/1.1\r\n\r\n', 400, 'unreadable_request'],
    ['no host', request('GET', '/livez', { Connection: 'close' }), 400, 'unreadable_request'],
    [
      'a length that is none',
      request('POST', '/timers', { Host: 'localhost', 'Content-Length': 'long' }),
      400,
      'unreadable_request',
    ],
    [
      'headers of more than 16 KB',
      request('GET', '/livez', { Host: 'localhost', 'X-Long': 'x'.repeat(17 * 1024) }),
      431,
      'headers_too_large',
    ],
    [
      'an expectation that nobody meets',
      request('GET', '/livez', { Host: 'localhost', Expect: 'miracles' }),
      417,
      'expectation_failed',
    ],
    [
      'a WebSocket of another version',
      request('GET', '/ws/x', { ...HANDSHAKE, 'Sec-WebSocket-Version': '12' }),
      400,
      'bad_handshake',
    ],
    [
      'a WebSocket without a key',
      request('GET', '/ws/x', { ...HANDSHAKE, 'Sec-WebSocket-Key': '' }),
      400,
      'bad_handshake',
    ],
    [
      'a WebSocket without a host',
      request('GET', '/ws/x', without('Host', HANDSHAKE)),
      400,
      'unreadable_request',
    ],
    ['a WebSocket by POST', request('POST', '/ws/x', HANDSHAKE), 405, 'method_not_allowed'],
  ])('%s', async (_, bytes, status, code) => {
    const service = await TestService.start();
    expect(problemOf(await exchange(service, bytes))).toMatchObject({ status, code });
    expect((await service.request('GET', '/livez')).status).toBe(200);
  });

  it('says which version of the WebSocket it speaks, and by which method one connects', async () => {
    const service = await TestService.start();
    const old = request('GET', '/ws/x', { ...HANDSHAKE, 'Sec-WebSocket-Version': '12' });
    expect(problemOf(await exchange(service, old)).head).toContain('Sec-WebSocket-Version: 13');
    const posted = await exchange(service, request('POST', '/ws/x', HANDSHAKE));
    expect(problemOf(posted).head).toContain('Allow: GET');
  });

  it('puts nothing between the bytes of an answer that is under way', async () => {
    const service = await TestService.start();
    const asked = request('GET', '/livez', { Host: 'localhost' });
    const answers = await exchange(service, `${asked}Good morning\r\n\r\n`);
    expect(answers).not.toContain('unreadable_request');
  });

  it.each([
    ['a chunk without a length', 'long\r\n', 400, 'unreadable_request'],
    ['a chunk with extensions', `5;${'x'.repeat(17 * 1024)}\r\n`, 413, 'body_too_large'],
  ])('refuses a body with %s', async (_, chunk, status, code) => {
    const service = await TestService.start();
    const head = request('POST', '/timers', {
      Host: 'localhost',
      'Content-Type': 'application/json',
      'Transfer-Encoding': 'chunked',
    });
    expect(problemOf(await exchange(service, `${head}${chunk}`))).toMatchObject({ status, code });
    expect((await service.request('GET', '/timers')).body).toEqual([]);
  });

  describe('when the body of a request does not come in time', () => {
    it('says so', async () => {
      const service = await TestService.start();
      const answers = await exchangeTooSlowly(service, slowRequest('/timers'));
      expect(problemOf(answers)).toMatchObject({ status: 408, code: 'request_timeout' });
      expect((await service.request('GET', '/timers')).body).toEqual([]);
    });

    it('says nothing more to whoever was answered without it', async () => {
      const service = await TestService.start();
      const answers = await exchangeTooSlowly(service, slowRequest('/nothing'), 'HTTP/1.1 404');
      expect(answers).not.toContain('request_timeout');
    });

    it('says nothing that would be taken for the answer to the request before it', async () => {
      const service = await TestService.start();
      const before = request('GET', '/events', { Host: 'localhost' });
      const bytes = `${before}${slowRequest('/timers')}`;
      expect(await exchangeTooSlowly(service, bytes)).not.toContain('request_timeout');
    });
  });

  it('reads headers for 10 s, requests for 30 s, and keeps idle connections for 65 s', async () => {
    const service = await TestService.start();
    const begun = nextRequest('GET');
    await service.request('GET', '/livez');
    const { server } = await begun;
    expect(server).toMatchObject({
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 65_000,
      // Node looks every 30 s otherwise.
      connectionsCheckingInterval: 1000,
    });
  });
});
