/**
 * Inputs of every kind against the whole service: whatever is sent, every answer is one that the documents
 * describe, nothing fails, and nothing changes without permission. `FUZZ_INPUTS` says how many inputs of
 * each kind; the usual number keeps the test short.
 */
import { Agent, request as send } from 'node:http';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RecordedEntry } from '../../src/journal/journal.js';
import { keySchema, tokenSchema } from '../../src/protocol/credentials.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { attemptsSchema, webhookSchema } from '../../src/protocol/webhooks.js';
import { openRoom, type Room, tokenOf } from '../support/access.js';
import { endWithTest } from '../support/endings.js';
import { NotingJournal } from '../support/noting-journal.js';
import { clientFrame, OPCODES, RawClient } from '../support/raw-client.js';
import { NOBODY } from '../support/samples.js';
import { TestService } from '../support/service.js';
import {
  type FrameInput,
  frames,
  type Ids,
  type RequestInput,
  requestsFor,
  TIMERS,
  visible,
  withIds,
} from './inputs.js';
import { OpenApi } from './open-api.js';

const INPUTS = Number(process.env.FUZZ_INPUTS ?? 3000);
/** Requests that are under way at the same time. */
const TOGETHER = 30;
const LONGEST_MS = 30_000 + INPUTS * 10;

const agent = new Agent({ keepAlive: true, maxSockets: TOGETHER });
endWithTest('clients', () => agent.destroy());

interface Reply {
  readonly status: number;
  readonly mediaType: string;
  /** Nothing of a stream that does not end by itself. */
  readonly body: string;
}

function ask(
  service: TestService,
  { operation, asker, target, headers, body }: RequestInput,
  ids: Ids,
  callers: Callers,
): Promise<Reply> {
  const options = {
    agent,
    method: operation.method,
    headers: { ...shown(callers[asker]?.token), ...headers },
  };
  return new Promise((resolve, reject) => {
    const request = send(`${service.service.url}${withIds(target, ids)}`, options, (response) => {
      const status = response.statusCode ?? 0;
      const mediaType = response.headers['content-type']?.split(';')[0] ?? '';
      if (mediaType !== 'text/event-stream') {
        text(response).then((whole) => resolve({ status, mediaType, body: whole }), reject);
        return;
      }
      response.destroy();
      resolve({ status, mediaType, body: '' });
    });
    request.on('error', reject);
    request.end(withIds(body, ids));
  });
}

function shown(token: string | undefined): Readonly<Record<string, string>> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/** What each kind of caller shows, and which timers they may follow. */
interface Caller {
  readonly token: string | undefined;
  readonly status: (timer: string) => number;
}
type Callers = Readonly<Record<string, Caller>>;

/** The timer that is given to some of those who did not make it, and one that the instructor made. */
const [GIVEN = '', OWN = ''] = TIMERS;

/** Whoever looks after keys and webhooks; whoever changes timers only; and whoever may change nothing. */
const CREWS = {
  administrators: ['admin'],
  instructors: ['instructor', 'substitute', 'stranger'],
  powerless: [
    ...['observer', 'display', 'token', 'nobody', 'revoked'],
    ...['expired', 'foreign', 'unsigned', 'cut'],
  ],
} as const;
type Crew = keyof typeof CREWS;
const CREW_NAMES: readonly Crew[] = ['administrators', 'instructors', 'powerless'];

/** What changes of timers may lead to beside their entries. */
const DRAWERS_OF_CHANGES = ['answers', 'webhook-attempts', 'webhook-cursors'];

/** What a connection that shows garbage may meet. */
const REFUSALS = [400, 401, 403];

const everywhere = (status: number) => (): number => status;
const only = (own: string) => (timer: string) => (timer === own ? 101 : 403);

