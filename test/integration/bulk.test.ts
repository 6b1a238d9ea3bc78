/** Bulk commands over real sockets: many timers, one instant. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TimerResource } from '../../src/protocol/timer.js';
import type { CommandResult } from '../../src/registry.js';
import { BY_TEST } from '../support/entries.js';
import { type Answer, problemIn, TestService } from '../support/service.js';

const SECOND = 1000;

const ACTIONS = ['start', 'pause', 'resume', 'stop', 'extend'] as const;
type Action = (typeof ACTIONS)[number];

const STATES = ['created', 'running', 'paused', 'expired', 'completed'] as const;
type State = (typeof STATES)[number];

const DONE: Record<Action, string> = {
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
  extend: 'extended by 60s',
};
const POSSIBLE: Record<Action, readonly State[]> = {
  start: ['created', 'paused'],
  pause: ['running'],
  resume: ['paused'],
  stop: ['created', 'running', 'paused'],
  extend: ['created', 'running', 'paused'],
};

const resultsSchema = z.array(
  z.strictObject({ timer_id: z.string(), success: z.boolean(), status: z.string() }),
);
type Results = z.output<typeof resultsSchema>;

/** The ways to say the same: a plain list, or an object, and where the seconds stand. */
type Form = 'a list' | 'an object' | 'an object with a query';
const FORMS: readonly Form[] = ['a list', 'an object', 'an object with a query'];

function ask(
  service: TestService,
  action: Action,
  timerIds: readonly string[],
  form: Form = 'a list',
): Promise<Answer> {
  const isExtension = action === 'extend';
  const query = isExtension && form !== 'an object' ? '?seconds=60' : '';
  const seconds = isExtension && form === 'an object' ? { seconds: 60 } : {};
  const body = form === 'a list' ? timerIds : { timer_ids: timerIds, ...seconds };
  return service.request('POST', `/timers/bulk/${action}${query}`, body);
}

async function bulk(...request: Parameters<typeof ask>): Promise<Results> {
  const answer = await ask(...request);
  expect(answer.status).toBe(200);
  return resultsSchema.parse(answer.body);
}

/** One timer in each state, in the order of `STATES`. */
async function oneInEach(service: TestService): Promise<string[]> {
  const ids: string[] = [];
  for (const state of STATES) {
    const { id } = await service.create({ duration_seconds: state === 'expired' ? 5 : 300 });
    if (state !== 'created') await service.act(id, 'start');
    if (state === 'paused') await service.act(id, 'pause');
    if (state === 'completed') await service.act(id, 'stop');
    ids.push(id);
  }
  await service.advance(5 * SECOND);
  return ids;
}

async function everything(service: TestService): Promise<unknown> {
  return (await service.request('GET', '/timers')).body;
}

