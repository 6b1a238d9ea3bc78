/** Changes that are asked for again, and changes that hold for one revision only. */
import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Journal } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { loseNextAppend } from '../support/lost-append.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly key?: string;
  readonly ifMatch?: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Every byte of the body. */
  readonly text: string;
  readonly body: unknown;
}

async function send(service: TestService, sent: Sent): Promise<Reply> {
  const { method = 'POST', path, body, key, ifMatch } = sent;
  const response = await fetch(`${service.service.url}${path}`, {
    method,
    headers: {
      ...service.authorization,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key === undefined ? {} : { 'Idempotency-Key': key }),
      ...(ifMatch === undefined ? {} : { 'If-Match': ifMatch }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const parsed: unknown = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, headers: response.headers, text, body: parsed };
}

/** What must be the same about two answers to one request. */
function essenceOf({ status, headers, text }: Reply) {
  const kept = ['content-type', 'etag', 'location', 'cache-control'];
  return { status, text, headers: kept.map((name) => headers.get(name)) };
}

function extension(timerId: string, seconds = 60): Sent {
  const body = { action: 'extend', extend_seconds: seconds };
  return { path: `/timers/${timerId}/control`, body };
}

const KEY = '3f1c9a52-8f0e-4c52-9a7e-0d4c1a5b6e7f';

const HOUR = 60 * 60 * 1000;

/** One change of each kind, of timers that were just created. */
async function changesOf(service: TestService): Promise<Sent[]> {
  const { id: one } = await service.create();
  const { id: other } = await service.create();
  const { id: gone } = await service.create();
  return [
    { path: '/timers', body: { duration_seconds: 60, name: 'Ω “1” \u2028', auto_start: true } },
    extension(one),
    { path: '/timers/bulk/start', body: [one, 'timer_unknown', other] },
    { path: '/timers/bulk/extend?seconds=30', body: { timer_ids: [other] } },
    { method: 'DELETE', path: `/timers/${gone}?reason_category=staff` },
  ].map((sent, index) => ({ ...sent, key: `key-${index}` }));
}

async function sendAll(service: TestService, changes: readonly Sent[]) {
  const replies = [];
  for (const sent of changes) replies.push(essenceOf(await send(service, sent)));
  return replies;
}

async function lengthOf(service: TestService): Promise<number> {
  return (await service.journal.read(0, 1000)).length;
}

describe('A5: a change that is asked for again is not made again', () => {
  it('changes the timer once when it is retried 50 times in parallel', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    const { id } = await service.create();
    const retries = Array.from({ length: 50 }, () => {
      return send(service, { ...extension(id), key: KEY });
    });
    const [first, ...others] = (await Promise.all(retries)).map(essenceOf);
    expect(first).toMatchObject({ status: 200 });
    for (const other of others) expect(other).toEqual(first);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
    expect(await service.journal.history(id)).toHaveLength(2);
  });

  it('creates one timer, and starts many once, however often that is asked', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    const creation = { path: '/timers', body: { duration_seconds: 60 }, key: KEY };
    const created = await Promise.all(Array.from({ length: 10 }, () => send(service, creation)));
    const ids = new Set(created.map(({ body }) => timerSchema.parse(body).id));
    expect(ids.size).toBe(1);
    const start = { path: '/timers/bulk/start', body: [...ids], key: 'start' };
    const started = await Promise.all(Array.from({ length: 10 }, () => send(service, start)));
    for (const { body } of started) expect(body).toMatchObject([{ status: 'started' }]);
    expect(await lengthOf(service)).toBe(2);
  });

  it('gives the same answer again, later and after a restart, to the byte', async () => {
    const directory = temporaryFolder();
    const clock = new SimulatedClock();
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    const changes = await changesOf(first);
    const answers = await sendAll(first, changes);
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 204]);
    const entries = await lengthOf(first);
    await first.advance(1000);
    expect(await sendAll(first, changes)).toEqual(answers);
    await first.stop();
    clock.stall(HOUR / 4);
    const second = await TestService.start({ journal: await openSqlite(directory), clock });
    expect(await sendAll(second, changes)).toEqual(answers);
    // All that was recorded since is that the time of the first one was up.
    expect(await lengthOf(second)).toBe(entries + 3);
  });

  it('puts the answer together from the entries when a crash came before it was kept', async () => {
    const directory = temporaryFolder();
    const clock = new SimulatedClock();
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    const changes = await changesOf(first);
    const answers = await sendAll(first, changes);
    const entries = await lengthOf(first);
    // What the disk has when the process ends between the two.
    for (const { name } of await first.journal.documents.list('answers')) {
      await first.journal.documents.remove('answers', name);
    }
    await first.stop();
    const second = await TestService.start({ journal: await openSqlite(directory), clock });
    const rebuilt = await sendAll(second, changes);
    const expected = answers.map((answer) => {
      return { ...answer, text: answer.text.replace('not found', 'failed (interrupted)') };
    });
    expect(rebuilt).toEqual(expected);
    expect(await lengthOf(second)).toBe(entries);
    await second.advance(1000);
    expect(await sendAll(second, changes)).toEqual(rebuilt);
    const other = await send(second, { ...extension('timer_other'), key: 'key-1' });
    expect(problemIn(other).code).toBe('idempotency_key_reused');
  });

  it('refuses the key with another request, address or condition, also while the first is under way', async () => {
    const journal = new DisturbedJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    journal.isHeld = true;
    const first = send(service, { ...extension(id), key: KEY });
    while (journal.appends.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const others = [
      { ...extension(id, 61), key: KEY },
      { ...extension('timer_other'), key: KEY },
      { ...extension(id), key: KEY, ifMatch: '"1"' },
    ];
    const refused = async () => {
      for (const other of others) {
        const reply = await send(service, other);
        expect([reply.status, problemIn(reply).code]).toEqual([422, 'idempotency_key_reused']);
      }
    };
    await refused();
    journal.isHeld = false;
    journal.release();
    expect((await first).status).toBe(200);
    await refused();
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
  });

  it('takes the key for another request after 24 hours, and not before', async () => {
    const clock = new SimulatedClock();
    const journal = new MemoryJournal();
    const service = await TestService.start({ journal, clock });
    const { id } = await service.create();
    const first = await send(service, { ...extension(id), key: KEY });
    await service.advance(24 * HOUR - 1);
    expect(essenceOf(await send(service, { ...extension(id), key: KEY }))).toEqual(
      essenceOf(first),
    );
    await service.advance(1);
    const later = await send(service, { ...extension(id, 90), key: KEY });
    expect(later.body).toMatchObject({ duration_seconds: 450, revision: 3 });
    expect((await send(service, { ...extension(id, 90), key: KEY })).text).toBe(later.text);
    expect(await lengthOf(service)).toBe(3);
  });

  it('keeps refusals that another try would meet again', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    const { id } = await service.create();
    const pause = { path: `/timers/${id}/control`, body: { action: 'pause' }, key: KEY };
    const refused = await send(service, pause);
    expect([refused.status, problemIn(refused).code]).toEqual([400, 'impossible_action']);
    await service.act(id, 'start');
    expect(essenceOf(await send(service, pause))).toEqual(essenceOf(refused));
    const invalid = { path: '/timers', body: {}, key: 'invalid' };
    const first = await send(service, invalid);
    expect(problemIn(first)).toMatchObject({ status: 422, errors: [{}] });
    expect(essenceOf(await send(service, invalid))).toEqual(essenceOf(first));
    expect(await service.get(id)).toMatchObject({ state: 'running', revision: 2 });
  });

  it('tries again what failed for a time only', async () => {
    const journal = new DisturbedJournal();
    const service = await TestService.start({ journal, settings: { MAX_TIMERS: '1' } });
    const { id } = await service.create();
    journal.refuses = ({ type }) => type === 'extended';
    const first = await send(service, { ...extension(id), key: KEY });
    expect([first.status, problemIn(first).code]).toEqual([503, 'journal_unavailable']);
    journal.refuses = () => false;
    expect((await send(service, { ...extension(id), key: KEY })).status).toBe(200);
    const creation = { path: '/timers', body: { duration_seconds: 60 }, key: 'creation' };
    expect((await send(service, creation)).status).toBe(429);
    await service.request('DELETE', `/timers/${id}`);
    expect((await send(service, creation)).status).toBe(201);
  });

  it('changes nothing when it cannot be read whether that was done, and answers if it cannot be kept', async () => {
    const journal = new MemoryJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    const { get, put } = journal.documents;
    const broken = async () => {
      throw new Error('disk I/O error');
    };
    Object.assign(journal.documents, { get: broken });
    const unread = await send(service, { ...extension(id), key: KEY });
    expect([unread.status, problemIn(unread).code]).toEqual([503, 'journal_unavailable']);
    Object.assign(journal.documents, { get, put: broken });
    const unkept = await send(service, { ...extension(id), key: KEY });
    expect(unkept.status).toBe(200);
    Object.assign(journal.documents, { put });
    expect((await send(service, { ...extension(id), key: KEY })).text).toBe(unkept.text);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
  });

  it('knows the key of one caller from the same key of another', async () => {
    const service = await TestService.start();
    await service.protect();
    const { id } = await service.create();
    await send(service, { ...extension(id), key: KEY });
    const { key } = await service.createKey({ role: 'admin' });
    service.token = key;
    const other = await send(service, { ...extension(id), key: KEY });
    expect(other.body).toMatchObject({ duration_seconds: 420, revision: 3 });
    expect((await send(service, { ...extension(id), key: KEY })).text).toBe(other.text);
  });

  it('T12: takes a body that is nested however deep for the request it is, and not for a fault', async () => {
    const service = await TestService.start();
    const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const post = async (body: string): Promise<number> => {
      const response = await fetch(`${service.service.url}/timers`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': hash('sha256', body) },
        body,
      });
      return response.status;
    };
    const besides = `{"duration_seconds":60,"besides":${nested}}`;
    for (const [body, status] of [
      [nested, 422],
      [besides, 201],
    ] as const) {
      expect([await post(body), await post(body)]).toEqual([status, status]);
    }
    expect(await lengthOf(service)).toBe(1);
  });

  it.each(['', 'two words', 'x'.repeat(256), 'ключ'])('refuses %j as a key', async (key) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const header = Buffer.from(key).toString('latin1');
    const reply = await send(service, { ...extension(id), key: header });
    expect([reply.status, problemIn(reply).code]).toEqual([422, 'invalid_request']);
    expect(await service.get(id)).toMatchObject({ revision: 1 });
  });

  it('tells a key again to whoever asked for it, and keeps it where nobody else can read it', async () => {
    const directory = temporaryFolder();
    const first = await TestService.start({ journal: await openSqlite(directory) });
    await first.protect();
    const { token } = first;
    const asked = { path: '/keys', body: { role: 'observer', label: 'Proctor' }, key: KEY };
    const answer = essenceOf(await send(first, asked));
    const { key } = z.object({ key: z.string() }).parse(JSON.parse(answer.text));
    // There may be a `_` in it, and it may begin with one.
    const secret = key.split('_').slice(2).join('_');
    for (const drawer of ['answers', 'keys']) {
      const documents = await first.journal.documents.list(drawer);
      expect(documents.length).toBeGreaterThan(0);
      for (const { text } of documents) expect(text).not.toContain(secret);
    }
    await first.stop();
    const second = await TestService.start({ journal: await openSqlite(directory) });
    second.token = token;
    expect(essenceOf(await send(second, asked))).toEqual(answer);
    const { body } = await second.request('GET', '/keys');
    expect(z.array(z.unknown()).parse(body)).toHaveLength(2);
  });
});

