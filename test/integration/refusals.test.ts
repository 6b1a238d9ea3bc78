/** What is refused before any route sees it, because it is no request that a route could be given. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server } from 'node:http';
import { connect } from 'node:net';
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

  it('reads headers for 10 s, requests for 30 s, and keeps idle connections for 65 s', async () => {
    const service = await TestService.start();
    const started = z.object({ server: z.instanceof(Server) });
    let server: Server | undefined;
    const note = (message: unknown): void => {
      ({ server } = started.parse(message));
    };
    subscribe('http.server.request.start', note);
    await service.request('GET', '/livez');
    unsubscribe('http.server.request.start', note);
    expect(server).toMatchObject({
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 65_000,
      // Node looks every 30 s otherwise.
      connectionsCheckingInterval: 1000,
    });
  });
});