describe('bulk commands', () => {
  const cases = ACTIONS.flatMap((action) => FORMS.map((form) => [action, form] as const));

  it.each(cases)('%s as %s tells of each timer what became of it', async (action, form) => {
    const service = await TestService.start();
    const ids = await oneInEach(service);
    const before = await Promise.all(ids.map((id) => service.get(id)));
    expect(before.map(({ state }) => state)).toEqual(STATES);
    const results = await bulk(service, action, ids, form);
    expect(results).toEqual(
      STATES.map((state, index) => {
        const success = POSSIBLE[action].includes(state);
        const status = success ? DONE[action] : `failed (state: ${state})`;
        return { timer_id: ids[index], success, status };
      }),
    );
    for (const [index, id] of ids.entries()) {
      const { success } = results[index] ?? {};
      const after = await service.get(id);
      const old = before[index];
      if (success !== true) expect(after).toEqual(old);
      else expect(after.revision).toBe((old?.revision ?? 0) + 1);
      if (success === true && action === 'extend') {
        expect(after.remaining_ms).toBe((old?.remaining_ms ?? 0) + 60_000);
        expect(after.duration_seconds).toBe(360);
        expect(after.state).toBe(old?.state);
      }
    }
  });

  it('answers in the order asked, whatever that is, and says of unknown timers that they are', async () => {
    const service = await TestService.start();
    const ids: string[] = [];
    for (let index = 0; index < 6; index += 1) ids.push((await service.create()).id);
    const [a = '', b = '', c = '', d = '', e = '', f = ''] = ids;
    await service.act(b, 'start');
    const asked = [
      f,
      'timer_nope',
      c,
      b,
      '__proto__',
      a,
      '⏰ and a slash /',
      e,
      d,
      'x'.repeat(100),
    ];
    const results = await bulk(service, 'start', asked);
    expect(results.map(({ timer_id }) => timer_id)).toEqual(asked);
    expect(results.map(({ status }) => status)).toEqual([
      'started',
      'not found',
      'started',
      'failed (state: running)',
      'not found',
      'started',
      'not found',
      'started',
      'started',
      'not found',
    ]);
    expect(results.map(({ success }) => success)).toEqual(
      results.map(({ status }) => status === 'started'),
    );
  });

  it('carries a timer that is named twice out twice, in order', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { id: other } = await service.create();
    const starts = await bulk(service, 'start', [id, other, id]);
    expect(starts.map(({ status }) => status)).toEqual([
      'started',
      'started',
      'failed (state: running)',
    ]);
    const extensions = await bulk(service, 'extend', [id, id, other, id]);
    expect(extensions.map(({ success }) => success)).toEqual([true, true, true, true]);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 480, remaining_ms: 480_000 });
    expect(await service.get(other)).toMatchObject({ duration_seconds: 360 });
  });

  it('does not find timers that were deleted', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.request('DELETE', `/timers/${id}`);
    for (const action of ACTIONS) {
      expect(await bulk(service, action, [id])).toEqual([
        { timer_id: id, success: false, status: 'not found' },
      ]);
    }
  });

  it('answers with an empty list where no timers are named', async () => {
    const service = await TestService.start();
    await service.create({ auto_start: true });
    const before = await everything(service);
    for (const [action, form] of cases) {
      expect(await bulk(service, action, [], form), `${action} as ${form}`).toEqual([]);
    }
    expect(await everything(service)).toEqual(before);
  });

  it('resumes paused timers on start, and starts none on resume', async () => {
    const service = await TestService.start();
    const ids = await oneInEach(service);
    const results = await bulk(service, 'resume', ids.slice(0, 1));
    expect(results).toMatchObject([{ success: false, status: 'failed (state: created)' }]);
    await bulk(service, 'start', ids.slice(2, 3));
    expect(await service.get(ids[2] ?? '')).toMatchObject({ state: 'running', elapsed_seconds: 0 });
  });

  it('tells every display of every timer', async () => {
    const service = await TestService.start();
    const timers = [await service.create(), await service.create(), await service.create()];
    const ids = timers.map(({ id }) => id);
    const displays = await Promise.all(ids.map((id) => service.display(id, '?ticks=false')));
    for (const action of ['start', 'pause', 'extend', 'resume', 'stop'] as const) {
      await bulk(service, action, ids);
    }
    for (const display of displays) {
      const news = await display.news();
      expect(news).toMatchObject([
        { type: 'timer_started', remaining_seconds: 300 },
        { type: 'timer_paused', remaining_seconds: 300 },
        { type: 'timer_extended', added_seconds: 60, remaining_seconds: 360 },
        { type: 'timer_started', remaining_seconds: 360 },
        { type: 'timer_stopped', remaining_seconds: 360, elapsed_seconds: 0 },
      ]);
    }
  });

  it('takes the seconds of the body where both body and query have some', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const path = '/timers/bulk/extend?seconds=60';
    const answer = await service.request('POST', path, { timer_ids: [id], seconds: 90 });
    expect(answer.body).toEqual([{ timer_id: id, success: true, status: 'extended by 90s' }]);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 390 });
  });
});

