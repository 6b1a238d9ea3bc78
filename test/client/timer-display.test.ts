/** The client library against the real service over real sockets, both on one simulated time. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { TimerDisplay, type TimerOptions } from '../../src/client/timer-display.js';
import { tokenSchema } from '../../src/protocol/credentials.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { TestService, type TestServiceOptions } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { SimulatedPlatform, until } from '../support/simulated-platform.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const SECOND = 1000;
const open = new Set<TimerDisplay>();
afterEach(() => {
  for (const display of open) display.close();
  open.clear();
});

/** A service, and the time it shares with the devices of its displays. */
async function startRoom(options: TestServiceOptions = {}) {
  const clock = new SimulatedClock();
  const service = await TestService.start({ clock, ...options });
  const platform = new SimulatedPlatform(clock);
  return { clock, service, platform, advance: advancer(clock, platform, service) };
}

/** Lets time pass on the service and on the device, with their conversations in between. */
function advancer(clock: SimulatedClock, platform: SimulatedPlatform, service: TestService) {
  return (byMs: number) =>
    clock.advance(byMs, async () => {
      await service.settle();
      await platform.settle();
    });
}

function follow(
  service: TestService,
  timerId: string,
  platform: SimulatedPlatform,
  options: Partial<TimerOptions> = {},
) {
  const display = new TimerDisplay(
    { server: service.service.url, timer: timerId, ...options },
    platform,
  );
  open.add(display);
  const announced: string[] = [];
  display.on('warning', ({ thresholdSeconds, isVerified }) => {
    announced.push(`${thresholdSeconds}${isVerified ? '' : '?'}`);
  });
  display.on('end', ({ reason, isVerified }) =>
    announced.push(`${reason}${isVerified ? '' : '?'}`),
  );
  return { display, announced };
}

/** Lets time pass until so much remains by the service's own count; stopping a service takes time as well. */
function advanceTo(clock: SimulatedClock, display: TimerDisplay, leftMs: number): Promise<void> {
  return clock.advance((display.timer?.deadline_ms ?? 0) - leftMs - clock.now());
}

const isLive = (display: TimerDisplay) => (): boolean => display.connection === 'live';

const attendance = z.object({
  connected: z.number(),
  current: z.number(),
  displays: z.array(
    z.object({
      label: z.string().nullable(),
      transport: z.string(),
      revision: z.number().nullable(),
      error_bound_ms: z.number().nullable(),
    }),
  ),
});

async function attendanceOf(service: TestService, timerId: string) {
  return attendance.parse((await service.request('GET', `/timers/${timerId}/displays`)).body);
}

describe.each(['websocket', 'sse'] as const)('C4: a display over %s', (transport) => {
  it('follows a timer to its end, exact to its error bound', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = transport === 'sse';
    const { id } = await service.create({ duration_seconds: 600, warning_thresholds: [60] });
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    expect(display.transport).toBe(transport);
    expect(display.remaining()).toBe(600 * SECOND);
    await service.act(id, 'start');
    await until(() => display.state === 'running');
    await advance(100_250);
    expect(display.remaining()).toBeCloseTo(499_750, -1);
    expect(display.errorBound()).toBeLessThan(30);
    expect(display.isVerified).toBe(true);
    await service.act(id, 'pause');
    await until(() => display.state === 'paused');
    await advance(10 * SECOND);
    expect(display.remaining()).toBe(499_750);
    await service.act(id, 'resume');
    await service.act(id, 'extend', 60);
    await until(() => display.timer?.duration_seconds === 660);
    await advance(499_750);
    await until(() => announced.length === 1);
    await advance(60 * SECOND);
    await until(() => display.state === 'expired');
    expect(announced).toEqual(['60', 'expired']);
    expect(display.remaining()).toBe(0);
  });

  it('D1: acknowledges each change, with its error bound and its label', async () => {
    const { service, platform } = await startRoom();
    platform.isWebSocketRefused = transport === 'sse';
    const { id } = await service.create({ auto_start: true });
    const { display } = follow(service, id, platform, { label: 'Seat 14' });
    await until(isLive(display));
    for (const action of ['pause', 'resume']) {
      const { revision } = await service.act(id, action);
      let shown = await attendanceOf(service, id);
      while (shown.current === 0) shown = await attendanceOf(service, id);
      expect(shown.displays).toEqual([
        { label: 'Seat 14', transport, revision, error_bound_ms: expect.any(Number) },
      ]);
    }
  });
});

