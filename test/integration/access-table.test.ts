/**
 * Who may what: every operation, page and document, and the WebSocket with its messages, for every role and for
 * those without a valid credential. What is expected is written down; an operation without a line fails.
 */
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import { type Operation, operationsOf } from '../../src/http/operations.js';
import { CONSOLE_MESSAGES } from '../../src/protocol/console.js';
import { tokenSchema } from '../../src/protocol/credentials.js';
import { CLIENT_MESSAGES, EVENT_MESSAGES } from '../../src/protocol/messages.js';
import { bulkResultSchema, requestSchemas } from '../../src/protocol/requests.js';
import { webhookSchema } from '../../src/protocol/webhooks.js';
import { TestDisplay } from '../support/display.js';
import { EventReader, RefusedError } from '../support/event-reader.js';
import { NOBODY, SAMPLES } from '../support/samples.js';
import { TestService } from '../support/service.js';

/**
 * The columns: an administrator; an instructor with a timer of their own, one they were given, and another's; a
 * display with a key that names the timer, with one that does not, and with a token for it; an observer; and
 * nobody, a key that was revoked and a token that has expired, each of an administrator.
 */
const COLUMNS = [
  'admin',
  'own',
  'given',
  'other',
  'named',
  'unnamed',
  'token',
  'observer',
  'nobody',
  'revoked',
  'expired',
] as const;
type Column = (typeof COLUMNS)[number];

/** Statuses; a `-` behind one means that the timer itself was left out. Displays are another administrator's. */
const TABLE: Readonly<Record<string, string>> = {
  //               admin own  given other named unnamed token observer nobody revoked expired
  createTimer: '   201   201  201   201   403   403     403   403      401    401     401',
  listTimers: '    200   200  200   200-  403   403     403   200      401    401     401',
  getTimer: '      200   200  200   403   200   403     200   200      401    401     401',
  deleteTimer: '   204   204  204   403   403   403     403   403      401    401     401',
  controlTimer: '  200   200  200   403   403   403     403   403      401    401     401',
  bulkStart: '     200   200  200   200-  403   403     403   403      401    401     401',
  bulkPause: '     200   200  200   200-  403   403     403   403      401    401     401',
  bulkResume: '    200   200  200   200-  403   403     403   403      401    401     401',
  bulkExtend: '    200   200  200   200-  403   403     403   403      401    401     401',
  bulkStop: '      200   200  200   200-  403   403     403   403      401    401     401',
  followTimer: '   200   200  200   403   200   403     200   200      401    401     401',
  showDisplays: '  200   200  200   403   403   403     403   200      401    401     401',
  watchDisplays: ' 200   200  200   403   403   403     403   200      401    401     401',
  acknowledge: '   403   403  403  403   403   403     403   403      401    401     401',
  watchAll: '      200   200  200   200-  403   403     403   200      401    401     401',
  showMetrics: '   200   403  403   403   403   403     403   200      401    401     401',
  getHistory: '    200   200  200   403   403   403     403   200      401    401     401',
  createReceipt: ' 201   201  201   403   201   403     201   201      401    401     401',
  exportAudit: '   200   403  403   403   403   403     403   200      401    401     401',
  listHeads: '     200   403  403   403   403   403     403   200      401    401     401',
  publicKeys: '    200   200  200   200   200   200     200   200      200    200     200',
  me: '            200   200  200   200   200   200     200   200      401    401     401',
  createKey: '     201   403  403   403   403   403     403   403      401    401     401',
  listKeys: '      200   403  403   403   403   403     403   403      401    401     401',
  revokeKey: '     204   403  403   403   403   403     403   403      401    401     401',
  createToken: '   201   201  201   403   403   403     403   403      401    401     401',
  createWebhook: ' 201   403  403   403   403   403     403   403      401    401     401',
  listWebhooks: '  200   403  403   403   403   403     403   403      401    401     401',
  getWebhook: '    200   403  403   403   403   403     403   403      401    401     401',
  deleteWebhook: ' 204   403  403   403   403   403     403   403      401    401     401',
  rotateWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  enableWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  listDeliveries: '200   403  403   403   403   403     403   403      401    401     401',
  redeliver: '     404   403  403   403   403   403     403   403      401    401     401',
  health: '        200   200  200   200   200   200     200   200      401    401     401',
  time: '          200   200  200   200   200   200     200   200      401    401     401',
  livez: '         200   200  200   200   200   200     200   200      200    200     200',
  readyz: '        200   200  200   200   200   200     200   200      200    200     200',
};

/** The same for a WebSocket, and for what is no operation of the API. */
const CONNECTION = '101   101  101   403   101   403     101   101      401    401     401';
const OPEN = '      200   200  200   200   200   200     200   200      200    200     200';
const PAGES = [
  '/',
  '/display/x',
  '/synchronized-timer.js',
  '/docs/',
  '/openapi.json',
  '/asyncapi.json',
];