describe('T7: all timers of one bulk command share one instant', () => {
  /** Timers made without HTTP, whose cost is not what is tested. */
  async function create(service: TestService, count: number): Promise<string[]> {
    const definition = {
      name: 'Student',
      durationMs: 1800 * SECOND,
      warningThresholdsMs: [],
      autoStart: false,
    };
    const { registry } = service.service;
    const results = await Promise.all(
      Array.from({ length: count }, (): Promise<CommandResult> => {
        return registry.create(definition, BY_TEST);
      }),
    );
    return results.flatMap((result) => (result.ok && result.timer ? [result.timer.record.id] : []));
  }

  async function page(service: TestService, ids: ReadonlySet<string>): Promise<TimerResource[]> {
    const timers: TimerResource[] = [];
    let path: string | undefined = '/timers';
    while (path !== undefined) {
      const answer = await service.request('GET', path);
      timers.push(...(answer.body as TimerResource[]).filter(({ id }) => ids.has(id)));
      path = /<(.+)>/.exec(answer.headers.get('link') ?? '')?.[1];
    }
    return timers;
  }

  it('starts 10,000 timers in requests of 1,000, each at one instant, and stops all in one', async () => {
    const service = await TestService.start({ settings: { MAX_BULK_TIMERS: '10000' } });
    const ids = await create(service, 10_000);
    expect(ids).toHaveLength(10_000);
    const instants: string[] = [];
    for (let from = 0; from < ids.length; from += 1000) {
      await service.advance(7);
      instants.push(new Date(service.clock.now()).toISOString());
      const results = await bulk(service, 'start', ids.slice(from, from + 1000));
      expect(results.every(({ success, status }) => success && status === 'started')).toBe(true);
    }
    const starts = await Promise.all(ids.map(async (id) => (await service.journal.history(id))[1]));
    const startedAt = starts.map((entry) => new Date(entry?.atMs ?? 0).toISOString());
    expect(startedAt).toEqual(ids.map((_, index) => instants[Math.floor(index / 1000)]));
    for (let index = 500; index < ids.length; index += 1000) {
      expect((await service.get(ids[index] ?? '')).started_at).toBe(startedAt[index]);
    }
    expect(new Set(startedAt).size).toBe(10);

    await service.advance(7);
    const results = await bulk(service, 'stop', ids);
    expect(results.map(({ timer_id }) => timer_id)).toEqual(ids);
    const ends = await Promise.all(ids.map(async (id) => (await service.journal.history(id))[2]));
    expect(new Set(ends.map((entry) => `${entry?.type} at ${entry?.atMs}`))).toEqual(
      new Set([`stopped at ${service.clock.now()}`]),
    );
  });

  it('pauses 1,000 timers with the same time left, and their displays are told of one instant', async () => {
    const service = await TestService.start();
    const ids = await create(service, 1000);
    await bulk(service, 'start', ids);
    await service.advance(1234);
    const watched = [ids[0] ?? '', ids[499] ?? '', ids[999] ?? ''];
    const displays = await Promise.all(watched.map((id) => service.display(id)));
    await bulk(service, 'pause', ids);
    const timers = await page(service, new Set(ids));
    expect(new Set(timers.map(({ remaining_ms }) => remaining_ms))).toEqual(
      new Set([1_800_000 - 1234]),
    );
    const told = await Promise.all(displays.map((display) => display.next('timer_paused')));
    expect(told.map(({ remaining_ms, server_time_ms }) => [remaining_ms, server_time_ms])).toEqual(
      watched.map(() => [1_800_000 - 1234, service.clock.now()]),
    );
  });

  it('pauses those in time and none that is due, though nobody has noticed yet', async () => {
    const service = await TestService.start();
    const timers: TimerResource[] = [];
    for (const duration_seconds of [10, 11, 9, 10]) {
      timers.push(await service.create({ duration_seconds, auto_start: true }));
    }
    const deadline = new Date(service.clock.now() + 10 * SECOND).toISOString();
    await service.advance(8 * SECOND);
    service.clock.stall(2 * SECOND);
    const ids = timers.map(({ id }) => id);
    const results = await bulk(service, 'pause', ids);
    expect(results.map(({ status }) => status)).toEqual([
      'failed (state: expired)',
      'paused',
      'failed (state: expired)',
      'failed (state: expired)',
    ]);
    const after = await Promise.all(ids.map((id) => service.get(id)));
    expect(after[0]).toMatchObject({ state: 'expired', completed_at: deadline });
    expect(after[1]).toMatchObject({ state: 'paused', remaining_ms: SECOND });
    expect(after[2]).toMatchObject({
      state: 'expired',
      completed_at: new Date(Date.parse(deadline) - SECOND).toISOString(),
    });
  });
});

