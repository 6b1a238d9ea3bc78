/** Webhooks: the real service and a real receiver, with a clock that stands still until a test moves it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ACTIONS } from '../../machines/command.js';
import { shardMachine } from '../../machines/shard.machine.js';
import { timerMachine } from '../../machines/timer.machine.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import {
  attemptsSchema,
  webhookSchema,
  webhookWithSecretSchema,
} from '../../src/protocol/webhooks.js';
import { eventsOf, messageIdOf, messageOf } from '../../src/webhooks/events.js';
import { DisturbedJournal } from '../support/disturbed-journal.js';
import { BY_TEST } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { type Delivery, Receiver, typesOf, verify } from '../support/receiver.js';
import { problemIn, TestService, type TestServiceOptions } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

afterEach(() => void vi.useRealTimers());

/** Numbers that look random and are the same in every run. */
function* numbersFrom(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    yield state >>> 8;
  }
}

/** A journal that cannot be read so many times. */
class UnreadableJournal extends MemoryJournal {
  /** Of the entries of all timers. */
  failures = 0;
  /** Of those of one timer. */
  historyFailures = 0;

  override async history(timerId: string) {
    this.historyFailures -= 1;
    if (this.historyFailures >= 0) throw new Error('disk I/O error');
    return super.history(timerId);
  }

  override async read(afterPosition: number, limit: number) {
    this.failures -= 1;
    if (this.failures >= 0) throw new Error('disk I/O error');
    return super.read(afterPosition, limit);
  }
}

interface Hooked {
  readonly service: TestService;
  readonly receiver: Receiver;
  readonly id: string;
  readonly secret: string;
}

async function hooked(
  options: TestServiceOptions = {},
  wanted: Readonly<Record<string, unknown>> = {},
): Promise<Hooked> {
  const service = await TestService.start(options);
  const receiver = await Receiver.open();
  const { body } = await service.request('POST', '/webhooks', { url: receiver.url, ...wanted });
  const { id, secret } = webhookWithSecretSchema.parse(body);
  return { service, receiver, id, secret };
}

