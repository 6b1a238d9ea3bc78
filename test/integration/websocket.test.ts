/** The WebSocket side over real sockets: every message, every close code, and hostile displays. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { ServerMessage } from '../../src/protocol/messages.js';
import { PROBLEM_TYPE } from '../../src/protocol/problems.js';
import { TestDisplay } from '../support/display.js';
import { clientFrame, OPCODES, RawClient } from '../support/raw-client.js';
import { TestService } from '../support/service.js';

const SECOND = 1000;
const CREATED_AT = '2026-01-15T10:00:00.000Z';
const CREATED_AT_MS = Date.parse(CREATED_AT);
/** What a display may say at once, and what it earns with each second. */
const BURST = 50;

/** The keepalive time of the reference; other tests have a longer one, so that clocks may leap. */
const KEEPALIVE = { settings: { KEEPALIVE_SECONDS: '30' } };
const HOLDING_ON = { holdsOn: true };
/** The way in which some HTTP clients ask for HTTP/2 without TLS, which a server may ignore. */
const OFFERING_HTTP_2 = {
  Connection: 'Upgrade, HTTP2-Settings',
  Upgrade: 'h2c',
  'HTTP2-Settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
  'Sec-WebSocket-Version': undefined,
  'Sec-WebSocket-Key': undefined,
};

/** What a display that is refused before the upgrade is answered. */
async function refusal(
  url: string,
): Promise<{ status: number; contentType: string | undefined; body: unknown }> {
  const webSocket = new WebSocket(url);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    webSocket.once('unexpected-response', (_, answer) => resolve(answer));
    webSocket.once('open', () => reject(new Error('The connection was not refused')));
    webSocket.once('error', reject);
  });
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return {
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'],
    body: JSON.parse(text),
  };
}

/** Connects without waiting to be greeted, for those who will not be. */
function knock(service: TestService, timerId: string, query = ''): TestDisplay {
  return new TestDisplay(new WebSocket(service.displayUrl(timerId, query)));
}

async function connectedClients(service: TestService, timerId: string): Promise<number> {
  return (await service.get(timerId)).connected_clients;
}

/** Waits until the service has noticed who came and who left. */
async function untilConnected(service: TestService, timerId: string, count: number): Promise<void> {
  const often = { timeout: 3000, interval: 5 };
  await expect.poll(() => connectedClients(service, timerId), often).toBe(count);
}

/** From now on, what a socket hands to the system: for each write the types of the messages in it. */
function writesTo(socket: Socket): string[][] {
  const writes: string[][] = [];
  const note = (chunks: readonly unknown[]): void => {
    const text = chunks.map(String).join('');
    writes.push([...text.matchAll(/"type":"(\w+)"/g)].map(([, type]) => type ?? ''));
  };
  const { _write: write, _writev: writeTogether } = socket;
  socket._write = (chunk, encoding, done) => {
    note([chunk]);
    write.call(socket, chunk, encoding, done);
  };
  socket._writev = (chunks, done) => {
    note(chunks.map(({ chunk }) => chunk));
    writeTogether?.call(socket, chunks, done);
  };
  return writes;
}

const typesOf = (messages: readonly ServerMessage[]): string[] => messages.map(({ type }) => type);

/** Lets seconds pass in steps in which displays have time to answer pings. */
async function flow(
  service: TestService,
  seconds: number,
  display: TestDisplay,
): Promise<ServerMessage[]> {
  const news: ServerMessage[] = [];
  for (let left = seconds; left > 0; left -= 20) {
    await service.advance(Math.min(left, 20) * SECOND);
    news.push(...(await display.news()));
  }
  return news;
}

const pingsOf = ({ frames }: RawClient): number =>
  frames.filter(({ opcode }) => opcode === OPCODES.ping).length;

describe('a protocol ping', () => {
  it('is answered also while the last tick waits for the end', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 5, auto_start: true });
    const webSocket = new WebSocket(service.displayUrl(id));
    await once(webSocket, 'message');
    await service.advance(4500);
    // In the turn after this timeout, the deadline passes before what was sent is read.
    await new Promise<void>((resolve) =>
      setTimeout(() => {
        webSocket.ping('late');
        void service.clock.advance(600).then(resolve);
      }),
    );
    const [payload] = await once(webSocket, 'pong');
    expect(String(payload)).toBe('late');
    webSocket.terminate();
  });
});

