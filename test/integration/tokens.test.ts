/** Tokens: whose are taken, for whom, and how long. The identity provider is a real server of the test's own. */
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SettingError } from '../../src/config.js';
import { tokenSchema } from '../../src/protocol/credentials.js';
import { displaysSchema } from '../../src/protocol/displays.js';
import { EVENT_MESSAGES, SERVER_MESSAGES } from '../../src/protocol/messages.js';
import { PROBLEMS } from '../../src/protocol/problems.js';
import { TestDisplay } from '../support/display.js';
import { EventReader } from '../support/event-reader.js';
import { type Answer, problemIn, TestService } from '../support/service.js';

type Claims = Readonly<Record<string, unknown>>;
type Key = Parameters<SignJWT['sign']>[0];

const OLD = 'o'.repeat(32);
const NEW = 'n'.repeat(32);
const SECRETS = { JWT_SECRETS: `old:${OLD},new:${NEW}` };
const AUDIENCE = 'synchronized-timer';
const HOUR_SECONDS = 3600;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A token that is right but for what a test makes different; `undefined` leaves a claim out. */
function sign(
  service: TestService,
  key: Key,
  header: JWTHeaderParameters,
  claims: Claims = {},
): Promise<string> {
  const exp = Math.floor(service.clock.now() / 1000) + HOUR_SECONDS;
  const usual = { sub: 'meyer', aud: AUDIENCE, exp, role: 'instructor' };
  return new SignJWT({ ...usual, ...claims }).setProtectedHeader(header).sign(key);
}

const secretly = (service: TestService, claims?: Claims): Promise<string> =>
  sign(service, bytes(NEW), { alg: 'HS256', kid: 'new' }, claims);

async function answerTo(service: TestService, token: string, path = '/me'): Promise<Answer> {
  service.token = token;
  return service.request('GET', path);
}

async function codeOf(service: TestService, token: string): Promise<string> {
  const answer = await answerTo(service, token);
  return answer.status === 200 ? 'taken' : problemIn(answer).code;
}

const folder = mkdtempSync(join(tmpdir(), 'tokens-'));

async function edKey(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid };
  return { privateKey, jwk };
}