/** Waits until nothing is being sent any more. */
async function settle(service: TestService): Promise<void> {
  await service.settle();
  while (!service.service.webhooks.isIdle) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass; what is sent meanwhile is answered before time goes on. */
function advance(service: TestService, byMs: number): Promise<void> {
  return service.clock.advance(byMs, () => settle(service));
}

async function show(service: TestService, id: string) {
  return webhookSchema.parse((await service.request('GET', `/webhooks/${id}`)).body);
}

async function attempts(service: TestService, id: string) {
  const { body } = await service.request('GET', `/webhooks/${id}/deliveries`);
  return attemptsSchema.parse(body);
}

/** Verifies as if it came when it says it was sent: receivers refuse what is older than 5 minutes. */
function verifyThen(secret: string, delivery: Delivery): unknown {
  const sentMs = Number(delivery.headers['webhook-timestamp']) * 1000;
  vi.useFakeTimers({ toFake: ['Date'], now: sentMs });
  try {
    return verify(secret, delivery);
  } finally {
    vi.useRealTimers();
  }
}

describe('W1: every event is delivered at least once, those of a timer in their order', () => {
  it('W1: tells every kind of entry and every warning, with the timer as it was right then', async () => {
    const { service, receiver } = await hooked();
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [50, 30] });
    await service.act(id, 'start');
    await advance(service, 10 * SECOND);
    await service.act(id, 'pause');
    await service.act(id, 'resume');
    await service.act(id, 'extend', 20);
    await advance(service, 70 * SECOND);
    await service.request('DELETE', `/timers/${id}`);
    const stopped = await service.create();
    await service.act(stopped.id, 'stop');
    await settle(service);
    expect(typesOf(receiver.deliveries, id)).toEqual([
      ...['created', 'started', 'warning', 'paused', 'resumed', 'extended'],
      ...['warning', 'warning', 'expired', 'deleted'],
    ]);
    expect(typesOf(receiver.deliveries, stopped.id)).toEqual(['created', 'stopped']);
    const [, , warning, , , extended, , , expired] = receiver.deliveries;
    expect(warning?.message.data).toMatchObject({
      timer: { id, state: 'running', remaining_seconds: 50, revision: 2 },
      warning: { threshold_seconds: 50 },
    });
    expect(extended?.message.data).toMatchObject({
      timer: { duration_seconds: 80, remaining_seconds: 70 },
      entry: { revision: 5, added_seconds: 20, by: { credential: 'anonymous' } },
    });
    expect(expired?.message).toMatchObject({
      timestamp: extended?.message.timestamp.replace(/.*/, () =>
        new Date(service.clock.now()).toISOString(),
      ),
      data: { timer: { state: 'expired', remaining_ms: 0 } },
    });
    expect(new Set(receiver.deliveries.map((delivery) => delivery.id)).size).toBe(12);
  });

  it('W1: sends timer_expired at the deadline, when its record is committed', async () => {
    const { service, receiver } = await hooked({}, { events: ['timer.expired'] });
    const timer = await service.create({ duration_seconds: 5, auto_start: true });
    await advance(service, 5 * SECOND);
    const [delivery] = receiver.deliveries;
    expect(delivery?.message.type).toBe('timer.expired');
    expect(Number(delivery?.headers['webhook-timestamp']) * 1000).toBe(timer.deadline_ms);
  });

  it('T8, W1: a warning that came while a pause was recorded comes again once the clock has passed it for good', async () => {
    const journal = new DisturbedJournal();
    const { service, receiver } = await hooked({ journal });
    const definition = { duration_seconds: 60, warning_thresholds: [30], auto_start: true };
    const { id } = await service.create(definition);
    const display = await service.display(id, '?ticks=false');
    await advance(service, 30 * SECOND - 100);
    journal.isHeld = true;
    const asked = journal.appends.length;
    const paused = service.act(id, 'pause');
    while (journal.appends.length === asked) await new Promise((resolve) => setImmediate(resolve));
    // Nothing settles before the pause is recorded, so the clock is moved alone.
    await service.clock.advance(200);
    await display.next('timer_warning');
    journal.isHeld = false;
    journal.release();
    expect(await paused).toMatchObject({ state: 'paused', remaining_ms: 30_100 });
    await service.act(id, 'resume');
    await advance(service, 200);
    const told = (await display.news()).map(({ type }) => type);
    expect(told).toEqual(['timer_paused', 'timer_started', 'timer_warning']);
    expect(typesOf(receiver.received, id)).toEqual([
      ...['created', 'warning', 'paused', 'resumed', 'warning'],
    ]);
    const happened = eventsOf(await journal.history(id), service.clock.now());
    expect(happened.map(({ event }) => event.thresholdMs ?? event.entry?.type)).toEqual([
      ...['created', 'paused', 'resumed', 30 * SECOND],
    ]);
  });

  it('W1: tells only the events and timers that are wanted', async () => {
    const service = await TestService.start();
    const receiver = await Receiver.open();
    const one = await service.create();
    const other = await service.create();
    const wanted = { url: receiver.url, timers: [one.id], events: ['timer.stopped'] };
    await service.request('POST', '/webhooks', wanted);
    for (const { id } of [one, other]) {
      await service.act(id, 'start');
      await service.act(id, 'stop');
    }
    await settle(service);
    expect(typesOf(receiver.deliveries, one.id)).toEqual(['stopped']);
    expect(receiver.deliveries).toHaveLength(1);
  });

  it('W1: an event that fails holds back its own timer only', async () => {
    const { service, receiver } = await hooked();
    const a = await service.create();
    const b = await service.create();
    await settle(service);
    receiver.answer = ({ data }) => (data.timer.id === a.id ? 500 : 204);
    for (const { id } of [a, b]) {
      await service.act(id, 'start');
      await service.act(id, 'pause');
      await service.act(id, 'stop');
    }
    await settle(service);
    expect(typesOf(receiver.received, a.id)).toEqual(['created']);
    expect(typesOf(receiver.received, b.id)).toEqual(['created', 'started', 'paused', 'stopped']);
    receiver.answer = () => 204;
    await advance(service, 10 * SECOND);
    expect(typesOf(receiver.received, a.id)).toEqual(['created', 'started', 'paused', 'stopped']);
  });

  it('W1: after a restart it tells what it had not, warnings of that time too, under the same ids', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock();
    const { service, receiver, secret } = await hooked({ journal, clock });
    const { id } = await service.create({
      duration_seconds: 100,
      warning_thresholds: [90, 50, 20],
      auto_start: true,
    });
    const second = await service.create({ duration_seconds: 1000, warning_thresholds: [950, 10] });
    await service.act(second.id, 'start');
    await settle(service);
    receiver.answer = () => 503;
    await advance(service, 10 * SECOND);
    expect(typesOf(receiver.received, id)).toEqual(['created']);
    const before = receiver.deliveries.at(-1);
    await service.stop();
    receiver.answer = () => 204;
    clock.stall(90 * SECOND);
    const restarted = await TestService.start({ journal, clock });
    await settle(restarted);
    expect(typesOf(receiver.received, id)).toEqual([
      ...['created', 'warning', 'warning', 'warning', 'expired'],
    ]);
    expect(typesOf(receiver.received, second.id)).toEqual(['created', 'started', 'warning']);
    expect(before?.message.type).toBe('timer.warning');
    expect(receiver.received.map((delivery) => delivery.id)).toContain(before?.id);
    for (const delivery of receiver.deliveries) verifyThen(secret, delivery);
    // What is settled is not told again by the next start.
    await advance(restarted, MINUTE);
    const told = receiver.deliveries.length;
    await restarted.stop();
    const third = await TestService.start({ journal, clock });
    await advance(third, MINUTE);
    expect(receiver.deliveries).toHaveLength(told);
  });

  it('W1, T11: tells the warnings of a timer that was down when they were due', async () => {
    // With the fourth it is down from the 7th second to the 11th.
    let faults = 4;
    const timer = timerMachine.provide({
      actions: {
        tellTick: () => {
          faults -= 1;
          if (faults >= 0) throw new Error('a bug');
        },
      },
    });
    const shardLogic = shardMachine.provide({ actors: { timer } });
    const { service, receiver } = await hooked({ shardLogic });
    const thresholds = [290, 289, 200];
    const { id } = await service.create({ warning_thresholds: thresholds, auto_start: true });
    await service.display(id);
    await advance(service, 15 * SECOND);
    expect(faults).toBeLessThan(0);
    await service.act(id, 'pause');
    await settle(service);
    expect(receiver.received.map(({ message }) => message.type)).toEqual([
      ...['timer.created', 'timer.warning', 'timer.warning', 'timer.paused'],
    ]);
  });

  it('W1: what it is told at once is what the history says, whatever is done to timers', async () => {
    const { service, receiver, id: webhookId } = await hooked();
    const numbers = numbersFrom(7);
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const definition = { duration_seconds: 60, warning_thresholds: [55, 50, 30, 10, 5] };
      ids.push((await service.create({ ...definition, auto_start: count % 2 === 0 })).id);
    }
    for (let step = 0; step < 100; step += 1) {
      const action = ACTIONS[numbers.next().value % ACTIONS.length] ?? 'start';
      const id = ids[numbers.next().value % ids.length] ?? '';
      await service.control(id, action, action === 'extend' ? 7 : undefined);
      await advance(service, (numbers.next().value % 20) * 250);
    }
    await advance(service, 10 * MINUTE);
    for (const id of ids) {
      const told = receiver.received.filter(({ message }) => message.data.timer.id === id);
      const happened = eventsOf(await service.journal.history(id), service.clock.now());
      const expected = happened.map(({ event }) => [
        messageIdOf(webhookId, event),
        messageOf(event),
      ]);
      expect(told.map((delivery) => [delivery.id, delivery.message])).toEqual(expected);
    }
    expect(receiver.deliveries).toHaveLength(receiver.received.length);
  });

  it('W1: tells after a restart what was still in the journal when it stopped, warnings too', async () => {
    const journal = new MemoryJournal();
    const clock = new SimulatedClock();
    const { service, receiver } = await hooked({ journal, clock });
    receiver.answer = () => 503;
    const ids: string[] = [];
    for (let count = 0; count < 20; count += 1) {
      const definition = { duration_seconds: 300, warning_thresholds: [290, 280] };
      ids.push((await service.create(definition)).id);
    }
    for (let round = 0; round < 30; round += 1) {
      await service.request('POST', '/timers/bulk/start', ids);
      await service.request('POST', '/timers/bulk/pause', ids);
    }
    await service.request('POST', '/timers/bulk/start', ids);
    await settle(service);
    await advance(service, 18 * SECOND);
    // To stop takes 10 s here, in which the second warning comes due.
    await service.stop();
    receiver.answer = () => 204;
    const restarted = await TestService.start({ journal, clock });
    await settle(restarted);
    for (const id of ids) {
      const types = typesOf(receiver.received, id);
      expect(types).toHaveLength(64);
      expect(types.slice(-3)).toEqual(['resumed', 'warning', 'warning']);
    }
  });

  it('W1: a journal that cannot be read for a moment is read again', async () => {
    const journal = new UnreadableJournal();
    const { service, receiver } = await hooked({ journal });
    receiver.answer = () => 503;
    await service.create();
    await settle(service);
    await service.stop();
    receiver.answer = () => 204;
    journal.failures = 3;
    const restarted = await TestService.start({ journal, clock: service.clock });
    await advance(restarted, 5 * SECOND);
    expect(receiver.received).toHaveLength(1);
  });

  it('W1: keeps a bounded number in memory and reads the others from the journal, in order', async () => {
    const { service, receiver } = await hooked();
    receiver.answer = () => 503;
    const ids: string[] = [];
    for (let count = 0; count < 20; count += 1) ids.push((await service.create()).id);
    for (let round = 0; round < 30; round += 1) {
      await service.request('POST', '/timers/bulk/start', ids);
      await service.request('POST', '/timers/bulk/pause', ids);
    }
    await settle(service);
    receiver.answer = () => 204;
    await advance(service, 10 * MINUTE);
    for (const id of ids) {
      const told = receiver.received.filter(({ message }) => message.data.timer.id === id);
      const revisions = told.map(({ message }) => message.data.timer.revision);
      expect(revisions).toEqual(Array.from({ length: 61 }, (_, index) => index + 1));
    }
  });
});

