/** Callers of every kind, and what becomes of what they ask: for the tables of access. */
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import { type Operation, operationsOf } from '../../src/http/operations.js';
import { CONSOLE_MESSAGES } from '../../src/protocol/console.js';
import { tokenSchema } from '../../src/protocol/credentials.js';
import { bulkResultSchema, requestSchemas } from '../../src/protocol/requests.js';
import { webhookSchema } from '../../src/protocol/webhooks.js';
import { EventReader, RefusedError } from './event-reader.js';
import { NOBODY, SAMPLES } from './samples.js';
import { TestService, type TestServiceOptions } from './service.js';

/**
 * The columns: an administrator; an instructor with a timer of their own, one they were given, and another's; a
 * display with a key that names the timer, with one that does not, and with a token for it; an observer; and
 * nobody, a key that was revoked and a token that has expired, each of an administrator.
 */
export const COLUMNS = [
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
export type Column = (typeof COLUMNS)[number];

export const OPERATIONS: readonly Operation[] = Object.values(
  operationsOf(requestSchemas(readConfig({}))),
);
const SECRET = 's'.repeat(32);
export const SETTINGS = { JWT_SECRETS: `k:${SECRET}` };

export function rowOf(text: string): Readonly<Record<string, string>> {
  const cells = text.trim().split(/\s+/);
  return Object.fromEntries(COLUMNS.map((column, index) => [column, cells[index] ?? '']));
}

/** Whoever calls, and the timer that it is about. */
export interface Case {
  readonly timerId: string;
  readonly token: string | undefined;
}

export interface Room {
  readonly service: TestService;
  readonly admin: string;
}

export async function openRoom(options: TestServiceOptions = {}): Promise<Room> {
  const settings = { ...SETTINGS, ...options.settings };
  const service = await TestService.start({ ...options, settings });
  // Who calls is known by the secret already, so the first key is made with a token.
  service.token = await tokenOf(4_000_000_000);
  const { key } = await service.createKey({ role: 'admin' });
  service.token = key;
  return { service, admin: key };
}

/** A token of an administrator that ends then, in epoch seconds, signed with the service's secret or another. */
export function tokenOf(exp: number, secret = SECRET): Promise<string> {
  return new SignJWT({ role: 'admin', sub: 'x', aud: 'synchronized-timer', exp })
    .setProtectedHeader({ alg: 'HS256', kid: 'k' })
    .sign(new TextEncoder().encode(secret));
}

export async function caseOf({ service, admin }: Room, column: Column): Promise<Case> {
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

/** Where a display is not asked for. */
export const NO_DISPLAY = 'display_x';

/** What an operation may be done to beside a timer. */
export type Places = Readonly<Record<'key_id' | 'webhook_id', string>>;

export async function placesFor({ service, admin }: Room, { path }: Operation): Promise<Places> {
  service.token = admin;
  return {
    key_id: path.includes('{key_id}') ? await keyIn(service) : '',
    webhook_id: path.includes('{webhook_id}') ? await webhookIn(service) : '',
  };
}

/**
 * Asks for an operation as somebody, and gives what tables say of it: the status; `-` behind it if the timer itself
 * was left out, `~` if it was because it is being restarted.
 */
export function outcomeOf(
  { service }: Room,
  operation: Operation,
  places: Places,
  { timerId, displayId, token }: Case & { readonly displayId: string },
): Promise<string> {
  const path = operation.path
    .replace('{timer_id}', timerId)
    .replace('{display_id}', displayId)
    .replace('{key_id}', places.key_id)
    .replace('{webhook_id}', places.webhook_id)
    .replace('{message_id}', 'msg_x');
  const url = `${service.service.url}${path}${SAMPLES[operation.id]?.query ?? ''}`;
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return operation.success.isStream === true
    ? followed(url, headers, timerId)
    : answered(url, headers, timerId, operation);
}

type Headers = Readonly<Record<string, string>>;

async function answered(
  url: string,
  headers: Headers,
  timerId: string,
  { id, method }: Operation,
): Promise<string> {
  const body = SAMPLES[id]?.body?.(timerId);
  const response = await fetch(url, {
    method: method.toUpperCase(),
    headers: { ...headers, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status !== 200) return `${response.status}`;
  if (id === 'listTimers') return text.includes(timerId) ? '200' : '200-';
  if (!id.startsWith('bulk')) return '200';
  const results = bulkResultSchema.parse(JSON.parse(text));
  const status = results.find(({ timer_id }) => timer_id === timerId)?.status;
  if (status === 'failed (timer_restarting)') return '200~';
  return status === 'failed (forbidden)' ? '200-' : '200';
}

async function followed(url: string, headers: Headers, timerId: string): Promise<string> {
  try {
    const reader = await EventReader.open(url, z.unknown(), headers);
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
export async function stateOf({ service, admin }: Room): Promise<unknown> {
  service.token = admin;
  const [keys, webhooks] = await Promise.all([
    service.request('GET', '/keys'),
    service.request('GET', '/webhooks'),
  ]);
  return [await service.journal.read(0, 1000), keys.body, webhooks.body];
}

async function keyIn(service: TestService): Promise<string> {
  return (await service.createKey({ role: 'observer' })).id;
}

async function webhookIn(service: TestService): Promise<string> {
  const body = { url: NOBODY, events: ['timer.expired'], timers: null };
  return webhookSchema.parse((await service.request('POST', '/webhooks', body)).body).id;
}

/** Connects as somebody by WebSocket, and gives the status, or the code of the close that came instead of a word. */
export async function upgraded({ service }: Room, { timerId, token }: Case): Promise<string> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const webSocket = new WebSocket(service.displayUrl(timerId), { headers });
  const refused = once(webSocket, 'unexpected-response').then(([, response]) => {
    return `${z.instanceof(IncomingMessage).parse(response).statusCode}`;
  });
  const told = once(webSocket, 'message').then(() => {
    webSocket.close();
    return '101';
  });
  const closed = once(webSocket, 'close').then(([code]) => `${code}`);
  return Promise.race([refused, told, closed]);
}