describe.each([
  ['memory', () => Promise.resolve(new MemoryJournal())],
  ['SQLite', () => openSqlite()],
])('A5: a timer in %s that may have been made', (_, open) => {
  const creation = { path: '/timers', body: { duration_seconds: 60 }, key: KEY };

  async function asked() {
    const journal: Journal = await open();
    const service = await TestService.start({ journal });
    const arrive = loseNextAppend(journal);
    const first = await send(service, creation);
    expect(problemIn(first).code).toBe('outcome_unknown');
    expect(await lengthOf(service)).toBe(0);
    return { journal, service, arrive };
  }

  async function expectOne(service: TestService, answer: Reply): Promise<void> {
    expect(answer.status).toBe(201);
    expect(essenceOf(await send(service, creation))).toEqual(essenceOf(answer));
    const { body } = await service.request('GET', '/timers');
    expect(body).toMatchObject([{ id: timerSchema.parse(answer.body).id }]);
    expect(await lengthOf(service)).toBe(1);
  }

  it('A5: is made once when it is asked for again before it comes', async () => {
    const { service, arrive } = await asked();
    const again = await send(service, creation);
    expect(await arrive()).toEqual(['conflict']);
    await expectOne(service, again);
  });

  it('A5: is found when it has come meanwhile', async () => {
    const { service, arrive } = await asked();
    expect(await arrive()).toEqual(['committed']);
    await expectOne(service, await send(service, creation));
  });

  it('A5: is found when it comes right after it was looked for', async () => {
    const { journal, service, arrive } = await asked();
    const { entriesOfRequest } = journal;
    const tooEarly = async (prefix: string) => {
      const entries = await entriesOfRequest.call(journal, prefix);
      await arrive();
      return entries;
    };
    Object.assign(journal, { entriesOfRequest: tooEarly });
    const again = await send(service, creation);
    Object.assign(journal, { entriesOfRequest });
    await expectOne(service, again);
  });
});