describe('W2: messages are signed as Standard Webhooks has it', () => {
  it('W2: the public package verifies them with the secret, and with no other', async () => {
    const { service, receiver, secret } = await hooked();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { id } = await service.create({ name: 'Prüfung ✎' });
    await settle(service);
    const [delivery] = receiver.deliveries;
    if (delivery === undefined) throw new Error('Nothing came');
    expect(verifyThen(secret, delivery)).toMatchObject({
      type: 'timer.created',
      data: { timer: { id, name: 'Prüfung ✎' } },
    });
    const other = `whsec_${Buffer.alloc(32).toString('base64')}`;
    expect(() => verifyThen(other, delivery)).toThrow('No matching signature');
    const forged = { ...delivery, body: delivery.body.replace('created', 'expired') };
    expect(() => verifyThen(secret, forged)).toThrow('No matching signature');
  });

  it('W2: after a rotation the old secret is good for 24 hours more, to the millisecond', async () => {
    const { service, receiver, id, secret } = await hooked();
    const { body } = await service.request('POST', `/webhooks/${id}/rotate`);
    const rotated = webhookWithSecretSchema.parse(body).secret;
    const told = async () => {
      await service.create();
      await settle(service);
      const delivery = receiver.deliveries.at(-1);
      if (delivery === undefined) throw new Error('Nothing came');
      return delivery;
    };
    const first = await told();
    await advance(service, 24 * HOUR - 1);
    const last = await told();
    for (const delivery of [first, last]) {
      verifyThen(secret, delivery);
      verifyThen(rotated, delivery);
    }
    await advance(service, 1);
    const late = await told();
    expect(receiver.deliveries).toHaveLength(3);
    verifyThen(rotated, late);
    expect(() => verifyThen(secret, late)).toThrow('No matching signature');
  });

  it('W2: no rotation takes its 24 hours from a secret: one too many is refused', async () => {
    const { service, receiver, id, secret } = await hooked();
    const rotate = () => service.request('POST', `/webhooks/${id}/rotate`);
    const secrets = [secret];
    for (let count = 0; count < 4; count += 1) {
      secrets.push(webhookWithSecretSchema.parse((await rotate()).body).secret);
      await advance(service, HOUR);
    }
    const refused = await rotate();
    expect([refused.status, problemIn(refused).code]).toEqual([429, 'too_many_secrets']);
    expect(refused.headers.get('ratelimit-limit')).toBe('5');
    expect(refused.headers.get('ratelimit-remaining')).toBe('0');
    await service.create();
    await settle(service);
    const [delivery] = receiver.deliveries;
    if (delivery === undefined) throw new Error('Nothing came');
    for (const each of secrets) verifyThen(each, delivery);
    await advance(service, 20 * HOUR);
    expect((await rotate()).status).toBe(200);
  });

  it('W2: the secret is shown when it is made, and never again', async () => {
    const { service, id, secret } = await hooked();
    for (const path of ['/webhooks', `/webhooks/${id}`, `/webhooks/${id}/deliveries`]) {
      const { body } = await service.request('GET', path);
      expect(JSON.stringify(body)).not.toContain(secret);
    }
  });
});

