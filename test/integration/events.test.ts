/** Displays over server-sent events: told the same as over WebSocket, and what they missed. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEntry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import {
  type DisplayEvent,
  EVENT_MESSAGES,
  type ServerMessage,
} from '../../src/protocol/messages.js';
import { EventReader, RefusedError } from '../support/event-reader.js';
import { RawClient } from '../support/raw-client.js';
import { TestService } from '../support/service.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const SECOND = 1000;
/** What a request for events has less than a handshake. */
const NO_UPGRADE = { headers: { Upgrade: undefined, Connection: undefined } };
const STRICT_EVENTS = z.union(
  Object.values(EVENT_MESSAGES).map((schema) => z.strictObject(schema.shape)),
) as z.ZodType<DisplayEvent>;

function eventsUrl(service: TestService, timerId: string, query = ''): string {
  return `${service.service.url}/timers/${timerId}/events${query}`;
}

/** Follows a timer, and waits for the first message. */
async function follow(
  service: TestService,
  timerId: string,
  query = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<EventReader<DisplayEvent>> {
  const reader = await EventReader.open(eventsUrl(service, timerId, query), STRICT_EVENTS, headers);
  await reader.until(() => reader.events.length > 0);
  return reader;
}

async function refusalOf(
  service: TestService,
  timerId: string,
  query = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<RefusedError> {
  const opening = EventReader.open(eventsUrl(service, timerId, query), STRICT_EVENTS, headers);
  const refusal = await opening.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refusal instanceof RefusedError) return refusal;
  throw new Error('It was not refused');
}

/** Waits until the service has noticed who came and who left. */
async function untilConnected(service: TestService, timerId: string, count: number): Promise<void> {
  const connected = async () => (await service.get(timerId)).connected_clients;
  await expect.poll(connected, { timeout: 3000, interval: 5 }).toBe(count);
}

/** Messages but for what tells one display from another. */
function withoutIds(messages: readonly ServerMessage[]): unknown[] {
  return messages.map((message) =>
    message.type === 'connected' ? { ...message, display_id: '' } : message,
  );
}

const idsAndTypes = ({ events }: EventReader<DisplayEvent>): string[] =>
  events.map(({ id, data }) => `${id} ${data.type}`);

const typesOf = (messages: readonly ServerMessage[]): string[] => messages.map(({ type }) => type);

describe('a display over server-sent events', () => {
  it('D1: is told the messages of the WebSocket, in the same order', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '30' } });
    const { id } = await service.create({ duration_seconds: 10, warning_thresholds: [8] });
    const reader = await follow(service, id);
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.advance(3 * SECOND);
    await service.act(id, 'pause');
    await service.advance(30 * SECOND);
    await display.news();
    await service.act(id, 'extend', 5);
    await service.act(id, 'resume');
    await service.advance(15 * SECOND);
    await display.news();
    await service.request('DELETE', `/timers/${id}`);
    await Promise.all([display.closed, reader.ended]);
    const types = new Set(typesOf(display.messages));
    expect([...types].sort()).toEqual(
      Object.keys(EVENT_MESSAGES)
        .filter((type) => type !== 'timer_stopped')
        .sort(),
    );
    // The two came one after the other, so that only the number of displays differs in their greetings.
    expect(withoutIds(reader.data.slice(1))).toEqual(withoutIds(display.messages.slice(1)));
    expect(reader.data[0]).toMatchObject({ type: 'connected', timer: { connected_clients: 1 } });
    for (const { id: eventId, data } of reader.events) {
      const { revision } = data.type === 'connected' ? data.timer : data;
      expect(eventId).toBe(`${revision}`);
    }
  });

  it('is told no ticks if it wants none, and counts as a display', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10, warning_thresholds: [8] });
    const reader = await follow(service, id, '?ticks=false');
    await service.display(id);
    expect((await service.get(id)).connected_clients).toBe(2);
    await service.act(id, 'start');
    await service.advance(3 * SECOND);
    await service.act(id, 'pause');
    await reader.next(({ type }) => type === 'timer_paused');
    expect(typesOf(reader.data)).toEqual([
      'connected',
      'timer_started',
      'timer_warning',
      'timer_paused',
    ]);
    reader.leave();
    await untilConnected(service, id, 1);
  });

  it('has an answer that nothing on the way keeps back or compresses', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { response } = await follow(service, id, '', { 'Accept-Encoding': 'gzip, br' });
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
    });
    expect(response.headers['content-encoding']).toBeUndefined();
  });

  it('answers HEAD with the head alone', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const response = await fetch(eventsUrl(service, id), { method: 'HEAD' });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream(;|$)/);
    expect(await response.text()).toBe('');
    expect((await service.get(id)).connected_clients).toBe(0);
  });

  it('is refused in words', async () => {
    const service = await TestService.start({ settings: { MAX_CLIENTS_PER_TIMER: '2' } });
    const { id } = await service.create();
    for (const query of ['?ticks=no', `?label=${'x'.repeat(101)}`, '?last_event_id=-1']) {
      expect(await refusalOf(service, id, query)).toMatchObject({ status: 422 });
    }
    expect(await refusalOf(service, id, '', { 'Last-Event-ID': 'abc' })).toMatchObject({
      status: 422,
    });
    expect(await refusalOf(service, 'timer_unknown')).toMatchObject({
      status: 404,
      body: { code: 'unknown_timer' },
    });
    await service.display(id);
    await follow(service, id);
    expect(await refusalOf(service, id)).toMatchObject({
      status: 429,
      body: { code: 'too_many_displays' },
    });
  });

  it('is refused from pages of foreign origins', async () => {
    const service = await TestService.start({ settings: { CORS_ORIGINS: 'https://exam.example' } });
    const { id } = await service.create();
    const foreign = { Origin: 'https://foreign.example' };
    expect(await refusalOf(service, id, '', foreign)).toMatchObject({
      status: 403,
      body: { code: 'foreign_origin' },
    });
    const { response } = await follow(service, id, '', { Origin: 'https://exam.example' });
    expect(response.headers['access-control-allow-origin']).toBe('https://exam.example');
  });

  it('needs a connection of its own', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const path = `/timers/${id}/events`;
    const again = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    const client = await RawClient.open(service, path, { ...NO_UPGRADE, early: again });
    await client.until(() => client.body.includes('"connected"'));
    expect((await service.get(id)).connected_clients).toBe(1);
  });

  it('is sent away at shutdown, which waits for no reader', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const reader = await follow(service, id);
    const path = `/timers/${id}/events`;
    const stalled = await RawClient.open(service, path, { ...NO_UPGRADE, holdsOn: true });
    stalled.stall();
    await service.stop();
    await reader.ended;
    expect(typesOf(reader.data)).toEqual(['connected']);
  });

  it('is sent away when its timer leaves memory', async () => {
    const service = await TestService.start({ settings: { RETAIN_FINISHED_SECONDS: '60' } });
    const { id } = await service.create();
    const reader = await follow(service, id);
    await service.act(id, 'stop');
    await service.advance(60 * SECOND);
    await reader.ended;
    expect(typesOf(reader.data)).toEqual(['connected', 'timer_stopped']);
  });
});

