/** The REST side over real sockets: every endpoint, every refusal, every limit. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Entry, JournalAnswer } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import { RawClient } from '../support/raw-client.js';
import { type Answer, problemIn, TestService } from '../support/service.js';

const SECOND = 1000;
const CREATED_AT = '2026-01-15T10:00:00.000Z';
const CREATED_AT_MS = Date.parse(CREATED_AT);

const STATES = ['created', 'running', 'paused', 'expired', 'completed'] as const;
type State = (typeof STATES)[number];

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string | Buffer<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Sends exactly this, where `TestService.request` would make it well-formed. */
async function send(service: TestService, call: Call): Promise<Answer> {
  const { method = 'POST', path = '/timers', body, headers = JSON_TYPE } = call;
  const response = await fetch(`${service.service.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  };
}

async function list(service: TestService, query = ''): Promise<TimerResource[]> {
  const answer = await service.request('GET', `/timers${query}`);
  expect(answer.status).toBe(200);
  return z.array(z.strictObject(timerSchema.shape)).parse(answer.body);
}

/** Does a request that must be refused, and proves that it changed nothing (T12). */
async function refused(service: TestService, call: Call): Promise<Answer> {
  const before = await list(service);
  const answer = await send(service, call);
  expect(problemIn(answer)).toMatchObject({
    status: answer.status,
    type: expect.stringMatching(/^urn:synchronized-timer:problem:\w+$/),
    title: expect.stringMatching(/./),
    detail: expect.stringMatching(/./),
  });
  // The simulated clock stands still, so that even the server's time is the same.
  expect(await list(service)).toEqual(before);
  return answer;
}

/** A new timer of 300 seconds, led into a state. */
async function timerIn(service: TestService, state: State): Promise<TimerResource> {
  const { id } = await service.create();
  if (state !== 'created') await service.act(id, 'start');
  if (state !== 'created') await service.advance(10 * SECOND);
  if (state === 'paused') await service.act(id, 'pause');
  if (state === 'completed') await service.act(id, 'stop');
  if (state === 'expired') await service.advance(290 * SECOND);
  const timer = await service.get(id);
  expect(timer.state).toBe(state);
  return timer;
}

/** A journal whose disk stands still while it is told to. */
class SlowJournal extends MemoryJournal {
  #gate: Promise<void> = Promise.resolve();

  /** Keeps appends waiting until the function it gives is called. */
  hold(): () => void {
    let release = (): void => {};
    this.#gate = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  override async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    await this.#gate;
    return super.append(entries);
  }
}

describe('POST /timers', () => {
  it('creates a timer: 201, its address in Location, and every field of the reference', async () => {
    const service = await TestService.start();
    const answer = await service.request('POST', '/timers', {
      duration_seconds: 300,
      name: 'Quiz Timer',
      warning_thresholds: [60, 30, 10],
      auto_start: false,
    });
    expect(answer.status).toBe(201);
    const { id } = timerSchema.parse(answer.body);
    expect(answer.headers.get('location')).toBe(`/timers/${id}`);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^timer_[0-9a-z]{21}$/),
      name: 'Quiz Timer',
      state: 'created',
      duration_seconds: 300,
      remaining_seconds: 300,
      elapsed_seconds: 0,
      warning_thresholds: [60, 30, 10],
      connected_clients: 0,
      created_at: CREATED_AT,
      started_at: null,
      completed_at: null,
      remaining_ms: 300_000,
      deadline_ms: null,
      server_time_ms: CREATED_AT_MS,
      revision: 1,
    });
  });

  it('names a timer "Timer", warns at 300, 60 and 30 seconds, and waits for its start by default', async () => {
    const service = await TestService.start();
    const answer = await service.request('POST', '/timers', { duration_seconds: 600 });
    expect(answer.body).toMatchObject({
      name: 'Timer',
      warning_thresholds: [300, 60, 30],
      state: 'created',
    });
  });

  it('takes the default thresholds from the settings', async () => {
    const settings = { DEFAULT_WARNING_THRESHOLDS: '7, 3' };
    const service = await TestService.start({ settings });
    expect((await service.create()).warning_thresholds).toEqual([7, 3]);
  });

  it('starts a timer at the instant of its creation when auto_start says so', async () => {
    const service = await TestService.start();
    await service.advance(1234);
    const at = new Date(CREATED_AT_MS + 1234).toISOString();
    expect(await service.create({ auto_start: true })).toMatchObject({
      state: 'running',
      created_at: at,
      started_at: at,
      deadline_ms: CREATED_AT_MS + 1234 + 300_000,
    });
  });

  it.each<[string, readonly Record<string, unknown>[]]>([
    [
      'durations from the shortest to the longest',
      [1, 86_400].map((duration_seconds) => ({ duration_seconds })),
    ],
    [
      'names of 1 to 200 characters, whatever they are',
      [
        ...['x', 'n'.repeat(200), '🕐'.repeat(200), 'Prüfung 试验 اختبار \u202e\u200b'],
        ...['<script>alert("1")</script>\n\t\u0000', '__proto__'],
      ].map((name) => ({ name })),
    ],
    [
      'up to 20 thresholds, in any order and some of them twice',
      [[], [5, 60, 5, 86_400], Array.from({ length: 20 }, (_, index) => 20 - index)].map(
        (warning_thresholds) => ({ warning_thresholds }),
      ),
    ],
  ])('takes %s, and gives them back as they are', async (_, definitions) => {
    const service = await TestService.start();
    for (const definition of definitions) {
      const body = { duration_seconds: 300, ...definition };
      const answer = await service.request('POST', '/timers', body);
      expect(answer).toMatchObject({ status: 201, body: definition });
      const { id } = timerSchema.parse(answer.body);
      expect(await service.get(id)).toMatchObject(definition);
    }
  });

  it('understands everything that JSON allows, and ignores what it does not know', async () => {
    const service = await TestService.start();
    for (const body of [
      '{"duration_seconds": 300.0}',
      '{"duration_seconds": 3e2}',
      '{"duration_seconds": "x", "duration_seconds": 300}',
      ' \r\n\t{ "duration_seconds" : 300 } \n',
      '{"duration_seconds": 300, "state": "running", "id": "mine", "revision": 9}',
      '{"duration_seconds": 300, "__proto__": {"name": "polluted", "auto_start": true}}',
      '{"duration_seconds": 300, "constructor": {"prototype": {"polluted": true}}, "toString": 1}',
      `{"duration_seconds": 300, "x": ${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    ]) {
      expect(await send(service, { body }), body.slice(0, 100)).toMatchObject({
        status: 201,
        body: { name: 'Timer', duration_seconds: 300, state: 'created', revision: 1 },
      });
      expect('polluted' in {}).toBe(false);
    }
  });
});