it('A5: a timer that may have been made is made once, also after a restart', async () => {
  const directory = temporaryFolder();
  const creation = { path: '/timers', body: { duration_seconds: 60 }, key: KEY };
  const journal = await openSqlite(directory);
  const first = await TestService.start({ journal });
  const lost = loseNextAppend(journal);
  expect((await send(first, creation)).status).toBe(503);
  await first.stop();
  const second = await TestService.start({ journal: await openSqlite(directory) });
  expect((await send(second, creation)).status).toBe(201);
  expect(await lost(second.journal)).toEqual(['conflict']);
  expect(await lengthOf(second)).toBe(1);
});

describe('A5, R5: a receipt that is asked for again', () => {
  const receiptOf = (timerId: string): Sent => {
    return { path: `/timers/${timerId}/receipts`, body: {}, key: KEY };
  };

  it('is the one of the first time, later, after a restart and when the timer is gone', async () => {
    const directory = temporaryFolder();
    const clock = new SimulatedClock();
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    const { id } = await first.create({ duration_seconds: 60, auto_start: true });
    await first.advance(59_999);
    const answer = essenceOf(await send(first, receiptOf(id)));
    expect(answer).toMatchObject({
      status: 201,
      text: expect.stringContaining('"remaining_ms":1,'),
      headers: [expect.anything(), null, null, 'no-store'],
    });
    await first.advance(5000);
    expect(essenceOf(await send(first, receiptOf(id)))).toEqual(answer);
    const anew = await send(first, { ...receiptOf(id), key: 'another' });
    expect(anew.body).toMatchObject({ late_by_ms: 4999 });
    const other = await send(first, { ...receiptOf(id), body: { payload_sha256: null } });
    expect(problemIn(other).code).toBe('idempotency_key_reused');
    await first.request('DELETE', `/timers/${id}`);
    await first.stop();
    const second = await TestService.start({ journal: await openSqlite(directory), clock });
    expect(essenceOf(await send(second, receiptOf(id)))).toEqual(answer);
  });

  it('says how the timer stood when it was asked for, however long answers are looked for', async () => {
    const journal = new MemoryJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    const { documents } = journal;
    const get = documents.get.bind(documents);
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let lookups = 0;
    Object.assign(documents, {
      get: async (...asked: Parameters<typeof get>) => {
        lookups += 1;
        await held;
        return get(...asked);
      },
    });
    await service.advance(59_999);
    const asked = send(service, receiptOf(id));
    while (lookups === 0) await new Promise((resolve) => setImmediate(resolve));
    await service.advance(5000);
    release();
    expect((await asked).body).toMatchObject({ state: 'running', remaining_ms: 1, late_by_ms: 0 });
  });

  it.each(['display', 'observer'] as const)(
    'A4: is not kept for the role %s, if it asks for too many, and is given without a key',
    async (role) => {
      const service = await TestService.start();
      await service.protect();
      const { id } = await service.create();
      const admin = service.token;
      service.token = (await service.createKey({ role, timers: [id] })).key;
      const statusOf = async (key: string) =>
        (await send(service, { ...receiptOf(id), key })).status;
      const keys = Array.from({ length: 250 }, (_, index) => `${index}`);
      expect(new Set(await Promise.all(keys.map(statusOf)))).toEqual(new Set([201]));
      const kept = await service.journal.documents.list('answers');
      expect([await statusOf('new'), await statusOf('0')]).toEqual([429, 201]);
      expect((await service.request('POST', `/timers/${id}/receipts`, {})).status).toBe(201);
      expect(await service.journal.documents.list('answers')).toHaveLength(kept.length);
      await service.advance(6000);
      expect([await statusOf('new'), await statusOf('newer')]).toEqual([201, 429]);
      service.token = admin;
      expect([await statusOf('new'), await statusOf('newer')]).toEqual([201, 201]);
    },
  );
});