describe('D2: a display that comes back is told the changes it missed, once each', () => {
  /** A timer with a change of each kind that does not end it by itself, from revision 2 to 6. */
  async function changed(service: TestService): Promise<string> {
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [] });
    await service.act(id, 'start');
    await service.advance(1500);
    await service.act(id, 'pause');
    await service.act(id, 'extend', 10);
    await service.advance(SECOND);
    await service.act(id, 'resume');
    await service.advance(2 * SECOND);
    await service.act(id, 'stop');
    return id;
  }

  it('as the messages they were, before it is greeted', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [] });
    const reader = await follow(service, id, '?ticks=false');
    await service.act(id, 'start');
    await service.advance(1500);
    await service.act(id, 'pause');
    await service.act(id, 'extend', 10);
    await service.advance(SECOND);
    await service.act(id, 'resume');
    await service.advance(70 * SECOND);
    await reader.next(({ type }) => type === 'timer_expired');
    // The header is of the last connection, and newer than the address that was made for the first.
    const header = { 'Last-Event-ID': '1' };
    for (const back of [
      await follow(service, id, '?last_event_id=5', header),
      await follow(service, id, '?last_event_id=1'),
    ]) {
      await back.next(({ type }) => type === 'connected');
      expect(back.data.slice(0, -1)).toEqual(reader.data.slice(1));
    }
    const later = await follow(service, id, '', { 'Last-Event-ID': '4' });
    await later.next(({ type }) => type === 'connected');
    expect(typesOf(later.data)).toEqual(['timer_started', 'timer_expired', 'connected']);
  });

  it('nothing if it missed nothing, or knows more than there is', async () => {
    const service = await TestService.start();
    const id = await changed(service);
    for (const last of ['6', '7', '999999999999999']) {
      const back = await follow(service, id, `?last_event_id=${last}`);
      expect(typesOf(back.data)).toEqual(['connected']);
    }
  });

  it('across a restart of the service', async () => {
    const folder = temporaryFolder();
    const first = await TestService.start({ journal: await openSqlite(folder) });
    const id = await changed(first);
    await first.stop();
    const journal = await openSqlite(folder);
    const second = await TestService.start({ journal, clock: first.clock });
    const back = await follow(second, id, '', { 'Last-Event-ID': '3' });
    await back.next(({ type }) => type === 'connected');
    expect(idsAndTypes(back)).toEqual([
      '4 timer_extended',
      '5 timer_started',
      '6 timer_stopped',
      '6 connected',
    ]);
  });

  it('without gap or duplicate when changes happen while the history is read', async () => {
    const journal = new SlowReads();
    const service = await TestService.start({ journal });
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [] });
    await service.act(id, 'start');
    const opening = Promise.all([0, 1].map(() => follow(service, id, '?last_event_id=1')));
    await untilConnected(service, id, 2);
    await service.act(id, 'pause');
    await service.act(id, 'resume');
    await service.advance(SECOND);
    journal.release();
    for (const reader of await opening) {
      await reader.next(({ type }) => type === 'connected');
      expect(idsAndTypes(reader)).toEqual([
        '2 timer_started',
        '3 timer_paused',
        '4 timer_started',
        '4 connected',
      ]);
    }
    // Those who came together shared one read.
    expect(journal.reads).toBe(1);
  });

  it('and is sent away after them when the timer was deleted meanwhile', async () => {
    const journal = new SlowReads();
    const service = await TestService.start({ journal });
    const { id } = await service.create();
    await service.act(id, 'start');
    const opening = follow(service, id, '?last_event_id=1');
    await untilConnected(service, id, 1);
    await service.request('DELETE', `/timers/${id}`);
    journal.release();
    const reader = await opening;
    await reader.ended;
    expect(typesOf(reader.data)).toEqual(['timer_started', 'timer_deleted']);
  });

  it('unless they cannot be read: then it is refused, and is no display', async () => {
    const service = await TestService.start({ journal: new UnreadableJournal() });
    const { id } = await service.create();
    await service.act(id, 'start');
    expect(await refusalOf(service, id, '?last_event_id=1')).toMatchObject({
      status: 503,
      body: { code: 'journal_unavailable' },
    });
    expect((await service.get(id)).connected_clients).toBe(0);
  });
});