describe('tokens of the operator', () => {
  it('A1: are taken with any of the secrets, by their kid', async () => {
    const service = await TestService.start({ settings: SECRETS });
    const old = await sign(service, bytes(OLD), { alg: 'HS256', kid: 'old' }, { sub: 'schmidt' });
    expect((await answerTo(service, old)).body).toMatchObject({
      credential: 'user:schmidt',
      role: 'instructor',
    });
    const named = await secretly(service, { name: 'Ms Meyer' });
    expect((await answerTo(service, named)).body).toMatchObject({ label: 'Ms Meyer' });
    const mixed = await sign(service, bytes(OLD), { alg: 'HS256', kid: 'new' });
    expect(await codeOf(service, mixed)).toBe('unauthenticated');
    const unnamed = await sign(service, bytes(OLD), { alg: 'HS256' });
    expect(await codeOf(service, unnamed)).toBe('unauthenticated');
  });

  it('R1: put nothing on record that canonical JSON has no form for', async () => {
    const service = await TestService.start({ settings: SECRETS });
    expect(await codeOf(service, await secretly(service, { sub: 'me\ud83der' }))).toBe(
      'unauthenticated',
    );
    const halved = await secretly(service, { name: '\ud83dMs Meyer' });
    expect((await answerTo(service, halved)).body).toMatchObject({ label: '\ufffdMs Meyer' });
    const long = await secretly(service, { name: `${'x'.repeat(99)}🕐🕐` });
    expect((await answerTo(service, long)).body).toMatchObject({ label: `${'x'.repeat(99)}🕐` });
  });

  it('A1: need no kid where there is one secret only', async () => {
    const service = await TestService.start({ settings: { JWT_SECRETS: `only:${OLD}` } });
    expect(await codeOf(service, await sign(service, bytes(OLD), { alg: 'HS256' }))).toBe('taken');
  });

  it('A1: are taken with a public key of the file, by their kid', async () => {
    const [first, second, other] = await Promise.all(['first', 'second', 'first'].map(edKey));
    if (first === undefined || second === undefined || other === undefined) throw new Error();
    const file = join(folder, 'keys.json');
    writeFileSync(file, JSON.stringify({ keys: [first.jwk, second.jwk] }));
    const service = await TestService.start({ settings: { JWT_PUBLIC_KEYS: file } });
    for (const { privateKey, jwk } of [first, second]) {
      const header = { alg: 'EdDSA', kid: jwk.kid ?? '' };
      expect(await codeOf(service, await sign(service, privateKey, header))).toBe('taken');
    }
    const forged = await sign(service, other.privateKey, { alg: 'EdDSA', kid: 'first' });
    expect(await codeOf(service, forged)).toBe('unauthenticated');
    // A public key is no secret: a token signed with it as if it were one is a forgery.
    const confused = await sign(service, bytes(JSON.stringify(first.jwk)), { alg: 'HS256' });
    expect(await codeOf(service, confused)).toBe('unauthenticated');
  });

  it('A1: are refused at the start with a file that has no public keys', async () => {
    const file = join(folder, 'no-keys.json');
    writeFileSync(file, '{"keys":[]}');
    for (const path of [file, join(folder, 'missing.json')]) {
      const refused = TestService.start({ settings: { JWT_PUBLIC_KEYS: path } });
      await expect(refused).rejects.toThrow(SettingError);
    }
  });

  it.each<[string, Claims, string]>([
    ['no sub', { sub: undefined }, 'unauthenticated'],
    ['no exp', { exp: undefined }, 'unauthenticated'],
    ['no aud', { aud: undefined }, 'unauthenticated'],
    ['another aud', { aud: 'another' }, 'unauthenticated'],
    ['a time before which it is not valid', { nbf: 4_000_000_000 }, 'unauthenticated'],
    ['an end that has passed', { exp: 1_000_000_000 }, 'unauthenticated'],
    ['an end after the year 9999', { exp: 253_402_300_800 }, 'unauthenticated'],
    ['an end that no calendar has', { exp: 1e13 }, 'unauthenticated'],
    ['an end in a fraction of a second', { exp: 4_000_000_000.5 }, 'taken'],
    ['timers that are none', { timers: [1] }, 'unauthenticated'],
    ['no role', { role: undefined }, 'forbidden'],
    ['an unknown role', { role: 'service' }, 'forbidden'],
    ['several audiences', { aud: ['another', AUDIENCE] }, 'taken'],
    ['several roles', { role: ['staff', 'observer'] }, 'taken'],
  ])('A1: with %s', async (_, claims, result) => {
    const service = await TestService.start({ settings: SECRETS });
    expect(await codeOf(service, await secretly(service, claims))).toBe(result);
  });

  it('A1: are not taken without a signature, or with another kind of one', async () => {
    const service = await TestService.start({ settings: SECRETS });
    const claims = { sub: 'x', aud: AUDIENCE, exp: 4_000_000_000, role: 'admin' };
    const whole = await secretly(service);
    const [head, , signature] = whole.split('.');
    const forged = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature];
    const long = createHash('sha512').update(NEW).digest();
    for (const token of [
      new UnsecuredJWT(claims).encode(),
      forged.join('.'),
      await sign(service, long, { alg: 'HS512', kid: 'new' }),
      whole.slice(0, -4),
      'abc',
      'a.b.c',
      '..',
      'sts_4f2a91c07b3e_secret',
    ]) {
      expect([token, await codeOf(service, token)]).toEqual([token, 'unauthenticated']);
    }
  });

  it('A1: may have their role anywhere, the mightiest of several counts', async () => {
    const settings = { ...SECRETS, ROLE_CLAIM: 'realm_access.roles' };
    const service = await TestService.start({ settings });
    const roles = ['offline', 'observer', 'admin', 'display'];
    const token = await secretly(service, { realm_access: { roles }, role: 'display' });
    expect((await answerTo(service, token)).body).toMatchObject({ role: 'admin' });
    const dotted = await secretly(service, { 'realm_access.roles': 'observer' });
    expect((await answerTo(service, dotted)).body).toMatchObject({ role: 'observer' });
    const flat = await secretly(service, { realm_access: 'admin' });
    expect(await codeOf(service, flat)).toBe('forbidden');
  });

  it('A1: end when they say, with 5 s for clocks that differ, also for those who are connected', async () => {
    const service = await TestService.start({ settings: SECRETS });
    const exp = Math.floor(service.clock.now() / 1000) + 60;
    service.token = await secretly(service, { exp });
    const { id } = await service.create();
    const display = await service.display(id);
    const stream = await EventReader.open(
      `${service.service.url}/timers/${id}/events`,
      EVENT_MESSAGES.connected,
      service.authorization,
    );
    await stream.next();
    const leftMs = (exp + 5) * 1000 - service.clock.now();
    await service.advance(leftMs - 1);
    expect(await codeOf(service, service.token)).toBe('taken');
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(await codeOf(service, service.token)).toBe('unauthenticated');
    const { closeCode, title } = PROBLEMS.credential_ended;
    expect(await display.closed).toEqual({ code: closeCode, reason: title });
    await stream.ended;
    expect(stream.ending).toEqual({ code: 'credential_ended', title });
  });
});

