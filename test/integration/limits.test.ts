/** Limits of addresses and credentials, and who is at an address. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Addresses, siteOf } from '../../src/access/address.js';
import type { Caller } from '../../src/access/caller.js';
import { Limits } from '../../src/access/limits.js';
import { readConfig } from '../../src/config.js';
import { tokenSchema } from '../../src/protocol/credentials.js';
import { Problem } from '../../src/protocol/problems.js';
import { EventReader, RefusedError } from '../support/event-reader.js';
import { readableLog } from '../support/log-lines.js';
import { RawClient } from '../support/raw-client.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;
const HOME = '203.0.113.7';
const OTHER = '203.0.113.8';
/** One proxy in front, which is the test itself, and no keys. */
const BEHIND_PROXY = { TRUST_PROXY: '1', ALLOW_OPEN: '1' };

async function get(service: TestService, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${service.service.url}${path}`, { headers });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** A token for a display of a timer, made by whoever the service knows. */
async function tokenFor(service: TestService, timerId: string): Promise<string> {
  const { body } = await service.request('POST', `/timers/${timerId}/tokens`, {});
  return tokenSchema.parse(body).token;
}

/** A timer that runs at once, for a minute. */
const definition = {
  name: '',
  durationMs: 60 * SECOND,
  warningThresholdsMs: [],
  autoStart: true,
};

const from = (address: string) => ({ 'X-Forwarded-For': address });

/** Asks until it is refused, and gives the number of requests that were not, and the refusal. */
async function exhaust(ask: () => ReturnType<typeof get>) {
  for (let granted = 0; ; granted += 1) {
    const answer = await ask();
    if (answer.status === 429) return { granted, answer };
  }
}

describe('A4: requests of an address', () => {
  const settings = { ...BEHIND_PROXY, MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2' };

  it('A4: are answered 429 when there are too many, with the time to wait, after which they are not', async () => {
    const service = await TestService.start({ settings });
    const { granted, answer } = await exhaust(() => get(service, '/timers', from(HOME)));
    expect(granted).toBe(10);
    expect(problemIn(answer)).toMatchObject({ code: 'rate_limited', status: 429 });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'retry-after': '1',
      'ratelimit-limit': '10',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '5',
    });
    expect((await get(service, '/timers', from(OTHER))).status).toBe(200);
    await service.advance(0.5 * SECOND - 1);
    expect((await get(service, '/timers', from(HOME))).status).toBe(429);
    await service.advance(1);
    expect((await get(service, '/timers', from(HOME))).status).toBe(200);
    expect((await get(service, '/timers', from(HOME))).status).toBe(429);
  });

  it('A4: count and are refused alike when a browser asks in advance, and it can read why', async () => {
    const service = await TestService.start({ settings });
    const headers = { ...from(HOME), Origin: 'https://exam.example' };
    const preflight = () => fetch(`${service.service.url}/timers`, { method: 'OPTIONS', headers });
    for (let asked = 0; asked < 10; asked += 1) expect((await preflight()).status).toBe(204);
    const refused = await preflight();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('access-control-allow-origin')).toBe('*');
    expect((await get(service, '/timers', from(HOME))).status).toBe(429);
  });

  it('A4: are told how many are left', async () => {
    const service = await TestService.start({ settings });
    const { headers } = await get(service, '/timers', from(HOME));
    expect(headers.get('ratelimit-limit')).toBe('10');
    expect(headers.get('ratelimit-remaining')).toBe('9');
    expect(headers.get('ratelimit-reset')).toBe('1');
    expect(headers.get('access-control-expose-headers')).toContain('RateLimit-Remaining');
    expect((await get(service, '/timers')).headers.get('ratelimit-limit')).toBeNull();
  });

  it.each(['/', '/docs/', '/openapi.json', '/nothing', '/livez', '/ws/x'])(
    'A4: count at %s too',
    async (path) => {
      const service = await TestService.start({ settings });
      await exhaust(() => get(service, '/livez', from(HOME)));
      const answer = await get(service, path, from(HOME));
      expect(problemIn(answer).code).toBe('rate_limited');
    },
  );

  it('A4: count when they ask for a WebSocket', async () => {
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    await exhaust(() => get(service, '/livez', from(HOME)));
    const refused = await RawClient.open(service, `/ws/${id}`, { headers: from(HOME) });
    expect(refused.status).toBe(429);
    expect(refused.header('Retry-After')).toBe('1');
    expect(refused.header('RateLimit-Remaining')).toBe('0');
    const served = await RawClient.open(service, `/ws/${id}`, { headers: from(OTHER) });
    expect(served.status).toBe(101);
  });

  it('A4: are those of a whole /64 network where the address is IPv6', async () => {
    const service = await TestService.start({ settings });
    await exhaust(() => get(service, '/livez', from('2001:db8:1:2::3')));
    expect((await get(service, '/livez', from('2001:db8:1:2:ffff::9'))).status).toBe(429);
    expect((await get(service, '/livez', from('2001:db8:1:3::3'))).status).toBe(200);
    expect(siteOf('2001:db8:1:2::3')).toBe(siteOf('2001:db8:1:2:ffff::9'));
    expect(siteOf(HOME)).toBe(HOME);
  });

  it('A4: are not limited by 0, nor at an address that is unlimited', async () => {
    const free = await TestService.start({
      settings: { ...settings, MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '0' },
    });
    const exempt = await TestService.start({
      settings: { ...settings, UNLIMITED_ADDRESSES: '203.0.113.0/24' },
    });
    for (let asked = 0; asked < 20; asked += 1) {
      expect((await get(free, '/livez', from(HOME))).status).toBe(200);
      expect((await get(exempt, '/livez', from(HOME))).status).toBe(200);
    }
    expect((await exhaust(() => get(exempt, '/livez', from('198.51.100.1')))).granted).toBe(10);
  });
});

describe('A4: the address of a request', () => {
  it('A4: is not what a client says of itself', async () => {
    const settings = {
      ALLOW_OPEN: '1',
      UNLIMITED_ADDRESSES: '',
      MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2',
    };
    const service = await TestService.start({ settings });
    let count = 0;
    const ask = () => {
      count += 1;
      return get(service, '/livez', from(`198.51.100.${count}`));
    };
    expect((await exhaust(ask)).granted).toBe(10);
    await service.advance(SECOND);
    const response = await fetch(`${service.service.url}/timers`, {
      method: 'POST',
      body: JSON.stringify({ duration_seconds: 60 }),
      headers: { 'Content-Type': 'application/json', ...from(HOME) },
    });
    const { id } = z.object({ id: z.string() }).parse(await response.json());
    const [entry] = await service.journal.history(id);
    expect(entry?.by.address).toBe('127.0.0.1');
  });

  it('A4: is that of a proxy nobody trusts, which is not unlimited then, and the log says so once', async () => {
    const settings = {
      ALLOW_OPEN: '1',
      MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2',
      MAX_CONNECTIONS_PER_ADDRESS: '1',
    };
    const { log, messages } = readableLog();
    const service = await TestService.start({ settings, log });
    const { id } = await service.create();
    const headers = from(HOME);
    expect((await RawClient.open(service, `/ws/${id}`, { headers })).status).toBe(101);
    expect((await RawClient.open(service, `/ws/${id}`, { headers })).status).toBe(429);
    expect((await exhaust(() => get(service, '/livez', from(OTHER)))).granted).toBe(8);
    expect((await get(service, '/livez')).status).toBe(200);
    expect(messages.filter((message) => message.includes('set TRUST_PROXY'))).toHaveLength(1);
  });

  it.each([
    ['0', from(HOME)],
    ['1', from('unknown')],
    ['1', { Forwarded: `for=${HOME}` }],
    ['2', from('unknown, 127.0.0.1')],
  ])(
    'A4: is that of a proxy, TRUST_PROXY=%s, that says %j, which is limited, and the log says so once',
    async (TRUST_PROXY, headers) => {
      const settings = { ALLOW_OPEN: '1', TRUST_PROXY, MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2' };
      for (const UNLIMITED_ADDRESSES of ['127.0.0.1', '']) {
        const { log, messages } = readableLog();
        const service = await TestService.start({
          settings: { ...settings, UNLIMITED_ADDRESSES },
          log,
        });
        expect((await exhaust(() => get(service, '/livez', headers))).granted).toBe(10);
        const warnings = messages.filter((message) => message.includes('TRUST_PROXY'));
        expect(warnings).toEqual([expect.stringContaining('127.0.0.1')]);
      }
    },
  );

  it('A4: is what the proxy says that is trusted, and on record', async () => {
    const service = await TestService.start({ settings: BEHIND_PROXY });
    const response = await fetch(`${service.service.url}/timers`, {
      method: 'POST',
      body: JSON.stringify({ duration_seconds: 60 }),
      headers: { 'Content-Type': 'application/json', ...from(`198.51.100.1, ${HOME}`) },
    });
    const { id } = z.object({ id: z.string() }).parse(await response.json());
    const [entry] = await service.journal.history(id);
    expect(entry?.by.address).toBe(HOME);
  });

  it.each([
    // trusted, peer, X-Forwarded-For, address
    [0, '192.0.2.1', HOME, '192.0.2.1'],
    [0, '::ffff:192.0.2.1', undefined, '192.0.2.1'],
    [1, '192.0.2.1', undefined, '192.0.2.1'],
    [1, '192.0.2.1', `${OTHER}, ${HOME}`, HOME],
    [2, '192.0.2.1', `${OTHER}, ${HOME}`, OTHER],
    [3, '192.0.2.1', `${OTHER}, ${HOME}`, OTHER],
    [1, '192.0.2.1', `::ffff:${HOME}`, HOME],
    [1, '192.0.2.1', '2001:DB8:0:0::1', '2001:db8::1'],
    [1, '192.0.2.1', 'unknown', '192.0.2.1'],
    [1, '192.0.2.1', '12345', '192.0.2.1'],
    [1, '192.0.2.1', '', '192.0.2.1'],
    [2, '192.0.2.1', `${OTHER}, nobody`, '192.0.2.1'],
    [1, '192.0.2.1', `${OTHER}:80, ${HOME}:4711`, HOME],
    [2, '192.0.2.1', `${OTHER}:80, ${HOME}:4711`, OTHER],
    [1, '192.0.2.1', '[2001:DB8::1]:443', '2001:db8::1'],
    [1, '192.0.2.1', '[2001:DB8::1]', '2001:db8::1'],
    [1, '192.0.2.1', `${HOME}:`, '192.0.2.1'],
    [1, '192.0.2.1', '[2001:db8::1', '192.0.2.1'],
    [1, '192.0.2.1', '1.2.3:4711', '192.0.2.1'],
    [['192.0.2.0/24'], '192.0.2.1', HOME, HOME],
    [['192.0.2.0/24'], '::ffff:192.0.2.1', HOME, HOME],
    [['192.0.2.0/24'], '198.51.100.1', HOME, '198.51.100.1'],
    [['192.0.2.1', HOME], '192.0.2.1', `${OTHER}, ${HOME}`, OTHER],
    [['192.0.2.1'], '192.0.2.1', `${OTHER}, ${HOME}`, HOME],
    [['fd00::/8'], 'fd00::1', HOME, HOME],
    [[], '192.0.2.1', HOME, '192.0.2.1'],
  ])('A4: behind %j, from %s with %j, is %s', (trusted, remoteAddress, forwarded, address) => {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    expect(new Addresses(trusted).of({ headers, socket: { remoteAddress } })).toBe(address);
  });
});

describe('A4: connections', () => {
  const settings = { ...BEHIND_PROXY, MAX_CONNECTIONS_PER_ADDRESS: '2' };

  async function streamStatus(service: TestService, path: string): Promise<number> {
    const url = `${service.service.url}${path}`;
    try {
      await EventReader.open(url, z.unknown(), from(HOME));
      return 200;
    } catch (error) {
      if (error instanceof RefusedError) return error.status;
      throw error;
    }
  }

  it('A4: of both kinds count together at an address, until they end', async () => {
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    const first = await RawClient.open(service, `/ws/${id}`, { headers: from(HOME) });
    expect(first.status).toBe(101);
    expect(await streamStatus(service, `/timers/${id}/events`)).toBe(200);
    const refused = await RawClient.open(service, `/ws/${id}`, { headers: from(HOME) });
    expect(refused.status).toBe(429);
    expect(refused.body).toContain('too_many_connections');
    expect(refused.header('Retry-After')).toBe('10');
    expect(refused.header('RateLimit-Limit')).toBe('2');
    for (const path of [`/timers/${id}/events`, `/timers/${id}/displays/events`, '/events']) {
      expect(await streamStatus(service, path)).toBe(429);
    }
    const elsewhere = await RawClient.open(service, `/ws/${id}`, { headers: from(OTHER) });
    expect(elsewhere.status).toBe(101);
    first.socket.destroy();
    await expect.poll(() => streamStatus(service, '/events')).toBe(200);
  });

  it('A4: that are refused for another reason do not count', async () => {
    const service = await TestService.start({ settings });
    for (let asked = 0; asked < 5; asked += 1) {
      expect(await streamStatus(service, '/timers/timer_unknown/events')).toBe(404);
      const refused = await RawClient.open(service, '/ws/x?ticks=no', { headers: from(HOME) });
      expect(refused.status).toBe(422);
    }
    expect(await streamStatus(service, '/events')).toBe(200);
  });
});

describe('A4: a credential', () => {
  const address = HOME;
  const caller: Caller = {
    credential: 'key:4f2a91c07b3e',
    role: 'instructor',
    label: null,
    address,
    timers: [],
    expiresAtMs: null,
  };
  const headers = { authorization: 'Bearer guess' };
  const request = { headers, socket: { remoteAddress: address } };

  function limitsOf(settings: Readonly<Record<string, string>>) {
    const clock = new SimulatedClock();
    const config = readConfig(settings);
    const limited: string[] = [];
    const onLimited = (limit: string): void => {
      limited.push(limit);
    };
    const addresses = new Addresses(config.trustProxy);
    return { clock, limited, limits: new Limits({ config, clock, addresses, onLimited }) };
  }

  it('A4: that is not valid can be shown so often, and does not stand in the way of one that is', async () => {
    const { clock, limited, limits } = limitsOf({ MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: '3' });
    const fail = async (): Promise<Caller> => {
      throw new Problem('unauthenticated', 'No');
    };
    const guess = (shown: number) =>
      limits.identify({ ...request, headers: { authorization: `Bearer ${shown}` } }, fail);
    for (let shown = 0; shown < 3; shown += 1) {
      await expect(guess(shown)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    const refusal = { code: 'rate_limited', headers: { 'Retry-After': '20' } };
    await expect(guess(3)).rejects.toMatchObject(refusal);
    await expect(guess(0)).rejects.toMatchObject(refusal);
    expect(limited).toEqual(['failed_authentications', 'failed_authentications']);
    expect(await limits.identify(request, async () => caller)).toBe(caller);
    await clock.advance(20 * SECOND);
    await expect(guess(4)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('A4: that nobody knows shuts nobody out who has one, over HTTP and over WebSocket', async () => {
    const settings = { ...BEHIND_PROXY, MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: '3' };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    await service.protect();
    const token = await tokenFor(service, id);
    const wrong = { Authorization: 'Bearer guess', ...from(HOME) };
    for (let asked = 0; asked < 9; asked += 1) {
      // Who shows nothing guesses nothing.
      expect((await get(service, '/timers', from(HOME))).status).toBe(401);
    }
    for (let asked = 0; asked < 9; asked += 1) {
      // Whoever shows the same again guesses nothing either.
      expect((await get(service, '/timers', wrong)).status).toBe(401);
    }
    const another = { ...wrong, Authorization: 'Bearer another' };
    const display = await RawClient.open(service, `/ws/${id}`, { headers: another });
    expect(display.status).toBe(401);
    const link = await RawClient.open(service, `/ws/${id}?access_token=x`, { headers: from(HOME) });
    expect(link.status).toBe(401);
    const answer = await get(service, '/timers', wrong);
    expect(problemIn(answer).code).toBe('rate_limited');
    expect(answer.headers.get('retry-after')).toBe('20');
    expect((await RawClient.open(service, `/ws/${id}`, { headers: wrong })).status).toBe(429);
    for (const Authorization of [service.authorization.Authorization ?? '', `Bearer ${token}`]) {
      const headers = { ...from(HOME), Authorization };
      expect((await get(service, `/timers/${id}`, headers)).status).toBe(200);
      expect((await RawClient.open(service, `/ws/${id}`, { headers })).status).toBe(101);
    }
    for (const path of ['/livez', '/openapi.json']) {
      expect((await get(service, path, wrong)).status).toBe(200);
    }
    expect((await get(service, '/timers', from(HOME))).status).toBe(401);
    await service.advance(20 * SECOND);
    const fresh = { ...from(HOME), Authorization: 'Bearer fresh' };
    expect((await get(service, '/timers', fresh)).status).toBe(401);
  });

  it('A4: has its requests counted as its own, whatever others ask at its address', async () => {
    const settings = { ...BEHIND_PROXY, MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2' };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    await service.protect();
    const [known, unknown] = [await tokenFor(service, id), await tokenFor(service, id)];
    const by = (credential: string) => ({ ...from(HOME), Authorization: `Bearer ${credential}` });
    // The first request with a token costs its address a verification.
    const first = await get(service, `/timers/${id}`, by(known));
    expect(first.headers.get('ratelimit-remaining')).toBe('9');
    const second = await get(service, `/timers/${id}`, by(known));
    expect(second.headers.get('ratelimit-limit')).toBe('2500');
    let guesses = 0;
    const guess = () => {
      guesses += 1;
      return get(service, '/timers', by(`guess${guesses}`));
    };
    expect((await exhaust(guess)).granted).toBe(10);
    for (const path of ['/livez', '/openapi.json', '/timers']) {
      expect((await get(service, path, from(HOME))).status).toBe(429);
    }
    for (let asked = 0; asked < 20; asked += 1) {
      expect((await get(service, `/timers/${id}`, by(known))).status).toBe(200);
      expect((await get(service, '/timers', by(service.token ?? ''))).status).toBe(200);
    }
    const headers = by(known);
    expect((await RawClient.open(service, `/ws/${id}`, { headers })).status).toBe(101);
    // Those of a whole room are new after a restart.
    expect((await get(service, `/timers/${id}`, by(unknown))).status).toBe(200);
  });

  it('A4: that is new is refused unverified where too many were made up, and one that is known is not', async () => {
    const settings = { ...BEHIND_PROXY, MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '2' };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    await service.protect();
    const [known, unknown] = [await tokenFor(service, id), await tokenFor(service, id)];
    const by = (credential: string) => ({ ...from(HOME), Authorization: `Bearer ${credential}` });
    expect((await get(service, `/timers/${id}`, by(known))).status).toBe(200);
    const [head, claims] = known.split('.');
    let madeUp = 0;
    const { granted, answer } = await exhaust(() => {
      madeUp += 1;
      return get(service, '/timers', by(`${head}.${claims}.${madeUp}`));
    });
    expect([granted, problemIn(answer).detail]).toEqual([9, expect.stringContaining('new tokens')]);
    const refused = await get(service, `/timers/${id}`, by(unknown));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await get(service, `/timers/${id}`, by(known))).status).toBe(200);
    await service.advance(SECOND);
    expect((await get(service, `/timers/${id}`, by(unknown))).status).toBe(200);
  });

  it('A4: that may do too little here is counted too', async () => {
    const settings = { MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '1' };
    const service = await TestService.start({ settings });
    await service.protect();
    service.token = (await service.createKey({ role: 'display' })).key;
    const { granted } = await exhaust(() => get(service, '/timers', service.authorization));
    expect(granted).toBe(5);
  });

  it('A4: of a display has few connections, whatever others may have', async () => {
    const settings = { MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL: '2' };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    await service.protect();
    const display = { Authorization: `Bearer ${await tokenFor(service, id)}` };
    const statuses: number[] = [];
    for (const headers of [display, display, display, ...Array(3).fill(service.authorization)]) {
      statuses.push((await RawClient.open(service, `/ws/${id}`, { headers })).status);
    }
    expect(statuses).toEqual([101, 101, 429, 101, 101, 101]);
  });

  it('A4: has 50 of the streams of consoles at the most, and leaves the others to others', async () => {
    const service = await TestService.start();
    await service.protect();
    const other = await service.createKey({ role: 'observer' });
    const url = `${service.service.url}/events`;
    const open = (headers: Readonly<Record<string, string>>) =>
      EventReader.open(url, z.unknown(), headers);
    for (let count = 0; count < 50; count += 1) await open(service.authorization);
    await expect(open(service.authorization)).rejects.toMatchObject({ status: 429 });
    await open({ Authorization: `Bearer ${other.key}` });
  });

  it('A4: has limits of its own, beside those of its address', async () => {
    const settings = {
      MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '1',
      MAX_CONNECTIONS_PER_CREDENTIAL: '1',
      MAX_TIMERS_PER_CREDENTIAL: '1',
    };
    const service = await TestService.start({ settings });
    await service.protect();
    const { key } = await service.createKey({ role: 'instructor' });
    service.token = key;
    const { id } = await service.create();
    const refused = await service.request('POST', '/timers', { duration_seconds: 60 });
    expect(problemIn(refused)).toMatchObject({
      code: 'too_many_timers',
      detail: expect.stringContaining('1 timers of this credential'),
    });
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(refused.headers.get('ratelimit-limit')).toBe('1');
    expect(
      (await RawClient.open(service, `/ws/${id}`, { headers: service.authorization })).status,
    ).toBe(101);
    const second = await RawClient.open(service, `/ws/${id}`, { headers: service.authorization });
    expect([second.status, second.body]).toEqual([429, expect.stringContaining('credential has')]);
    const { granted, answer } = await exhaust(() => get(service, '/timers', service.authorization));
    expect(granted).toBe(1);
    expect(problemIn(answer).detail).toContain('with this credential');
  });

  it('A4: that is valid, or not enough, is no failure', async () => {
    const { limits } = limitsOf({ MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: '1' });
    const forbid = async (): Promise<Caller> => {
      throw new Problem('forbidden', 'No');
    };
    for (let shown = 0; shown < 5; shown += 1) {
      await expect(limits.identify(request, forbid)).rejects.toMatchObject({ code: 'forbidden' });
    }
    expect(await limits.identify(request, async () => caller)).toBe(caller);
  });

  it('A4: can make so many requests, from wherever they come', () => {
    const { limits, limited } = limitsOf({ MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '1' });
    for (let asked = 0; asked < 5; asked += 1) {
      expect(limits.takeRequestOf({ ...caller, address: `192.0.2.${asked}` })?.remaining).toBe(
        4 - asked,
      );
    }
    expect(() => limits.takeRequestOf(caller)).toThrow(
      expect.objectContaining({ code: 'rate_limited' }),
    );
    expect(limited).toEqual(['requests_per_credential']);
    expect(limits.takeRequestOf({ ...caller, credential: 'key:another' })?.remaining).toBe(4);
    expect(limits.takeRequestOf({ ...caller, credential: 'anonymous' })).toBeUndefined();
  });

  it('A4: can have so many connections', async () => {
    const { limits, limited } = limitsOf({ MAX_CONNECTIONS_PER_CREDENTIAL: '2' });
    const connection = new PassThrough();
    limits.connect(request, caller, connection);
    limits.connect(request, { ...caller, address: OTHER }, new PassThrough());
    const full = expect.objectContaining({ code: 'too_many_connections' });
    expect(() => limits.connect(request, caller, new PassThrough())).toThrow(full);
    expect(limited).toEqual(['connections_per_credential']);
    connection.destroy();
    await once(connection, 'close');
    limits.connect(request, caller, new PassThrough());
    expect(() => limits.connect(request, caller, new PassThrough())).toThrow(full);
    for (let count = 0; count < 5; count += 1) {
      const nobody = { ...caller, credential: 'anonymous', address: '192.0.2.1' };
      limits.connect(request, nobody, new PassThrough());
    }
  });

  it('A4: has no connections that ended while it was checked', async () => {
    const { limits } = limitsOf({ MAX_CONNECTIONS_PER_CREDENTIAL: '1' });
    for (let count = 0; count < 5; count += 1) {
      const gone = new PassThrough();
      gone.destroy();
      await once(gone, 'close');
      limits.connect(request, caller, gone);
    }
    limits.connect(request, caller, new PassThrough());
  });

  it('A4: costs bounded memory: the address that was silent while 50,000 others asked is forgotten', () => {
    const { limits } = limitsOf({ MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '1' });
    const ask = (remoteAddress: string) =>
      limits.takeRequest({ headers: {}, socket: { remoteAddress } })?.remaining;
    const others = (network: number, count: number): void => {
      for (let n = 0; n < count; n += 1) ask(`${network}.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    };
    expect(ask(HOME)).toBe(4);
    others(10, 24_000);
    expect(ask(HOME)).toBe(3);
    others(11, 24_000);
    expect(ask(HOME)).toBe(2);
    others(12, 50_000);
    expect(ask(HOME)).toBe(4);
  });

  it('A4: cannot push ended timers of others out of memory by creating and ending many', async () => {
    const service = await TestService.start({ settings: { MAX_TIMERS: '4' } });
    const { registry } = service.service;
    const { role, label } = caller;
    const createdAndEnded = async (credential: string) => {
      const cause = { by: { credential, role, label, address }, reason: null, requestId: null };
      const created = await registry.create(definition, cause);
      if (!created.ok) throw new Error('There was no room');
      const id = created.timer?.record.id ?? '';
      await service.act(id, 'stop');
      await service.advance(SECOND);
      return id;
    };
    const exam = await createdAndEnded('exam');
    const many: string[] = [];
    for (let count = 0; count < 9; count += 1) many.push(await createdAndEnded('greedy'));
    const isThere = (id: string) => registry.lookUp(id).ok;
    expect(isThere(exam)).toBe(true);
    expect(many.filter(isThere)).toEqual(many.slice(-3));
  });

  it('A4: can have so many timers that have not ended, however many are created at once', async () => {
    const service = await TestService.start({ settings: { MAX_TIMERS_PER_CREDENTIAL: '3' } });
    const { registry } = service.service;
    const { credential, role, label } = caller;
    const cause = (id: string) => ({
      by: { credential: id, role, label, address },
      reason: null,
      requestId: null,
    });
    const created = await Promise.all(
      Array.from({ length: 5 }, () => registry.create(definition, cause(credential))),
    );
    expect(created.filter(({ ok }) => ok)).toHaveLength(3);
    expect(created.filter(({ ok }) => !ok)).toEqual(
      Array.from({ length: 2 }, () => ({
        ok: false,
        refusal: { reason: 'too_many_timers', limit: 3, of: 'credential' },
      })),
    );
    expect((await registry.create(definition, cause('key:another'))).ok).toBe(true);
    for (let count = 0; count < 5; count += 1) await service.create();
    // One that has ended, or is deleted, makes room.
    const mine = created.flatMap((result) => (result.ok ? (result.timer?.record.id ?? []) : []));
    await service.act(mine[0] ?? '', 'stop');
    expect((await registry.create(definition, cause(credential))).ok).toBe(true);
    expect((await registry.create(definition, cause(credential))).ok).toBe(false);
    await service.request('DELETE', `/timers/${mine[1]}`);
    expect((await registry.create(definition, cause(credential))).ok).toBe(true);
    await service.advance(60 * SECOND);
    for (let count = 0; count < 3; count += 1) {
      expect((await registry.create(definition, cause(credential))).ok).toBe(true);
    }
    expect((await registry.create(definition, cause(credential))).ok).toBe(false);
  });
});

describe('A4: messages of a display', () => {
  it('A4: are as many as the setting says, and then the connection is closed with 4030', async () => {
    const service = await TestService.start({ settings: { MAX_MESSAGES_PER_SECOND: '1' } });
    const { id } = await service.create();
    const display = await service.display(id);
    for (let said = 0; said < 6; said += 1) display.say({ type: 'ping' });
    expect(await display.closed).toMatchObject({ code: 4030 });
    expect(display.messages.filter(({ type }) => type === 'pong')).toHaveLength(5);
  });

  it('A4: have no limit when it is 0', async () => {
    const service = await TestService.start({ settings: { MAX_MESSAGES_PER_SECOND: '0' } });
    const { id } = await service.create();
    const display = await service.display(id);
    for (let said = 0; said < 200; said += 1) display.say({ type: 'ping' });
    for (let heard = 0; heard < 200; heard += 1) await display.next('pong');
  });
});
