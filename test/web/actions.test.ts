/** What a person does in the console happens in the service, and the store says how it went. */
import { describe, expect, it } from 'vitest';
import type { Timer } from '../../src/client/messages.js';
import { Actions } from '../../src/web/console/actions.js';
import { Api, displayUrl } from '../../src/web/console/api.js';
import { ConsoleStore } from '../../src/web/console/store.js';
import { type Fate, startBreakingProxy } from '../support/breaking-proxy.js';
import { BY_TEST } from '../support/entries.js';
import { TestService } from '../support/service.js';

async function start(settings: Readonly<Record<string, string>> = {}) {
  const service = await TestService.start({ settings });
  const store = new ConsoleStore();
  const api = new Api(service.service.url);
  const actions = new Actions(store, api);
  const known = (): Timer[] => [...store.state.timers.values()];
  return { service, store, api, actions, known };
}

const exam = {
  name: 'Exam',
  durationSeconds: 1800,
  warningThresholds: [300, 60],
  autoStart: false,
};

describe('creating', () => {
  it('one timer, with all that was chosen', async () => {
    const { service, store, actions, known } = await start();
    await actions.create({ ...exam, autoStart: true }, 1);
    const [timer] = known();
    expect(await service.get(timer?.id ?? '')).toMatchObject({
      name: 'Exam',
      state: 'running',
      duration_seconds: 1800,
      warning_thresholds: [300, 60],
    });
    expect(store.state.notice).toEqual({ kind: 'done', text: 'Exam created and started' });
  });

  it('a class, which starts at one instant', async () => {
    const { service, store, actions, known } = await start();
    await actions.create({ ...exam, autoStart: true }, 12);
    const timers = await Promise.all(known().map(({ id }) => service.get(id)));
    expect(timers.map(({ name }) => name).sort()).toEqual(
      Array.from({ length: 12 }, (_, index) => `Exam ${`${index + 1}`.padStart(2, '0')}`),
    );
    expect(new Set(timers.map(({ deadline_ms }) => deadline_ms)).size).toBe(1);
    expect(store.state).toMatchObject({
      notice: { kind: 'done', text: '12 timers started' },
      progress: undefined,
    });
  });

  it('says how far it came', async () => {
    const { store, actions, known } = await start({ MAX_TIMERS: '5' });
    await expect(actions.create(exam, 12)).rejects.toThrow(
      /^Only 5 of 12 timers could be created\. There are 5 timers already/,
    );
    expect(known()).toHaveLength(5);
    expect(store.state).toMatchObject({ notice: { kind: 'failed' }, progress: undefined });
  });

  it('says what the service does not take', async () => {
    const { actions } = await start();
    await expect(actions.create({ ...exam, durationSeconds: 90_000 }, 1)).rejects.toThrow(
      'The duration can be at most 24 h.',
    );
  });
});

describe('controlling', () => {
  it('one timer: its answer is shown at once', async () => {
    const { store, actions, known } = await start();
    await actions.create(exam, 1);
    await actions.control(known(), 'start');
    expect(known()).toMatchObject([{ state: 'running' }]);
    await actions.control(known(), 'extend', 90);
    expect(known()).toMatchObject([{ duration_seconds: 1890 }]);
    expect(store.state.notice).toEqual({ kind: 'done', text: 'Exam extended by 1 min 30 s' });
  });

  it('one timer that cannot: the reason is beside it', async () => {
    const { store, actions, known } = await start();
    await actions.create(exam, 1);
    const reason = await actions.control(known(), 'pause');
    expect(reason).toMatch(/^Cannot pause timer in state 'created'/);
    expect([...store.state.problems.values()]).toEqual([`Could not pause. ${reason}`]);
    expect(store.state.busy.size).toBe(0);
    await actions.control(known(), 'start');
    expect(store.state.problems.size).toBe(0);
  });

  it('many timers: each that could not says why, and the others are done', async () => {
    const { service, store, actions, known } = await start();
    await actions.create(exam, 4);
    const [first, second] = known();
    await service.act(first?.id ?? '', 'stop');
    await service.request('DELETE', `/timers/${second?.id}`);
    await actions.control(known(), 'start');
    expect(store.state.problems).toEqual(
      new Map([
        [first?.id, 'Could not start: it was stopped'],
        [second?.id, 'Could not start: it is not there any more'],
      ]),
    );
    expect(store.state.notice?.text).toMatch(/^2 of 4 timers started\. Could not start/);
  });

  it('many timers, all refused: that is said once, to whoever asked', async () => {
    const { store, actions, known } = await start();
    await actions.create(exam, 3);
    const reason = await actions.control(known(), 'extend', 100_000);
    expect(reason).toBe('The time to add can be at most 1 h.');
    expect(store.state.notice?.text).toBe(`Could not extend 3 timers. ${reason}`);
    expect(store.state.problems.size).toBe(0);
  });

  it('says so when the service is not there', async () => {
    const { service, store, actions, known } = await start();
    await actions.create(exam, 1);
    await service.stop();
    await actions.control(known(), 'start');
    expect(store.state.notice).toEqual({
      kind: 'failed',
      text: 'It is not known whether Exam was started. The service cannot be reached; is it running?',
    });
  });
});

