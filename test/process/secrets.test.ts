/** A3: what is secret is nowhere in clear: not in the log at its most talkative, and in no file of the service. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPair, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { newKeySchema, tokenSchema } from '../../src/protocol/credentials.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';

const SECRET = 'a-secret-of-the-operator-that-is-long';
/** Nobody listens there, so that a failure is logged. */
const PROVIDER = 'http://127.0.0.1:9';

function tokenOf(claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT({ sub: 'meyer', aud: 'synchronized-timer', exp: 4_000_000_000, ...claims })
    .setProtectedHeader({ alg: 'HS256', kid: 'k' })
    .sign(new TextEncoder().encode(SECRET));
}

/** Shows a credential in every way there is, to addresses of all kinds. */
async function showEverywhere(
  service: ServiceProcess,
  timerId: string,
  credential: string,
): Promise<void> {
  service.token = undefined;
  const header = { Authorization: `Bearer ${credential}` };
  const paths = ['/timers', '/nothing', `/timers/${timerId}`, '/%E0%A4%A', '/readyz'];
  for (const path of paths) {
    await service.request('GET', path, undefined, header);
    await service.request('GET', `${path}?access_token=${credential}`);
  }
  await service.request('POST', '/timers', { duration_seconds: 'x' }, header);
  await service.request('GET', '/timers', undefined, { Authorization: `Basic ${credential}` });
  const address = `${service.url.replace('http', 'ws')}/ws/${timerId}`;
  for (const [url, protocols] of [
    [`${address}?access_token=${credential}`, []],
    [address, ['synchronized-timer', `bearer.${credential}`]],
    [`${address}x?access_token=${credential}`, []],
  ] as const) {
    const webSocket = new WebSocket(url, [...protocols]);
    webSocket.on('error', () => {});
    webSocket.on('open', () => webSocket.send('x'.repeat(5000)));
    await new Promise((resolve) => webSocket.on('close', resolve));
  }
}

it('A3: no key, token or secret is in the log, on standard error or in a file', async () => {
  const directory = temporaryFolder();
  const service = await ServiceProcess.start({
    DATA_DIR: directory,
    LOG_LEVEL: 'trace',
    JWT_SECRETS: `k:${SECRET}`,
    OIDC_ISSUER: PROVIDER,
  });
  const operator = await tokenOf({ role: 'admin' });
  service.token = operator;
  const body = { role: 'admin' };
  const made = await service.request('POST', '/keys', body, { 'Idempotency-Key': 'once' });
  const { key } = newKeySchema.parse(JSON.parse(made.text));
  const timer = await service.request('POST', '/timers', { duration_seconds: 60 });
  const { id } = timerSchema.parse(JSON.parse(timer.text));
  const given = await service.request(
    'POST',
    `/timers/${id}/tokens`,
    {},
    { 'Idempotency-Key': 'x' },
  );
  const { token } = tokenSchema.parse(JSON.parse(given.text));
  const wrong = `${key.slice(0, -8)}AAAAAAAA`;
  const { privateKey } = await generateKeyPair('ES256');
  const foreign = await new SignJWT({ iss: PROVIDER, sub: 'meyer' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .sign(privateKey);
  for (const credential of [operator, key, token, wrong, foreign]) {
    await showEverywhere(service, id, credential);
  }
  await service.logged('the identity provider');
  expect(await service.terminate()).toBe(0);

  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'latin1'));
  const written = [...service.log, service.stderr, ...files].join('\n');
  const [keySecret = '', wrongSecret = ''] = [key, wrong].map((text) =>
    text.split('_').slice(2).join('_'),
  );
  expect(written).toContain(id);
  for (const secret of [SECRET, operator, keySecret, token, wrongSecret, foreign]) {
    expect(secret.length).toBeGreaterThan(30);
    expect(written.includes(secret)).toBe(false);
    // Not even the part of a token that makes it one.
    expect(written.includes(secret.split('.').at(-1) ?? '')).toBe(false);
  }
});

it('A3: a wrong secret stops the start without being told', async () => {
  const service = ServiceProcess.launch({ JWT_SECRETS: 'k:too-short-a-secret', JOURNAL: 'memory' });
  expect((await service.exited).code).toBe(1);
  expect(service.stderr).toMatch(/^JWT_SECRETS is something else; it takes kid:secret/);
  expect(service.stderr).not.toContain('too-short');
});

it('A2: a start that would let everybody do everything is refused in one line', async () => {
  const service = ServiceProcess.launch({ HOST: '0.0.0.0', DATA_DIR: temporaryFolder() });
  expect((await service.exited).code).toBe(1);
  expect(service.stderr).toMatch(
    /^HOST is "0\.0\.0\.0", .*keys create --role admin.*ALLOW_OPEN=1\n$/,
  );
});