describe('W3: webhooks lead to public addresses only, and follow no redirect', () => {
  const strict = { settings: { WEBHOOK_ALLOW_PRIVATE: '0' } };

  it.each([
    'http://quiz.example/hook',
    'ftp://quiz.example/hook',
    'https://user:secret@quiz.example/',
    'https://quiz.example/#part',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://0x7f000001/',
    'https://2130706433/',
    'https://10.1.2.3/',
    'https://172.16.0.1/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://224.0.0.1/',
    'https://[::1]/',
    'https://[::]/',
    'https://[fe80::1]/',
    'https://[fd00::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'not a url',
  ])('W3: refuses %s', async (url) => {
    const service = await TestService.start(strict);
    const answer = await service.request('POST', '/webhooks', { url });
    expect(answer.status).toBe(422);
    expect(problemIn(answer).errors).toMatchObject([{ field: 'body.url' }]);
    expect((await service.request('GET', '/webhooks')).body).toEqual([]);
  });

  it('W3: takes a public address', async () => {
    const service = await TestService.start(strict);
    for (const url of ['https://8.8.8.8/hook', 'https://[2606:4700::1]/', 'https://quiz.example']) {
      expect((await service.request('POST', '/webhooks', { url })).status).toBe(201);
    }
  });

  it('W3: reaches no private address that it was led to before that was refused', async () => {
    const journal = new MemoryJournal();
    const { service, receiver, id } = await hooked({ journal });
    await service.stop();
    const restarted = await TestService.start({ journal, clock: service.clock, ...strict });
    await restarted.create();
    await settle(restarted);
    expect(receiver.deliveries).toHaveLength(0);
    expect(await attempts(restarted, id)).toMatchObject([{ success: false, status: null }]);
  });

  it('W3: does not follow a redirect, which is a failure like others', async () => {
    const { service, receiver, id } = await hooked();
    const inside = await Receiver.open();
    receiver.answer = () => (response) => response.writeHead(307, { Location: inside.url }).end();
    await service.create();
    await settle(service);
    expect(await attempts(service, id)).toMatchObject([
      { success: false, status: 307, error: expect.stringContaining('redirects are not followed') },
    ]);
    expect(inside.deliveries).toHaveLength(0);
  });
});

