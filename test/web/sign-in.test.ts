/** Signing in: the console's own parts, without a page, and the real service. */
import { describe, expect, it, vi } from 'vitest';
import { Api } from '../../src/web/console/api.js';
import { LiveConnection } from '../../src/web/console/live.js';
import { isSignedIn, mayControl } from '../../src/web/console/people.js';
import { Session } from '../../src/web/console/session.js';
import { SignIn } from '../../src/web/console/sign-in.js';
import { ConsoleStore } from '../../src/web/console/store.js';
import { endWithTest } from '../support/endings.js';
import { TestService } from '../support/service.js';

const PATIENCE = { timeout: 10_000 };
const MEMORY = 'timer-console.credential';
const open = new Set<LiveConnection>();
endWithTest('clients', () => {
  for (const live of open) live.close();
  open.clear();
});

/** A browser's memory, of which each window has a part of its own. */
class Device {
  readonly device = new Map<string, string>();
  readonly window = new Map<string, string>();

  recall = (key: string, reach: 'device' | 'window') => this[reach].get(key);
  remember = (key: string, value: string, reach: 'device' | 'window') => {
    this[reach].set(key, value);
  };
  forget = (key: string) => {
    this.device.delete(key);
    this.window.delete(key);
  };
}

function openConsole(service: TestService, device = new Device()) {
  const store = new ConsoleStore();
  const session = new Session(device);
  const api = new Api(service.service.url, session);
  const clock = { now: () => undefined, check: () => {}, synchronize: vi.fn(), stop: vi.fn() };
  const live = new LiveConnection({ store, api, clock });
  const restart = vi.fn();
  const signIn = new SignIn({ store, api, session, live, restart });
  open.add(live);
  live.connect();
  const until = (phase: string) =>
    expect.poll(() => store.state.connection, PATIENCE).toMatchObject({ phase });
  return { store, device, session, clock, restart, signIn, until };
}

async function startProtected() {
  const service = await TestService.start();
  await service.protect();
  return service;
}

const keyOf = async (
  service: TestService,
  role: 'admin' | 'instructor' | 'observer' | 'display',
  label = 'Ms Meyer',
) => service.createKey({ role, label });

describe('A7: signing in', () => {
  it('is not asked for by a service without keys, which finds a key of another time useless', async () => {
    const service = await TestService.start();
    const device = new Device();
    device.remember(MEMORY, 'sts_of_long_ago', 'device');
    const { store, until, session } = openConsole(service, device);
    await until('live');
    expect(isSignedIn(store.state.caller)).toBe(false);
    expect(mayControl(store.state.caller)).toBe(true);
    expect([session.credential, device.device.size]).toEqual([undefined, 0]);
  });

  it('is asked for by a service with keys, which tells whose the key is', async () => {
    const service = await startProtected();
    await service.create();
    const { store, device, clock, signIn, until } = openConsole(service);
    await until('locked');
    expect(store.state.connection).toEqual({ phase: 'locked', words: undefined });
    // Whoever is not let in asks for nothing more, which would count as attempts.
    expect(clock.stop).toHaveBeenCalled();
    expect(clock.synchronize).not.toHaveBeenCalled();
    expect(await signIn.signIn('two words', false)).toMatch(/without spaces/);
    expect(await signIn.signIn('sts_unknown', false)).toMatch(/does not know this key or token/);
    const display = await keyOf(service, 'display');
    expect(await signIn.signIn(display.key, false)).toMatch(/credential of a display/);
    expect([device.window.size, device.device.size]).toEqual([0, 0]);
    const { key } = await keyOf(service, 'observer');
    expect(await signIn.signIn(`\n ${key} `, false)).toBeUndefined();
    await until('live');
    expect(store.state.caller).toMatchObject({ role: 'observer', label: 'Ms Meyer' });
    expect(mayControl(store.state.caller)).toBe(false);
    expect(store.state.timers.size).toBe(1);
    expect([[...device.window.values()], device.device.size]).toEqual([[key], 0]);
  });

  it('is kept on the device until somebody signs out', async () => {
    const service = await startProtected();
    const { key } = await keyOf(service, 'instructor');
    const { device, until, signIn } = openConsole(service);
    await until('locked');
    await signIn.signIn(key, true);
    await until('live');
    device.window.clear();
    const again = openConsole(service, device);
    await again.until('live');
    again.signIn.signOut();
    expect(device.device.size).toBe(0);
    expect(again.restart).toHaveBeenCalledOnce();
  });

  it('is asked for again when the key ends; what is known stays, but not for somebody else', async () => {
    const service = await startProtected();
    await service.create();
    const { id, key } = await keyOf(service, 'admin');
    const { store, device, until, signIn, restart } = openConsole(service);
    await until('locked');
    await signIn.signIn(key, false);
    await until('live');
    await service.request('DELETE', `/keys/${id}`);
    // The service ends the stream, and the next attempt is refused.
    await expect
      .poll(() => store.state.connection, PATIENCE)
      .toMatchObject({ phase: 'locked', words: expect.stringMatching(/has ended/) });
    expect(store.state.timers.size).toBe(1);
    expect(device.window.size).toBe(0);
    const other = await keyOf(service, 'admin', 'Mr Kim');
    expect(await signIn.signIn(other.key, false)).toBeUndefined();
    expect(restart).toHaveBeenCalledOnce();
    expect([...device.window.values()]).toEqual([other.key]);
  });

  it('is refused with the credential of a display that the device remembers', async () => {
    const service = await startProtected();
    const device = new Device();
    device.remember(MEMORY, (await keyOf(service, 'display')).key, 'device');
    const { store, until } = openConsole(service, device);
    await until('locked');
    expect(store.state.connection).toMatchObject({
      words: expect.stringMatching(/credential of a display/),
    });
  });

  it('says so when the service is not there, and loses no form to attempts in between', async () => {
    const service = await startProtected();
    const { key } = await keyOf(service, 'admin');
    const { store, until, signIn } = openConsole(service);
    await until('locked');
    store.dispatch({ type: 'connecting' });
    store.dispatch({ type: 'offline', sinceMs: undefined });
    expect(store.state.connection.phase).toBe('locked');
    await service.stop();
    expect(await signIn.signIn(key, false)).toMatch(/cannot be reached/);
  });
});

describe('A7: a display link', () => {
  it('has a token that shows its timer and changes nothing', async () => {
    const service = await startProtected();
    const { id } = await service.create();
    const session = new Session(new Device());
    session.keep((await keyOf(service, 'admin')).key, false);
    const { token } = await new Api(service.service.url, session).displayToken(id, 'Seat 14');
    service.token = token;
    expect((await service.request('GET', `/timers/${id}`)).status).toBe(200);
    expect((await service.control(id, 'start')).status).toBe(403);
    expect((await service.request('GET', '/me')).body).toMatchObject({
      role: 'display',
      label: 'Seat 14',
    });
  });
});
