/** Requests sent ahead of the answers to those before them, over a TCP connection of their own. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { MOST_UNANSWERED } from '../../src/http/pipelines.js';
import { TestService } from '../support/service.js';

/** Sends requests in one packet, the last of which ends the connection, and gives all that was answered. */
async function sendTogether(service: TestService, requests: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(service.service.url);
  const socket = connect(Number(port), hostname);
  // A connection that is broken off may end with a reset.
  const broken = once(socket, 'error').then(() => '');
  await once(socket, 'connect');
  socket.write(requests.join(''));
  return Promise.race([text(socket), broken]);
}

function get(path: string, headers: readonly string[] = []): string {
  return [`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');
}

const statusesIn = (answers: string) => answers.match(/HTTP\/1.1 \d+/g) ?? [];

describe('T10: requests that are sent together on one connection', () => {
  it('are all answered, in order, when they are not too many', async () => {
    const service = await TestService.start();
    const ahead = Array.from({ length: MOST_UNANSWERED - 1 }, (_, index) =>
      index % 2 === 0 ? get('/livez') : get('/nothing'),
    );
    const answers = await sendTogether(service, [...ahead, get('/livez', ['Connection: close'])]);
    expect(statusesIn(answers)).toEqual(
      Array.from({ length: MOST_UNANSWERED }, (_, index) =>
        index % 2 === 0 || index === MOST_UNANSWERED - 1 ? 'HTTP/1.1 200' : 'HTTP/1.1 404',
      ),
    );
  });

  it.each([
    ['one too many', MOST_UNANSWERED + 1],
    ['far too many', 2000],
  ])('end it when they are %s', async (_, count) => {
    const service = await TestService.start();
    const answers = await sendTogether(service, Array(count).fill(get('/livez')));
    expect(statusesIn(answers).length).toBeLessThanOrEqual(MOST_UNANSWERED);
    expect((await service.request('GET', '/livez')).status).toBe(200);
  });

  it('A4: end it with the first that is refused for its number', async () => {
    const settings = {
      TRUST_PROXY: '1',
      ALLOW_OPEN: '1',
      MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2',
    };
    const service = await TestService.start({ settings });
    const request = get('/livez', ['X-Forwarded-For: 203.0.113.7']);
    const answers = statusesIn(await sendTogether(service, Array(MOST_UNANSWERED).fill(request)));
    expect(answers).toEqual([...Array(10).fill('HTTP/1.1 200'), 'HTTP/1.1 429']);
  });
});