describe('T7: more timers than one command takes', () => {
  /** A service that takes two timers in a command, and what becomes of each command. */
  async function startSmall(...fates: Fate[]) {
    const service = await TestService.start({ settings: { MAX_BULK_TIMERS: '2' } });
    const fateOf = (path: string): Fate =>
      path.includes('/bulk/') ? (fates.shift() ?? 'passed') : 'passed';
    const api = new Api(await startBreakingProxy(service.service.url, fateOf));
    const store = new ConsoleStore();
    store.dispatch({ type: 'overview', keepalive_seconds: 30, max_bulk_timers: 2, displays: [] });
    const actions = new Actions(store, api);
    await actions.create(exam, 5);
    const timers = [...store.state.timers.values()];
    const states = async () => {
      const now = await Promise.all(timers.map(({ id }) => service.get(id)));
      return now.map(({ state }) => state);
    };
    return { store, actions, timers, states };
  }

  it('are done in parts of what the service takes, and that is said', async () => {
    const { store, actions, timers, states } = await startSmall();
    expect(await actions.control(timers, 'start')).toBeUndefined();
    expect(new Set(await states())).toEqual(new Set(['running']));
    expect(store.state.notice).toEqual({
      kind: 'done',
      text: '5 timers started in 3 parts, each at an instant of its own',
    });
  });

  it('are told exactly when a part was refused: what was done, and what was not', async () => {
    const { store, actions, timers, states } = await startSmall('passed', 'refused');
    // The form that asked closes, for whoever tried again would extend the first two twice.
    expect(await actions.control(timers, 'start')).toBeUndefined();
    expect(await states()).toEqual(['running', 'running', 'created', 'created', 'created']);
    expect(store.state.notice).toEqual({
      kind: 'failed',
      text: '2 of 5 timers started, 3 not. The disk is full.',
    });
    expect([...store.state.problems]).toEqual(
      timers.slice(2).map(({ id }) => [id, 'Could not start. The disk is full.']),
    );
  });

  it('are told of doubt when an answer was lost', async () => {
    const { store, actions, timers, states } = await startSmall('passed', 'answer lost');
    await actions.control(timers, 'start');
    expect(await states()).toEqual(['running', 'running', 'running', 'running', 'created']);
    const reason = 'The service cannot be reached; is it running?';
    expect(store.state.notice).toEqual({
      kind: 'failed',
      text: `2 of 5 timers started, 2 perhaps, 1 not. ${reason}`,
    });
    const words = timers.map(({ id }) => store.state.problems.get(id));
    const doubt = `It is not known whether the service could start it. ${reason}`;
    expect(words).toEqual([undefined, undefined, doubt, doubt, `Could not start. ${reason}`]);
  });

  it('are told as in doubt when the only answer was lost', async () => {
    const { store, actions, timers, states } = await startSmall('answer lost');
    const two = timers.slice(0, 2);
    // A form that stayed open would invite to do it twice.
    expect(await actions.control(two, 'start')).toBeUndefined();
    expect((await states()).slice(0, 3)).toEqual(['running', 'running', 'created']);
    const reason = 'The service cannot be reached; is it running?';
    expect(store.state.notice).toEqual({
      kind: 'failed',
      text: `It is not known whether 2 timers were started. ${reason}`,
    });
    const doubt = `It is not known whether the service could start it. ${reason}`;
    expect([...store.state.problems]).toEqual(two.map(({ id }) => [id, doubt]));
  });

  it('are told as not done at all when the first part was refused', async () => {
    const { store, actions, timers, states } = await startSmall('refused');
    expect(await actions.control(timers, 'start')).toBe('The disk is full.');
    expect(new Set(await states())).toEqual(new Set(['created']));
    expect(store.state.notice?.text).toBe('Could not start 5 timers. The disk is full.');
  });
});