describe('A5: a change of keys or webhooks whose answer a crash kept from being kept', () => {
  const CLOCK = new SimulatedClock();
  const webhook = { url: 'http://127.0.0.1:9/', events: ['timer.expired'] };
  const withId = z.looseObject({ id: z.string() });
  const idIn = ({ body }: { readonly body: unknown }): string => withId.parse(body).id;

  /** A change, the drawer that it is made in, and what is there of its kind afterwards. */
  const CHANGES: Readonly<
    Record<
      string,
      {
        readonly drawer: string;
        readonly asked: (service: TestService) => Promise<Sent>;
        readonly left: { readonly path: string; readonly count: number };
      }
    >
  > = {
    'a key that is made': {
      drawer: 'keys',
      asked: async () => ({ path: '/keys', body: { role: 'observer' } }),
      left: { path: '/keys', count: 2 },
    },
    'a key that is revoked': {
      drawer: 'keys',
      asked: async (service) => {
        const { id } = await service.createKey({ role: 'observer' });
        return { method: 'DELETE', path: `/keys/${id}` };
      },
      left: { path: '/keys', count: 1 },
    },
    'a webhook that is made': {
      drawer: 'webhooks',
      asked: async () => ({ path: '/webhooks', body: webhook }),
      left: { path: '/webhooks', count: 1 },
    },
    'a webhook that is deleted': {
      drawer: 'webhooks',
      asked: async (service) => {
        const id = idIn(await service.request('POST', '/webhooks', webhook));
        return { method: 'DELETE', path: `/webhooks/${id}` };
      },
      left: { path: '/webhooks', count: 0 },
    },
    'a secret that is made': {
      drawer: 'webhooks',
      asked: async (service) => {
        const id = idIn(await service.request('POST', '/webhooks', webhook));
        return { path: `/webhooks/${id}/rotate` };
      },
      left: { path: '/webhooks', count: 1 },
    },
  };

  /** A service that ended right after the change, and one that started after it. */
  async function changedAndRestarted({ drawer, asked }: (typeof CHANGES)[string]) {
    const journal = new DisturbedJournal();
    const first = await TestService.start({ journal, clock: CLOCK });
    await first.protect();
    const change = { ...(await asked(first)), key: KEY };
    journal.fullAfter = drawer;
    const answer = essenceOf(await send(first, change));
    expect(journal.isFull).toBe(true);
    await first.stop();
    journal.fullAfter = undefined;
    journal.isFull = false;
    const second = await TestService.start({ journal, clock: CLOCK });
    second.token = first.token;
    return { journal, service: second, change, answer };
  }

  it.each(Object.keys(CHANGES))('A5: finds %s made, and gives the same answer', async (name) => {
    const kind = CHANGES[name];
    if (kind === undefined) throw new RangeError(name);
    const { service, change, answer } = await changedAndRestarted(kind);
    expect(answer.status).toBeLessThan(300);
    expect(essenceOf(await send(service, change))).toEqual(answer);
    expect(essenceOf(await send(service, change))).toEqual(answer);
    const { path, count } = kind.left;
    expect((await service.request('GET', path)).body).toHaveLength(count);
  });

  it('A5, A1: brings no key back that was revoked meanwhile, also after a restart', async () => {
    const kind = CHANGES['a key that is made'];
    if (kind === undefined) throw new RangeError();
    const { journal, service, change, answer } = await changedAndRestarted(kind);
    const { id, key } = z
      .object({ id: z.string(), key: z.string() })
      .parse(JSON.parse(answer.text));
    expect((await service.request('DELETE', `/keys/${id}`)).status).toBe(204);
    await service.stop();
    const next = await TestService.start({ journal, clock: CLOCK });
    next.token = service.token;
    expect(essenceOf(await send(next, change))).toEqual(answer);
    expect((await next.request('GET', '/keys')).body).toHaveLength(1);
    next.token = key;
    expect((await next.request('GET', '/me')).status).toBe(401);
  });

  it('A5: brings no webhook back that was deleted meanwhile, also after a restart', async () => {
    const kind = CHANGES['a webhook that is made'];
    if (kind === undefined) throw new RangeError();
    const { journal, service, change, answer } = await changedAndRestarted(kind);
    const { id, secret } = z
      .object({ id: z.string(), secret: z.string() })
      .parse(JSON.parse(answer.text));
    expect((await service.request('DELETE', `/webhooks/${id}`)).status).toBe(204);
    for (const { text } of await journal.documents.list('deleted-webhooks')) {
      expect(text).not.toContain(secret);
    }
    await service.stop();
    const next = await TestService.start({ journal, clock: CLOCK });
    next.token = service.token;
    expect(essenceOf(await send(next, change))).toEqual(answer);
    expect((await next.request('GET', '/webhooks')).body).toEqual([]);
    expect(await journal.documents.list('webhook-cursors')).toEqual([]);
  });

  it('A5: goes on with a webhook that was half made, and leaves one alone that is', async () => {
    const kind = CHANGES['a webhook that is made'];
    if (kind === undefined) throw new RangeError();
    const halfMade = { ...kind, drawer: 'webhook-cursors' };
    const { journal, service, change, answer } = await changedAndRestarted(halfMade);
    expect(answer.status).toBe(503);
    const [cursor] = await journal.documents.list('webhook-cursors');
    await service.create();
    expect((await send(service, change)).status).toBe(201);
    // It is told of what happened since it was asked for first.
    expect(await journal.documents.list('webhook-cursors')).toEqual([cursor]);
    expect((await service.request('GET', '/webhooks')).body).toHaveLength(1);
  });

  it('A5: refuses another request under the key', async () => {
    const kind = CHANGES['a key that is made'];
    if (kind === undefined) throw new RangeError();
    const { service, change } = await changedAndRestarted(kind);
    const other = await send(service, { ...change, body: { role: 'admin' } });
    expect(problemIn(other).code).toBe('idempotency_key_reused');
    expect((await service.request('GET', '/keys')).body).toHaveLength(2);
  });

  it('A5, A3: keeps what it planned where nobody else can read it, and makes nothing that it cannot plan', async () => {
    const journal = new DisturbedJournal();
    const service = await TestService.start({ journal });
    await service.protect();
    const asked = { path: '/keys', body: { role: 'observer' }, key: KEY };
    journal.isFull = true;
    expect(problemIn(await send(service, asked)).code).toBe('journal_unavailable');
    expect((await service.request('GET', '/keys')).body).toHaveLength(1);
    journal.isFull = false;
    journal.fullAfter = 'keys';
    const { body } = await send(service, asked);
    const { key } = z.object({ key: z.string() }).parse(body);
    const [, id = '', secret = ''] = /^sts_([0-9a-f]+)_(.+)$/.exec(key) ?? [];
    const kept = (await journal.documents.list('answers')).map(({ text }) => text).join('\n');
    expect(kept).not.toBe('');
    for (const form of [kept, Buffer.from(kept, 'base64').toString('latin1')]) {
      expect(form).not.toContain(secret);
      expect(form).not.toContain(id);
    }
  });
});