describe('T12: a bulk command that is wrong gets a clear error and changes nothing', () => {
  const ID = 'timer_000000000000000000000';
  const BAD_BODIES = [
    ...['null', '{}', `"${ID}"`, '5', 'true', '[1]', '[null]', '[""]', `[["${ID}"]]`, '[{}]'],
    ...['{"timer_ids": null}', `{"timer_ids": "${ID}"}`, '{"timer_ids": {}}', '{"timer_ids": [5]}'],
    ...[`{"ids": ["${ID}"]}`, `{"timers": []}`, '{"timer_ids": [""]}', '{"__proto__": []}'],
    ...['{"timer_ids": [[]]}', `{"0": "${ID}", "length": 1}`, '[[[[[[[[[[]]]]]]]]]]'],
    JSON.stringify(Array.from({ length: 1001 }, () => ID)),
    JSON.stringify({ timer_ids: Array.from({ length: 1001 }, () => ID) }),
    JSON.stringify(['x'.repeat(101)]),
  ];

  async function refused(service: TestService, path: string, text: string): Promise<void> {
    const before = await everything(service);
    const answer = await service.request('POST', path, JSON.parse(text));
    const problem = problemIn(answer);
    expect(problem, text).toMatchObject({ status: 422, code: 'invalid_request' });
    expect(problem.errors?.length, text).toBeGreaterThan(0);
    for (const { field } of problem.errors ?? []) {
      expect(field, text).toMatch(/^(body|query)(\.|$)/);
      expect(problem.detail, text).toContain(problem.errors?.length === 1 ? '' : field);
    }
    expect(await everything(service), text).toEqual(before);
  }

  it.each(ACTIONS)('%s refuses a body that is neither form', async (action) => {
    const service = await TestService.start();
    await oneInEach(service);
    const query = action === 'extend' ? '?seconds=60' : '';
    for (const body of BAD_BODIES) {
      await refused(service, `/timers/bulk/${action}${query}`, body);
    }
  });

  it('one wrong id among right ones refuses all of them', async () => {
    const service = await TestService.start();
    const ids = await oneInEach(service);
    await refused(service, '/timers/bulk/stop', JSON.stringify([...ids, 7]));
  });

  it('extend refuses wrong seconds in the query, whatever the form of the body', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const query of [
      ...['', '?', '?seconds', '?seconds=', '?seconds=0', '?seconds=-5', '?seconds=1.5'],
      ...['?seconds=3601', '?seconds=ten', '?seconds=1e999', '?seconds=NaN', '?seconds=null'],
      ...['?seconds=60&seconds=61', '?seconds[]=60', '?Seconds=60', '?extend_seconds=60'],
    ]) {
      await refused(service, `/timers/bulk/extend${query}`, JSON.stringify([id]));
      await refused(service, `/timers/bulk/extend${query}`, JSON.stringify({ timer_ids: [id] }));
    }
  });

  it('extend refuses wrong seconds in the body, with or without right ones in the query', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const wrong = ['0', '-5', '1.5', '3601', '"60"', 'null', '[60]', '{}', 'true', '1e308'];
    for (const seconds of wrong) {
      const body = `{"timer_ids": ["${id}"], "seconds": ${seconds}}`;
      await refused(service, '/timers/bulk/extend', body);
      await refused(service, '/timers/bulk/extend?seconds=60', body);
    }
  });
});
