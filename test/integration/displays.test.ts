/** Who follows a timer and what they show, and the streams of those who look after timers. */
import { describe, expect, it } from 'vitest';
import {
  CONSOLE_MESSAGES,
  type ConsoleMessage,
  consoleMessageSchema,
} from '../../src/protocol/console.js';
import { type Displays, displaysSchema } from '../../src/protocol/displays.js';
import { displayEventSchema } from '../../src/protocol/messages.js';
import type { TestDisplay } from '../support/display.js';
import { EventReader, RefusedError } from '../support/event-reader.js';
import { faultyShards } from '../support/faulty-shards.js';
import { RawClient } from '../support/raw-client.js';
import { problemIn, TestService } from '../support/service.js';

const SECOND = 1000;
const NOW = '2026-01-15T10:00:00.000Z';
/** What a request for events has less than a handshake. */
const NO_UPGRADE = { headers: { Upgrade: undefined, Connection: undefined } };

type Update = Extract<ConsoleMessage, { type: 'update' }>;

async function displaysOf(service: TestService, timerId: string): Promise<Displays> {
  return displaysSchema.parse((await service.request('GET', `/timers/${timerId}/displays`)).body);
}

/** Waits until the service has noticed who left. */
async function untilConnected(service: TestService, timerId: string, count: number): Promise<void> {
  const connected = async () => (await service.get(timerId)).connected_clients;
  await expect.poll(connected, { timeout: 3000, interval: 5 }).toBe(count);
}

function displayIdOf({ messages: [first] }: TestDisplay): string {
  if (first?.type !== 'connected') throw new Error('The display was not greeted');
  return first.display_id;
}

/** Connects a display over server-sent events, and gives it and its id. */
async function followEvents(service: TestService, timerId: string, query = '') {
  const url = `${service.service.url}/timers/${timerId}/events${query}`;
  const reader = await EventReader.open(url, displayEventSchema);
  const first = await reader.next();
  return { reader, displayId: 'display_id' in first ? first.display_id : '' };
}

function acknowledge(service: TestService, timerId: string, displayId: string, body: unknown) {
  const path = `/timers/${timerId}/displays/${displayId}/acknowledgement`;
  return service.request('POST', path, body);
}

function watch(service: TestService, timerId: string): Promise<EventReader<Displays>> {
  const url = `${service.service.url}/timers/${timerId}/displays/events`;
  return EventReader.open(url, displaysSchema);
}

/** Opens a console, and waits for the overview. */
async function openConsole(service: TestService): Promise<EventReader<ConsoleMessage>> {
  const reader = await EventReader.open(`${service.service.url}/events`, consoleMessageSchema);
  await reader.next();
  return reader;
}

/** Lets the time of one message pass, and gives that message. */
async function nextUpdate(
  service: TestService,
  reader: EventReader<ConsoleMessage>,
): Promise<Update> {
  await service.advance(100);
  const message = await reader.next();
  if (message.type !== 'update') throw new Error(`Not an update: ${message.type}`);
  return message;
}