describe('W4: what fails is tried again on a schedule, and a webhook that never answers is disabled', () => {
  const settings = { WEBHOOK_RETRY_SECONDS: '5,300', WEBHOOK_TIMEOUT_SECONDS: '10' };

  it('W4: tries again no earlier than planned, and a fifth later at the most', async () => {
    const { service, receiver, id } = await hooked({ settings });
    receiver.answer = () => 500;
    await service.create();
    await settle(service);
    await advance(service, 5 * SECOND - 1);
    expect(receiver.deliveries).toHaveLength(1);
    await advance(service, SECOND + 1);
    expect(receiver.deliveries).toHaveLength(2);
    receiver.answer = () => 204;
    await advance(service, 298 * SECOND);
    expect(receiver.deliveries).toHaveLength(2);
    await advance(service, 62 * SECOND);
    expect(receiver.deliveries).toHaveLength(3);
    expect(new Set(receiver.deliveries.map((delivery) => delivery.id)).size).toBe(1);
    expect(await attempts(service, id)).toMatchObject([
      { attempt: 3, success: true, status: 204, error: null },
      { attempt: 2, success: false, status: 500, error: 'Answered 500' },
      { attempt: 1, success: false, status: 500, error: 'Answered 500' },
    ]);
  });

  it('W4: gives up a receiver that hangs after the time it has', async () => {
    const { service, receiver, id } = await hooked({ settings });
    receiver.answer = () => 'hang';
    await service.create();
    await receiver.until(1);
    await service.advance(10 * SECOND - 1);
    expect(await attempts(service, id)).toEqual([]);
    await service.advance(1);
    await settle(service);
    expect(await attempts(service, id)).toMatchObject([
      { status: null, error: 'No answer within 10 seconds', duration_ms: 10_000 },
    ]);
  });

  it('W4: waits as long as a receiver asks in Retry-After, up to an hour', async () => {
    const { service, receiver } = await hooked({ settings });
    receiver.answer = () => (response) => response.writeHead(503, { 'Retry-After': '120' }).end();
    await service.create();
    await settle(service);
    await advance(service, 120 * SECOND - 1);
    expect(receiver.deliveries).toHaveLength(1);
    receiver.answer = () => (response) => response.writeHead(429, { 'Retry-After': '1e9' }).end();
    await advance(service, 1);
    expect(receiver.deliveries).toHaveLength(2);
  });

  it('W4: a receiver that answers 410 is told nothing more until the webhook is enabled', async () => {
    const { service, receiver, id } = await hooked();
    receiver.answer = () => 410;
    const { id: timerId } = await service.create();
    await settle(service);
    await eventually(async () => expect((await show(service, id)).disabled).not.toBeNull());
    expect((await show(service, id)).disabled?.why).toContain('410');
    receiver.answer = () => 204;
    await service.act(timerId, 'start');
    await advance(service, HOUR);
    expect(receiver.deliveries).toHaveLength(1);
    const answer = await service.request('POST', `/webhooks/${id}/enable`);
    expect(webhookSchema.parse(answer.body).disabled).toBeNull();
    await settle(service);
    expect(typesOf(receiver.received, timerId)).toEqual([
      ...['created', 'started', 'warning', 'warning', 'expired'],
    ]);
  });

  it('W4: is disabled when the schedule has run out, also after a restart, and loses nothing', async () => {
    const journal = new MemoryJournal();
    const { service, receiver, id } = await hooked({ settings, journal });
    receiver.close();
    const { id: timerId } = await service.create();
    await settle(service);
    await advance(service, HOUR);
    await eventually(async () => expect((await show(service, id)).disabled).not.toBeNull());
    expect((await show(service, id)).disabled?.why).toContain('3 attempts failed');
    await receiver.listen();
    await service.stop();
    const restarted = await TestService.start({ journal, clock: service.clock, settings });
    await restarted.act(timerId, 'start');
    await settle(restarted);
    expect(receiver.deliveries).toHaveLength(0);
    expect(await attempts(restarted, id)).toHaveLength(3);
    await restarted.request('POST', `/webhooks/${id}/enable`);
    await settle(restarted);
    expect(typesOf(receiver.received, timerId)).toEqual(['created', 'started']);
  });

  it('W4: goes on with the schedule after a restart, and begins it anew when it is enabled', async () => {
    const journal = new MemoryJournal();
    const { service, receiver, id } = await hooked({ settings, journal });
    receiver.answer = () => 500;
    await service.create();
    await settle(service);
    await service.stop();
    const sent = receiver.deliveries.length;
    const restarted = await TestService.start({ journal, clock: service.clock, settings });
    await settle(restarted);
    expect((await attempts(restarted, id))[0]).toMatchObject({ attempt: sent + 1 });
    await advance(restarted, HOUR);
    await eventually(async () => expect((await show(restarted, id)).disabled).not.toBeNull());
    expect(receiver.deliveries).toHaveLength(3);
    await restarted.request('POST', `/webhooks/${id}/enable`);
    await settle(restarted);
    expect((await attempts(restarted, id))[0]).toMatchObject({ attempt: 1, success: false });
    expect((await show(restarted, id)).disabled).toBeNull();
  });

  it('W4: to enable one that waits for its next attempt is to try now', async () => {
    const { service, receiver, id } = await hooked({ settings });
    receiver.answer = () => 500;
    await service.create();
    await settle(service);
    receiver.answer = () => 204;
    await service.request('POST', `/webhooks/${id}/enable`);
    await settle(service);
    expect(receiver.received).toHaveLength(1);
  });
});