describe('GET /timers/{timer_id}', () => {
  it('shows a running timer with every field of the reference', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ name: 'Quiz Timer', warning_thresholds: [60, 30, 10] });
    await service.advance(5 * SECOND);
    await service.act(id, 'start');
    await service.advance(54_001);
    const display = await service.display(id);
    const answer = await service.request('GET', `/timers/${id}`);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual({
      id,
      name: 'Quiz Timer',
      state: 'running',
      duration_seconds: 300,
      remaining_seconds: 246,
      elapsed_seconds: 54,
      warning_thresholds: [60, 30, 10],
      connected_clients: 1,
      created_at: CREATED_AT,
      started_at: '2026-01-15T10:00:05.000Z',
      completed_at: null,
      remaining_ms: 245_999,
      deadline_ms: CREATED_AT_MS + 305_000,
      server_time_ms: CREATED_AT_MS + 59_001,
      revision: 2,
    });
    await display.leave();
  });

  it('is kept by no cache, and names its revision', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { headers } = await service.request('GET', `/timers/${id}`);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('etag')).toBe('"1"');
  });

  it.each(['"1"', 'W/"1"', '"0", "1"', '*'])(
    'A6: is told anew to those who know its revision: If-None-Match: %s',
    async (condition) => {
      const service = await TestService.start();
      const { id } = await service.create();
      // Otherwise `fetch` adds `no-cache`, which asks for a new answer by itself.
      const headers = { 'If-None-Match': condition, 'Cache-Control': 'max-age=0' };
      for (const path of [`/timers/${id}`, `/timers/${id}/history`, '/timers']) {
        const answer = await send(service, { method: 'GET', path, headers });
        expect(answer.status).toBe(200);
        expect(JSON.stringify(answer.body)).toContain('"created"');
      }
    },
  );
});

describe('POST /timers/{timer_id}/control', () => {
  type Action = 'start' | 'pause' | 'resume' | 'extend' | 'stop';
  const ACTIONS: readonly Action[] = ['start', 'pause', 'resume', 'extend', 'stop'];
  /** Where each possible action leads; every other one is refused. */
  const POSSIBLE: Record<State, Partial<Record<Action, State>>> = {
    created: { start: 'running', extend: 'created', stop: 'completed' },
    running: { pause: 'paused', extend: 'running', stop: 'completed' },
    paused: { start: 'running', resume: 'running', extend: 'paused', stop: 'completed' },
    expired: {},
    completed: {},
  };
  const cases = STATES.flatMap((state) =>
    ACTIONS.map((action) => [action, state, POSSIBLE[state][action] ?? 'refused'] as const),
  );

  it.each(cases)('%s in %s: %s', async (action, state, next) => {
    const service = await TestService.start();
    const before = await timerIn(service, state);
    await service.advance(500);
    const answer = await service.control(before.id, action, action === 'extend' ? 60 : undefined);
    const after = await service.get(before.id);
    if (next === 'refused') {
      const possible = Object.keys(POSSIBLE[state]);
      const inOrder = ACTIONS.filter((name) => possible.includes(name));
      expect(problemIn(answer)).toMatchObject({
        status: 400,
        detail: `Cannot ${action} timer in state '${state}'. Valid actions: [${inOrder.join(', ')}]`,
      });
      expect(answer.status).toBe(400);
      expect(after).toMatchObject({ state, revision: before.revision });
      return;
    }
    expect(answer).toMatchObject({ status: 200, body: { state: next } });
    expect(answer.body).toEqual(after);
    expect(after.revision).toBe(before.revision + 1);
    const addedMs = action === 'extend' ? 60_000 : 0;
    const elapsedMs = state === 'running' ? 500 : 0;
    expect(after.remaining_ms).toBe(before.remaining_ms + addedMs - elapsedMs);
    expect(after.duration_seconds).toBe(300 + addedMs / 1000);
    expect(after.elapsed_seconds).toBe(after.duration_seconds - after.remaining_seconds);
    expect(after.deadline_ms).toBe(
      next === 'running' ? after.server_time_ms + after.remaining_ms : null,
    );
    const at = new Date(after.server_time_ms).toISOString();
    expect(after.started_at).toBe(
      state === 'created' && action === 'start' ? at : before.started_at,
    );
    expect(after.completed_at).toBe(action === 'stop' ? at : null);
  });

  it.each(STATES)('DELETE in %s: 204 without a body, and 404 from then on', async (state) => {
    const service = await TestService.start();
    const { id } = await timerIn(service, state);
    const deleted = await service.request('DELETE', `/timers/${id}`);
    expect(deleted).toMatchObject({ status: 204, body: undefined });
    expect(await list(service)).toEqual([]);
    const after = [
      await service.request('GET', `/timers/${id}`),
      await service.request('DELETE', `/timers/${id}`),
      await service.control(id, 'start'),
    ];
    expect(after.map(problemIn)).toMatchObject(
      after.map(() => ({ status: 404, detail: `Timer not found: ${id}` })),
    );
  });

  it('carries out one of two equal commands that come together, and refuses the other', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const starts = await Promise.all([service.control(id, 'start'), service.control(id, 'start')]);
    expect(starts.map(({ status }) => status).sort()).toEqual([200, 400]);
    const deletions = await Promise.all([
      service.request('DELETE', `/timers/${id}`),
      service.request('DELETE', `/timers/${id}`),
    ]);
    expect(deletions.map(({ status }) => status).sort()).toEqual([204, 404]);
    const history = await service.journal.history(id);
    expect(history.map(({ type }) => type)).toEqual(['created', 'started', 'deleted']);
  });

  it('ignores extend_seconds with every other action', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const extend_seconds of [300, null]) {
      const path = `/timers/${id}/control`;
      const answer = await service.request('POST', path, { action: 'start', extend_seconds });
      expect(answer).toMatchObject({ status: 200, body: { duration_seconds: 300 } });
      await service.act(id, 'pause');
    }
  });
});

