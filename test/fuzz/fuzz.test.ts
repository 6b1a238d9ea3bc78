/**
 * Inputs of every kind against the whole service: whatever is sent, every answer is one that the documents
 * describe, nothing fails, and nothing changes without permission. `FUZZ_INPUTS` says how many inputs of
 * each kind; the usual number keeps the test short.
 */
import { Agent, request as send } from 'node:http';
import type { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEntry } from '../../src/journal/journal.js';
import { keySchema, tokenSchema } from '../../src/protocol/credentials.js';
import { SERVER_MESSAGES } from '../../src/protocol/messages.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { attemptsSchema, webhookSchema } from '../../src/protocol/webhooks.js';
import { openRoom, type Room, tokenOf } from '../support/access.js';
import { endWithTest } from '../support/endings.js';
import { NotingJournal } from '../support/noting-journal.js';
import { RawClient } from '../support/raw-client.js';
import { NOBODY } from '../support/samples.js';
import { TestService } from '../support/service.js';
import { bytesOf, frames } from './frames.js';
import { type Ids, type RequestInput, requestsFor, TIMERS, withIds } from './inputs.js';
import { OpenApi, type Reply } from './open-api.js';
import { forgeries, guises } from './texts.js';

const INPUTS = Number(process.env.FUZZ_INPUTS ?? 3000);
/** Requests that are under way at the same time. */
const TOGETHER = 30;
const LONGEST_MS = 30_000 + INPUTS * 10;

const agent = new Agent({ keepAlive: true, maxSockets: TOGETHER });
endWithTest('clients', () => agent.destroy());