describe('W4: a receiver that is back is told at once', () => {
  const settings = { WEBHOOK_RETRY_SECONDS: '5,3600' };

  /** A timer whose first message waits for its last attempt, an hour later. */
  async function failedTwice({ service, receiver }: Hooked, definition = {}): Promise<string> {
    receiver.answer = () => 500;
    const { id } = await service.create(definition);
    await advance(service, 6 * SECOND);
    expect(typesOf(receiver.deliveries, id)).toEqual(['created', 'created']);
    return id;
  }

  it('W4: more than it holds have failed, and new ones are delivered within seconds, in order', async () => {
    const {
      service,
      receiver,
      id: webhookId,
    } = await hooked({
      settings: { WEBHOOK_RETRY_SECONDS: '3600,3600' },
    });
    receiver.answer = () => 500;
    const ids: string[] = [];
    for (let count = 0; count < 1100; count += 1) ids.push(await service.createQuickly());
    await settle(service);
    await advance(service, MINUTE);
    expect(receiver.received).toHaveLength(0);
    const probed = receiver.deliveries.length;
    await advance(service, 10 * MINUTE);
    expect(receiver.deliveries.length - probed).toBe(40);
    receiver.answer = () => 204;
    const { id } = await service.create();
    for (const timerId of [id, ids[0] ?? '']) await service.act(timerId, 'start');
    await advance(service, 16 * SECOND);
    for (const timerId of [id, ids[0] ?? '']) {
      expect(typesOf(receiver.received, timerId)).toEqual(['created', 'started']);
    }
    expect(receiver.received).toHaveLength(1103);
    const [last] = await attempts(service, webhookId);
    expect(last).toMatchObject({ success: true, attempt: 1 });
  });

  it('W4: what another timer has delivered lets all be tried', async () => {
    const all = await hooked({ settings });
    const id = await failedTwice(all);
    all.receiver.answer = () => 204;
    await all.service.create();
    await settle(all.service);
    expect(typesOf(all.receiver.received, id)).toEqual(['created']);
  });

  it('W4: news of a timer is not held back by what failed of it before', async () => {
    const all = await hooked({ settings });
    const wanted = { duration_seconds: 60, warning_thresholds: [], auto_start: true };
    const id = await failedTwice(all, wanted);
    all.receiver.answer = () => 204;
    await advance(all.service, 54 * SECOND);
    expect(typesOf(all.receiver.received, id)).toEqual(['created', 'expired']);
  });

  it('W4: what a receiver never takes is tried ever less, and no attempt before its time counts', async () => {
    const all = await hooked({ settings });
    const { service, receiver, id: webhookId } = all;
    const refused = await failedTwice(all);
    receiver.answer = ({ data }) => (data.timer.id === refused ? 500 : 204);
    for (let count = 0; count < 100; count += 1) {
      await service.create();
      await advance(service, SECOND);
    }
    // The two before, and after 0, 15 and 45 s more.
    expect(typesOf(receiver.deliveries, refused)).toHaveLength(5);
    expect((await show(service, webhookId)).disabled).toBeNull();
    const [last] = (await attempts(service, webhookId)).filter(({ success }) => !success);
    expect(last?.attempt).toBe(2);
    await advance(service, 2 * HOUR);
    await eventually(async () => expect((await show(service, webhookId)).disabled).not.toBeNull());
    expect((await show(service, webhookId)).disabled?.why).toContain('3 attempts failed');
  });

  it('W4: it is not tried before the end of its Retry-After, whatever else it takes', async () => {
    const { service, receiver } = await hooked({ settings });
    receiver.answer = () => (response) => response.writeHead(503, { 'Retry-After': '120' }).end();
    const { id } = await service.create();
    await settle(service);
    receiver.answer = () => 204;
    await advance(service, 60 * SECOND);
    await service.create();
    await service.act(id, 'start');
    await advance(service, 60 * SECOND - 1);
    expect(typesOf(receiver.received, id)).toEqual([]);
    await advance(service, 1);
    expect(typesOf(receiver.received, id)).toEqual(['created', 'started']);
  });
});