describe('A6: a change with If-Match is made at that revision only', () => {
  it('is refused when the timer has moved on, and made when it has not', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const first = await send(service, { ...extension(id), ifMatch: '"1"' });
    expect([first.status, first.headers.get('etag')]).toEqual([200, '"2"']);
    const late = await send(service, { ...extension(id), ifMatch: '"1"' });
    expect([late.status, problemIn(late).code]).toEqual([412, 'wrong_revision']);
    expect(problemIn(late).detail).toContain('revision 2');
    const path = `/timers/${id}`;
    expect((await send(service, { method: 'DELETE', path, ifMatch: '"1"' })).status).toBe(412);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
    expect((await send(service, { method: 'DELETE', path, ifMatch: ' "2" ' })).status).toBe(204);
  });

  it('lets one of many that saw the same revision win', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    const { id } = await service.create();
    const rivals = Array.from({ length: 20 }, (_, index) => {
      return send(service, { ...extension(id, index + 1), ifMatch: '"1"' });
    });
    const statuses = (await Promise.all(rivals)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(19);
    expect(await service.get(id)).toMatchObject({ revision: 2 });
  });

  it('is decided behind a change that came before and is still being recorded', async () => {
    const journal = new DisturbedJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    journal.isHeld = true;
    const first = send(service, extension(id));
    while (journal.appends.length < 2) await new Promise((resolve) => setImmediate(resolve));
    const conditional = send(service, { ...extension(id), ifMatch: '"1"' });
    // A request that is answered after it has been taken in.
    await service.request('GET', '/health');
    journal.isHeld = false;
    journal.release();
    expect((await first).status).toBe(200);
    expect((await conditional).status).toBe(412);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
  });

  it('meets the end of the timer that nobody had noticed', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    service.clock.stall(60_000);
    expect((await send(service, { ...extension(id), ifMatch: '"1"' })).status).toBe(412);
    expect(await service.get(id)).toMatchObject({ state: 'expired', revision: 2 });
  });

  it('holds for any revision with *, of a timer that is there', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.act(id, 'extend', 60);
    expect((await send(service, { ...extension(id), ifMatch: '*' })).status).toBe(200);
    expect((await send(service, { ...extension('timer_x'), ifMatch: '*' })).status).toBe(404);
    expect((await send(service, { ...extension('timer_x'), ifMatch: '"1"' })).status).toBe(404);
  });

  it.each(['"2", "1"', '"1","7"', 'W/"1", "1"', '"a,b" , "1"', '"1",', ', "1"'])(
    'A6: lets a change be made if one of %j is the revision',
    async (ifMatch) => {
      const service = await TestService.start();
      const { id } = await service.create();
      expect((await send(service, { ...extension(id), ifMatch })).status).toBe(200);
      const late = await send(service, { ...extension(id), ifMatch: '"1", "3"' });
      expect(problemIn(late).code).toBe('wrong_revision');
    },
  );

  it.each(['W/"1"', '"0"', '"01"', '"-1"', '"one"', '"2", W/"1"', '"1234567890123456"', '""'])(
    'A6: finds the timer at no revision by %j, which is no tag of its revisions',
    async (ifMatch) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const reply = await send(service, { ...extension(id), ifMatch });
      expect([reply.status, problemIn(reply).code]).toEqual([412, 'wrong_revision']);
      expect(await service.get(id)).toMatchObject({ revision: 1 });
    },
  );

  it('A6: is not taken by a bulk command, which would have to ignore it', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const bulk = { path: '/timers/bulk/start', body: [id], ifMatch: '"1"' };
    expect(problemIn(await send(service, bulk)).code).toBe('invalid_request');
    expect(await service.get(id)).toMatchObject({ revision: 1 });
  });

  it.each(['', '1', 'W/1', 'w/"1"', '"1" "2"', ',', '*, "1"', '"1'])(
    'A6: refuses %j, which is no list of tags',
    async (ifMatch) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const reply = await send(service, { ...extension(id), ifMatch });
      expect([reply.status, problemIn(reply).code]).toEqual([422, 'invalid_request']);
      expect(await service.get(id)).toMatchObject({ revision: 1 });
    },
  );
});