/** A caller of each kind. The timers are the administrator's but for one, which is the instructor's. */
async function callersOf(
  { service, admin }: Room,
  instructor: string,
  givenId: string,
): Promise<Callers> {
  const keyOf = async (definition: Parameters<TestService['createKey']>[0]) =>
    (await service.createKey(definition)).key;
  const revoked = await service.createKey({ role: 'admin' });
  await service.request('DELETE', `/keys/${revoked.id}`);
  const { body } = await service.request('POST', `/timers/${givenId}/tokens`, { label: 'Seat 1' });
  const { token } = tokenSchema.parse(body);
  const named = { timers: [givenId] };
  const ofTomorrow = service.clock.now() / 1000 + 86_400;
  return {
    admin: { token: admin, status: everywhere(101) },
    instructor: { token: instructor, status: only(OWN) },
    substitute: { token: await keyOf({ role: 'instructor', ...named }), status: only(GIVEN) },
    stranger: { token: await keyOf({ role: 'instructor' }), status: everywhere(403) },
    observer: { token: await keyOf({ role: 'observer' }), status: everywhere(101) },
    display: { token: await keyOf({ role: 'display', ...named }), status: only(GIVEN) },
    token: { token, status: only(GIVEN) },
    nobody: { token: undefined, status: everywhere(401) },
    revoked: { token: revoked.key, status: everywhere(401) },
    expired: { token: await tokenOf(service.clock.now() / 1000 - 60), status: everywhere(401) },
    foreign: { token: await tokenOf(ofTomorrow, 'x'.repeat(32)), status: everywhere(401) },
    unsigned: { token: unsigned(await tokenOf(ofTomorrow)), status: everywhere(401) },
    cut: { token: token.slice(0, -8), status: everywhere(401) },
  };
}

/** The same token, of which nobody says that it is true. */
function unsigned(token: string): string {
  const header = Buffer.from('{"alg":"none","kid":"k"}').toString('base64url');
  return [header, token.split('.')[1], ''].join('.');
}

/** Entries that their author had no right to. */
async function trespasses(service: TestService, givenId: string): Promise<RecordedEntry[]> {
  const owners = new Map<string, string>();
  const entries = await service.journal.read(0, Number.MAX_SAFE_INTEGER);
  return entries.filter(({ timerId, type, by: { role, credential } }) => {
    if (type === 'created') owners.set(timerId, credential);
    if (role === 'admin' || role === 'service') return false;
    return role !== 'instructor' || (owners.get(timerId) !== credential && timerId !== givenId);
  });
}

/** Timers in every state, one of them made by an instructor, so that inputs meet something. */
async function populate(service: TestService, instructor?: string): Promise<Ids> {
  const { token } = service;
  const ids: Record<string, string> = {};
  for (const name of TIMERS) {
    service.token = name === OWN && instructor !== undefined ? instructor : token;
    ids[name] = (await service.create({ duration_seconds: 300 })).id;
  }
  service.token = token;
  const { timer2 = '', timer3 = '', timer4 = '' } = ids;
  for (const id of [timer2, timer3]) await service.act(id, 'start');
  await service.act(timer3, 'pause');
  await service.act(timer4, 'stop');
  return ids;
}

/** The same, but for what is gone or has ended: something new is in its place. */
async function present(service: TestService, ids: Ids): Promise<Ids> {
  const timers = TIMERS.map(async (name) => [name, await presentOr(service, ids[name] ?? '')]);
  const found: Ids = { ...ids, ...Object.fromEntries(await Promise.all(timers)) };
  return { ...found, ...(await keyIn(service, found)), ...(await webhookIn(service, found)) };
}

/** This timer, or a new one, or another where there is no room for one. */
async function presentOr(service: TestService, timerId: string): Promise<string> {
  const { registry } = service.service;
  const found = registry.lookUp(timerId);
  if (found.ok && found.timer.record.completedAtMs === null) return timerId;
  const { status, body } = await service.request('POST', '/timers', { duration_seconds: 300 });
  if (status === 201) return timerSchema.parse(body).id;
  const [other] = registry.list('', 'RUNNING');
  return other?.record.id ?? timerId;
}

async function keyIn(service: TestService, { key_id }: Ids): Promise<Ids> {
  const { body } = await service.request('GET', '/keys');
  const isThere = keySchema
    .array()
    .parse(body)
    .some(({ id }) => id === key_id);
  return isThere ? {} : { key_id: (await service.createKey({ role: 'observer' })).id };
}