describe('W4: a timer whose messages are never taken', () => {
  /** Enough for entries on two pages of the journal, and for many readings of what is left out. */
  const ROUNDS = 260;

  /** A timer with 522 messages of which the receiver takes none, to be told with one warning in between. */
  async function neverTaken({ service, receiver }: Hooked): Promise<string> {
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [59] });
    receiver.answer = ({ data }) => (data.timer.id === id ? 500 : 204);
    const { registry } = service.service;
    for (let round = 0; round < ROUNDS; round += 1) {
      await registry.execute({ type: 'start', timerId: id }, BY_TEST);
      if (round === ROUNDS / 2) await advance(service, SECOND);
      await registry.execute({ type: 'pause', timerId: id }, BY_TEST);
    }
    await settle(service);
    return id;
  }

  function revisionsOf({ receiver }: Hooked, id: string): (number | string)[] {
    return receiver.received
      .filter(({ message }) => message.data.timer.id === id)
      .map(({ message }) =>
        message.type === 'timer.warning' ? 'warning' : message.data.timer.revision,
      );
  }

  const all = Array.from({ length: 2 * ROUNDS + 1 }, (_, index) => index + 1);
  const expected = [...all.slice(0, ROUNDS + 2), 'warning', ...all.slice(ROUNDS + 2)];
  const settings = { WEBHOOK_RETRY_SECONDS: '3600,3600' };

  it('W4: keeps those of no other timer waiting, and is told all when it is taken again, in order', async () => {
    const hook = await hooked({ settings });
    const id = await neverTaken(hook);
    const { service, receiver } = hook;
    const other = await service.create();
    await service.act(other.id, 'start');
    await settle(service);
    expect(typesOf(receiver.received, other.id)).toEqual(['created', 'started']);
    receiver.answer = () => 204;
    await advance(service, MINUTE);
    await service.create();
    await settle(service);
    expect(revisionsOf(hook, id)).toEqual(expected);
    expect(receiver.deliveries.filter(({ answer }) => answer === 204)).toHaveLength(
      receiver.received.length,
    );
  });

  it('W1: nothing of what was left in the journal is lost by a restart', async () => {
    const journal = new MemoryJournal();
    const hook = await hooked({ settings, journal });
    const id = await neverTaken(hook);
    await advance(hook.service, MINUTE);
    await hook.service.stop();
    hook.receiver.answer = () => 204;
    const restarted = await TestService.start({ journal, clock: hook.service.clock, settings });
    await settle(restarted);
    expect(revisionsOf(hook, id)).toEqual(expected);
  });

  it('W1: what was left in the journal is read again when it could not be read', async () => {
    const journal = new UnreadableJournal();
    const hook = await hooked({ settings, journal });
    const id = await neverTaken(hook);
    journal.historyFailures = 3;
    hook.receiver.answer = () => 204;
    await advance(hook.service, MINUTE);
    await hook.service.create();
    await advance(hook.service, 5 * SECOND);
    expect(revisionsOf(hook, id)).toEqual(expected);
  });
});

