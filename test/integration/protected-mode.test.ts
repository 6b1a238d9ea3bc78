/** A service without credentials: whom it is open to, and how that ends. */
import { once } from 'node:events';
import { request as httpRequest, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SettingError } from '../../src/config.js';
import { consoleMessageSchema } from '../../src/protocol/console.js';
import { keySchema } from '../../src/protocol/credentials.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { EventReader } from '../support/event-reader.js';
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
    }
    const own = { ...POST, Origin: service.service.url };
    expect(await ask(service, '/timers', own, 'POST')).toMatchObject({ status: 201 });
    expect((await service.get(id)).revision).toBe(1);
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
  });
});

describe('the first key', () => {
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