describe('D3, T1: what a display acknowledges is shown, and changes nothing', () => {
  it('over both transports, in the order they came', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const first = await service.display(id, '?label=Seat%2014');
    await service.advance(SECOND);
    const { displayId } = await followEvents(service, id);
    await service.act(id, 'start');
    await first.next('timer_started');
    first.say({ type: 'acknowledge', revision: 2, error_bound_ms: 12.5 });
    expect(await first.news()).toEqual([]);
    await service.advance(SECOND);
    const body = { revision: 1, error_bound_ms: null, label: 'Seat 15' };
    expect(await acknowledge(service, id, displayId, body)).toMatchObject({ status: 204 });
    expect(await displaysOf(service, id)).toEqual({
      timer_id: id,
      revision: 2,
      connected: 2,
      current: 1,
      worst_error_bound_ms: 12.5,
      displays: [
        {
          display_id: displayIdOf(first),
          label: 'Seat 14',
          transport: 'websocket',
          connected_at: NOW,
          revision: 2,
          error_bound_ms: 12.5,
          acknowledged_at: '2026-01-15T10:00:01.000Z',
          is_current: true,
        },
        {
          display_id: displayId,
          label: 'Seat 15',
          transport: 'sse',
          connected_at: '2026-01-15T10:00:01.000Z',
          revision: 1,
          error_bound_ms: null,
          acknowledged_at: '2026-01-15T10:00:02.000Z',
          is_current: false,
        },
      ],
    });
    expect((await service.get(id)).revision).toBe(2);
    expect(await service.journal.history(id)).toHaveLength(2);
  });

  it('until it leaves', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    const { reader, displayId } = await followEvents(service, id);
    const body = { revision: 1, error_bound_ms: 3 };
    display.say({ type: 'acknowledge', ...body });
    await display.news();
    await acknowledge(service, id, displayId, body);
    expect(await displaysOf(service, id)).toMatchObject({ connected: 2, current: 2 });
    await display.leave();
    reader.leave();
    const often = { timeout: 3000, interval: 5 };
    await expect
      .poll(() => displaysOf(service, id), often)
      .toEqual({
        timer_id: id,
        revision: 1,
        connected: 0,
        current: 0,
        worst_error_bound_ms: null,
        displays: [],
      });
    const late = await acknowledge(service, id, displayId, body);
    expect(problemIn(late)).toMatchObject({ status: 404, code: 'unknown_display' });
  });

  it('keeping the label it had, and only the last of what it said', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id, '?label=Seat%2014');
    for (const error_bound_ms of [4, 86_400_000]) {
      display.say({ type: 'acknowledge', revision: 1, error_bound_ms });
    }
    await display.news();
    expect(await displaysOf(service, id)).toMatchObject({
      worst_error_bound_ms: 86_400_000,
      displays: [{ label: 'Seat 14', error_bound_ms: 86_400_000 }],
    });
  });

  it.each([
    { revision: 0, error_bound_ms: 1 },
    { revision: 1.5, error_bound_ms: 1 },
    { revision: '1', error_bound_ms: 1 },
    { revision: 1, error_bound_ms: -1 },
    { revision: 1, error_bound_ms: 86_400_001 },
    { revision: 1, error_bound_ms: 1e308 },
    { revision: 1 },
    { revision: 1, error_bound_ms: 1, label: 'x'.repeat(101) },
    { revision: 1, error_bound_ms: 1, label: 7 },
  ])('T12: %o is refused in words', async (body) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    display.say({ type: 'acknowledge', ...body });
    const { message } = await display.next('error');
    expect(message).toMatch(/^acknowledge is not valid: (revision|error_bound_ms|label): /);
    const { displayId } = await followEvents(service, id);
    const answer = await acknowledge(service, id, displayId, body);
    expect(problemIn(answer)).toMatchObject({ status: 422, code: 'invalid_request' });
    expect(await displaysOf(service, id)).toMatchObject({ connected: 2, current: 0 });
  });

  it('not of a display of another timer, or of a timer that is not there', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const other = await service.create();
    await service.display(other.id);
    const { displayId } = await followEvents(service, id);
    const body = { revision: 1, error_bound_ms: 3 };
    for (const [timerId, code] of [
      [other.id, 'unknown_display'],
      ['timer_unknown', 'unknown_timer'],
    ] as const) {
      const answer = await acknowledge(service, timerId, displayId, body);
      expect(problemIn(answer)).toMatchObject({ status: 404, code });
    }
  });

  it('as often as a display may say something, and no oftener', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { displayId } = await followEvents(service, id);
    const body = { revision: 1, error_bound_ms: 3 };
    for (let said = 0; said < 50; said += 1) await acknowledge(service, id, displayId, body);
    const answer = await acknowledge(service, id, displayId, body);
    expect(problemIn(answer)).toMatchObject({ status: 429, code: 'too_many_messages' });
    await service.advance(100);
    expect(await acknowledge(service, id, displayId, body)).toMatchObject({ status: 204 });
  });

  it('in few bytes', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { displayId } = await followEvents(service, id);
    const body = { revision: 1, error_bound_ms: 3, more: 'x'.repeat(4096) };
    const answer = await acknowledge(service, id, displayId, body);
    expect(problemIn(answer)).toMatchObject({
      status: 413,
      detail: expect.stringContaining('4096'),
    });
  });
});