describe('looking after webhooks', () => {
  it('W4: a message that was sent again and taken lets all that failed be tried', async () => {
    const settings = { WEBHOOK_RETRY_SECONDS: '3600' };
    const { service, receiver, id } = await hooked({ settings });
    const { id: taken } = await service.create();
    await settle(service);
    receiver.answer = () => 500;
    const { id: failed } = await service.create();
    await settle(service);
    await advance(service, SECOND);
    receiver.answer = () => 204;
    const message = receiver.deliveries.find(({ message }) => message.data.timer.id === taken);
    await service.request('POST', `/webhooks/${id}/deliveries/${message?.id}/redeliver`);
    await settle(service);
    expect(typesOf(receiver.received, failed)).toEqual(['created']);
  });

  it('W4: goes on with others until it is kept that a webhook is disabled', async () => {
    const journal = new DisturbedJournal();
    const { service, receiver, id } = await hooked({ journal });
    const gone = await service.create();
    const other = await service.create();
    await settle(service);
    receiver.answer = ({ data }) => (data.timer.id === gone.id ? 410 : 204);
    journal.isFull = true;
    await service.act(gone.id, 'start');
    await settle(service);
    expect((await show(service, id)).disabled).toBeNull();
    await service.act(other.id, 'start');
    await settle(service);
    expect(typesOf(receiver.received, other.id)).toEqual(['created', 'started']);
    await advance(service, 10 * SECOND);
    expect(typesOf(receiver.deliveries, gone.id)).toEqual(['created', 'started']);
    journal.isFull = false;
    await advance(service, SECOND);
    expect((await show(service, id)).disabled?.why).toContain('410');
    await service.act(other.id, 'pause');
    await settle(service);
    expect(typesOf(receiver.deliveries, other.id)).toEqual(['created', 'started']);
  });

  it('sends a message of the log again, the same but for the time', async () => {
    const { service, receiver, id, secret } = await hooked();
    await service.create();
    await settle(service);
    await advance(service, HOUR);
    const [delivery] = receiver.deliveries;
    const path = `/webhooks/${id}/deliveries/${delivery?.id}/redeliver`;
    const answer = await service.request('POST', path);
    expect(answer.body).toMatchObject({ attempt: 1, success: true, message_id: delivery?.id });
    const again = receiver.deliveries[1];
    if (again === undefined) throw new Error('Nothing came');
    expect(again.body).toBe(delivery?.body);
    verifyThen(secret, again);
    expect(await attempts(service, id)).toHaveLength(2);
  });

  it('A5: sends it once however often that is asked under one Idempotency-Key', async () => {
    const { service, receiver, id } = await hooked();
    await service.create();
    await settle(service);
    await advance(service, HOUR);
    const path = `/webhooks/${id}/deliveries/${receiver.deliveries[0]?.id}/redeliver`;
    const ask = () =>
      fetch(`${service.service.url}${path}`, {
        method: 'POST',
        headers: { ...service.authorization, 'Idempotency-Key': 'once-more' },
      });
    const [first, second] = [await ask(), await ask()];
    expect(await second.text()).toBe(await first.text());
    expect(receiver.deliveries).toHaveLength(2);
  });

  it('is told no more once it is deleted, and nothing of it is left', async () => {
    const { service, receiver, id } = await hooked();
    await service.create();
    await settle(service);
    await advance(service, 10 * SECOND);
    expect((await service.request('DELETE', `/webhooks/${id}`)).status).toBe(204);
    await service.create();
    await advance(service, MINUTE);
    expect(receiver.deliveries).toHaveLength(1);
    expect((await service.request('GET', `/webhooks/${id}`)).status).toBe(404);
    for (const drawer of ['webhooks', 'webhook-cursors', 'webhook-attempts']) {
      expect(await service.journal.documents.list(drawer)).toEqual([]);
    }
  });

  it('keeps the last 1,000 attempts, and shows as many as are asked for', async () => {
    const { service, id } = await hooked();
    const ids: string[] = [];
    for (let count = 0; count < 50; count += 1) ids.push((await service.create()).id);
    for (let round = 0; round < 10; round += 1) {
      await service.request('POST', '/timers/bulk/start', ids);
      await advance(service, 2 * SECOND);
      await service.request('POST', '/timers/bulk/pause', ids);
      await advance(service, 2 * SECOND);
    }
    await advance(service, 10 * SECOND);
    const all = await service.request('GET', `/webhooks/${id}/deliveries?limit=1000`);
    expect(all.body).toHaveLength(1000);
    const kept = await service.journal.documents.list('webhook-attempts');
    const written = kept.flatMap(({ text }) => z.array(z.unknown()).parse(JSON.parse(text)));
    expect(written.length).toBeLessThan(1100);
    expect(await attempts(service, id)).toHaveLength(100);
  });

  it('says how long the oldest event has been waiting', async () => {
    const { service, receiver } = await hooked();
    const lagMs = () => service.service.webhooks.figures().lagMs;
    expect(lagMs()).toBe(0);
    receiver.answer = () => 500;
    await service.create();
    await settle(service);
    await advance(service, 2 * SECOND);
    expect(lagMs()).toBe(2 * SECOND);
    receiver.answer = () => 204;
    await advance(service, 10 * SECOND);
    expect(lagMs()).toBe(0);
  });

  it('takes a webhook once for one Idempotency-Key', async () => {
    const service = await TestService.start();
    const create = () =>
      fetch(`${service.service.url}/webhooks`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'once' },
        body: JSON.stringify({ url: 'https://quiz.example/' }),
      }).then((response) => response.json());
    expect(await create()).toEqual(await create());
    expect((await service.request('GET', '/webhooks')).body).toHaveLength(1);
  });
});

describe('T12: a change of a webhook that cannot be recorded', () => {
  it('is answered with 503, changes nothing, and can be made when there is room', async () => {
    const journal = new DisturbedJournal();
    const service = await TestService.start({ journal });
    const creation = { url: 'http://127.0.0.1:9/' };
    const { body } = await service.request('POST', '/webhooks', creation);
    const { id } = z.object({ id: z.string() }).parse(body);
    const before = (await service.request('GET', '/webhooks')).body;
    journal.isFull = true;
    for (const [method, path, sent] of [
      ['POST', '/webhooks', creation],
      ['POST', `/webhooks/${id}/rotate`],
      ['POST', `/webhooks/${id}/enable`],
      ['DELETE', `/webhooks/${id}`],
    ] as const) {
      const answer = await service.request(method, path, sent);
      expect([answer.status, problemIn(answer).code]).toEqual([503, 'journal_unavailable']);
    }
    expect((await service.request('GET', '/webhooks')).body).toEqual(before);
    journal.isFull = false;
    expect((await service.request('POST', `/webhooks/${id}/rotate`)).status).toBe(200);
    expect((await service.request('DELETE', `/webhooks/${id}`)).status).toBe(204);
  });
});