function ask(
  { service, ids }: World,
  { operation, target, headers, body, encoding }: RequestInput,
  { token }: Pick<Caller, 'token'>,
): Promise<Reply> {
  const options = { agent, method: operation.method, headers: { ...shown(token), ...headers } };
  return new Promise((resolve, reject) => {
    const request = send(`${service.service.url}${withIds(target, ids)}`, options, (response) => {
      const isStream = response.headers['content-type'] === 'text/event-stream';
      const { statusCode: status = 0, headers } = response;
      const said = isStream ? beginningOf(response) : wholeOf(response);
      said.then((body) => resolve({ status, headers, body }), reject);
    });
    request.on('error', reject);
    const text = withIds(body, ids);
    request.end(text === undefined ? undefined : Buffer.from(text, encoding));
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A body, which must be UTF-8. */
async function wholeOf(response: Readable): Promise<string> {
  return utf8.decode(Buffer.concat(await response.toArray()));
}

/** The first events of a stream that does not end by itself. */
async function beginningOf(response: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk);
    if (chunk.subarray(-2).equals(END_OF_EVENT)) break;
  }
  return utf8.decode(Buffer.concat(chunks));
}
const END_OF_EVENT = Buffer.from('\n\n');

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

/**
 * Whoever looks after keys and webhooks; whoever changes timers only; whoever may change nothing; and, of a service
 * that asks for no credential, whoever is on this machine, and whoever is not.
 */
const CREWS = {
  administrators: ['admin'],
  instructors: ['instructor', 'substitute', 'stranger'],
  powerless: [
    ...['observer', 'display', 'token', 'nobody', 'revoked'],
    ...['expired', 'foreign', 'unsigned', 'cut'],
  ],
  neighbours: ['anybody'],
  outsiders: ['anybody'],
} as const;
type Crew = keyof typeof CREWS;
const CREW_NAMES = fc.constantFrom<Crew>(
  ...(['administrators', 'instructors', 'powerless', 'neighbours', 'outsiders'] as const),
);

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

/** None where nobody needs one, which the first would change. */
async function keyIn(service: TestService, { key_id }: Ids): Promise<Ids> {
  if (service.token === undefined) return {};
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

/** A service, what is in it, and who asks it. */
interface World {
  readonly service: TestService;
  readonly journal: NotingJournal;
  readonly callers: Callers;
  /** The timer that somebody is given. */
  readonly givenId: string;
  ids: Ids;
}

// Time stands still, so no limit on how often something may be done would ever be lifted.
const UNHURRIED = {
  MAX_TIMERS: '100',
  MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '0',
  MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '0',
  MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: '0',
};

/** Without it pages of everywhere may follow. */
const OWN_PAGES = { CORS_ORIGINS: 'https://pages.example' };

async function guardedWorld(): Promise<World> {
  const journal = new NotingJournal();
  const room = await openRoom({ settings: { ...UNHURRIED, ...OWN_PAGES }, journal });
  const instructor = (await room.service.createKey({ role: 'instructor' })).key;
  const timers = await populate(room.service, instructor);
  const callers = await callersOf(room, instructor, timers[GIVEN] ?? '');
  return worldOf(room.service, journal, callers, timers);
}

/** As after the first start: nobody needs a credential. */
async function openWorld(): Promise<World> {
  const journal = new NotingJournal();
  const service = await TestService.start({ settings: UNHURRIED, journal });
  const callers = { anybody: { token: undefined, status: everywhere(101) } };
  return worldOf(service, journal, callers, await populate(service));
}

async function worldOf(
  service: TestService,
  journal: NotingJournal,
  callers: Callers,
  timers: Ids,
): Promise<World> {
  const givenId = timers[GIVEN] ?? '';
  const { displayId } = await service.display(givenId);
  const ids = await present(service, { ...timers, display_id: displayId });
  return { service, journal, callers, givenId, ids };
}

/** Who asks what; outsiders do so in a guise. */
interface Batch {
  readonly crew: Crew;
  readonly guise: Ids;
  readonly requests: readonly RequestInput[];
}

/** Asks for everything at once, and gives what is wrong with the answers. */
async function complaintsOf(world: World, api: OpenApi, batch: Batch): Promise<unknown[]> {
  const { crew, guise, requests } = batch;
  const names = CREWS[crew];
  const asked = requests
    // Whoever is on the machine may protect the service, and then it is open no more.
    .filter(({ operation }) => crew !== 'neighbours' || operation.operationId !== 'createKey')
    .map(async (input) => {
      const asker = names[input.asker % names.length] ?? '';
      const headers = { ...input.headers, ...(crew === 'outsiders' ? guise : {}) };
      const sent = { ...input, headers };
      const reply = await ask(world, sent, { token: world.callers[asker]?.token });
      const complaint = complaintOf(api, input, reply);
      return complaint === ''
        ? []
        : [{ complaint, ...sent, asker, operation: input.operation.operationId }];
    });
  return (await Promise.all(asked)).flat();
}

/** Whether an answer may be kept of somebody who may change nothing: a receipt changes nothing. */
function mayBeKept({ requests }: Batch): boolean {
  return requests.some(
    ({ operation, headers }) =>
      operation.operationId === 'createReceipt' && headers['Idempotency-Key'] !== undefined,
  );
}

function complaintOf(api: OpenApi, { operation }: RequestInput, reply: Reply): string {
  if (reply.status >= 500) return `${reply.status}: ${reply.body}`;
  try {
    return api.complaint(operation, reply);
  } catch (error) {
    return `${error} in ${reply.status}: ${reply.body.slice(0, 1000)}`;
  }
}

describe('T12, A1: whatever is asked over HTTP', () => {
  it(
    'is answered as the OpenAPI document says, never with a failure, and changes nothing without permission',
    async () => {
      const guarded = await guardedWorld();
      const open = await openWorld();
      const api = await openApiOf(guarded.service);
      const inputs = api.operations.map((operation) => requestsFor(api, operation));
      const requests = fc.array(fc.oneof(...inputs), { minLength: TOGETHER, maxLength: TOGETHER });
      const batches = fc.record({ crew: CREW_NAMES, guise: guises, requests });
      await fc.assert(
        fc.asyncProperty(batches, async (batch) => {
          const { crew } = batch;
          const world = crew === 'neighbours' || crew === 'outsiders' ? open : guarded;
          const { service, journal } = world;
          await settled(service);
          journal.takeChanged();
          const before = await positionOf(service);
          expect(await complaintsOf(world, api, batch)).toEqual([]);
          await settled(service);
          const changed = journal.takeChanged();
          if (crew === 'powerless' || crew === 'outsiders') {
            const after = await positionOf(service);
            const unexpected = changed.filter(
              (drawer) => !(drawer === 'answers' && mayBeKept(batch)),
            );
            expect({ unexpected, entries: after - before }).toEqual({ unexpected: [], entries: 0 });
            return;
          }
          if (crew === 'instructors') {
            expect(DRAWERS_OF_CHANGES).toEqual(expect.arrayContaining(changed));
          }
          world.ids = await present(service, world.ids);
        }),
        { numRuns: Math.ceil(INPUTS / TOGETHER), endOnFailure: true },
      );
      expect(await trespasses(guarded.service, guarded.givenId)).toEqual([]);
      for (const { service } of [guarded, open]) {
        expect((await service.request('GET', '/livez')).status).toBe(200);
      }
      // Nobody from elsewhere made the first key.
      expect((await open.service.request('GET', '/me')).status).toBe(200);
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
  caller: fc.constantFrom(...CREWS.administrators, ...CREWS.instructors, ...CREWS.powerless),
  /** Shown instead of what the caller has. */
  garbage: fc.option(forgeries, { freq: 10 }),
  way: fc.constantFrom(...Object.keys(WAYS)),
  /** Where the handshake seems to come from, if that is not here. */
  guise: fc.option(guises, { freq: 10 }),
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
  const service = await TestService.start({ settings: { ...UNHURRIED, ...OWN_PAGES } });
  return { service, callers: undefined, ids: await populate(service) };
}

async function guardedDoor(): Promise<Door> {
  const room = await openRoom({ settings: { ...UNHURRIED, ...OWN_PAGES } });
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
  const { timer, garbage, way, guise, isEarly, said } = conversation;
  const caller = door.callers?.[conversation.caller];
  const token = garbage ?? caller?.token;
  const { query = '', headers = {} } = token === undefined ? {} : (WAYS[way]?.(token) ?? {});
  const [first, ...others] = said.map(bytesOf);
  const early = isEarly && first !== undefined ? { early: first } : {};
  const path = `/ws/${door.ids[timer]}${query}`;
  const client = await RawClient.open(door.service, path, {
    headers: { ...headers, ...guise },
    ...early,
  });
  // Nobody can say what garbage is taken for, but never for a credential.
  if (garbage === null)
    expect({ ...conversation, status: client.status }).toHaveProperty(
      'status',
      statusFor(caller?.status(timer), guise),
    );
  else if (caller !== undefined) expect(REFUSALS).toContain(client.status);
  for (const bytes of isEarly ? others : said.map(bytesOf)) {
    if (!client.socket.destroyed) client.socket.write(bytes);
  }
  if (!client.serverSide.destroyed) await client.heard().catch(() => {});
  client.socket.end();
  await client.closed;
  if (client.status !== 101) return;
  const heard = client.messages.filter((message) => !serverMessages.safeParse(message).success);
  expect({ ...conversation, heard }).toHaveProperty('heard', []);
  expect([undefined, ...CLOSE_CODES]).toContain(client.closeCode);
}

/** A guise takes in nobody where somebody must be here; elsewhere only pages are told by it. */
function statusFor(status: number | undefined, guise: Ids | null): number {
  if (guise === null) return status ?? 101;
  if (status === undefined) return 403;
  return status === 101 && guise.Origin !== undefined ? 403 : status;
}

/** What a display is told, and the codes its connection is closed with: those of the protocol, and our own. */
const serverMessages = z.discriminatedUnion('type', [
  SERVER_MESSAGES.connected,
  SERVER_MESSAGES.pong,
  SERVER_MESSAGES.sync_response,
  SERVER_MESSAGES.error,
]);
const CLOSE_CODES = [
  ...[1000, 1002, 1003, 1005, 1007, 1008, 1009],
  ...Object.values(PROBLEMS).flatMap((kind) => ('closeCode' in kind ? [kind.closeCode] : [])),
];