describe('a stream of the displays of a timer', () => {
  it('tells them at first and whenever they change, at most 4 times a second', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const reader = await watch(service, id);
    expect(await reader.next()).toMatchObject({ connected: 0, revision: 1, displays: [] });
    const display = await service.display(id);
    for (let said = 0; said < 20; said += 1) {
      display.say({ type: 'acknowledge', revision: 1, error_bound_ms: said });
      await display.news();
      await service.advance(25);
    }
    const told = [await reader.next(), await reader.next()];
    expect(told.map((displays) => displays.worst_error_bound_ms)).toEqual([9, 19]);
    expect(told[1]).toEqual(await displaysOf(service, id));
    await service.act(id, 'start');
    await service.advance(250);
    expect(await reader.next()).toMatchObject({ revision: 2, connected: 1, current: 0 });
    await service.advance(10 * SECOND);
    await display.leave();
    await untilConnected(service, id, 0);
    await service.advance(250);
    expect(await reader.next()).toMatchObject({ connected: 0 });
    // Ticks are no change of a display.
    expect(reader.events).toHaveLength(5);
  });

  it('tells them again after silence, and ends with the timer', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '30' } });
    const { id } = await service.create();
    const reader = await watch(service, id);
    const first = await reader.next();
    await service.advance(30 * SECOND);
    expect(await reader.next()).toEqual(first);
    await service.request('DELETE', `/timers/${id}`);
    await service.advance(250);
    await reader.ended;
    await expect(watch(service, id)).rejects.toMatchObject({ status: 404 });
  });

  it('is ended at shutdown', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const streams = [await watch(service, id), await openConsole(service)];
    await service.stop();
    for (const stream of streams) await stream.ended;
  });
});

describe('the console of an instructor', () => {
  it('A1: is told nothing of timers of others, not even when they leave or come back', async () => {
    const faults = { left: 0 };
    const settings = { RETAIN_FINISHED_SECONDS: '60' };
    const service = await TestService.start({ settings, shardLogic: faultyShards(faults) });
    await service.protect();
    const admin = service.token;
    const [deleted, failed, retired] = [
      await service.create(),
      await service.create(),
      await service.create({ duration_seconds: 10 }),
    ];
    service.token = (await service.createKey({ role: 'instructor' })).key;
    const own = await service.create({ duration_seconds: 10, auto_start: true });
    const url = `${service.service.url}/events`;
    const reader = await EventReader.open(url, consoleMessageSchema, service.authorization);
    service.token = admin;
    for (const { id } of [deleted, failed, retired]) await service.display(id);
    await service.request('DELETE', `/timers/${deleted.id}`);
    await service.act(retired.id, 'stop');
    faults.left = 1;
    await service.act(failed.id, 'start');
    await service.advance(80 * SECOND);
    expect(faults.left).toBeLessThan(0);
    expect(await service.get(failed.id)).toMatchObject({ state: 'running' });
    await reader.until(() => updatesIn(reader.data).some(({ removed }) => removed.length > 0));
    expect(updatesIn(reader.data).flatMap(({ removed }) => removed)).toEqual([own.id]);
    const told = JSON.stringify(reader.data);
    for (const { id } of [deleted, failed, retired]) expect(told).not.toContain(id);
    // Nor is there a message that says nothing but that something happened.
    for (const { changes, timers, removed, displays } of updatesIn(reader.data)) {
      expect([...changes, ...timers, ...removed, ...displays]).not.toEqual([]);
    }
  });
});