describe('what a display is told', () => {
  it('connected: the timer in full, this display counted', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ name: 'Quiz', warning_thresholds: [60] });
    await service.act(id, 'start');
    await service.advance(1500);
    const display = await service.display(id);
    expect(display.messages).toEqual([
      {
        type: 'connected',
        display_id: expect.stringMatching(/^display_[0-9a-v]{16}$/),
        timer: {
          id,
          name: 'Quiz',
          state: 'running',
          duration_seconds: 300,
          remaining_seconds: 299,
          elapsed_seconds: 1,
          warning_thresholds: [60],
          connected_clients: 1,
          created_at: CREATED_AT,
          started_at: CREATED_AT,
          completed_at: null,
          remaining_ms: 298_500,
          deadline_ms: CREATED_AT_MS + 300_000,
          server_time_ms: CREATED_AT_MS + 1500,
          revision: 2,
        },
      },
    ]);
    expect(connectedTimer(display)).toEqual(await service.get(id));
  });

  it('every change and every second, with every field', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10, warning_thresholds: [8] });
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.advance(2 * SECOND);
    await service.advance(400);
    await service.act(id, 'pause');
    await service.advance(5 * SECOND);
    await service.act(id, 'extend', 60);
    await service.act(id, 'resume');
    await service.advance(600);
    await service.act(id, 'stop');
    const started = CREATED_AT_MS;
    const resumed = started + 7400;
    expect(await display.news()).toEqual([
      {
        type: 'timer_started',
        remaining_seconds: 10,
        remaining_ms: 10_000,
        deadline_ms: started + 10_000,
        server_time_ms: started,
        revision: 2,
      },
      {
        type: 'timer_tick',
        remaining_seconds: 9,
        elapsed_seconds: 1,
        remaining_ms: 9000,
        deadline_ms: started + 10_000,
        server_time_ms: started + 1000,
        revision: 2,
      },
      {
        type: 'timer_warning',
        remaining_seconds: 8,
        threshold: 8,
        remaining_ms: 8000,
        deadline_ms: started + 10_000,
        server_time_ms: started + 2000,
        revision: 2,
      },
      {
        type: 'timer_tick',
        remaining_seconds: 8,
        elapsed_seconds: 2,
        remaining_ms: 8000,
        deadline_ms: started + 10_000,
        server_time_ms: started + 2000,
        revision: 2,
      },
      {
        type: 'timer_paused',
        remaining_seconds: 8,
        remaining_ms: 7600,
        deadline_ms: null,
        server_time_ms: started + 2400,
        revision: 3,
      },
      {
        type: 'timer_extended',
        added_seconds: 60,
        remaining_seconds: 68,
        remaining_ms: 67_600,
        deadline_ms: null,
        server_time_ms: resumed,
        revision: 4,
      },
      {
        type: 'timer_started',
        remaining_seconds: 68,
        remaining_ms: 67_600,
        deadline_ms: resumed + 67_600,
        server_time_ms: resumed,
        revision: 5,
      },
      {
        type: 'timer_tick',
        remaining_seconds: 67,
        elapsed_seconds: 3,
        remaining_ms: 67_000,
        deadline_ms: resumed + 67_600,
        server_time_ms: resumed + 600,
        revision: 5,
      },
      {
        type: 'timer_stopped',
        remaining_seconds: 67,
        elapsed_seconds: 3,
        remaining_ms: 67_000,
        deadline_ms: null,
        server_time_ms: resumed + 600,
        revision: 6,
      },
    ]);
  });

  it('the end: a last tick of 0, then timer_expired', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 1, warning_thresholds: [] });
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.advance(SECOND);
    expect((await display.news()).slice(1)).toEqual([
      {
        type: 'timer_tick',
        remaining_seconds: 0,
        elapsed_seconds: 1,
        remaining_ms: 0,
        deadline_ms: CREATED_AT_MS + 1000,
        server_time_ms: CREATED_AT_MS + 1000,
        revision: 2,
      },
      {
        type: 'timer_expired',
        elapsed_seconds: 1,
        remaining_ms: 0,
        deadline_ms: null,
        server_time_ms: CREATED_AT_MS + 1000,
        revision: 3,
      },
    ]);
    // Nothing follows the end but signs of life.
    expect(typesOf(await flow(service, 29, display))).toEqual([]);
  });

  it('the last tick and the end in one write, which spares each display a packet', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 3, auto_start: true });
    const client = await RawClient.open(service, `/ws/${id}`);
    await client.until(() => client.messages.length === 1);
    const writes = writesTo(client.serverSide);
    for (let told = 2; told <= 4; told += 1) {
      await service.advance(SECOND);
      await client.until(() => client.messages.length >= told);
    }
    await client.until(() => client.messages.at(-1)?.type === 'timer_expired');
    expect(writes).toEqual([['timer_tick'], ['timer_tick'], ['timer_tick', 'timer_expired']]);
  });

  /** What is told of a timer whose end a command finds out about, before its own timeout does. */
  async function toldOfOverdueEnd(): Promise<ServerMessage[]> {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 3, warning_thresholds: [1] });
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.advance(SECOND);
    service.clock.stall(2 * SECOND);
    expect((await service.control(id, 'pause')).status).toBe(400);
    await service.advance(SECOND);
    const news = await display.news();
    expect(news.filter(({ type }) => type === 'timer_expired')).toHaveLength(1);
    expect(news.at(-1)).toMatchObject({ type: 'timer_expired', elapsed_seconds: 3 });
    return news;
  }

  it('T8: a warning also when a command finds out about the end before the warning was due', async () => {
    const news = await toldOfOverdueEnd();
    expect(news).toContainEqual(expect.objectContaining({ type: 'timer_warning', threshold: 1 }));
  });

  it('T9: a last tick of 0 also when a command finds out about the end', async () => {
    const news = await toldOfOverdueEnd();
    const ticks = news.filter(({ type }) => type === 'timer_tick');
    expect(ticks.at(-1)).toMatchObject({ remaining_seconds: 0, elapsed_seconds: 3 });
  });

  it('an extension and the end before anything was started', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10 });
    const display = await service.display(id);
    await service.act(id, 'extend', 5);
    await service.act(id, 'stop');
    expect(await display.news()).toMatchObject([
      { type: 'timer_extended', added_seconds: 5, remaining_seconds: 15 },
      { type: 'timer_stopped', remaining_seconds: 15, elapsed_seconds: 0 },
    ]);
  });

  it('timer_deleted, and then the connection closes with 4000', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    const displays = [await service.display(id), await service.display(id, '?ticks=false')];
    await service.advance(500);
    await service.request('DELETE', `/timers/${id}`);
    for (const display of displays) {
      expect(await display.closed).toEqual({ code: 4000, reason: 'The timer was deleted' });
      expect(display.messages.slice(1)).toEqual([
        { type: 'timer_deleted', server_time_ms: CREATED_AT_MS + 500, revision: 2 },
      ]);
    }
  });

  it('as much of a refused change as of none', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    await service.control(id, 'pause');
    await service.control(id, 'extend', 999_999);
    await service.request('POST', '/timers/bulk/resume', [id]);
    expect(await display.news()).toEqual([]);
  });

  it('nothing of other timers', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { id: other } = await service.create();
    const display = await service.display(id);
    await service.act(other, 'start');
    await service.advance(3 * SECOND);
    await service.request('DELETE', `/timers/${other}`);
    expect(await display.news()).toEqual([]);
  });
});