describe('C6: without the service', () => {
  it('a display counts on and says so, and the service wins when it is heard again', async () => {
    const clock = new SimulatedClock();
    const folder = temporaryFolder();
    const before = await TestService.start({ clock, journal: await openSqlite(folder) });
    const { id } = await before.create({
      duration_seconds: 600,
      auto_start: true,
      warning_thresholds: [300, 60],
    });
    const port = new URL(before.service.url).port;
    const platform = new SimulatedPlatform(clock);
    const { display, announced } = follow(before, id, platform);
    await until(isLive(display));
    await before.act(id, 'extend', 100);
    await until(() => display.timer?.duration_seconds === 700);
    await before.stop();
    await until(() => display.connection === 'waiting');
    expect(display.isVerified).toBe(false);
    await advanceTo(clock, display, 250 * SECOND);
    expect(Math.abs((display.remaining() ?? 0) - 250 * SECOND)).toBeLessThan(1);
    expect(announced).toEqual(['300?']);

    const settings = { PORT: port };
    const after = await TestService.start({ clock, journal: await openSqlite(folder), settings });
    platform.wake();
    await until(isLive(display));
    expect(display.isVerified).toBe(true);
    const { remaining_ms } = await after.get(id);
    expect(Math.abs((display.remaining() ?? 0) - remaining_ms)).toBeLessThan(1);
    await advancer(clock, platform, after)(250 * SECOND);
    await until(() => display.state === 'expired');
    expect(announced).toEqual(['300?', '60', 'expired']);
  });

  it('it never shows 0 early by more than its error bound, and announces the end not before it is certain', async () => {
    const { clock, service, platform } = await startRoom();
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    await service.stop();
    await until(() => display.connection === 'waiting');
    await advanceTo(clock, display, 30);
    expect(display.remaining()).toBeGreaterThan(30 - (display.errorBound() ?? 0));
    expect(announced).toEqual(['30?']);
    await clock.advance(60);
    expect(display.remaining()).toBe(0);
    expect(announced).toEqual(['30?', 'expired?']);
    expect(display.state).toBe('running');
  });
});

describe('C5: a display that was away', () => {
  it('announces no end that an extension had put off, while it is told what it missed', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    await service.act(id, 'pause');
    await until(() => display.state === 'paused');
    platform.isOffline = true;
    platform.breakConnections();
    await until(() => display.connection === 'waiting');
    await service.act(id, 'resume');
    await service.act(id, 'extend', 600);
    await advance(100 * SECOND);
    platform.isOffline = false;
    platform.wake();
    await until(() => isLive(display)() && display.timer?.duration_seconds === 660);
    await advance(5 * SECOND);
    expect(announced.filter((what) => what.startsWith('expired'))).toEqual([]);
    expect(display.state).toBe('running');
  });

  it('hears the service before it counts by itself when the device was stopped', async () => {
    const { clock, service, platform } = await startRoom();
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    clock.stall(10 * SECOND);
    await service.act(id, 'extend', 600);
    clock.stall(60 * SECOND);
    platform.wake();
    await until(() => display.timer?.duration_seconds === 660);
    expect(announced.filter((what) => what.startsWith('expired'))).toEqual([]);
  });
});