const OPERATIONS: readonly Operation[] = Object.values(
  operationsOf(requestSchemas(readConfig({}))),
);
const SECRET = 's'.repeat(32);
const WEB = new URL('../../dist/web', import.meta.url).pathname;

function rowOf(text: string): Readonly<Record<string, string>> {
  const cells = text.trim().split(/\s+/);
  return Object.fromEntries(COLUMNS.map((column, index) => [column, cells[index] ?? '']));
}

/** Whoever calls, and the timer that it is about. */
interface Case {
  readonly timerId: string;
  readonly token: string | undefined;
}

interface Room {
  readonly service: TestService;
  readonly admin: string;
}

async function openRoom(): Promise<Room> {
  const service = await TestService.start({
    settings: { JWT_SECRETS: `k:${SECRET}`, WEBHOOK_ALLOW_PRIVATE: '1' },
    webDirectory: WEB,
  });
  // Who calls is known by the secret already, so the first key is made with a token.
  service.token = await tokenOf(4_000_000_000);
  const { key } = await service.createKey({ role: 'admin' });
  service.token = key;
  return { service, admin: key };
}

function tokenOf(exp: number): Promise<string> {
  return new SignJWT({ role: 'admin', sub: 'x', aud: 'synchronized-timer', exp })
    .setProtectedHeader({ alg: 'HS256', kid: 'k' })
    .sign(new TextEncoder().encode(SECRET));
}

async function caseOf({ service, admin }: Room, column: Column): Promise<Case> {
  service.token = admin;
  if (column === 'own') {
    service.token = (await service.createKey({ role: 'instructor' })).key;
    return { timerId: (await service.create()).id, token: service.token };
  }
  const timerId = (await service.create()).id;
  const token = await credentialOf(service, column, timerId);
  return { timerId, token };
}

async function credentialOf(
  service: TestService,
  column: Exclude<Column, 'own'>,
  timerId: string,
): Promise<string | undefined> {
  switch (column) {
    case 'admin':
    case 'observer':
      return (await service.createKey({ role: column })).key;
    case 'given':
      return (await service.createKey({ role: 'instructor', timers: [timerId] })).key;
    case 'other':
      return (await service.createKey({ role: 'instructor' })).key;
    case 'named':
      return (await service.createKey({ role: 'display', timers: [timerId] })).key;
    case 'unnamed':
      return (await service.createKey({ role: 'display', timers: ['timer_x'] })).key;
    case 'token': {
      const answer = await service.request('POST', `/timers/${timerId}/tokens`, {});
      return tokenSchema.parse(answer.body).token;
    }
    case 'nobody':
      return undefined;
    case 'revoked': {
      const { id, key } = await service.createKey({ role: 'admin' });
      await service.request('DELETE', `/keys/${id}`);
      return key;
    }
    case 'expired':
      return tokenOf(1_000_000_000);
  }
}

/** Asks for an operation as somebody, and gives what the table says of it. */
async function outcomeOf(room: Room, operation: Operation, column: Column): Promise<string> {
  const { service, admin } = room;
  const { timerId, token } = await caseOf(room, column);
  service.token = admin;
  const display = await service.display(timerId);
  const [connected] = display.messages;
  const displayId = connected?.type === 'connected' ? connected.display_id : '';
  const path = operation.path
    .replace('{timer_id}', timerId)
    .replace('{display_id}', displayId)
    .replace('{key_id}', (await service.createKey({ role: 'observer' })).id)
    .replace(
      '{webhook_id}',
      operation.path.includes('{webhook_id}') ? await webhookIn(service) : '',
    )
    .replace('{message_id}', 'msg_x');
  const sample = SAMPLES[operation.id];
  const before = await stateOf(room);
  service.token = token;
  const target = `${path}${sample?.query ?? ''}`;
  const outcome =
    operation.success.isStream === true
      ? await followed(service, target, timerId)
      : await answered(service, operation, target, timerId, sample?.body?.(timerId));
  if (/^40[13]|-$/.test(outcome)) expect(await stateOf(room)).toEqual(before);
  return outcome;
}