describe('T4: a timer never expires early and expires exactly once, at the deadline itself', () => {
  const DEADLINE = new Date(CREATED_AT_MS + 300 * SECOND).toISOString();

  it('runs on after an extension that was committed just before the deadline', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    await service.advance(300 * SECOND - 1);
    await service.act(id, 'extend', 60);
    await service.advance(1);
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 60_000 });
    await service.advance(60 * SECOND - 1);
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 1 });
    await service.advance(1);
    expect(await service.get(id)).toMatchObject({
      state: 'expired',
      duration_seconds: 360,
      elapsed_seconds: 360,
      completed_at: new Date(CREATED_AT_MS + 360 * SECOND).toISOString(),
    });
  });

  it('runs on after an extension that came in time and was recorded after the deadline', async () => {
    const journal = new SlowJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create({ auto_start: true });
    await service.advance(300 * SECOND - 1);
    const release = journal.hold();
    const extending = service.control(id, 'extend', 60);
    await expect.poll(() => service.service.registry.isIdle).toBe(false);
    await service.clock.advance(2 * SECOND);
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 0 });
    release();
    expect(await extending).toMatchObject({ status: 200, body: { state: 'running' } });
    await service.settle();
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 58_001 });
    const types = (await journal.history(id)).map(({ type }) => type);
    expect(types).toEqual(['created', 'extended']);
  });

  it.each(['pause', 'stop', 'extend', 'start', 'resume'])(
    'refuses to %s a timer exactly at its deadline, and the timer is expired',
    async (action) => {
      const service = await TestService.start();
      const { id } = await service.create({ auto_start: true });
      await service.advance(300 * SECOND);
      const answer = await service.control(id, action, action === 'extend' ? 60 : undefined);
      expect(problemIn(answer)).toMatchObject({
        status: 400,
        detail: `Cannot ${action} timer in state 'expired'. Valid actions: []`,
      });
      expect(await service.get(id)).toMatchObject({ state: 'expired', completed_at: DEADLINE });
    },
  );

  it.each([
    ['pause', 0],
    ['pause', 5000],
    ['stop', 0],
    ['extend', 1],
  ])(
    'refuses to %s a timer %d ms after a deadline that nobody has noticed',
    async (action, lateMs) => {
      const service = await TestService.start();
      const { id } = await service.create({ auto_start: true });
      const display = await service.display(id, '?ticks=false');
      await service.advance(299 * SECOND);
      service.clock.stall(SECOND + lateMs);
      const answer = await service.control(id, action, action === 'extend' ? 60 : undefined);
      expect(problemIn(answer)).toMatchObject({
        status: 400,
        detail: `Cannot ${action} timer in state 'expired'. Valid actions: []`,
      });
      expect(await service.get(id)).toMatchObject({
        state: 'expired',
        remaining_ms: 0,
        completed_at: DEADLINE,
      });
      await service.advance(10 * SECOND);
      const expiries = (await service.journal.history(id)).filter(({ type }) => type === 'expired');
      expect(expiries).toMatchObject([{ atMs: CREATED_AT_MS + 300 * SECOND }]);
      const told = (await display.news()).filter(({ type }) => type === 'timer_expired');
      expect(told).toMatchObject([{ elapsed_seconds: 300 }]);
    },
  );

  it('shows 0 and never less between the deadline and its record', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    await service.advance(299 * SECOND);
    service.clock.stall(5 * SECOND);
    expect(await service.get(id)).toMatchObject({
      remaining_seconds: 0,
      remaining_ms: 0,
      elapsed_seconds: 300,
    });
  });
});