describe('C5: a service that is heard, but is silent about what is due', () => {
  it('is given two seconds before the display announces by itself', async () => {
    const { clock, service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({
      duration_seconds: 60,
      auto_start: true,
      warning_thresholds: [50],
    });
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    platform.swallowStreams();
    const deadlineMs = display.timer?.deadline_ms ?? 0;
    const advanceUntilMs = (epochMs: number) => advance(epochMs - clock.now());
    await advanceUntilMs(deadlineMs - 50 * SECOND + 1990);
    expect(announced).toEqual([]);
    await advanceUntilMs(deadlineMs - 50 * SECOND + 2100);
    expect(announced).toEqual(['50?']);
    await advanceUntilMs(deadlineMs + 1990);
    expect([announced, display.isVerified]).toEqual([['50?'], true]);
    await advanceUntilMs(deadlineMs + 2100);
    expect([announced, display.isVerified]).toEqual([['50?', 'expired?'], false]);
  });
});

/** A key that lets a display follow every timer. */
async function displayKey(service: TestService): Promise<string> {
  return (await service.createKey({ role: 'display', timers: '*' })).key;
}

describe('what a display says of itself when it connects', () => {
  it('is its token, as the name of a protocol', async () => {
    const { service, platform } = await startRoom();
    const { id } = await service.create();
    const { display: unnamed } = follow(service, id, platform);
    await until(isLive(unnamed));
    unnamed.close();
    await service.protect();
    const [given, fetched] = [await displayKey(service), await displayKey(service)];
    for (const token of [given, async () => fetched]) {
      const { display } = follow(service, id, platform, { token });
      await until(isLive(display));
      expect(display.transport).toBe('websocket');
    }
    expect(platform.opened.map(({ protocols }) => protocols)).toEqual([
      [],
      ['synchronized-timer', `bearer.${given}`],
      ['synchronized-timer', `bearer.${fetched}`],
    ]);
  });

  it('is its token in the header of every request, where WebSocket is refused', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ duration_seconds: 600, auto_start: true });
    await service.protect();
    // The first is for the WebSocket that is refused.
    const keys = [await displayKey(service), await displayKey(service), await displayKey(service)];
    const given = keys.values();
    const token = (): string => given.next().value ?? '';
    const { display } = follow(service, id, platform, { token });
    for (const expected of keys.slice(1).map((key) => `Bearer ${key}`)) {
      await until(isLive(display));
      await advance(60 * SECOND);
      const asked = platform.asked.splice(0);
      const ends = asked.map(({ url }) => new URL(url).pathname.split('/').at(-1));
      expect(new Set(ends)).toEqual(new Set(['events', 'time', 'acknowledgement', id]));
      const told = asked.map(({ headers }) => headers.get('Authorization'));
      expect(new Set(told)).toEqual(new Set([expected]));
      platform.breakConnections();
      await until(() => display.connection === 'waiting');
      platform.wake();
    }
  });

  it.each([
    ['at once, when the last one ended', false],
    ['after a pause, where WebSocket is refused', true],
  ])('C8, A1: is another token %s', async (_, isWebSocketRefused) => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = isWebSocketRefused;
    const { id } = await service.create();
    const newToken = async (): Promise<string> => {
      const made = await service.request('POST', `/timers/${id}/tokens`, {
        expires_in_seconds: 60,
      });
      return tokenSchema.parse(made.body).token;
    };
    const first = await newToken();
    // Where WebSocket is refused, it was tried with the same token before.
    const given = (isWebSocketRefused ? [first, first] : [first]).values();
    let renewed = 0;
    const token = (): string | Promise<string> => {
      const { value } = given.next();
      if (value === undefined) renewed += 1;
      return value ?? newToken();
    };
    const { display } = follow(service, id, platform, { token });
    await until(isLive(display));
    await service.protect();
    await advance(60 * SECOND);
    if (isWebSocketRefused) await advance(2 * SECOND);
    await until(() => renewed > 0 && display.connection === 'live');
    expect(display.transport).toBe(isWebSocketRefused ? 'sse' : 'websocket');
    expect(display.closeReason).toBeUndefined();
  });

  it('C8, A1: is nothing any more, which it says, when its only token ended', async () => {
    const { service, platform, advance } = await startRoom();
    const { id } = await service.create();
    const made = await service.request('POST', `/timers/${id}/tokens`, { expires_in_seconds: 60 });
    const { token } = tokenSchema.parse(made.body);
    const { display } = follow(service, id, platform, { token });
    const told: string[] = [];
    display.on('connection', (connection) => told.push(connection));
    await until(isLive(display));
    await advance(60 * SECOND);
    await until(() => told.includes('closed'));
    expect(display.closeReason).toEqual({
      code: PROBLEMS.credential_ended.closeCode,
      message: PROBLEMS.credential_ended.title,
    });
  });

  it('D2: is the last revision it knows, when it comes back over an event stream', async () => {
    const { service, platform } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ auto_start: true });
    const { display } = follow(service, id, platform);
    await until(isLive(display));
    const { revision } = await service.act(id, 'extend', 60);
    await until(() => display.timer?.revision === revision);
    const told: string[] = [];
    for (const type of ['timer_paused', 'timer_extended', 'connected'] as const) {
      display.on(type, () => told.push(type));
    }
    platform.breakConnections();
    await until(() => display.connection === 'waiting');
    await service.act(id, 'pause');
    await service.act(id, 'extend', 60);
    platform.wake();
    await until(isLive(display));
    const streams = platform.asked.filter(({ url }) => url.includes('/events?'));
    expect(streams.map(({ headers }) => headers.get('Last-Event-ID'))).toEqual([
      null,
      `${revision}`,
    ]);
    expect(told).toEqual(['timer_paused', 'timer_extended', 'connected']);
  });
});