describe('displays of one timer', () => {
  it('see the same ticks and the same changes, byte for byte', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [50] });
    const displays = await Promise.all([1, 2, 3].map(() => service.display(id)));
    await service.act(id, 'start');
    await service.advance(12_345);
    await service.act(id, 'pause');
    const [first, ...others] = await Promise.all(displays.map((display) => display.news()));
    expect(first).toHaveLength(1 + 12 + 1 + 1);
    for (const other of others) expect(other).toEqual(first);
  });

  it.each([
    [0, 300],
    [1, 300],
    [999, 300],
    [1000, 299],
    [1500, 299],
    [10_001, 290],
  ])(
    'a late joiner after %d ms sees %d, the second that the others see',
    async (passedMs, seconds) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const early = await service.display(id);
      await service.act(id, 'start');
      await service.advance(passedMs);
      const late = await service.display(id);
      const shown = (await early.news()).filter((message) => 'remaining_seconds' in message).at(-1);
      expect(shown).toMatchObject({ remaining_seconds: seconds });
      expect(connectedTimer(late)).toMatchObject({ remaining_seconds: seconds });
      early.say({ type: 'sync' });
      expect(await early.next('sync_response')).toMatchObject({ remaining_seconds: seconds });
      // From now on both are told the same.
      await service.advance(2 * SECOND);
      expect(await late.news()).toEqual(await early.news());
    },
  );

  it('get ticks as soon as the first of them is there, and a new one after all had left', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    await service.advance(10_250);
    const first = await service.display(id);
    await service.advance(2 * SECOND);
    expect(await first.news()).toMatchObject([
      { type: 'timer_tick', remaining_ms: 289_000 },
      { type: 'timer_tick', remaining_ms: 288_000 },
    ]);
    await first.leave();
    await untilConnected(service, id, 0);
    await service.advance(100 * SECOND);
    const second = await service.display(id);
    expect(connectedTimer(second)).toMatchObject({ remaining_seconds: 188, connected_clients: 1 });
    await service.advance(SECOND);
    expect(await second.news()).toMatchObject([{ type: 'timer_tick', remaining_ms: 187_000 }]);
  });

  it('are counted in connected_clients, until they have left', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { id: other } = await service.create();
    const displays: TestDisplay[] = [];
    for (const query of ['', '?ticks=false', '', '']) {
      displays.push(await service.display(id, query));
      expect(connectedTimer(displays.at(-1))).toMatchObject({
        connected_clients: displays.length,
      });
    }
    expect(await connectedClients(service, other)).toBe(0);
    await displays[0]?.leave();
    await untilConnected(service, id, 3);
    displays[1]?.webSocket.terminate();
    await untilConnected(service, id, 2);
    await displays[2]?.leave();
    await displays[3]?.leave();
    await untilConnected(service, id, 0);
  });
});