describe('GET /timers', () => {
  it('lists nothing as an empty list', async () => {
    const service = await TestService.start();
    const answer = await service.request('GET', '/timers');
    expect(answer).toMatchObject({ status: 200, body: [] });
    expect(answer.headers.get('link')).toBeNull();
  });

  it('lists every timer in full, the oldest first', async () => {
    const service = await TestService.start();
    for (let index = 0; index < 5; index += 1) {
      await service.create({ name: `${index}` });
      await service.advance(1);
    }
    const timers = await list(service);
    expect(timers.map(({ name }) => name)).toEqual(['0', '1', '2', '3', '4']);
    expect(timers[3]).toEqual(await service.get(timers[3]?.id ?? ''));
  });

  it.each(STATES)('lists those in one state: ?state=%s', async (state) => {
    const service = await TestService.start();
    for (const each of STATES) await timerIn(service, each);
    await service.advance(1);
    // Timers that were led into their state first have been overtaken by the time of the others.
    const expected = (await list(service)).filter((timer) => timer.state === state);
    expect(await list(service, `?state=${state}`)).toEqual(expected);
  });

  it('lists a timer in its new state at once', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.act(id, 'start');
    expect(await list(service, '?state=created')).toEqual([]);
    expect(await list(service, '?state=running')).toMatchObject([{ id }]);
  });

  it.each([
    [1, 3],
    [2, 3],
    [3, 3],
    [2, 4],
    [1000, 3],
  ])('?limit=%d leads through %d timers page by page', async (limit, count) => {
    const service = await TestService.start();
    for (let index = 0; index < count; index += 1) await service.create();
    const all = await list(service);
    for (let from = 0; from < count; from += limit) {
      const after = from === 0 ? '' : `&after=${all[from - 1]?.id}`;
      const answer = await service.request('GET', `/timers?limit=${limit}${after}`);
      expect(answer.body).toEqual(all.slice(from, from + limit));
      const next = `</timers?limit=${limit}&after=${all[from + limit - 1]?.id}>; rel="next"`;
      expect(answer.headers.get('link')).toBe(from + limit < count ? next : null);
    }
  });

  it('?after begins after any id, also one that is gone or never was', async () => {
    const service = await TestService.start();
    await service.create();
    await service.advance(1);
    const { id } = await service.create();
    await service.advance(1);
    const { id: last } = await service.create();
    await service.request('DELETE', `/timers/${id}`);
    expect(await list(service, `?after=${id}`)).toMatchObject([{ id: last }]);
    expect(await list(service, '?after=zzz')).toEqual([]);
    expect(await list(service, '?after=')).toHaveLength(2);
  });

  it('shows those that came since it was asked last, and no longer those that went', async () => {
    const service = await TestService.start();
    const idsNow = async () => (await list(service)).map(({ id }) => id);
    const { id: first } = await service.create();
    expect(await idsNow()).toEqual([first]);
    await service.advance(1);
    const { id: second } = await service.create();
    expect(await idsNow()).toEqual([first, second]);
    await service.request('DELETE', `/timers/${first}`);
    await service.advance(1);
    expect(await idsNow()).toEqual([second]);
  });

  it.each(['', '&state=running'])(
    'skips and doubles no timer while others come and go between pages (%s)',
    async (filter) => {
      const service = await TestService.start();
      const auto_start = filter !== '';
      const original: string[] = [];
      for (let index = 0; index < 30; index += 1) {
        original.push((await service.create({ auto_start })).id);
        if (index % 3 === 0) await service.advance(1);
        // These do not pass the filter, and stand between those that do.
        if (auto_start) await service.create();
      }
      const deleted = new Set<string>();
      const seen: string[] = [];
      let path: string | undefined = `/timers?limit=4${filter}`;
      while (path !== undefined) {
        const answer = await service.request('GET', path);
        const page = z.array(timerSchema).parse(answer.body);
        expect(page.length).toBeLessThanOrEqual(4);
        seen.push(...page.map(({ id }) => id));
        path = /^<(.+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
        // Between two pages one that was shown and one to come are deleted; now and then the one
        // that was shown is the last, at which the next page begins.
        const sorted = [...original].sort();
        const coming = sorted.find((id) => !seen.includes(id) && !deleted.has(id));
        for (const id of [page.at(deleted.size % 4)?.id, coming]) {
          if (id === undefined || path === undefined) continue;
          await service.request('DELETE', `/timers/${id}`);
          deleted.add(id);
        }
        await service.advance(1);
        if (seen.length < 40) await service.create({ auto_start, name: 'new' });
      }
      expect(new Set(seen).size).toBe(seen.length);
      const kept = original.filter((id) => !deleted.has(id));
      expect(seen).toEqual(expect.arrayContaining(kept));
      expect(deleted.size).toBeGreaterThan(5);
    },
  );

  it.each([
    ['state', ['RUNNING', '', 'banana', '__proto__', 'constructor', 'running&state=paused']],
    [
      'limit',
      ['', '0', '-1', '1001', '1.5', 'ten', 'NaN', 'Infinity', '9'.repeat(20), '1&limit=2'],
    ],
    ['after', ['a&after=b', 'x'.repeat(101)]],
  ])('T12: refuses wrong values of ?%s with 422, and names it', async (name, values) => {
    const service = await TestService.start();
    await service.create();
    for (const value of values) {
      const path = `/timers?${name}=${value}`;
      const { status, errors = [] } = problemIn(
        await refused(service, { method: 'GET', path, headers: {} }),
      );
      expect(status, path).toBe(422);
      expect(new Set(errors.map(({ field }) => field)), path).toEqual(new Set([`query.${name}`]));
    }
  });

  it('is not confused by what else may be in a query', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const query of [
      '',
      'banana=1',
      'state[]=running',
      '__proto__[limit]=1',
      '%zz=1',
      '&&=&',
    ]) {
      expect(await list(service, `?${query}`), query).toMatchObject([{ id }]);
    }
  });
});