/** A webhook to an address where nobody listens, and a message that it was to be told. */
async function webhookIn(service: TestService, { webhook_id, timer0 = '' }: Ids): Promise<Ids> {
  const isThere = (await service.request('GET', `/webhooks/${webhook_id}`)).status === 200;
  if (isThere) return {};
  const { body } = await service.request('POST', '/webhooks', { url: NOBODY });
  const { id } = webhookSchema.parse(body);
  await service.control(timer0, 'extend', 1);
  await settled(service);
  const { body: attempts } = await service.request('GET', `/webhooks/${id}/deliveries`);
  return { webhook_id: id, message_id: attemptsSchema.parse(attempts)[0]?.message_id ?? '' };
}

/** Waits until nothing is being recorded or sent. */
async function settled(service: TestService): Promise<void> {
  await service.settle();
  while (!service.service.webhooks.isIdle) await new Promise((resolve) => setImmediate(resolve));
}

async function openApiOf(service: TestService): Promise<OpenApi> {
  return new OpenApi((await service.request('GET', '/openapi.json')).body);
}

describe('T12, A1: whatever is asked over HTTP', () => {
  it(
    'is answered as the OpenAPI document says, never with a failure, and changes nothing without permission',
    async () => {
      // Time stands still, so no limit on how often something may be done would ever be lifted.
      const settings = { MAX_TIMERS: '100', MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '0' };
      const journal = new NotingJournal();
      const room = await openRoom({ settings, journal });
      const { service } = room;
      const api = await openApiOf(service);
      const instructor = (await service.createKey({ role: 'instructor' })).key;
      const timers = await populate(service, instructor);
      const givenId = timers[GIVEN] ?? '';
      const callers = await callersOf(room, instructor, givenId);
      const display = await service.display(givenId);
      let ids = await present(service, { ...timers, display_id: display.displayId });
      const batchesOf = (crew: Crew) => {
        const inputs = api.operations.map((one) => requestsFor(api, one, CREWS[crew]));
        const batch = fc.array(fc.oneof(...inputs), { minLength: TOGETHER, maxLength: TOGETHER });
        return fc.record({ crew: fc.constant(crew), batch });
      };
      const batches = fc.oneof(...CREW_NAMES.map(batchesOf));
      await fc.assert(
        fc.asyncProperty(batches, async ({ crew, batch }) => {
          await settled(service);
          journal.takeChanged();
          const before = await positionOf(service);
          const replies = await Promise.all(
            batch.map((input) => ask(service, input, ids, callers)),
          );
          const complaints = replies.flatMap(({ status, mediaType, body }, index) => {
            const input = batch[index];
            if (input === undefined) return [];
            const complaint =
              status >= 500
                ? `${status}: ${body}`
                : api.complaint(input.operation, status, mediaType, body);
            return complaint === ''
              ? []
              : [{ complaint, ...input, operation: input.operation.operationId }];
          });
          expect(complaints).toEqual([]);
          await settled(service);
          const changed = journal.takeChanged();
          if (crew === 'powerless') {
            const after = await positionOf(service);
            expect({ changed, entries: after - before }).toEqual({ changed: [], entries: 0 });
          } else if (crew === 'instructors') {
            expect(DRAWERS_OF_CHANGES).toEqual(expect.arrayContaining(changed));
          }
          if (crew !== 'powerless') ids = await present(service, ids);
        }),
        { numRuns: Math.ceil(INPUTS / TOGETHER), endOnFailure: true },
      );
      expect(await trespasses(service, givenId)).toEqual([]);
      expect((await service.request('GET', '/livez')).status).toBe(200);
    },
    LONGEST_MS,
  );
});

function positionOf(service: TestService): Promise<number> {
  return service.journal.positionBefore(Number.MAX_SAFE_INTEGER);
}

/** A service to come into, and who may. */
interface Door {
  readonly service: TestService;
  /** None where nobody needs a credential. */
  readonly callers: Callers | undefined;
  readonly ids: Ids;
}

/** The ways in which a WebSocket may show a credential. */
const WAYS: Readonly<Record<string, (token: string) => { query?: string; headers?: Ids }>> = {
  header: (token) => ({ headers: { Authorization: `Bearer ${token}` } }),
  protocol: (token) => ({
    headers: { 'Sec-WebSocket-Protocol': `synchronized-timer, bearer.${token}` },
  }),
  query: (token) => ({ query: `?access_token=${encodeURIComponent(token)}` }),
};