describe('what a display may ask', () => {
  it('ping is answered by pong', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    display.say({ type: 'ping' });
    display.say({ type: 'ping', and: 'more' });
    expect(await display.news()).toEqual([{ type: 'pong' }, { type: 'pong' }]);
  });

  it('sync carries back any client_time, with the times of the server and every field', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.act(id, 'start');
    await service.advance(1500);
    const display = await service.display(id);
    const times: unknown[] = [
      ...[1234.5, 0, -1, 1e300, '2026-01-15T10:00:00Z', '', false, true, null, [], {}],
      { t: [1, { deep: null }] },
      '\u23f1 \u202e\u2028',
      // The first makes a frame with two bytes of length, the second is all that a message can hold.
      ...['x'.repeat(120), 'x'.repeat(4000)],
    ];
    for (const client_time of times) display.say({ type: 'sync', client_time });
    display.say({ type: 'sync' });
    const answer = {
      type: 'sync_response',
      server_time: '2026-01-15T10:00:01.500Z',
      remaining_seconds: 299,
      state: 'running',
      server_received_ms: CREATED_AT_MS + 1500,
      server_sent_ms: CREATED_AT_MS + 1500,
      remaining_ms: 298_500,
      deadline_ms: CREATED_AT_MS + 300_000,
      server_time_ms: CREATED_AT_MS + 1500,
      revision: 2,
    };
    expect(await display.news()).toEqual(
      [...times, null].map((client_time) => ({ ...answer, client_time })),
    );
    const nested = '['.repeat(1900) + ']'.repeat(1900);
    display.say(`{"type": "sync", "client_time": ${nested}}`);
    expect(JSON.stringify((await display.next('sync_response')).client_time)).toBe(nested);
  });

  it('sync tells the state, whatever it is', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 5 });
    const display = await service.display(id);
    const states: unknown[] = [];
    const note = async (): Promise<void> => {
      display.say({ type: 'sync' });
      const { state, remaining_seconds, deadline_ms } = await display.next('sync_response');
      states.push([state, remaining_seconds, deadline_ms !== null]);
    };
    await note();
    await service.act(id, 'start');
    await note();
    await service.advance(1001);
    await service.act(id, 'pause');
    await note();
    await service.act(id, 'start');
    await service.advance(5 * SECOND);
    await note();
    expect(states).toEqual([
      ['created', 5, false],
      ['running', 5, true],
      ['paused', 4, false],
      ['expired', 0, false],
    ]);
  });

  it.each<[string, readonly (string | Buffer)[]]>([
    [
      'of a type that is not known',
      [
        ...['{"type": "explode"}', '{"type": ""}', '{"type": "PING"}', '{"type": "timer_expired"}'],
        ...['{"type": "__proto__"}', '{"type": "constructor"}', '{"type": "sync "}'],
        JSON.stringify({ type: 'x'.repeat(3000) }),
        JSON.stringify({ type: '🕐'.repeat(150) }),
      ],
    ],
    [
      'that is no object with a type',
      [
        ...['{"type": 5}', '{"type": ["ping"]}', '{"type": null}', '{"message": "ping"}', '{}'],
        ...['[{"type": "ping"}]', '"ping"', '5', 'null', 'true', '{"Type": "ping"}'],
        '['.repeat(2000) + ']'.repeat(2000),
      ],
    ],
    [
      'that is no JSON',
      ['{"type": "ping"', 'ping', "{'type': 'ping'}", '   ', '', '\u0000', '['.repeat(4000)],
    ],
    [
      'that is binary',
      [Buffer.from('{"type": "ping"}'), Buffer.alloc(0), Buffer.from([0xff, 0x00, 0xfe])],
    ],
  ])(
    'T12: a message %s is answered with an error, and the connection lives on',
    async (_, contents) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const display = await service.display(id);
      for (const content of contents) {
        const label = String(content).slice(0, 50);
        display.webSocket.send(content);
        display.say({ type: 'ping' });
        const [error, ...more] = await display.news();
        expect(error, label).toEqual({ type: 'error', message: expect.stringMatching(/./) });
        expect(JSON.stringify(error).length, label).toBeLessThan(1000);
        expect(more, label).toEqual([{ type: 'pong' }]);
        // What was said is forgiven with time.
        await service.advance(SECOND);
      }
    },
  );

  it('T12: says of a binary message that it is none, whatever it holds', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    display.webSocket.send(Buffer.from('{"type": "ping"}'));
    expect(await display.next('error')).toEqual({
      type: 'error',
      message: 'Messages are text frames, not binary ones',
    });
  });

  it('names the types it knows', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    display.say({ type: 'pause' });
    expect(await display.next('error')).toEqual({
      type: 'error',
      message: 'Unknown message type: pause. Known types: ping, sync, acknowledge',
    });
  });

  it('understands a message in fragments, with a ping between them', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`);
    client.sendFrame(OPCODES.text, '{"type": "sy', { isFinal: false });
    client.sendFrame(OPCODES.ping, 'between');
    client.sendFrame(OPCODES.continuation, 'nc", "client_time": 7}');
    await client.until(() => client.frames.length === 3);
    expect(client.frames[1]).toEqual({ opcode: OPCODES.pong, payload: Buffer.from('between') });
    expect(client.messages).toMatchObject([
      { type: 'connected' },
      { type: 'sync_response', client_time: 7 },
    ]);
  });
});

describe('T1: no message from a display changes a timer', () => {
  const words = [
    ...['pause', 'start', 'resume', 'stop', 'extend', 'delete', 'expire', 'create', 'control'],
    ...['created', 'started', 'paused', 'extended', 'stopped', 'expired', 'deleted', 'retire'],
    ...['timers.due', 'timer.removed', 'timer.failed', 'displays', 'xstate.stop', 'xstate.init'],
    ...['journal.committed', 'commands', 'drain', 'timer_tick', 'timer_expired', 'ping', 'sync'],
  ];
  const fields = fc.record(
    {
      action: fc.constantFrom(...words),
      timer_id: fc.constantFrom('timer_x', '*', '__proto__'),
      extend_seconds: fc.integer(),
      seconds: fc.integer(),
      remaining_seconds: fc.integer(),
      client_time: fc.jsonValue({ maxDepth: 2 }),
      revision: fc.nat(9),
      atMs: fc.nat(),
      data: fc.record({ addedMs: fc.nat() }),
      counts: fc.record({ connected: fc.integer(), ticking: fc.integer() }),
      state: fc.constantFrom('RUNNING', 'EXPIRED', 'paused'),
    },
    { requiredKeys: [] },
  );
  const controlling = fc
    .tuple(fc.constantFrom(...words), fields)
    .map(([type, rest]) => JSON.stringify({ type, ...rest }));
  const anything = fc.oneof(
    { weight: 3, arbitrary: controlling },
    { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
    { weight: 1, arbitrary: fc.string({ maxLength: 50, unit: 'binary' }) },
  );

  it.each(['created', 'running', 'paused', 'expired'])(
    'random messages to a %s timer',
    async (state) => {
      const service = await TestService.start({ settings: { MAX_EXTENSION_SECONDS: '86400' } });
      const { id } = await service.create({ duration_seconds: 5 });
      if (state !== 'created') await service.act(id, 'start');
      if (state === 'paused') await service.act(id, 'pause');
      if (state === 'expired') await service.advance(5 * SECOND);
      const before = { ...(await service.get(id)), connected_clients: 1 };
      const history = await service.journal.history(id);
      const texts = fc.sample(anything, { seed: 20_260_115, numRuns: 4 * (BURST - 1) });
      for (let from = 0; from < texts.length; from += BURST - 1) {
        const display = await service.display(id);
        const asked = texts.slice(from, from + BURST - 1);
        for (const text of asked) display.say(text);
        const answers = await display.news();
        expect(answers).toHaveLength(asked.length);
        const types = new Set(typesOf(answers));
        expect([...types].every((type) => ['pong', 'sync_response', 'error'].includes(type))).toBe(
          true,
        );
        expect(await service.get(id)).toEqual(before);
        await display.leave();
        await untilConnected(service, id, 0);
      }
      await service.settle();
      expect(await service.journal.history(id)).toEqual(history);
    },
  );
});

describe('T12: random bytes', () => {
  it('after a handshake end at most that connection', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    const before = await service.get(id);
    const garbage = fc.uint8Array({ minLength: 1, maxLength: 300 });
    for (const bytes of fc.sample(garbage, { seed: 20_260_115, numRuns: 60 })) {
      const client = await RawClient.open(service, `/ws/${id}`);
      client.socket.write(bytes);
      await client.heard();
      client.socket.destroy();
    }
    await untilConnected(service, id, 0);
    expect(await service.get(id)).toEqual(before);
    const display = await service.display(id);
    display.say({ type: 'ping' });
    await display.next('pong');
  });
});

describe('who is let in', () => {
  it('an unknown timer closes with 4004', async () => {
    const service = await TestService.start();
    for (const id of [
      'timer_nope',
      '__proto__',
      '%00',
      '%F0%9F%95%90',
      'a%2Fb',
      'x'.repeat(5000),
    ]) {
      const display = knock(service, id);
      expect(await display.closed).toEqual({ code: 4004, reason: 'Timer not found' });
      expect(display.messages).toEqual([]);
    }
  });

  it('a deleted timer closes with 4004', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.request('DELETE', `/timers/${id}`);
    expect(await knock(service, id).closed).toMatchObject({ code: 4004 });
  });

  it.each([
    ['an unknown timer', 4004],
    ['a timer with too many displays', 4029],
  ])('messages sent ahead to %s are not processed', async (_, code) => {
    const service = await TestService.start({ settings: { MAX_CLIENTS_PER_TIMER: '1' } });
    const { id } = await service.create();
    await service.display(id);
    const ask = clientFrame(OPCODES.text, '{"type": "sync"}');
    const early = Buffer.concat([ask, clientFrame(OPCODES.ping, ''), ask]);
    const path = code === 4004 ? '/ws/timer_nope' : `/ws/${id}`;
    const client = await RawClient.open(service, path, { early });
    client.say({ type: 'sync' });
    await client.until(() => client.closeCode !== undefined);
    await client.heard();
    expect(client.closeCode).toBe(code);
    client.sendFrame(OPCODES.close, Buffer.from([code >> 8, code & 0xff]));
    await once(client.socket, 'end');
    expect(client.frames.map(({ opcode }) => opcode)).toEqual([OPCODES.close]);
  });

  it('messages sent ahead to a timer that is there are processed', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const early = clientFrame(OPCODES.text, '{"type": "ping"}');
    const client = await RawClient.open(service, `/ws/${id}`, { early });
    await client.until(() => client.messages.length === 2);
    expect(client.messages.map(({ type }) => type)).toEqual(['connected', 'pong']);
  });

  it('too many displays close with 4029, and one is let in again when one has left', async () => {
    const service = await TestService.start({ settings: { MAX_CLIENTS_PER_TIMER: '1' } });
    const { id } = await service.create();
    const { id: other } = await service.create();
    const first = await service.display(id);
    const refused = knock(service, id, '?ticks=false');
    expect(await refused.closed).toMatchObject({ code: 4029 });
    expect(refused.messages).toEqual([]);
    expect(await connectedClients(service, id)).toBe(1);
    await service.display(other);
    await first.leave();
    await untilConnected(service, id, 0);
    const second = await service.display(id);
    expect(connectedTimer(second)).toMatchObject({ connected_clients: 1 });
  });

  it.each([
    [404, ['/', '/ws', '/ws/', '/ws/ID/', '/ws/ID/extra', '/WS/ID', '//x/ws/ID', '/timers/ID']],
    [
      422,
      [
        ...['/ws/%zz', '/ws/%E0%A4%A', '/ws/ID?ticks=banana', '/ws/ID?ticks=', '/ws/ID?ticks=1'],
        ...['/ws/ID?ticks=False', '/ws/ID?ticks=false&ticks=banana', '/ws/nope?ticks=banana'],
      ],
    ],
  ])('T12: %d before the upgrade for %j', async (status, paths) => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const path of paths) {
      const url = service.displayUrl('').replace('/ws/', path.replace('ID', id));
      expect(await refusal(url), path).toMatchObject({
        status,
        contentType: PROBLEM_TYPE,
        body: { status, detail: expect.stringMatching(/./) },
      });
    }
    expect(await connectedClients(service, id)).toBe(0);
  });

  it('an address that cannot be read is refused', async () => {
    const service = await TestService.start();
    const client = await RawClient.open(service, 'http://[');
    expect([404, 422]).toContain(client.status);
    await once(client.socket, 'end');
    expect(JSON.parse(client.body)).toMatchObject({ status: client.status });
  });

  it.each([
    ['no key', { 'Sec-WebSocket-Key': undefined }, 400],
    ['a wrong key', { 'Sec-WebSocket-Key': 'short' }, 400],
    ['an old version', { 'Sec-WebSocket-Version': '7' }, 400],
    ['no version', { 'Sec-WebSocket-Version': undefined }, 400],
    ['another protocol', { Upgrade: 'h2c' }, 426],
  ])('a handshake with %s is refused', async (_, headers, status) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`, { headers });
    expect(client.status).toBe(status);
    expect(await connectedClients(service, id)).toBe(0);
  });

  it.each([
    ['GET', '/timers/ID', '', 200],
    ['POST', '/timers', '{"duration_seconds": 300}', 201],
    ['POST', '/timers/ID/control', '{"action": "start"}', 200],
    ['DELETE', '/timers/ID', '', 204],
  ])(
    'a %s %s that offers another protocol is answered as if it offered none',
    async (method, address, body, status) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const client = await RawClient.open(service, address.replace('ID', id), {
        method,
        headers: {
          ...OFFERING_HTTP_2,
          ...(body === '' ? {} : { 'Content-Type': 'application/json' }),
          'Content-Length': body === '' ? undefined : `${body.length}`,
        },
        early: Buffer.from(body),
      });
      expect(client.status).toBe(status);
    },
  );

  it.each([
    ['https://exam.example', true],
    [undefined, true],
    ['https://evil.example', false],
    ['https://exam.example.evil.example', false],
    ['http://exam.example', false],
    ['null', false],
  ])('where CORS_ORIGINS names others, a page of %s is let in: %s', async (origin, isLetIn) => {
    const settings = { CORS_ORIGINS: 'https://exam.example, https://other.example' };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`, { headers: { Origin: origin } });
    expect(client.status).toBe(isLetIn ? 101 : 403);
    const headers = origin === undefined ? {} : { Origin: origin };
    const response = await fetch(`${service.service.url}/timers`, { headers });
    const allowed = isLetIn && origin !== undefined ? origin : null;
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
  });

  it('compression is not negotiated, even if it is offered', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    expect(display.webSocket.extensions).toBe('');
    const offer = 'permessage-deflate; client_max_window_bits';
    const client = await RawClient.open(service, `/ws/${id}`, {
      headers: { 'Sec-WebSocket-Extensions': offer },
    });
    expect(client.status).toBe(101);
    expect(client.header('Sec-WebSocket-Extensions')).toBeUndefined();
  });
});

describe('what ends a connection', () => {
  it.each([
    ['a message of 4096 bytes', 4096, undefined],
    ['a message of 4097 bytes', 4097, 1009],
    ['a message of 1 MB', 1_000_000, 1009],
  ])('%s', async (_, size, code) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    const frame = { type: 'ping', fill: '' };
    frame.fill = 'x'.repeat(size - JSON.stringify(frame).length);
    display.say(frame);
    if (code === undefined) expect(await display.news()).toEqual([{ type: 'pong' }]);
    else expect(await display.closed).toMatchObject({ code });
    expect(await service.get(id)).toMatchObject({ state: 'created' });
  });

  it('a message of more than 4 KB in small fragments: 1009', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`);
    client.sendFrame(OPCODES.text, 'x'.repeat(1000), { isFinal: false });
    for (let count = 0; count < 4; count += 1) {
      client.sendFrame(OPCODES.continuation, 'x'.repeat(1000), { isFinal: false });
    }
    await client.until(() => client.closeCode !== undefined);
    expect(client.closeCode).toBe(1009);
  });

  it.each<[string, number, (client: RawClient) => void]>([
    [
      'text that is not UTF-8',
      1007,
      (client) => client.sendFrame(OPCODES.text, Buffer.from([0xff])),
    ],
    [
      'an unmasked frame',
      1002,
      (client) => client.sendFrame(OPCODES.text, '{}', { isMasked: false }),
    ],
    ['an unknown kind of frame', 1002, (client) => client.sendFrame(3, '')],
    ['a continuation of nothing', 1002, (client) => client.sendFrame(OPCODES.continuation, 'x')],
    [
      'a ping in fragments',
      1002,
      (client) => client.sendFrame(OPCODES.ping, '', { isFinal: false }),
    ],
    ['a close of one byte', 1002, (client) => client.sendFrame(OPCODES.close, 'x')],
  ])('T12: %s: %d, and the service goes on', async (_, code, misbehave) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`);
    misbehave(client);
    await client.until(() => client.closeCode !== undefined);
    expect(client.closeCode).toBe(code);
    const display = await service.display(id);
    display.say({ type: 'ping' });
    await display.next('pong');
  });

  it.each<[string, (display: TestDisplay) => void]>([
    ['messages', (display) => display.say({ type: 'ping' })],
    ['messages that cannot be used', (display) => display.say('rubbish')],
    ['pings of the protocol', (display) => display.webSocket.ping()],
    ['pongs that nobody asked for', (display) => display.webSocket.pong()],
  ])('a flood of %s: 4030', async (_, speak) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const other = await service.display(id);
    const display = await service.display(id);
    for (let count = 0; count < BURST; count += 1) speak(display);
    await service.settle();
    display.say({ type: 'sync' });
    expect(await display.closed).toEqual({ code: 4030, reason: 'Too many messages' });
    expect(typesOf(display.messages)).not.toContain('sync_response');
    await untilConnected(service, id, 1);
    other.say({ type: 'ping' });
    await other.next('pong');
  });

  it.each([0, 60])(
    'A4: more than 16 fragments of one message, of %d bytes each: 1008',
    async (bytes) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const client = await RawClient.open(service, `/ws/${id}`);
      client.sendFrame(OPCODES.text, '', { isFinal: false });
      const piece = clientFrame(OPCODES.continuation, Buffer.alloc(bytes), { isFinal: false });
      client.socket.write(Buffer.concat(Array(15).fill(piece)));
      await client.heard();
      expect(client.closeCode).toBeUndefined();
      client.socket.write(Buffer.concat(Array(10_000).fill(piece)));
      await client.until(() => client.closeCode !== undefined);
      expect(client.closeCode).toBe(1008);
      client.socket.end();
      await untilConnected(service, id, 0);
    },
  );

  it('a flood that goes on after 4030 is broken off', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`);
    client.socket.write(Buffer.concat(Array(1000).fill(clientFrame(OPCODES.pong, ''))));
    await client.closed;
    await untilConnected(service, id, 0);
  });

  it('ten messages a second are no flood, however long', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const display = await service.display(id);
    for (let second = 0; second < 30; second += 1) {
      for (let count = 0; count < 9; count += 1) display.say({ type: 'ping' });
      expect(typesOf(await display.news())).toEqual(Array(9).fill('pong'));
      await service.advance(SECOND);
    }
  });

  it('the end of the service: 1012', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ auto_start: true });
    const { id: other } = await service.create();
    const displays = [
      await service.display(id),
      await service.display(id, '?ticks=false'),
      await service.display(other),
    ];
    await service.stop();
    for (const display of displays) {
      expect(await display.closed).toEqual({ code: 1012, reason: 'The service is restarting' });
      // The end of the service is no end of the timer.
      expect(typesOf(display.messages)).toEqual(['connected']);
    }
  });

  /** Stops the service, with the clock running; fails by its time limit when that never ends. */
  async function stopWithClock(service: TestService): Promise<void> {
    let isStopped = false;
    const stopped = service.service.stop().then(() => {
      isStopped = true;
    });
    while (!isStopped) {
      await service.clock.advance(SECOND);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await stopped;
  }

  it.each<[string, (service: TestService) => Promise<RawClient>]>([
    [
      'display',
      async (service) => RawClient.open(service, `/ws/${(await service.create()).id}`, HOLDING_ON),
    ],
    [
      'display of an unknown timer',
      (service) => RawClient.open(service, '/ws/timer_nope', HOLDING_ON),
    ],
    [
      'display of a deleted timer',
      async (service) => {
        const { id } = await service.create();
        const client = await RawClient.open(service, `/ws/${id}`, HOLDING_ON);
        await service.request('DELETE', `/timers/${id}`);
        return client;
      },
    ],
    [
      'client that was refused before the upgrade',
      (service) => RawClient.open(service, '/nope', HOLDING_ON),
    ],
    [
      'client that offered another protocol',
      (service) => RawClient.open(service, '/livez', { headers: OFFERING_HTTP_2, ...HOLDING_ON }),
    ],
    [
      'client whose handshake was wrong',
      (service) => {
        const headers = { 'Sec-WebSocket-Key': 'short' };
        return RawClient.open(service, '/ws/x', { headers, ...HOLDING_ON });
      },
    ],
  ])(
    'a %s that never lets go of its connection does not keep the service from ending',
    { timeout: 3000 },
    async (_, open) => {
      const service = await TestService.start();
      const client = await open(service);
      await stopWithClock(service);
      expect(client.serverSide.destroyed).toBe(true);
    },
  );
});