describe('T12: bad input gets a clear error, changes nothing and is never a 500', () => {
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const withField = (name: string, values: readonly string[]): string[] =>
    values.map((value) => `{"duration_seconds": 300, "${name}": ${value}}`);

  /** Bodies by the field that an error must name. */
  const BAD_DEFINITIONS: Record<string, readonly string[]> = {
    'body.duration_seconds': [
      '{}',
      '{"duration": 300}',
      ...[
        ...['null', '"300"', '""', 'true', '[]', '[300]', '{}', '0', '-1', '-0', '1.5', '0.1'],
        ...['86401', '1e21', '1e309', '-1e309', '9007199254740993', nested(10_000)],
      ].map((value) => `{"duration_seconds": ${value}}`),
    ],
    'body.name': withField('name', [
      ...['null', '""', '5', 'true', '[]', '["x"]', '{}'],
      ...[`"${'n'.repeat(201)}"`, `"${'🕐'.repeat(201)}"`],
      ...['"\\ud83d"', '"\\udd50\\ud83d"', '"One \\ud83d two"'],
    ]),
    'body.auto_start': withField('auto_start', ['null', '"true"', '"yes"', '1', '0', '[]', '{}']),
    'body.warning_thresholds': withField('warning_thresholds', [
      ...['null', '"60"', '60', '{}', '{"0": 60}', 'true'],
      JSON.stringify(Array.from({ length: 21 }, () => 5)),
    ]),
    'body.warning_thresholds.1': withField(
      'warning_thresholds',
      ['0', '-1', '1.5', '"60"', 'null', '[60]', '86401', '1e309', 'true', nested(10_000)].map(
        (value) => `[60, ${value}]`,
      ),
    ),
    body: [...['null', '[]', '[{"duration_seconds": 300}]', '"x"', '300', 'true'], nested(50_000)],
  };

  it.each(Object.entries(BAD_DEFINITIONS))(
    'POST /timers names what is wrong: %s',
    async (where, bodies) => {
      const service = await TestService.start();
      for (const body of bodies) {
        const answer = await refused(service, { body });
        const label = body.slice(0, 100);
        const { status, errors = [], detail } = problemIn(answer);
        expect(status, label).toBe(422);
        expect(
          errors.map((error) => error.field),
          label,
        ).toContain(where);
        expect(detail, label).toContain(where);
        expect(
          errors.every(({ message }) => message !== ''),
          label,
        ).toBe(true);
      }
    },
  );

  it('names every field that is wrong, not only the first', async () => {
    const service = await TestService.start();
    const body = '{"duration_seconds": 0, "name": "", "warning_thresholds": [0], "auto_start": 1}';
    const { errors = [] } = problemIn(await refused(service, { body }));
    expect(errors.map((error) => error.field)).toEqual([
      'body.duration_seconds',
      'body.name',
      'body.warning_thresholds.0',
      'body.auto_start',
    ]);
  });

  const BAD_CONTROLS = [
    ...['{}', 'null', '[]', '"start"', '{"Action": "start"}', '{"action": null}', '{"action": 5}'],
    ...['{"action": "START"}', '{"action": ""}', '{"action": "explode"}', '{"action": ["start"]}'],
    ...['{"action": "expire"}', '{"action": "delete"}', '{"action": "create"}', '{"action": {}}'],
    ...['{"action": "__proto__"}', '{"action": "constructor"}', '{"action": true}', nested(50_000)],
    ...['', '"300"', 'null', '0', '-5', '1.5', '3601', '1e21', '1e309', '[300]', 'true', '{}'].map(
      (seconds) => `{"action": "extend"${seconds === '' ? '' : `, "extend_seconds": ${seconds}`}}`,
    ),
    '{"action": "extend", "seconds": 300}',
    '{"action": "start", "extend_seconds": "many"}',
  ];

  it('POST /timers/{timer_id}/control refuses what is no action, in every state', async () => {
    const service = await TestService.start();
    for (const state of STATES) await timerIn(service, state);
    const timers = await list(service);
    for (const [index, body] of BAD_CONTROLS.entries()) {
      const timer = timers[index % timers.length];
      const path = `/timers/${timer?.id}/control`;
      const answer = await refused(service, { path, body });
      expect(problemIn(answer), body).toMatchObject({ status: 422, code: 'invalid_request' });
    }
  });

  it.each<[string, Call]>([
    ['with a length of 0', { body: '' }],
    [
      'that is empty when it is unpacked',
      { body: gzipSync(''), headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' } },
    ],
    ['without a type', { headers: {} }],
  ])('T12: a body that is missing is called so %s', async (_, call) => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const path of ['/timers', `/timers/${id}/control`, `/timers/${id}/tokens`]) {
      const { detail } = problemIn(await send(service, { path, ...call }));
      expect(detail).toMatch(/^The body is missing/);
    }
  });

  const ADDRESSES = ['/timers', '/timers/ID/control', '/timers/bulk/start', '/timers/bulk/extend'];
  const UNREADABLE: [string, number, Call][] = [
    ['malformed JSON', 422, { body: '{"duration_seconds": 300' }],
    ['a trailing comma', 422, { body: '{"duration_seconds": 300,}' }],
    ['single quotes', 422, { body: "{'duration_seconds': 300}" }],
    ['a bare word', 422, { body: 'undefined' }],
    ['two values', 422, { body: '{} {}' }],
    ['blanks', 422, { body: '  \n' }],
    ['a NUL', 422, { body: '\u0000' }],
    ['bytes that are no text', 422, { body: Buffer.from([0xff, 0xfe, 0x00, 0xd8]) }],
    ['unbalanced nesting', 422, { body: '['.repeat(200_000) }],
    ['an empty body', 422, { body: '' }],
    ['no body', 422, {}],
    ['no content type', 415, { body: Buffer.from('{"duration_seconds": 300}'), headers: {} }],
    ...[
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/xml',
    ].map((type): [string, number, Call] => [
      `the content type ${type}`,
      415,
      { body: '{"duration_seconds": 300}', headers: { 'Content-Type': type } },
    ]),
    [
      'a content type that is none',
      415,
      { body: '{"duration_seconds": 300}', headers: { 'Content-Type': 'json; ;;=' } },
    ],
    [
      'an unknown charset',
      415,
      { body: '{}', headers: { 'Content-Type': 'application/json; charset=utf-banana' } },
    ],
    [
      'a charset that JSON does not have',
      415,
      { body: '{}', headers: { 'Content-Type': 'application/json; charset=latin1' } },
    ],
    [
      'an unknown encoding',
      415,
      { body: '{}', headers: { ...JSON_TYPE, 'Content-Encoding': 'zip' } },
    ],
    [
      'an encoding that it does not have',
      422,
      { body: '{"duration_seconds": 300}', headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' } },
    ],
    ['a body of more than 512 KB', 413, { body: `{"x": "${'x'.repeat(512 * 1024)}"}` }],
    [
      'a body that unpacks to more than 512 KB',
      413,
      {
        body: gzipSync(Buffer.alloc(2_000_000, ' ')),
        headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' },
      },
    ],
  ];

  it.each(UNREADABLE)('refuses %s with %d wherever a body is taken', async (_, status, call) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const before = await list(service);
    for (const address of ADDRESSES) {
      const answer = await send(service, { ...call, path: address.replace('ID', id) });
      expect(problemIn(answer).status, address).toBe(status);
    }
    expect(await list(service)).toEqual(before);
  });

  it('refuses a very long list of wrong values like a short one', async () => {
    const service = await TestService.start();
    const zeros = `[${Array.from({ length: 250_000 }, () => 0).join(',')}]`;
    const calls: Call[] = [
      { path: '/timers', body: `{"duration_seconds": 300, "warning_thresholds": ${zeros}}` },
      { path: '/timers/bulk/start', body: zeros },
      { path: '/timers/bulk/extend?seconds=5', body: `{"timer_ids": ${zeros}}` },
    ];
    for (const call of calls) {
      const answer = await refused(service, call);
      expect(answer.status, call.path).toBe(422);
      expect(JSON.stringify(answer.body).length, call.path).toBeLessThan(100_000);
    }
  });

  it.each([
    ['GET', '/timers/%'],
    ['GET', '/timers/%zz'],
    ['DELETE', '/timers/%E0%A4%A'],
    ['POST', '/timers/%ff/control'],
    ['GET', '/ws/%c3%28'],
  ])('%s %s, which cannot be decoded, is 422', async (method, path) => {
    const service = await TestService.start();
    await service.create();
    const body = method === 'POST' ? { body: '{"action": "start"}' } : { headers: {} };
    expect((await refused(service, { method, path, ...body })).status).toBe(422);
  });

  const STRANGE_IDS = [
    ...['timer_nope', 'bulk', '__proto__', 'constructor', 'toString', 'null', 'undefined', '0'],
    ...['%00', '%2F', '..%2F..%2Fetc%2Fpasswd', '%20', '%F0%9F%95%90', "';DROP TABLE timers;--"],
    ...['%25zz', 'x'.repeat(5000), 'timer_*', 'a%0D%0ASet-Cookie:%20x=1'],
  ];

  it('answers 404 for every address of a timer that is not there', async () => {
    const service = await TestService.start();
    await service.create();
    for (const id of STRANGE_IDS) {
      const path = `/timers/${id}`;
      const answers = [
        await refused(service, { method: 'GET', path, headers: {} }),
        await refused(service, { method: 'DELETE', path, headers: {} }),
        await refused(service, { path: `${path}/control`, body: '{"action": "start"}' }),
      ];
      expect(answers.map(problemIn), id).toMatchObject(
        answers.map(() => ({
          status: 404,
          code: 'unknown_timer',
          detail: `Timer not found: ${decodeURIComponent(id)}`,
        })),
      );
      expect(answers[0]?.headers.get('set-cookie')).toBeNull();
    }
  });

  it.each([
    ['GET', '/'],
    ['GET', '/timer'],
    ['GET', '/timers/a/b'],
    ['POST', '/timers/bulk'],
    ['POST', '/timers/bulk/explode'],
    ['POST', '/timers/a/control/b'],
    ['GET', '/ws'],
    ['GET', '/__proto__'],
    ['GET', '/health/x'],
    ['GET', '/.env'],
  ])('%s %s is refused: there is no such address', async (method, path) => {
    const service = await TestService.start();
    const answer = await refused(service, { method, path, headers: {} });
    // POST on what could be a timer's id is the wrong method rather than the wrong address.
    expect(answer.status).toBe(path === '/timers/bulk' ? 405 : 404);
  });

  it.each([
    ['/timers', ['PUT', 'PATCH', 'DELETE'], ['GET', 'POST']],
    ['/timers/ID', ['PUT', 'PATCH', 'POST'], ['DELETE', 'GET']],
    ['/timers/ID/control', ['GET', 'PUT', 'DELETE'], ['POST']],
    ['/timers/bulk/start', ['GET', 'PUT', 'DELETE'], ['POST']],
    ['/timers/bulk/pause', ['GET'], ['POST']],
    ['/timers/bulk/resume', ['GET'], ['POST']],
    ['/timers/bulk/stop', ['GET'], ['POST']],
    ['/timers/bulk/extend', ['GET'], ['POST']],
    ['/health', ['POST', 'DELETE'], ['GET']],
    ['/livez', ['POST'], ['GET']],
    ['/readyz', ['POST'], ['GET']],
  ])('%s refuses %j with 405, and Allow says %j', async (address, methods, allowed) => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const method of methods) {
      const path = address.replace('ID', id);
      const answer = await refused(service, { method, path, headers: {} });
      expect(problemIn(answer)).toMatchObject({ status: 405, code: 'method_not_allowed' });
      const allow = (answer.headers.get('allow') ?? '').split(', ').sort();
      expect(allow.filter((name) => name !== 'HEAD')).toEqual(allowed);
      expect(allow.includes('HEAD')).toBe(allowed.includes('GET'));
    }
  });

  it('says 426 where a WebSocket belongs', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const answer = await refused(service, { method: 'GET', path: `/ws/${id}`, headers: {} });
    expect(problemIn(answer)).toMatchObject({ status: 426 });
  });
});