describe('T10: a slow reader of events delays nobody and costs bounded memory', () => {
  /** Has a client stop reading, and fills what is between it and the service. */
  async function fillPipe(client: RawClient): Promise<void> {
    client.stall();
    const comment = `: ${'x'.repeat(16_000)}\n\n`;
    while (client.serverSide.writableLength === 0) {
      client.serverSide.write(comment);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('by being told only the latest tick when it reads again', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10_000, warning_thresholds: [] });
    const slow = await RawClient.open(service, `/timers/${id}/events`, NO_UPGRADE);
    const other = await follow(service, id);
    await fillPipe(slow);
    await service.act(id, 'start');
    const waiting = slow.serverSide.writableLength;
    await service.advance(3000 * SECOND);
    expect(slow.serverSide.writableLength).toBe(waiting);
    await other.next((data) => data.type === 'timer_tick' && data.remaining_seconds === 7000);
    slow.resume();
    await slow.until(() => slow.body.includes('"timer_tick"'));
    const told = slow.body.match(/"type":"timer_tick","remaining_seconds":\d+/g);
    expect(told).toEqual(['"type":"timer_tick","remaining_seconds":7000']);
    expect(slow.body).toContain('"timer_started"');
  });

  it('by being ended when more than 64 KB wait for it', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10_000, warning_thresholds: [] });
    const slow = await RawClient.open(service, `/timers/${id}/events`, NO_UPGRADE);
    const other = await follow(service, id);
    await fillPipe(slow);
    for (let waiting = 0; waiting < slow.serverSide.writableLength; ) {
      waiting = slow.serverSide.writableLength;
      expect(waiting).toBeLessThan(66 * 1024);
      await service.act(id, 'extend', 1);
    }
    expect(slow.serverSide.writableLength).toBeGreaterThan(64 * 1024);
    await service.advance(SECOND);
    expect(slow.serverSide.destroyed).toBe(true);
    await untilConnected(service, id, 1);
    const { revision } = await service.get(id);
    await other.until(() => other.events.at(-1)?.id === `${revision}`);
  });

  it('by being ended when it reads nothing for a whole keepalive time', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '30' } });
    const { id } = await service.create();
    const slow = await RawClient.open(service, `/timers/${id}/events`, NO_UPGRADE);
    await fillPipe(slow);
    await service.advance(59 * SECOND);
    expect(slow.serverSide.writableEnded).toBe(false);
    await service.advance(2 * SECOND);
    expect(slow.serverSide.destroyed).toBe(true);
    await untilConnected(service, id, 0);
  });

  it('by being told a long history as fast as it reads it', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10_000, warning_thresholds: [] });
    for (let count = 0; count < 1000; count += 1) await service.act(id, 'extend', 1);
    const back = await follow(service, id, '?last_event_id=1');
    await back.next(({ type }) => type === 'connected');
    expect(back.events.map((event) => event.id)).toEqual([
      ...Array.from({ length: 1000 }, (_, index) => `${index + 2}`),
      '1001',
    ]);
  });
});

describe('GET /time', () => {
  it('tells the clock of the service, and is not to be kept', async () => {
    const service = await TestService.start();
    await service.advance(1234);
    const nowMs = service.clock.now();
    const answer = await service.request('GET', '/time');
    expect(answer.body).toEqual({ server_received_ms: nowMs, server_sent_ms: nowMs });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });
});

/** A journal whose histories are read when the test says so. */
class SlowReads extends MemoryJournal {
  reads = 0;
  release: () => void = () => {};
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  override async history(timerId: string): Promise<readonly RecordedEntry[]> {
    this.reads += 1;
    const history = await super.history(timerId);
    await this.#released;
    return history;
  }
}

class UnreadableJournal extends MemoryJournal {
  override history(): Promise<readonly RecordedEntry[]> {
    return Promise.reject(new Error('The disk is gone'));
  }
}
