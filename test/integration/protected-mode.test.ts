/** A service without credentials: whom it is open to, and how that ends. */
import { once } from 'node:events';
import { request as httpRequest, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { isLocal } from '../../src/access/address.js';
import { namesService } from '../../src/access/origins.js';
import { SettingError } from '../../src/config.js';
import { consoleMessageSchema } from '../../src/protocol/console.js';
import { keySchema } from '../../src/protocol/credentials.js';
import { displayEventSchema } from '../../src/protocol/messages.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { EventReader } from '../support/event-reader.js';
import { RawClient } from '../support/raw-client.js';
import { problemIn, TestService } from '../support/service.js';

const EVERYWHERE = { HOST: '0.0.0.0' };
const FOREIGN = 'https://foreign.example';

interface Reply {
  readonly status: number | undefined;
  readonly code: string | undefined;
}

/** Asks as a browser would that was led here: it names the host and the page that it knows. */
async function ask(
  { service }: TestService,
  path: string,
  headers: Readonly<Record<string, string>>,
  method = 'GET',
): Promise<Reply> {
  const request = httpRequest(`${service.url}${path}`, { method, headers, agent: false });
  request.end(method === 'POST' ? JSON.stringify({ duration_seconds: 60 }) : undefined);
  const [response] = z
    .tuple([z.instanceof(IncomingMessage)])
    .parse(await once(request, 'response'));
  const body = await text(response);
  const problem = z.object({ code: z.string() }).safeParse(safeJson(body));
  return { status: response.statusCode, code: problem.data?.code };
}

function safeJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** What proxies say of those they ask for. */
const FORWARDED = {
  'X-Forwarded-For': '203.0.113.7',
  'X-Forwarded-Host': 'exam.example',
  'X-Forwarded-Proto': 'https',
  'X-Real-IP': '203.0.113.7',
  Forwarded: 'for=203.0.113.7',
  Via: '1.1 proxy.example',
};
const POST = { 'Content-Type': 'application/json' };

describe('a service without credentials', () => {
  it.each(['0.0.0.0', '::', '192.0.2.7', 'timers.example'])(
    'A2: refuses to listen on %s, and says how to make a key',
    async (host) => {
      const refused = TestService.start({ settings: { HOST: host, DATA_DIR: '/srv/timers' } });
      await expect(refused).rejects.toThrow(SettingError);
      await expect(refused).rejects.toThrow(
        /keys create --role admin --data-dir \/srv\/timers.*ALLOW_OPEN=1$/,
      );
    },
  );

  it('A2: says how to make the first key of nodes that keep nothing in a folder', async () => {
    const settings = { ...EVERYWHERE, JOURNAL: 'nats://n1.example' };
    await expect(TestService.start({ settings })).rejects.toThrow(
      /keys create --role admin, while a node runs with HOST=127\.0\.0\.1\), or set ALLOW_OPEN=1$/,
    );
  });

  it.each(['127.0.0.1', 'localhost', '::1', '127.8.9.10'])('A2: listens on %s', async (host) => {
    const service = await TestService.start({ settings: { HOST: host } });
    expect((await service.request('GET', '/timers')).status).toBe(200);
  });

  it.each(['rebound.example', 'rebound.example:8003', '192.0.2.7', 'localhost.example', '@'])(
    'A2: does not answer as %j',
    async (host) => {
      const service = await TestService.start();
      const refused = { status: 403, code: 'foreign_host' };
      for (const path of ['/timers', '/health', '/readyz', '/', '/openapi.json', '/nothing']) {
        expect(await ask(service, path, { Host: host })).toEqual(refused);
      }
      const preflight = { Host: host, Origin: FOREIGN, 'Access-Control-Request-Method': 'POST' };
      expect(await ask(service, '/timers', preflight, 'OPTIONS')).toEqual(refused);
      const { id } = await service.create();
      const webSocket = new WebSocket(service.displayUrl(id), { headers: { Host: host } });
      const [, response] = z
        .tuple([z.unknown(), z.instanceof(IncomingMessage)])
        .parse(await once(webSocket, 'unexpected-response'));
      expect([response.statusCode, JSON.parse(await text(response))]).toMatchObject([403, refused]);
    },
  );

  it.each([
    'localhost',
    'localhost:8003',
    '127.0.0.1:1',
    '[::1]:8003',
    'exam.localhost',
    'LOCALHOST',
  ])('A2: answers as %s', async (host) => {
    const service = await TestService.start();
    expect(await ask(service, '/timers', { Host: host })).toMatchObject({ status: 200 });
  });

  it('A2: lets no page of another origin change anything, whatever it may read', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const refused = { status: 403, code: 'foreign_origin' };
    for (const Origin of [FOREIGN, 'null', 'http://127.0.0.1:1']) {
      expect(await ask(service, '/timers', { ...POST, Origin }, 'POST')).toEqual(refused);
      expect(await ask(service, `/timers/${id}`, { Origin }, 'DELETE')).toEqual(refused);
      expect(await ask(service, '/keys', { ...POST, Origin }, 'POST')).toEqual(refused);
      expect(await ask(service, '/timers', { Origin })).toMatchObject({ status: 200 });
      // Of credentials and receivers such a page need not know either.
      expect(await ask(service, '/keys', { Origin })).toEqual(refused);
      expect(await ask(service, '/webhooks', { Origin })).toEqual(refused);
    }
    const own = { ...POST, Origin: service.service.url };
    expect(await ask(service, '/timers', own, 'POST')).toMatchObject({ status: 201 });
    expect((await service.get(id)).revision).toBe(1);
  });

  it('A2: signs and keeps nothing for a page of another origin', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const path = `/timers/${id}/receipts`;
    const kept = () => service.journal.documents.list('answers');
    const before = await kept();
    for (const Origin of [FOREIGN, 'null']) {
      for (const key of [{}, { 'Idempotency-Key': 'page' }]) {
        const answer = await ask(service, path, { ...POST, ...key, Origin }, 'POST');
        expect(answer).toEqual({ status: 403, code: 'foreign_origin' });
      }
    }
    expect(await kept()).toEqual(before);
    const own = { ...POST, 'Idempotency-Key': 'page', Origin: service.service.url };
    expect(await ask(service, path, own, 'POST')).toMatchObject({ status: 201 });
    expect(await kept()).toHaveLength(before.length + 1);
  });

  it('A2, D1: lets a page of another origin show a timer, and say so over server-sent events', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const url = `${service.service.url}/timers/${id}`;
    const reader = await EventReader.open(`${url}/events`, displayEventSchema, { Origin: FOREIGN });
    const { display_id } = z.object({ display_id: z.string() }).parse(await reader.next());
    const { status } = await fetch(`${url}/displays/${display_id}/acknowledgement`, {
      method: 'POST',
      headers: { ...POST, Origin: FOREIGN },
      body: JSON.stringify({ revision: 1, error_bound_ms: 5 }),
    });
    expect(status).toBe(204);
    const shown = await service.request('GET', `/timers/${id}/displays`);
    expect(shown.body).toMatchObject({ current: 1, worst_error_bound_ms: 5 });
  });

  it('A2: lets pages that CORS_ORIGINS names change what they like', async () => {
    const service = await TestService.start({ settings: { CORS_ORIGINS: FOREIGN } });
    const headers = { ...POST, Origin: FOREIGN };
    expect(await ask(service, '/timers', headers, 'POST')).toMatchObject({ status: 201 });
  });

  it('A2: is open to all that reach it if ALLOW_OPEN says so, but not to foreign pages', async () => {
    const service = await TestService.start({ settings: { ...EVERYWHERE, ALLOW_OPEN: '1' } });
    expect(await ask(service, '/timers', { Host: 'exam.example' })).toMatchObject({ status: 200 });
    const page = { ...POST, Host: 'exam.example', Origin: FOREIGN };
    expect(await ask(service, '/timers', page, 'POST')).toMatchObject({ code: 'foreign_origin' });
    expect(await ask(service, '/timers', FORWARDED)).toMatchObject({ status: 200 });
  });

  it('A2: takes no changes under ALLOW_OPEN from pages whose name may have been made to lead here', async () => {
    const settings = {
      ...EVERYWHERE,
      ALLOW_OPEN: '1',
      CORS_ORIGINS: 'http://timers.example:8003',
    };
    const service = await TestService.start({ settings });
    const at = (host: string) =>
      ask(service, '/timers', { ...POST, Host: host, Origin: `http://${host}` }, 'POST');
    for (const host of ['rebound.example', 'rebound.example:8003', '192.0.2.7.example', 'timers']) {
      expect(await at(host)).toEqual({ status: 403, code: 'foreign_origin' });
    }
    for (const host of ['192.0.2.7:8003', '[2001:db8::1]', 'localhost:1', 'timers.example:8003']) {
      expect(await at(host)).toMatchObject({ status: 201 });
    }
    expect(namesService({ host: 'Exam.Example:8003' }, 'exam.example')).toBe(true);
  });

  it.each(Object.entries(FORWARDED))(
    'A2: answers nobody through a proxy, which %s: %s shows, trusted or not',
    async (name, value) => {
      for (const TRUST_PROXY of ['0', '1']) {
        const service = await TestService.start({ settings: { TRUST_PROXY } });
        for (const path of ['/timers', '/livez', '/']) {
          const headers = { Host: 'localhost', [name]: value };
          expect(await ask(service, path, headers)).toEqual({ status: 403, code: 'foreign_host' });
        }
        const { id } = await service.create();
        const display = await RawClient.open(service, `/ws/${id}`, { headers: { [name]: value } });
        expect(display.status).toBe(403);
        await service.protect();
        const headers = { ...service.authorization, [name]: value };
        expect(await ask(service, '/timers', headers)).toMatchObject({ status: 200 });
      }
    },
  );
});