describe('T12: random bodies', () => {
  const value = fc.oneof(
    fc.integer({ min: -2, max: 90_000 }),
    fc.double(),
    fc.string({ unit: 'binary', maxLength: 5 }),
    fc.constantFrom('start', 'extend', 'ID', null, true, '__proto__', 1e308, '9'.repeat(300)),
    fc.array(fc.oneof(fc.constant('ID'), fc.integer(), fc.string()), { maxLength: 4 }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const fields = ['duration_seconds', 'name', 'warning_thresholds', 'auto_start', 'action'];
  const name = fc.constantFrom(...fields, 'extend_seconds', 'timer_ids', 'seconds', '__proto__');
  const body = fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(name, value, { maxKeys: 5 }) },
    { weight: 1, arbitrary: value },
  );

  it.each([
    '/timers',
    '/timers/ID/control',
    '/timers/bulk/stop',
    '/timers/bulk/extend',
    '/timers/bulk/extend?seconds=5',
  ])('to POST %s are never a 500', async (address) => {
    const service = await TestService.start({ settings: { MAX_TIMERS: '10' } });
    const { id } = await service.create();
    for (const sample of fc.sample(body, { seed: 20_260_115, numRuns: 60 })) {
      const text = JSON.stringify(sample).replaceAll('"ID"', `"${id}"`);
      const answer = await send(service, { path: address.replace('ID', id), body: text });
      if (answer.status >= 300) {
        expect([400, 422, 429], text).toContain(problemIn(answer).status);
      }
    }
    expect(await service.get(id)).toMatchObject({ name: 'Timer', started_at: null });
  });
});