describe('keepalive', () => {
  it('comes after each 30 s of silence, with every field', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create();
    const display = await service.display(id);
    await service.advance(30 * SECOND - 1);
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(await display.news()).toEqual([
      {
        type: 'keepalive',
        remaining_seconds: 300,
        remaining_ms: 300_000,
        deadline_ms: null,
        server_time_ms: CREATED_AT_MS + 30_000,
        revision: 1,
      },
    ]);
    expect(typesOf(await flow(service, 60, display))).toEqual(['keepalive', 'keepalive']);
  });

  it.each(['1', '7', '45'])('comes after KEEPALIVE_SECONDS: %s', async (seconds) => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: seconds } });
    const { id } = await service.create();
    const display = await service.display(id);
    await service.advance(Number(seconds) * SECOND - 1);
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(typesOf(await display.news())).toEqual(['keepalive']);
  });

  it('does not come while ticks flow, and comes when they end', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create({ duration_seconds: 125, warning_thresholds: [] });
    const display = await service.display(id);
    await service.act(id, 'start');
    const news = await flow(service, 125, display);
    expect(new Set(typesOf(news))).toEqual(
      new Set(['timer_started', 'timer_tick', 'timer_expired']),
    );
    await service.advance(30 * SECOND - 1);
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(await display.news()).toMatchObject([{ type: 'keepalive', remaining_seconds: 0 }]);
  });

  it('comes to a display without ticks, counted from the last message', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create();
    const display = await service.display(id, '?ticks=false');
    const ticking = await service.display(id);
    await service.act(id, 'start');
    await service.advance(20 * SECOND);
    display.say({ type: 'ping' });
    expect(typesOf(await display.news())).toEqual(['timer_started', 'pong']);
    await ticking.news();
    await service.advance(30 * SECOND - 1);
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(await display.news()).toMatchObject([{ type: 'keepalive', remaining_ms: 250_000 }]);
  });
});