const conversations = fc.record({
  isOpen: fc.boolean(),
  timer: fc.constantFrom(...TIMERS),
  caller: fc.constantFrom(...Object.values(CREWS).flat()),
  /** Shown instead of what the caller has. */
  garbage: fc.option(visible, { freq: 10 }),
  way: fc.constantFrom(...Object.keys(WAYS)),
  /** Whether the first frame comes with the handshake. */
  isEarly: fc.boolean(),
  said: fc.array(frames, { minLength: TOGETHER, maxLength: TOGETHER }),
});
type Conversation = typeof conversations extends fc.Arbitrary<infer T> ? T : never;

describe('T1, A1: whatever a display shows and sends', () => {
  it(
    'leads to no timer without permission, changes nothing, and stops nobody else',
    async () => {
      const doors = { open: await openDoor(), guarded: await guardedDoor() };
      const before = await Promise.all(Object.values(doors).map(stateBehind));
      const bystanders = await Promise.all(
        Object.values(doors).map(({ service, ids }) =>
          service.display(ids[OWN] ?? '', '?ticks=false'),
        ),
      );
      await fc.assert(
        fc.asyncProperty(conversations, async (conversation) => {
          await converse(conversation.isOpen ? doors.open : doors.guarded, conversation);
        }),
        { numRuns: Math.ceil(INPUTS / TOGETHER), endOnFailure: true },
      );
      for (const bystander of bystanders) {
        bystander.webSocket.send(JSON.stringify({ type: 'ping' }));
        expect(await bystander.next('pong')).toEqual({ type: 'pong' });
      }
      expect(await Promise.all(Object.values(doors).map(stateBehind))).toEqual(before);
    },
    LONGEST_MS,
  );
});

async function openDoor(): Promise<Door> {
  const service = await TestService.start();
  return { service, callers: undefined, ids: await populate(service) };
}

async function guardedDoor(): Promise<Door> {
  const room = await openRoom();
  const { service } = room;
  const instructor = (await service.createKey({ role: 'instructor' })).key;
  const ids = await populate(service, instructor);
  return { service, callers: await callersOf(room, instructor, ids[GIVEN] ?? ''), ids };
}

/** Everything that nobody may change over a WebSocket. */
async function stateBehind({ service }: Door): Promise<unknown> {
  const [keys, webhooks] = await Promise.all(
    ['/keys', '/webhooks'].map((path) => service.request('GET', path)),
  );
  return [await service.journal.read(0, 1000), keys?.body, webhooks?.body];
}

/** Connects, and says everything whether or not that is let in. */
async function converse(door: Door, conversation: Conversation): Promise<void> {
  const { timer, garbage, way, isEarly, said } = conversation;
  const caller = door.callers?.[conversation.caller];
  const token = garbage ?? caller?.token;
  const { query = '', headers = {} } = token === undefined ? {} : (WAYS[way]?.(token) ?? {});
  const [first, ...others] = said.map(bytesOf);
  const early = isEarly && first !== undefined ? { early: first } : {};
  const path = `/ws/${door.ids[timer]}${query}`;
  const client = await RawClient.open(door.service, path, { headers, ...early });
  const expected = caller?.status(timer) ?? 101;
  // Nobody can say what garbage is taken for, but never for a credential.
  if (garbage === null)
    expect({ ...conversation, status: client.status }).toHaveProperty('status', expected);
  else if (caller !== undefined) expect(REFUSALS).toContain(client.status);
  for (const bytes of isEarly ? others : said.map(bytesOf)) {
    if (!client.socket.destroyed) client.socket.write(bytes);
  }
  if (!client.serverSide.destroyed) await client.heard().catch(() => {});
  client.socket.end();
  await client.closed;
}

function bytesOf(input: FrameInput): Buffer {
  switch (input.kind) {
    case 'text':
      return clientFrame(OPCODES.text, input.text);
    case 'frame':
      return clientFrame(input.opcode, Buffer.from(input.payload), input);
    case 'bytes':
      return Buffer.from(input.bytes);
  }
}