describe('T12: clients that break off', () => {
  it.each([
    ['an ordinary request', 'Connection: keep-alive'],
    ['a request that offers another protocol', 'Connection: Upgrade\r\nUpgrade: h2c'],
  ])('before the answer to %s take nothing with them', async (_, headers) => {
    const journal = new SlowJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    const { hostname, port } = new URL(service.service.url);
    const release = journal.hold();
    const socket = connect(Number(port), hostname);
    socket.write(`DELETE /timers/${id} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`);
    await expect.poll(() => service.service.registry.isIdle).toBe(false);
    socket.resetAndDestroy();
    await once(socket, 'close');
    release();
    await service.settle();
    // A failure that nobody handles would end the process, and is reported for this run.
    expect((await service.request('GET', `/timers/${id}`)).status).toBe(404);
  });
});

describe('MAX_TIMERS', () => {
  it('refuses one timer more with 429, until one is deleted', async () => {
    const service = await TestService.start({ settings: { MAX_TIMERS: '2' } });
    const { id } = await service.create();
    await service.create({ auto_start: true });
    const answer = await refused(service, { body: '{"duration_seconds": 300}' });
    expect(problemIn(answer)).toMatchObject({
      status: 429,
      code: 'too_many_timers',
      detail: expect.stringContaining('2 timers'),
    });
    await service.request('DELETE', `/timers/${id}`);
    expect(await service.create()).toMatchObject({ state: 'created' });
    expect(await list(service)).toHaveLength(2);
  });

  it('holds when many are created together', async () => {
    const service = await TestService.start({ settings: { MAX_TIMERS: '5' } });
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        service.request('POST', '/timers', { duration_seconds: 300 }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array(5).fill(201), ...Array(7).fill(429)]);
    expect(await list(service)).toHaveLength(5);
  });

  it('lets finished timers make room, the longest finished first, and tells their displays', async () => {
    const service = await TestService.start({ settings: { MAX_TIMERS: '3' } });
    const running = await service.create({ auto_start: true });
    const second = await service.create();
    const first = await service.create();
    await service.act(first.id, 'stop');
    await service.advance(SECOND);
    await service.act(second.id, 'stop');
    const display = await service.display(first.id);
    const { id } = await service.create();
    expect(await display.closed).toMatchObject({ code: 4001 });
    expect((await service.request('GET', `/timers/${first.id}`)).status).toBe(404);
    const left = (await list(service)).map((timer) => timer.id).sort();
    expect(left).toEqual([running.id, second.id, id].sort());
    await service.create();
    expect((await service.request('GET', `/timers/${second.id}`)).status).toBe(404);
    expect((await service.request('POST', '/timers', { duration_seconds: 5 })).status).toBe(429);
  });
});

describe('MAX_TIMERS after a restart', () => {
  it('lets the longest finished timer make room first, as before', async () => {
    const journal = new MemoryJournal();
    const before = await TestService.start({ journal });
    const { clock } = before;
    const last = await before.create();
    await before.advance(1);
    const first = await before.create();
    await before.act(first.id, 'stop');
    await before.advance(SECOND);
    await before.act(last.id, 'stop');
    await before.stop();
    const service = await TestService.start({ journal, clock, settings: { MAX_TIMERS: '2' } });
    expect(await list(service)).toHaveLength(2);
    await service.create();
    expect((await service.request('GET', `/timers/${first.id}`)).status).toBe(404);
    expect((await service.request('GET', `/timers/${last.id}`)).status).toBe(200);
  });

  it('of a smaller number refuses new timers, and lets go of none for a timer that it refuses', async () => {
    const journal = new MemoryJournal();
    const before = await TestService.start({ journal });
    for (let count = 0; count < 3; count += 1) await before.create();
    const { id } = await before.create();
    await before.act(id, 'stop');
    await before.stop();
    const settings = { MAX_TIMERS: '2' };
    const service = await TestService.start({ journal, clock: before.clock, settings });
    const answer = await refused(service, { body: '{"duration_seconds": 300}' });
    expect(answer.status).toBe(429);
  });
});

describe('RETAIN_FINISHED_SECONDS', () => {
  it.each(['completed', 'expired'] as const)(
    'keeps a timer that is %s for that long, counted from its end, and then closes its displays',
    async (state) => {
      const service = await TestService.start({ settings: { RETAIN_FINISHED_SECONDS: '20' } });
      const { id } = await service.create({ duration_seconds: 5, auto_start: true });
      await service.advance(5 * SECOND - (state === 'completed' ? 1 : 0));
      if (state === 'completed') await service.act(id, 'stop');
      const display = await service.display(id);
      await service.advance(20 * SECOND - 1);
      expect(await service.get(id)).toMatchObject({ state, connected_clients: 1 });
      await service.advance(1);
      expect(await display.closed).toMatchObject({
        code: 4001,
        reason: expect.stringMatching(/./),
      });
      const answer = await refused(service, { method: 'GET', path: `/timers/${id}`, headers: {} });
      expect(answer.status).toBe(404);
      expect(await list(service)).toEqual([]);
      const types = (await service.journal.history(id)).map(({ type }) => type);
      expect(types.at(-1)).toBe(state === 'completed' ? 'stopped' : 'expired');
    },
  );

  it('of 0 still answers the command that ends a timer', async () => {
    const service = await TestService.start({ settings: { RETAIN_FINISHED_SECONDS: '0' } });
    const { id } = await service.create();
    expect(await service.act(id, 'stop')).toMatchObject({ state: 'completed' });
    await service.advance(0);
    expect((await service.request('GET', `/timers/${id}`)).status).toBe(404);
  });
});