async function answered(
  service: TestService,
  { id, method }: Operation,
  path: string,
  timerId: string,
  body: unknown,
): Promise<string> {
  const response = await fetch(`${service.service.url}${path}`, {
    method: method.toUpperCase(),
    headers: { ...service.authorization, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status !== 200) return `${response.status}`;
  if (id === 'listTimers') return text.includes(timerId) ? '200' : '200-';
  if (!id.startsWith('bulk')) return '200';
  const results = bulkResultSchema.parse(JSON.parse(text));
  const isForbidden = results.some(({ status }) => status === 'failed (forbidden)');
  return isForbidden ? '200-' : '200';
}

async function followed(service: TestService, path: string, timerId: string): Promise<string> {
  try {
    const reader = await EventReader.open(
      `${service.service.url}${path}`,
      z.unknown(),
      service.authorization,
    );
    const first = await reader.next();
    const overview = CONSOLE_MESSAGES.overview.safeParse(first);
    const isShown = !overview.success || JSON.stringify(overview.data).includes(timerId);
    return isShown ? '200' : '200-';
  } catch (error) {
    if (error instanceof RefusedError) return `${error.status}`;
    throw error;
  }
}

/** What nobody may change who may not. */
async function stateOf({ service, admin }: Room): Promise<unknown> {
  service.token = admin;
  const [keys, webhooks] = await Promise.all([
    service.request('GET', '/keys'),
    service.request('GET', '/webhooks'),
  ]);
  return [await service.journal.read(0, 1000), keys.body, webhooks.body];
}

async function webhookIn(service: TestService): Promise<string> {
  const body = { url: NOBODY, events: ['timer.expired'], timers: null };
  return webhookSchema.parse((await service.request('POST', '/webhooks', body)).body).id;
}

async function upgraded({ service }: Room, { timerId, token }: Case): Promise<string> {
  service.token = token;
  const webSocket = new WebSocket(service.displayUrl(timerId), { headers: service.authorization });
  const refused = once(webSocket, 'unexpected-response').then(([, response]) => {
    return `${z.instanceof(IncomingMessage).parse(response).statusCode}`;
  });
  const opened = once(webSocket, 'open').then(() => {
    webSocket.close();
    return '101';
  });
  return Promise.race([refused, opened]);
}

/** The table is about a display of somebody else; this is about one of the caller's own. */
async function acknowledged({ service }: Room, { timerId, token }: Case): Promise<string> {
  service.token = token;
  const url = `${service.service.url}/timers/${timerId}/events?ticks=false`;
  const reader = await EventReader.open(url, EVENT_MESSAGES.connected, service.authorization);
  const { display_id } = await reader.next();
  const path = `/timers/${timerId}/displays/${display_id}/acknowledgement`;
  const answer = await service.request('POST', path, { revision: 1, error_bound_ms: 1 });
  return `${answer.status}`;
}

describe('A1: the table of access', () => {
  it('has every operation, and no other', () => {
    expect(Object.keys(TABLE).sort()).toEqual(OPERATIONS.map(({ id }) => id).sort());
  });

  it.each(OPERATIONS)('A1: says who may $id', async (operation) => {
    const room = await openRoom();
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS) outcomes[column] = await outcomeOf(room, operation, column);
    expect(outcomes).toEqual(rowOf(TABLE[operation.id] ?? ''));
  });

  it('A1, D3: lets whoever may follow acknowledge for a display of their own', async () => {
    const room = await openRoom();
    for (const column of COLUMNS.filter((name) => rowOf(CONNECTION)[name] === '101')) {
      expect([column, await acknowledged(room, await caseOf(room, column))]).toEqual([
        column,
        '204',
      ]);
    }
  });

  it('A1: says who may connect by WebSocket, and refuses the others before the upgrade', async () => {
    const room = await openRoom();
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS)
      outcomes[column] = await upgraded(room, await caseOf(room, column));
    expect(outcomes).toEqual(rowOf(CONNECTION));
  });

  it.each(PAGES)('A1: says that %s is for all', async (path) => {
    const room = await openRoom();
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS) {
      const { token } = await caseOf(room, column);
      const response = await fetch(`${room.service.service.url}${path}`, {
        headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
      });
      outcomes[column] = `${response.status}`;
      await response.body?.cancel();
    }
    expect(outcomes).toEqual(rowOf(OPEN));
  });
});

describe('A1: the messages of a display', () => {
  const MESSAGES: Readonly<Record<string, { message: object; answer?: 'pong' | 'sync_response' }>> =
    {
      ping: { message: {}, answer: 'pong' },
      sync: { message: { client_time: 1 }, answer: 'sync_response' },
      acknowledge: { message: { revision: 1, error_bound_ms: 1 } },
    };

  it('A1: are all in the table', () => {
    expect(Object.keys(MESSAGES).sort()).toEqual(Object.keys(CLIENT_MESSAGES).sort());
  });

  it.each(COLUMNS.filter((column) => rowOf(CONNECTION)[column] === '101'))(
    'A1, T1: are answered alike, and change no timer, whoever says them: %s',
    async (column) => {
      const room = await openRoom();
      const { timerId, token } = await caseOf(room, column);
      const before = await stateOf(room);
      const headers = { Authorization: `Bearer ${token}` };
      const display = await TestDisplay.connect(room.service.displayUrl(timerId), headers);
      for (const [type, { message, answer }] of Object.entries(MESSAGES)) {
        display.say({ type, ...message });
        if (answer !== undefined) await display.next(answer);
      }
      display.say({ type: 'control', action: 'start' });
      await display.next('error');
      expect(await stateOf(room)).toEqual(before);
    },
  );
});