describe('A7: the reason that was chosen', () => {
  const alarm = { category: 'environment', text: 'Fire alarm' } as const;

  it('is recorded with each timer that is paused, extended, stopped or deleted, and is told', async () => {
    const { service, store, actions, known } = await start();
    await actions.create(exam, 2);
    const timers = known();
    store.dispatch({ type: 'reasoned', reason: alarm });
    await actions.control(timers, 'start');
    await actions.control(timers, 'pause');
    expect(store.state.notice?.text).toBe('2 timers paused (Environment: Fire alarm)');
    const [first] = timers;
    if (first === undefined) throw new Error('There is no timer');
    store.dispatch({ type: 'reasoned', reason: { category: 'staff', text: '' } });
    await actions.control([first], 'extend', 60);
    await actions.control([first], 'stop');
    store.dispatch({ type: 'reasoned', reason: undefined });
    await actions.control(timers.slice(1), 'resume');
    await actions.control(timers.slice(1), 'pause');
    store.dispatch({ type: 'reasoned', reason: alarm });
    await actions.remove([first]);
    const reasons = async (id = '') =>
      (await service.journal.history(id)).slice(2).map(({ type, reason }) => [type, reason]);
    expect(await reasons(first.id)).toEqual([
      ['paused', alarm],
      ['extended', { category: 'staff', text: null }],
      ['stopped', { category: 'staff', text: null }],
      ['deleted', alarm],
    ]);
    expect(await reasons(timers[1]?.id)).toEqual([
      ['paused', alarm],
      ['resumed', null],
      ['paused', null],
    ]);
  });
});

describe('deleting', () => {
  it('takes timers away, also those that somebody else was faster with', async () => {
    const { service, store, actions, known } = await start();
    await actions.create(exam, 6);
    const timers = known();
    await service.request('DELETE', `/timers/${timers[3]?.id}`);
    await actions.remove(timers);
    expect(known()).toEqual([]);
    expect(store.state).toMatchObject({
      notice: { kind: 'done', text: '6 timers deleted' },
      progress: undefined,
    });
    expect((await service.request('GET', '/timers')).body).toEqual([]);
  });
});

describe('reading', () => {
  it('gets a list page by page', async () => {
    const { service, api } = await start();
    const { registry } = service.service;
    const timer = { name: 'T', durationMs: 60_000, warningThresholdsMs: [], autoStart: false };
    await Promise.all(Array.from({ length: 1100 }, () => registry.create(timer, BY_TEST)));
    const sizes: number[] = [];
    for await (const page of api.list()) sizes.push(page.length);
    expect(sizes).toEqual([1000, 100]);
  });

  it('exchanges times with the service', async () => {
    const { service, api } = await start();
    const { sentMs, serverReceivedMs, serverSentMs, receivedMs } = await api.time();
    expect(receivedMs).toBeGreaterThan(sentMs);
    expect([serverReceivedMs, serverSentMs]).toEqual([service.clock.now(), service.clock.now()]);
  });

  it('knows where a display is', () => {
    expect(displayUrl('http://host', 'timer_1')).toBe('http://host/display/timer_1');
    const link = new URL(
      displayUrl('http://host', 'timer_1', { label: 'Seat 14', token: 'a.b_c' }),
    );
    expect([link.search, link.hash]).toEqual(['?label=Seat+14', '#access_token=a.b_c']);
  });
});