describe('settings bound what requests may ask', () => {
  it.each([
    [{ MAX_DURATION_SECONDS: '100' }, '/timers', '{"duration_seconds": 100}', 201],
    [{ MAX_DURATION_SECONDS: '100' }, '/timers', '{"duration_seconds": 101}', 422],
    [
      { MAX_DURATION_SECONDS: '100' },
      '/timers',
      '{"duration_seconds": 100, "warning_thresholds": [101]}',
      422,
    ],
    [
      { MAX_DURATION_SECONDS: '31536000' },
      '/timers',
      '{"duration_seconds": 31536000, "auto_start": true}',
      201,
    ],
    [
      { MAX_EXTENSION_SECONDS: '10' },
      '/control',
      '{"action": "extend", "extend_seconds": 10}',
      200,
    ],
    [
      { MAX_EXTENSION_SECONDS: '10' },
      '/control',
      '{"action": "extend", "extend_seconds": 11}',
      422,
    ],
    [{ MAX_EXTENSION_SECONDS: '10' }, '/timers/bulk/extend?seconds=10', '["x"]', 200],
    [{ MAX_EXTENSION_SECONDS: '10' }, '/timers/bulk/extend?seconds=11', '["x"]', 422],
    [
      { MAX_EXTENSION_SECONDS: '10' },
      '/timers/bulk/extend',
      '{"timer_ids": ["x"], "seconds": 11}',
      422,
    ],
    [{ MAX_BULK_TIMERS: '2' }, '/timers/bulk/start', '["x", "y"]', 200],
    [{ MAX_BULK_TIMERS: '2' }, '/timers/bulk/start', '["x", "y", "z"]', 422],
    [{ MAX_BULK_TIMERS: '2' }, '/timers/bulk/stop', '{"timer_ids": ["x", "y", "z"]}', 422],
  ])('%j: POST %s %s is %d', async (settings, address, body, status) => {
    const service = await TestService.start({ settings });
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [] });
    const path = address === '/control' ? `/timers/${id}/control` : address;
    const answer = await send(service, { path, body });
    expect(answer.status).toBe(status);
    if (status === 422) problemIn(answer);
  });

  it('lets extensions add up to more than the longest duration', async () => {
    const settings = { MAX_DURATION_SECONDS: '100', MAX_EXTENSION_SECONDS: '100' };
    const service = await TestService.start({ settings });
    const { id } = await service.create({ duration_seconds: 100 });
    for (let count = 0; count < 3; count += 1) await service.act(id, 'extend', 100);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 400, remaining_seconds: 400 });
  });
});

describe('the service about itself', () => {
  it('counts timers that are neither expired nor completed in GET /health', async () => {
    const service = await TestService.start();
    const health = async (): Promise<unknown> => (await service.request('GET', '/health')).body;
    expect(await health()).toEqual({ status: 'healthy', timers_active: 0 });
    const counts: unknown[] = [];
    for (const state of STATES) {
      const { id } = await timerIn(service, state);
      counts.push(await health());
      await service.request('DELETE', `/timers/${id}`);
    }
    expect(counts).toEqual(
      [1, 1, 1, 0, 0].map((timers_active) => ({ status: 'healthy', timers_active })),
    );
    expect(await health()).toEqual({ status: 'healthy', timers_active: 0 });
  });

  it.each([
    ['/livez', { status: 'alive' }],
    ['/readyz', { status: 'ready' }],
    ['/openapi.json', { openapi: '3.1.0' }],
    ['/asyncapi.json', { asyncapi: '3.0.0' }],
  ])('answers GET %s', async (path, body) => {
    const service = await TestService.start();
    expect(await service.request('GET', path)).toMatchObject({ status: 200, body });
  });

  it('shows its documentation at /docs', async () => {
    const service = await TestService.start();
    const answer = await send(service, { method: 'GET', path: '/docs', headers: {} });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/);
    expect(answer.body).toMatch(/swagger/i);
  });

  it.each<[string, Record<string, string>]>([
    ['a range that is not there', { Range: 'bytes=99999999-' }],
    ['another version', { 'If-Match': '"another"' }],
    ['an older version', { 'If-Unmodified-Since': 'Mon, 01 Jan 1990 00:00:00 GMT' }],
  ])('T12: a file of the documentation asked for in %s is no 500', async (_, headers) => {
    const service = await TestService.start();
    const answer = await send(service, { method: 'GET', path: '/docs/swagger-ui.css', headers });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  it('T12: an address that cannot be read at all is a problem like every other', async () => {
    const service = await TestService.start();
    const headers = { Connection: 'close', Upgrade: undefined };
    const client = await RawClient.open(service, 'http://[', { headers });
    await client.closed;
    expect([404, 422]).toContain(client.status);
    expect(client.header('Content-Type')).toBe('application/problem+json');
  });

  it('answers HEAD like GET, without a body', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const answer = await send(service, { method: 'HEAD', path: `/timers/${id}`, headers: {} });
    expect(answer).toMatchObject({ status: 200 });
  });

  it('lets pages of any origin use it and read what they need', async () => {
    const service = await TestService.start();
    const headers = { Origin: 'https://exam.example', 'Access-Control-Request-Method': 'DELETE' };
    const preflight = await send(service, { method: 'OPTIONS', path: '/timers/x', headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-methods')).toMatch(/DELETE/);
    const answer = await send(service, { method: 'GET', headers });
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('access-control-expose-headers')).toBe(
      'ETag,Link,Location,Retry-After,RateLimit-Limit,RateLimit-Remaining,RateLimit-Reset',
    );
  });

  it('takes no more commands once it is to end, and answers those that it took', async () => {
    const journal = new SlowJournal();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    const release = journal.hold();
    const starting = service.control(id, 'start');
    await expect.poll(() => service.service.registry.isIdle).toBe(false);
    const stopping = service.beginToStop();
    const refusals = [
      await service.control(id, 'pause'),
      await service.request('POST', '/timers', { duration_seconds: 5 }),
      await service.request('DELETE', `/timers/${id}`),
      await service.request('POST', '/timers/bulk/start', [id]),
      await service.request('GET', '/readyz'),
    ];
    for (const refusal of refusals) {
      expect(problemIn(refusal)).toMatchObject({ status: 503, code: 'shutting_down' });
      expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(await service.request('GET', '/livez')).toMatchObject({ status: 200 });
    expect(await service.get(id)).toMatchObject({ state: 'created' });
    release();
    expect(await starting).toMatchObject({ status: 200, body: { state: 'running' } });
    await service.stop();
    await stopping;
    const types = (await journal.history(id)).map(({ type }) => type);
    expect(types).toEqual(['created', 'started']);
  });
});