describe('tokens of displays', () => {
  async function makeToken(service: TestService, timerId: string, body: unknown = {}) {
    const answer = await service.request('POST', `/timers/${timerId}/tokens`, body);
    return tokenSchema.parse(answer.body);
  }

  it('A1: let a display follow one timer, under the name they give', async () => {
    const service = await TestService.start();
    await service.protect();
    const { id } = await service.create();
    const other = await service.create();
    const { token, expires_at } = await makeToken(service, id, { label: 'Seat 14' });
    expect(Date.parse(expires_at) - service.clock.now()).toBeGreaterThan(
      11.9 * HOUR_SECONDS * 1000,
    );
    const headers = { Authorization: `Bearer ${token}` };
    const display = await TestDisplay.connect(service.displayUrl(id, '?label=Teacher'), headers);
    await EventReader.open(
      `${service.service.url}/timers/${id}/events?label=Teacher`,
      EVENT_MESSAGES.connected,
      headers,
    ).then((reader) => reader.next());
    display.say({ type: 'acknowledge', revision: 1, error_bound_ms: 1, label: 'Teacher' });
    await display.news();
    const shown = await service.request('GET', `/timers/${id}/displays`);
    const { displays } = displaysSchema.parse(shown.body);
    expect(displays.map(({ label }) => label)).toEqual(['Seat 14', 'Seat 14']);
    expect((await answerTo(service, token, `/timers/${id}`)).status).toBe(200);
    expect((await answerTo(service, token, `/timers/${other.id}`)).status).toBe(403);
  });

  it('A1: may be longer valid than the credential they were made with, and not than a day', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    for (const expires_in_seconds of [0, 86_401, 1.5, '60']) {
      const answer = await service.request('POST', `/timers/${id}/tokens`, { expires_in_seconds });
      expect(problemIn(answer).status).toBe(422);
    }
    const { token } = await makeToken(service, id, { expires_in_seconds: 86_400 });
    await service.protect();
    await service.advance(86_400_000 - 1000);
    expect(await codeOf(service, token)).toBe('taken');
    await service.advance(1000);
    expect(await codeOf(service, token)).toBe('unauthenticated');
  });

  it('A1: end at the instant that they were made with, also for those who are connected', async () => {
    const service = await TestService.start();
    await service.protect();
    const { id } = await service.create();
    const { token, expires_at } = await makeToken(service, id, { expires_in_seconds: 2 });
    expect((await answerTo(service, token)).body).toMatchObject({ expires_at });
    const display = await service.display(id);
    await service.advance(Date.parse(expires_at) - service.clock.now() - 1);
    expect(await codeOf(service, token)).toBe('taken');
    expect(await display.news()).toEqual([]);
    await service.advance(1);
    expect(await codeOf(service, token)).toBe('unauthenticated');
    expect((await display.closed).code).toBe(PROBLEMS.credential_ended.closeCode);
  });

  it('A1: are checked by a service without keys as well, rather than to let anyone be everything', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const { token } = await makeToken(service, id);
    expect((await answerTo(service, token)).body).toMatchObject({ role: 'display' });
    expect(await codeOf(service, `${token}x`)).toBe('unauthenticated');
  });

  it.each<[string, Claims]>([
    ['of another role', { role: 'admin', timers: '*' }],
    ['of another role for one timer', { role: 'instructor' }],
    ['of no role', { role: undefined }],
    ['of several roles', { role: ['display', 'admin'] }],
    ['for all timers', { timers: '*' }],
    ['for no timer', { timers: [] }],
    ['that name no timers', { timers: undefined }],
  ])('A1: are never %s, not even from whoever has the signing key', async (_, claims) => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.protect();
    const kept = await service.journal.documents.get('signing-keys', 'keys', 0);
    const { keys } = z
      .object({ keys: z.array(z.looseObject({ kty: z.string() })) })
      .parse(JSON.parse(kept ?? ''));
    const stolen = await importJWK({ ...keys[0] }, 'EdDSA');
    const header = { alg: 'EdDSA', typ: 'timer-token+jwt' };
    const right = { role: 'display', timers: [id] };
    expect(await codeOf(service, await sign(service, stolen, header, right))).toBe('taken');
    const forged = await sign(service, stolen, header, { ...right, ...claims });
    expect(await codeOf(service, forged)).toBe('unauthenticated');
  });

  it('A1: end when a new signing key comes before the one that signed them', async () => {
    const [older, newer] = await Promise.all(
      [1, 2].map(async () => {
        const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
        return exportJWK(privateKey);
      }),
    );
    const file = join(folder, 'signing-keys.json');
    const settings = { SIGNING_KEYS: file };
    writeFileSync(file, JSON.stringify({ keys: [older] }));
    const before = await TestService.start({ settings });
    const { token } = await makeToken(before, (await before.create()).id);
    expect(await codeOf(before, token)).toBe('taken');
    writeFileSync(file, JSON.stringify({ keys: [newer, older] }));
    const { journal } = before;
    const after = await TestService.start({ settings, journal });
    expect(await codeOf(after, token)).toBe('unauthenticated');
  });

  it('A1: are of this service and for this purpose only', async () => {
    const [service, foreign] = [await TestService.start(), await TestService.start()];
    const { id } = await service.create();
    const { token } = await makeToken(foreign, (await foreign.create()).id);
    expect(await codeOf(service, token)).toBe('unauthenticated');
    service.token = undefined;
    const signed = await service.request('POST', `/timers/${id}/receipts`, {});
    const receipt = String(Object(signed.body).receipt);
    expect(receipt).toMatch(/^ey/);
    expect(await codeOf(service, receipt)).toBe('unauthenticated');
  });
});