describe.each(['websocket', 'sse'])('a display over %s', (transport) => {
  it.each([
    [undefined, 0],
    [false, 0],
    [true, 5],
  ])('with ticks: %s is told %d in five seconds', async (ticks, count) => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = transport === 'sse';
    const { id } = await service.create({ duration_seconds: 600, auto_start: true });
    const { display } = follow(service, id, platform, { ticks });
    let told = 0;
    display.on('timer_tick', () => {
      told += 1;
    });
    await until(isLive(display));
    await advance(5 * SECOND);
    const { revision } = await service.act(id, 'extend', 60);
    // Whatever was told before this has arrived with it.
    await until(() => display.timer?.revision === revision);
    expect(told).toBe(count);
  });
});

describe('C4: displays that lost the service together', () => {
  it('come back by chance, each at another time', async () => {
    const { clock, service, platform } = await startRoom();
    const { id } = await service.create();
    platform.isWebSocketRefused = true;
    platform.isOffline = true;
    const chance = vi.spyOn(Math, 'random').mockReturnValue(0.8);
    const { display } = follow(service, id, platform);
    await until(() => display.connection === 'waiting');
    chance.mockRestore();
    const sinceMs = clock.now();
    await clock.advance(1399);
    expect([clock.now() - sinceMs, display.connection]).toEqual([1399, 'waiting']);
    await clock.advance(1);
    expect(display.connection).toBe('connecting');
  });
});

describe('C4: an event stream that the network swallows', () => {
  it('is found out by what other requests know, and opened anew', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ duration_seconds: 600, auto_start: true });
    const { display } = follow(service, id, platform);
    await until(isLive(display));
    platform.swallowStreams();
    await service.act(id, 'extend', 600);
    await advance(16 * SECOND);
    expect([display.connection, display.timer?.duration_seconds]).toEqual(['live', 600]);
    await advance(3 * SECOND);
    expect(display.connection).toBe('waiting');
    platform.wake();
    await until(() => isLive(display)() && display.timer?.duration_seconds === 1200);
    expect(display.transport).toBe('sse');
  });

  it('is not given up while there is nothing it should have told', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ duration_seconds: 600, auto_start: true });
    const { display } = follow(service, id, platform);
    const seen: string[] = [];
    await until(isLive(display));
    display.on('connection', (connection) => seen.push(connection));
    const { revision } = await service.act(id, 'extend', 60);
    await until(() => display.timer?.revision === revision);
    await advance(120 * SECOND);
    expect(seen).toEqual([]);
    const checks = platform.asked.filter(({ url }) => url.endsWith(`/timers/${id}`));
    expect(checks.length).toBeGreaterThan(0);
  });
});

describe('C4: an event stream beside which requests fail, as those that a balancer leads to a lost node', () => {
  it('goes on when they are answered again in time', async () => {
    const { service, platform, advance } = await startRoom();
    platform.isWebSocketRefused = true;
    const { id } = await service.create({ duration_seconds: 600, auto_start: true });
    const { display } = follow(service, id, platform);
    await until(isLive(display));
    const seen: string[] = [];
    display.on('connection', (connection) => seen.push(connection));
    await advance(14 * SECOND);
    platform.isOffline = true;
    await advance(3 * SECOND);
    platform.isOffline = false;
    await advance(5 * SECOND);
    expect(seen).toEqual([]);
    expect(display.errorBound()).toBeLessThan(10);
  });
});

describe('C3: a device whose clock lost time', () => {
  it('is synchronized anew by the next thing the service says', async () => {
    const { service, platform, advance } = await startRoom();
    const { id } = await service.create({ duration_seconds: 7200, auto_start: true });
    const { display } = follow(service, id, platform);
    await until(isLive(display));
    await advance(10 * SECOND);
    platform.loseTime(3600 * SECOND);
    const { revision } = await service.act(id, 'extend', 60);
    await until(() => display.timer?.revision === revision && display.connection === 'live');
    const { remaining_ms } = await service.get(id);
    expect(Math.abs((display.remaining() ?? 0) - remaining_ms)).toBeLessThan(2);
  });
});

describe('C4: a connection that cannot be', () => {
  it('is closed with the reason when there is no such timer', async () => {
    const { service, platform } = await startRoom();
    const { display } = follow(service, 'timer_none', platform);
    await until(() => display.connection === 'closed');
    expect(display.closeReason?.code).toBe(4004);
  });

  it('is closed when the timer is deleted, which is announced', async () => {
    const { service, platform } = await startRoom();
    const { id } = await service.create();
    const { display, announced } = follow(service, id, platform);
    await until(isLive(display));
    await service.request('DELETE', `/timers/${id}`);
    await until(() => display.connection === 'closed');
    expect(announced).toEqual(['deleted']);
    expect(display.timer?.deadline_ms).toBeNull();
    expect(display.closeReason?.code).toBe(4000);
  });
});