describe('the first key', () => {
  it.each(Object.entries(FORWARDED))(
    'A2: is made by nobody behind a proxy, which %s: %s shows',
    async (name, value) => {
      const service = await TestService.start({ settings: { ...EVERYWHERE, ALLOW_OPEN: '1' } });
      const headers = { 'Content-Type': 'application/json', [name]: value };
      const body = JSON.stringify({ role: 'admin' });
      const answer = await fetch(`${service.service.url}/keys`, { method: 'POST', headers, body });
      expect([answer.status, await answer.json()]).toMatchObject([403, { code: 'forbidden' }]);
      expect((await service.request('GET', '/timers')).status).toBe(200);
      await service.protect();
    },
  );

  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['192.0.2.7', false],
    ['::ffff:192.0.2.7', false],
    ['fe80::1', false],
    [undefined, false],
  ])('A2: is made on the machine itself, which %s is: %s', (remoteAddress, isOfMachine) => {
    expect(isLocal({ headers: {}, socket: { remoteAddress } })).toBe(isOfMachine);
  });

  it('A2: is the last one that is made without one, however slowly another is asked for', async () => {
    const service = await TestService.start();
    const headers = { ...POST, 'Transfer-Encoding': 'chunked' };
    const url = `${service.service.url}/keys`;
    const slow = httpRequest(url, { method: 'POST', headers, agent: false });
    const answered = once(slow, 'response');
    slow.write('{"role": ');
    await service.protect();
    slow.end('"admin"}');
    const [response] = z.tuple([z.instanceof(IncomingMessage)]).parse(await answered);
    expect(response.statusCode).toBe(401);
    response.resume();
  });

  it('A2: protects a service at once, against those who are connected too', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    const console = await EventReader.open(`${service.service.url}/events`, consoleMessageSchema);
    await console.next();
    await service.protect();
    expect((await display.closed).code).toBe(PROBLEMS.credential_ended.closeCode);
    await console.ended;
    expect(await ask(service, '/timers', {})).toEqual({ status: 401, code: 'unauthenticated' });
    expect((await service.request('GET', '/timers')).status).toBe(200);
  });

  it('A2: makes host and origin of a request with a key all the same', async () => {
    const service = await TestService.start();
    await service.protect();
    const headers = { ...POST, ...service.authorization, Host: 'exam.example', Origin: FOREIGN };
    expect(await ask(service, '/timers', headers, 'POST')).toMatchObject({ status: 201 });
  });

  it('A2: lets a service listen everywhere, also after a restart', async () => {
    const first = await TestService.start();
    await first.protect();
    const second = await TestService.start({ journal: first.journal, settings: EVERYWHERE });
    second.token = first.token;
    expect((await second.request('GET', '/timers')).status).toBe(200);
    expect(await ask(second, '/timers', {})).toMatchObject({ status: 401 });
  });

  it.each(['instructor', 'display', 'observer'] as const)(
    'A2: is none of role %s, which would lock everybody out',
    async (role) => {
      const service = await TestService.start();
      const answer = await service.request('POST', '/keys', { role });
      expect(problemIn(answer).code).toBe('admin_key_needed');
      expect((await service.request('GET', '/timers')).status).toBe(200);
    },
  );

  it('A2: is not taken away as long as it is the only one of an administrator', async () => {
    const service = await TestService.start();
    await service.protect();
    await service.createKey({ role: 'observer' });
    const passing = await service.createKey({ role: 'admin', expires_in_seconds: 60 });
    const keys = z.array(keySchema).parse((await service.request('GET', '/keys')).body);
    const first = keys.find(({ created_by }) => created_by === 'anonymous')?.id ?? '';
    await service.advance(60_000);
    const refused = await service.request('DELETE', `/keys/${first}`);
    expect(problemIn(refused)).toMatchObject({ status: 409, code: 'admin_key_needed' });
    expect((await service.request('DELETE', `/keys/${passing.id}`)).status).toBe(204);
    const { key } = await service.createKey({ role: 'admin' });
    expect((await service.request('DELETE', `/keys/${first}`)).status).toBe(204);
    expect((await service.request('GET', '/timers')).status).toBe(401);
    service.token = key;
    expect((await service.request('GET', '/timers')).status).toBe(200);
  });
});