describe('D4: a console knows every timer and who follows it', () => {
  it('from an overview, then updates of what changed', async () => {
    const service = await TestService.start();
    const { id, name } = await service.create({ duration_seconds: 60, name: 'Algebra' });
    const { id: other } = await service.create();
    const display = await service.display(id);
    const reader = await openConsole(service);
    const atMs = service.clock.now();
    const summary = { timer_id: id, connected: 1, current: 0, worst_error_bound_ms: null };
    expect(reader.data).toEqual([
      {
        type: 'overview',
        server_time_ms: atMs,
        keepalive_seconds: 3600,
        max_bulk_timers: 1000,
        displays: [summary],
      },
    ]);

    await service.act(id, 'start');
    await service.act(id, 'extend', 30);
    await service.request('DELETE', `/timers/${other}`);
    const update = await nextUpdate(service, reader);
    const change = {
      at_ms: atMs,
      by: { credential: 'anonymous', role: 'admin', label: null },
      reason: null,
    };
    expect(update).toEqual({
      type: 'update',
      server_time_ms: atMs,
      changes: [
        { ...change, timer_id: id, name, change: 'started', revision: 2 },
        { ...change, timer_id: id, name, change: 'extended', revision: 3, added_seconds: 30 },
        { ...change, timer_id: other, name: 'Timer', change: 'deleted', revision: 2 },
      ],
      timers: [expect.objectContaining({ id, state: 'running', revision: 3 })],
      removed: [other],
      displays: [summary],
    });

    display.say({ type: 'acknowledge', revision: 3, error_bound_ms: 7 });
    await display.news();
    expect(await nextUpdate(service, reader)).toMatchObject({
      changes: [],
      timers: [],
      displays: [{ ...summary, current: 1, worst_error_bound_ms: 7 }],
    });
    await display.leave();
    await untilConnected(service, id, 0);
    expect(await nextUpdate(service, reader)).toMatchObject({
      displays: [{ timer_id: id, connected: 0, current: 0, worst_error_bound_ms: null }],
    });
  });

  it('of every kind of change, at its instant', async () => {
    const service = await TestService.start({ settings: { RETAIN_FINISHED_SECONDS: '60' } });
    const reader = await openConsole(service);
    const { id } = await service.create({ duration_seconds: 10 });
    await service.act(id, 'start');
    await service.advance(SECOND);
    await service.act(id, 'pause');
    await service.act(id, 'resume');
    await service.advance(20 * SECOND);
    const stopped = await service.create();
    await service.act(stopped.id, 'stop');
    await service.advance(SECOND);
    await reader.until(() => changesIn(reader.data).length === 7);
    const startMs = Date.parse(NOW);
    expect(changesIn(reader.data).map(({ change, at_ms }) => [change, at_ms - startMs])).toEqual([
      ['created', 0],
      ['started', 0],
      ['paused', SECOND],
      ['resumed', SECOND],
      ['expired', 10 * SECOND],
      ['created', 21 * SECOND],
      ['stopped', 21 * SECOND],
    ]);
    // What leaves memory is gone, too, though it is no change.
    await service.advance(60 * SECOND);
    const removed = () => updatesIn(reader.data).flatMap((update) => update.removed);
    await reader.until(() => removed().length === 2);
    expect(removed()).toEqual([id, stopped.id]);
  });

  it('from at most ten updates a second, each timer once in each', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const reader = await openConsole(service);
    for (let count = 0; count < 100; count += 1) {
      await service.act(id, 'extend', 1);
      await service.advance(10);
    }
    await service.advance(100);
    await reader.until(() => changesIn(reader.data).length === 100);
    const updates = updatesIn(reader.data);
    expect(updates.length).toBeLessThanOrEqual(11);
    for (const { timers } of updates) expect(timers).toHaveLength(1);
    expect(updates.at(-1)?.timers).toMatchObject([{ revision: 101 }]);
  });

  it('T10: at bounded cost when it reads slowly, and then it knows the present', async () => {
    const service = await TestService.start({ settings: { MAX_BULK_TIMERS: '2000' } });
    const { id } = await service.create();
    const timerIds = await Promise.all(Array.from({ length: 1500 }, () => service.createQuickly()));
    const slow = await RawClient.open(service, '/events', NO_UPGRADE);
    const other = await openConsole(service);
    slow.stall();
    const comment = `: ${'x'.repeat(16_000)}\n\n`;
    while (slow.serverSide.writableLength === 0) {
      slow.serverSide.write(comment);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const waiting = slow.serverSide.writableLength;
    for (const action of ['start', 'pause', 'resume']) {
      await service.request('POST', `/timers/bulk/${action}`, timerIds);
      await service.advance(SECOND);
    }
    for (let count = 0; count < 20; count += 1) {
      await service.act(id, 'extend', 1);
      await service.advance(100);
    }
    expect(slow.serverSide.writableLength).toBe(waiting);
    slow.resume();
    const updates = () => updatesIn(messagesIn(slow.body));
    await slow.until(() => updates().length === 1);
    await service.advance(100);
    await slow.until(() => updates().length === 2);
    const told = updates();
    expect(told.flatMap(({ changes }) => changes)).toHaveLength(1000);
    expect(told.at(0)?.changes.at(-1)).toMatchObject({ timer_id: id, revision: 21 });
    const timers = new Map(
      told.flatMap((update) => update.timers).map((timer) => [timer.id, timer]),
    );
    expect(timers.size).toBe(1501);
    expect(timers.get(id)).toMatchObject({ revision: 21 });
    expect(timers.get(timerIds[0] ?? '')).toMatchObject({ state: 'running', revision: 4 });
    // Whoever reads is told everything meanwhile.
    await other.until(() => changesIn(other.data).at(-1)?.revision === 21);
  }, 30_000);

  it('tells a sign of life after silence', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '30' } });
    await service.create({ auto_start: true });
    const reader = await openConsole(service);
    await service.advance(30 * SECOND);
    expect(CONSOLE_MESSAGES.keepalive.parse(await reader.next())).toEqual({
      type: 'keepalive',
      server_time_ms: service.clock.now(),
    });
  });

  it('is refused when there are too many, and from pages of foreign origins', async () => {
    const service = await TestService.start({ settings: { CORS_ORIGINS: 'https://exam.example' } });
    const { id } = await service.create();
    const streams: EventReader<unknown>[] = [];
    for (let count = 0; count < 500; count += 1) {
      streams.push(await openConsole(service), await watch(service, id));
    }
    for (const opening of [openConsole(service), watch(service, id)]) {
      const refusal = await opening.catch((error: unknown) => error);
      if (!(refusal instanceof RefusedError)) throw new Error('It was not refused');
      expect(problemIn(refusal)).toMatchObject({ status: 429, code: 'too_many_streams' });
    }
    streams[0]?.leave();
    const often = { timeout: 3000, interval: 5 };
    const again = () => openConsole(service).then(() => 'let in', String);
    await expect.poll(again, often).toBe('let in');
    const foreign = { Origin: 'https://foreign.example' };
    for (const path of ['/events', `/timers/${id}/displays/events`]) {
      const url = `${service.service.url}${path}`;
      await expect(EventReader.open(url, displaysSchema, foreign)).rejects.toMatchObject({
        status: 403,
        body: { code: 'foreign_origin' },
      });
    }
  });
});

function updatesIn(messages: readonly ConsoleMessage[]): Update[] {
  return messages.filter((message) => message.type === 'update');
}

function changesIn(messages: readonly ConsoleMessage[]): Update['changes'] {
  return updatesIn(messages).flatMap(({ changes }) => changes);
}

/** The messages of whole events in what was received. */
function messagesIn(text: string): ConsoleMessage[] {
  return [...text.matchAll(/^data: (.*)\n\n/gm)].map(([, data]) =>
    consoleMessageSchema.parse(JSON.parse(data ?? '')),
  );
}