describe('T10: a slow or dead display delays nobody else and costs bounded memory', () => {
  it.each([
    ['that waits to be started', false],
    ['that ticks', true],
  ])(
    'a display that never answers a ping is dropped after two keepalive times, on a timer %s',
    async (_, auto_start) => {
      const service = await TestService.start(KEEPALIVE);
      const { id } = await service.create({ auto_start });
      const dead = await RawClient.open(service, `/ws/${id}`);
      const living = await service.display(id);
      await flow(service, 44, living);
      expect(pingsOf(dead)).toBe(0);
      await flow(service, 1, living);
      // With a tick, if one comes within a second.
      await service.advance(1);
      await dead.until(() => pingsOf(dead) === 1);
      await service.advance(14 * SECOND - 1);
      expect(await connectedClients(service, id)).toBe(2);
      // A beat may come a quarter of a second late.
      await service.advance(SECOND + 250);
      await untilConnected(service, id, 1);
      await dead.closed;
      living.say({ type: 'ping' });
      await living.next('pong');
    },
  );

  it.each(['a pong', 'a message'])(
    'a display that gives a sign of life by %s is kept',
    async (sign) => {
      const service = await TestService.start(KEEPALIVE);
      const { id } = await service.create();
      const client = await RawClient.open(service, `/ws/${id}`);
      for (let count = 1; count <= 5; count += 1) {
        await service.advance(45 * SECOND);
        await client.until(() => pingsOf(client) === count);
        if (sign === 'a pong') client.sendFrame(OPCODES.pong, '');
        else client.say({ type: 'ping' });
        await client.heard();
      }
      expect(await connectedClients(service, id)).toBe(1);
    },
  );

  it('a display that says something now and then is not pinged', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create({ auto_start: true });
    const client = await RawClient.open(service, `/ws/${id}`);
    for (let passed = 0; passed < 120; passed += 40) {
      await service.advance(40 * SECOND);
      client.say({ type: 'ping' });
      await client.heard();
    }
    expect(pingsOf(client)).toBe(0);
    expect(await connectedClients(service, id)).toBe(1);
  });

  it('a display has two seconds to answer, however short the keepalive time is', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '1' } });
    const { id } = await service.create();
    const client = await RawClient.open(service, `/ws/${id}`);
    // It was told `keepalive` half a second before, so the ping waits a second for a tick.
    await service.advance(2500);
    await client.until(() => pingsOf(client) === 1);
    await service.advance(2 * SECOND - 1);
    expect(await connectedClients(service, id)).toBe(1);
    await service.advance(251);
    await untilConnected(service, id, 0);
  });

  it('a ping that was to go out with a tick goes out without, when the timer is paused', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create({ auto_start: true });
    const client = await RawClient.open(service, `/ws/${id}`);
    await service.advance(45 * SECOND - 1);
    await service.act(id, 'pause');
    await service.advance(SECOND + 1);
    await client.until(() => pingsOf(client) === 1);
  });

  /**
   * Asks and does not read the answers, until the buffers of the kernel are full and the service
   * itself keeps `atLeast` bytes for this client.
   */
  async function fillPipe(service: TestService, client: RawClient, atLeast = 1): Promise<void> {
    client.stall();
    const request = { type: 'sync', client_time: 'x'.repeat(4000) };
    for (let asked = 0; client.serverSide.writableLength < atLeast; asked += 1) {
      if (asked > 10_000) throw new Error('What the service sends to a stalled client gets lost');
      // A display may say ten things a second.
      await service.advance(100);
      client.say(request);
      await client.heard();
    }
  }

  const ticksIn = (messages: readonly { type: string }[]) =>
    messages.filter(({ type }) => type === 'timer_tick');

  it.each([
    ['one message', 1],
    ['several messages', 20_000],
  ])(
    'with %s waiting for it, a display that does not read is kept only the latest tick of thousands',
    async (_, backlog) => {
      const service = await TestService.start();
      const { id } = await service.create({ duration_seconds: 10_000, warning_thresholds: [] });
      const stalled = await RawClient.open(service, `/ws/${id}`);
      await fillPipe(service, stalled, backlog);
      const healthy = await service.display(id);
      await service.act(id, 'start');
      const waiting = stalled.serverSide.writableLength;
      expect(waiting).toBeLessThan(64 * 1024);

      const seen: unknown[] = [];
      for (let passed = 0; passed < 3000; passed += 500) {
        await service.advance(500 * SECOND);
        const ticks = ticksIn(await healthy.news());
        seen.push(...ticks.map((tick) => 'remaining_seconds' in tick && tick.remaining_seconds));
        expect(stalled.serverSide.writableLength).toBe(waiting);
      }
      expect(seen).toEqual(Array.from({ length: 3000 }, (_, index) => 9999 - index));

      stalled.resume();
      await stalled.drained();
      stalled.say({ type: 'sync', client_time: 'caught up' });
      await stalled.until(() => stalled.messages.at(-1)?.client_time === 'caught up');
      expect(stalled.messages.filter(({ type }) => type === 'timer_started')).toHaveLength(1);
      expect(ticksIn(stalled.messages)).toMatchObject([{ remaining_seconds: 7000 }]);

      // From then on it gets every tick again, and none twice.
      await service.advance(3 * SECOND);
      await stalled.until(() => stalled.messages.at(-1)?.remaining_seconds === 6997);
      expect(
        ticksIn(stalled.messages).map(
          (tick) => 'remaining_seconds' in tick && tick.remaining_seconds,
        ),
      ).toEqual([7000, 6999, 6998, 6997]);
    },
  );

  it.each(['start', 'pause'])(
    'a display that reads again after the last %s has every change in order, and no older time after a newer',
    async (last) => {
      const service = await TestService.start();
      const { id } = await service.create({ duration_seconds: 500, warning_thresholds: [450] });
      const stalled = await RawClient.open(service, `/ws/${id}`);
      await fillPipe(service, stalled);
      const healthy = await service.display(id);
      const changes = ['start', 'pause', 'resume', 'extend', 'pause', 'start', 'extend', 'pause'];
      if (last === 'start') changes.push('start');
      for (const action of changes) {
        await service.act(id, action, action === 'extend' ? 10 : undefined);
        await service.advance(20 * SECOND);
      }
      stalled.resume();
      await stalled.drained();
      stalled.say({ type: 'sync', client_time: 'caught up' });
      await stalled.until(() => stalled.messages.at(-1)?.client_time === 'caught up');
      const isChange = ({ type }: { type: string }): boolean => /^timer_(?!tick)/.test(type);
      const told = stalled.messages.filter(isChange);
      expect(told).toEqual((await healthy.news()).filter(isChange));
      // The warning is one more.
      expect(told).toHaveLength(changes.length + 1);
      const times = stalled.messages.slice(1).map(({ server_time_ms }) => Number(server_time_ms));
      expect(times).toEqual([...times].sort((a, b) => a - b));
      const latest = stalled.messages.at(-2);
      if (last === 'pause') expect(latest?.type).toBe('timer_paused');
      else expect(latest).toMatchObject({ type: 'timer_tick', remaining_seconds: 400 });
    },
  );

  it.each([
    ['reads again in time, and is told why', true],
    ['never reads again', false],
  ])(
    'a display for which changes pile up past the limit, and that %s, is closed with 4008',
    async (_, readsAgain) => {
      const service = await TestService.start();
      const { id } = await service.create({ warning_thresholds: [] });
      const stalled = await RawClient.open(service, `/ws/${id}`);
      await fillPipe(service, stalled);
      const healthy = await service.display(id);
      for (let round = 0; round < 5; round += 1) {
        const path = '/timers/bulk/extend?seconds=1';
        const answer = await service.request('POST', path, Array(200).fill(id));
        expect(answer.status).toBe(200);
      }
      expect(stalled.serverSide.writableLength).toBeLessThan(66 * 1024);
      const news = await healthy.news();
      expect(news).toHaveLength(1000);
      expect(news.at(-1)).toMatchObject({ type: 'timer_extended', remaining_seconds: 1300 });
      if (readsAgain) {
        stalled.resume();
        await stalled.until(() => stalled.closeCode !== undefined);
        expect(stalled.closeCode).toBe(4008);
        expect(stalled.frames.at(-1)?.opcode).toBe(OPCODES.close);
        stalled.socket.end();
      } else {
        // It is given a second, of a clock that may be a quarter of one late.
        await service.advance(1.25 * SECOND);
      }
      await untilConnected(service, id, 1);
      expect(stalled.serverSide.destroyed).toBe(true);
    },
  );

  it('a display that does not read its pings is closed with 4008', async () => {
    const service = await TestService.start(KEEPALIVE);
    const { id } = await service.create({ warning_thresholds: [] });
    const stalled = await RawClient.open(service, `/ws/${id}`);
    await fillPipe(service, stalled);
    const healthy = await service.display(id);
    await flow(service, 61, healthy);
    expect(stalled.serverSide.writableLength).toBeLessThan(66 * 1024);
    expect(await connectedClients(service, id)).toBe(2);
    stalled.resume();
    await stalled.until(() => stalled.closeCode !== undefined);
    expect(stalled.closeCode).toBe(4008);
    expect(pingsOf(stalled)).toBe(1);
    stalled.socket.end();
    await untilConnected(service, id, 1);
    healthy.say({ type: 'ping' });
    await healthy.next('pong');
  });

  it('hundreds of displays that come and go leave nothing behind', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const timeouts = service.clock.pendingTimeouts;
    for (let round = 0; round < 3; round += 1) {
      const displays = await Promise.all(Array.from({ length: 40 }, () => service.display(id)));
      expect(await connectedClients(service, id)).toBe(40);
      for (const [index, { webSocket }] of displays.entries()) {
        if (index % 2 === 0) webSocket.close();
        else webSocket.terminate();
      }
      await untilConnected(service, id, 0);
    }
    expect(service.clock.pendingTimeouts).toBe(timeouts);
  });
});

function connectedTimer(display: TestDisplay | undefined): unknown {
  const [first] = display?.messages ?? [];
  return first?.type === 'connected' ? first.timer : undefined;
}