describe('a key that is revoked', () => {
  it('A1: ends the connections that came with it, and no others', async () => {
    const service = await TestService.start();
    await service.protect();
    const admin = service.token;
    const { id } = await service.create();
    const other = await service.display(id);
    const observer = await service.createKey({ role: 'observer' });
    service.token = observer.key;
    const display = await service.display(id);
    const console = await EventReader.open(
      `${service.service.url}/events`,
      consoleMessageSchema,
      service.authorization,
    );
    await console.next();
    service.token = admin;
    expect((await service.request('DELETE', `/keys/${observer.id}`)).status).toBe(204);
    expect((await display.closed).code).toBe(PROBLEMS.credential_ended.closeCode);
    await console.ended;
    await service.act(id, 'start');
    await other.next('timer_started');
  });

  it('A2: leaves one, when the last two administrators revoke each other at once', async () => {
    const service = await TestService.start();
    await service.protect();
    const [first] = z.array(keySchema).parse((await service.request('GET', '/keys')).body);
    const second = await service.createKey({ role: 'admin' });
    const answers = await Promise.all(
      [first?.id, second.id].map((id) => service.request('DELETE', `/keys/${id}`)),
    );
    expect(answers.map(({ status }) => status).sort()).not.toEqual([204, 204]);
    expect((await fetch(`${service.service.url}/timers`)).status).toBe(401);
  });
});