describe('where a display shows its token', () => {
  const connected = async (url: string, protocols: string[] = []) => {
    const display = new TestDisplay(new WebSocket(url, protocols));
    await display.next('connected');
    return display;
  };

  async function protectedTimer() {
    const service = await TestService.start();
    const { id } = await service.create();
    const made = await service.request('POST', `/timers/${id}/tokens`, { label: 'Seat 14' });
    await service.protect();
    const admin = service.token;
    service.token = undefined;
    return { service, id, admin, token: tokenSchema.parse(made.body).token };
  }

  it('A1: as a subprotocol, beside the one that the service answers with', async () => {
    const { service, id, token } = await protectedTimer();
    const protocols = ['synchronized-timer', `bearer.${token}`];
    const display = await connected(service.displayUrl(id), protocols);
    expect(display.webSocket.protocol).toBe('synchronized-timer');
  });

  it('A1: in a link to follow by, and in no other address', async () => {
    const { service, id, token, admin = '' } = await protectedTimer();
    await connected(service.displayUrl(id, `?access_token=${token}`));
    const events = `${service.service.url}/timers/${id}/events?access_token=${token}`;
    const reader = await EventReader.open(events, SERVER_MESSAGES.connected);
    expect((await reader.next()).timer.id).toBe(id);
    for (const path of [`/timers/${id}`, '/timers', '/keys']) {
      const answer = await service.request('GET', `${path}?access_token=${admin}`);
      expect(problemIn(answer).code).toBe('unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  it.each(['Basic YTpi', 'Bearer', 'Bearer  ', 'Bearer a b', 'sts_1_2'])(
    'A1: not as %j',
    async (authorization) => {
      const { service, id, token } = await protectedTimer();
      const response = await fetch(`${service.service.url}/timers/${id}`, {
        headers: { Authorization: authorization },
      });
      expect(response.status).toBe(401);
      expect(token).toMatch(/^ey/);
    },
  );
});

describe('tokens of an identity provider', () => {
  interface Provider {
    readonly issuer: string;
    readonly server: Server;
    keys: unknown;
    discovery: unknown;
    asked: string[];
    /** Until then nothing is answered. */
    held: Promise<void>;
  }
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections();
  });

  async function startProvider(): Promise<Provider> {
    const server = createServer(async (request, response) => {
      provider.asked.push(request.url ?? '');
      await provider.held;
      const isKeys = request.url === '/keys';
      const body = isKeys ? provider.keys : provider.discovery;
      response.writeHead(body === undefined ? 500 : 200).end(JSON.stringify(body));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const issuer = `http://127.0.0.1:${port}`;
    const provider: Provider = {
      issuer,
      server,
      keys: { keys: [] },
      discovery: { issuer, jwks_uri: `${issuer}/keys` },
      asked: [],
      held: Promise.resolve(),
    };
    return provider;
  }

  async function startWithProvider(alg = 'RS256') {
    const provider = await startProvider();
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg, use: 'sig' };
    provider.keys = { keys: [jwk] };
    const service = await TestService.start({
      settings: { OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: 'exam', ...SECRETS },
    });
    const token = (claims: Claims = {}, kid = 'k1') =>
      sign(service, privateKey, { alg, kid }, { iss: provider.issuer, aud: 'exam', ...claims });
    return { provider, service, token, jwk };
  }

  it.each(['RS256', 'ES256', 'EdDSA'])('A1: signed with %s are taken', async (alg) => {
    const { provider, service, token } = await startWithProvider(alg);
    const answer = await answerTo(service, await token({ name: 'Ms Meyer' }));
    expect(answer.body).toMatchObject({
      credential: 'oidc:meyer',
      role: 'instructor',
      label: 'Ms Meyer',
    });
    await answerTo(service, await token({ sub: 'schmidt' }));
    expect(provider.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('A1: are of this provider, for this service, and signed by a key of it', async () => {
    const { service, token, provider } = await startWithProvider();
    expect(await codeOf(service, await token({ iss: 'https://id.example' }))).toBe(
      'unauthenticated',
    );
    expect(await codeOf(service, await token({ aud: AUDIENCE }))).toBe('unauthenticated');
    expect(await codeOf(service, await token({}, 'k2'))).toBe('unauthenticated');
    // Not even with a secret of the operator can a token be one of the provider's.
    const { issuer } = provider;
    const header = { alg: 'HS256', kid: 'new' };
    const forged = await sign(service, bytes(NEW), header, { iss: issuer, aud: 'exam' });
    expect(await codeOf(service, forged)).toBe('unauthenticated');
    expect(await codeOf(service, await token())).toBe('taken');
  });

  it.each([
    // As many as one credential may have; if they were counted, there would be no room for one more.
    ['/events', 50],
    ['/timers/{timer_id}/displays/events', 50],
    ['/timers/{timer_id}/events', 3],
  ])(
    'A4: streams of %s that end while their token is checked are not counted',
    async (path, most) => {
      const { service, token, provider } = await startWithProvider();
      service.token = await secretly(service, { role: 'admin' });
      const { id } = await service.create();
      service.token = await token({ role: 'admin' });
      let release = (): void => {};
      provider.held = new Promise((resolve) => {
        release = resolve;
      });
      const url = `${service.service.url}${path.replace('{timer_id}', id)}`;
      const accepted: Socket[] = [];
      const note = (message: unknown): void => {
        const { socket } = z.object({ socket: z.instanceof(Socket) }).parse(message);
        // The provider is on this machine too.
        if (`${socket.localPort}` === new URL(url).port) accepted.push(socket);
      };
      subscribe('net.server.socket', note);
      const requests = Array.from({ length: most }, () => {
        const request = httpRequest(url, { agent: false, headers: service.authorization });
        request.on('error', () => {});
        return request.end();
      });
      const often = { interval: 5 };
      const heard = () => accepted.filter(({ bytesRead }) => bytesRead > 0).length;
      await expect.poll(heard, often).toBe(most);
      unsubscribe('net.server.socket', note);
      for (const request of requests) request.destroy();
      const left = () => accepted.filter(({ destroyed }) => destroyed).length;
      await expect.poll(left, often).toBe(most);
      release();
      expect(await codeOf(service, service.token)).toBe('taken');
      const reader = await EventReader.open(url, z.unknown(), service.authorization);
      expect(await reader.next()).toBeDefined();
      reader.leave();
      const count = async () => (await service.get(id)).connected_clients;
      await expect.poll(count, often).toBe(0);
    },
  );

  it.each<[string, (provider: Provider) => void]>([
    [
      'answers with a failure',
      (provider) => void Object.assign(provider, { discovery: undefined }),
    ],
    ['has no keys to give', (provider) => void Object.assign(provider, { keys: undefined })],
    ['answers with nonsense', (provider) => void Object.assign(provider, { discovery: 'x' })],
    [
      'calls itself something else',
      (provider) => void Object.assign(provider.discovery ?? {}, { issuer: 'https://x.example' }),
    ],
    ['does not listen', ({ server }) => void server.close().closeAllConnections()],
  ])('A1: cannot be checked while it %s, which is nobody’s fault', async (_, disturb) => {
    const { service, token, provider } = await startWithProvider();
    disturb(provider);
    const refused = await answerTo(service, await token());
    expect(problemIn(refused).code).toBe('identity_provider_unavailable');
    expect(refused.headers.get('retry-after')).toBe('5');
    const asked = provider.asked.length;
    expect((await answerTo(service, await token({ sub: 'x' }))).status).toBe(503);
    expect(provider.asked.length).toBe(asked);
    expect(await codeOf(service, await secretly(service))).toBe('taken');
  });

  it('A1: end within ten minutes after the provider took their key away', async () => {
    const { service, token, provider } = await startWithProvider();
    const text = await token();
    expect(await codeOf(service, text)).toBe('taken');
    provider.keys = { keys: [] };
    expect(await codeOf(service, text)).toBe('taken');
    await service.advance(10 * 60 * 1000);
    expect(await codeOf(service, text)).toBe('unauthenticated');
  });

  it('A1: end for those who are connected too, and not while the provider cannot be asked', async () => {
    const { service, token, provider } = await startWithProvider();
    service.token = await token({ role: 'admin' });
    const { id } = await service.create();
    // By then what is known of the token is 4 minutes old.
    await service.advance(4 * 60 * 1000);
    const display = await service.display(id);
    const console = await EventReader.open(
      `${service.service.url}/events`,
      z.looseObject({ type: z.string() }),
      service.authorization,
    );
    await console.next();
    const { keys } = provider;
    provider.keys = undefined;
    const asked = provider.asked.length;
    await service.advance(60 * 1000);
    await expect.poll(() => provider.asked.length).toBe(asked + 1);
    for (let minutes = 0; minutes < 10; minutes += 1) await service.advance(60 * 1000);
    expect(await display.news()).toEqual([]);
    provider.keys = keys;
    for (let minutes = 0; minutes < 10; minutes += 1) await service.advance(60 * 1000);
    expect(await codeOf(service, service.token)).toBe('taken');
    expect(await display.news()).toEqual([]);
    provider.keys = { keys: [] };
    let isClosed = false;
    void display.closed.then(() => {
      isClosed = true;
    });
    // What the provider was asked before may be answered only now, and is good for as long again; the token itself ends in half an hour.
    const minuteLater = () => service.advance(60 * 1000).then(() => isClosed);
    await expect.poll(minuteLater, { timeout: 3000, interval: 100 }).toBe(true);
    expect((await display.closed).code).toBe(PROBLEMS.credential_ended.closeCode);
    await console.ended;
    expect(console.ending).toMatchObject({ code: 'credential_ended' });
  });

  it('A1: that were right before are right until they end, while the provider cannot be asked', async () => {
    const { service, token, provider } = await startWithProvider();
    const text = await token();
    expect(await codeOf(service, text)).toBe('taken');
    provider.keys = undefined;
    await service.advance(10 * 60 * 1000);
    expect(await codeOf(service, text)).toBe('taken');
    expect(await codeOf(service, await token({ sub: 'x' }))).toBe('identity_provider_unavailable');
    const asked = provider.asked.length;
    await service.advance(60 * 1000);
    expect(await codeOf(service, text)).toBe('taken');
    expect(provider.asked.length).toBe(asked);
    await service.advance(60 * 60 * 1000);
    expect(await codeOf(service, text)).toBe('identity_provider_unavailable');
  });

  it('A1: with a key that is known are taken while one that is not cannot be looked for', async () => {
    const { service, token, provider } = await startWithProvider();
    expect(await codeOf(service, await token())).toBe('taken');
    const { keys } = provider;
    provider.keys = undefined;
    await service.advance(60 * 1000);
    for (let count = 0; count < 3; count += 1) {
      const unknown = await token({}, `unknown${count}`);
      expect(await codeOf(service, unknown)).toBe('identity_provider_unavailable');
      expect(await codeOf(service, await token({ sub: `new${count}` }))).toBe('taken');
    }
    expect(provider.asked).toHaveLength(3);
    await service.advance(5000);
    provider.keys = keys;
    expect(await codeOf(service, await token({}, 'unknown'))).toBe('unauthenticated');
    expect(await codeOf(service, await token({}, 'another'))).toBe('unauthenticated');
    expect(provider.asked).toHaveLength(4);
  });

  it('A1: with a key that the provider has made since are taken', async () => {
    const { service, token, provider, jwk } = await startWithProvider();
    expect(await codeOf(service, await token())).toBe('taken');
    provider.keys = { keys: [jwk, { ...jwk, kid: 'k2' }] };
    expect(await codeOf(service, await token({}, 'k2'))).toBe('unauthenticated');
    await service.advance(30 * 1000);
    expect(await codeOf(service, await token({}, 'k2'))).toBe('taken');
  });

  it('A1: are taken again when the provider has recovered', async () => {
    const { service, token, provider } = await startWithProvider();
    const { discovery } = provider;
    provider.discovery = undefined;
    expect((await answerTo(service, await token())).status).toBe(503);
    provider.discovery = discovery;
    await service.advance(5000);
    expect(await codeOf(service, await token())).toBe('taken');
  });
});
