/** What the log tells of credentials and webhooks, and of those who were refused. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { attemptsSchema, webhookWithSecretSchema } from '../../src/protocol/webhooks.js';
import { type ReadableLog, readableLog } from '../support/log-lines.js';
import { Receiver } from '../support/receiver.js';
import { TestService } from '../support/service.js';

const MINUTE = 60_000;

const lineSchema = z.looseObject({ level: z.number(), msg: z.string() });

function linesOf({ lines }: ReadableLog, message: string): z.output<typeof lineSchema>[] {
  return lines
    .map((line) => lineSchema.parse(JSON.parse(line)))
    .filter(({ msg }) => msg === message);
}

async function started() {
  const log = readableLog();
  const service = await TestService.start({ log: log.log });
  await service.protect();
  const { token = '' } = service;
  const admin = `key:${token.split('_')[1]}`;
  return { log, service, by: { credential: admin, role: 'admin', address: '127.0.0.1' } };
}

describe('A8: the log tells who did what', () => {
  it('to keys and display tokens, and has none of them', async () => {
    const { log, service, by } = await started();
    const { id, key } = await service.createKey({ role: 'instructor', label: 'Ms Kim' });
    const { id: timerId } = await service.create();
    const issued = await service.request('POST', `/timers/${timerId}/tokens`, { label: 'Seat 14' });
    const { token } = z.object({ token: z.string() }).parse(issued.body);
    await service.request('DELETE', `/keys/${id}`);
    // What was refused was not done.
    await service.request('DELETE', `/keys/${id}`);
    await service.request('POST', '/keys', { role: 'nobody' });
    const about = { id, role: 'instructor', label: 'Ms Kim' };
    expect(linesOf(log, 'key created')).toMatchObject([
      { level: 30, by: { credential: 'anonymous', address: '127.0.0.1' }, key: { role: 'admin' } },
      { level: 30, by, key: { ...about, timers: [], expiresAtMs: null } },
    ]);
    expect(linesOf(log, 'key revoked')).toMatchObject([{ by, key: about }]);
    const expiresAtMs = service.clock.now() + 12 * 60 * MINUTE;
    expect(linesOf(log, 'display token issued')).toMatchObject([
      { by, timerId, label: 'Seat 14', expiresAtMs },
    ]);
    for (const secret of [key, token, service.token ?? '']) {
      expect(secret.length).toBeGreaterThan(30);
      expect(log.lines.join()).not.toContain(secret);
    }
  });

  it('to webhooks, without what only the receiver knows', async () => {
    const { log, service, by } = await started();
    const receiver = await Receiver.open();
    const url = `${receiver.url}?pass=word-of-the-receiver`;
    const made = await service.request('POST', '/webhooks', { url });
    const { id, secret } = webhookWithSecretSchema.parse(made.body);
    await service.create();
    await receiver.until(1);
    while (!service.service.webhooks.isIdle) await new Promise((resolve) => setImmediate(resolve));
    const path = `/webhooks/${id}`;
    const rotated = await service.request('POST', `${path}/rotate`);
    const { secret: fresh } = webhookWithSecretSchema.parse(rotated.body);
    await service.request('POST', `${path}/enable`);
    const { body } = await service.request('GET', `${path}/deliveries`);
    const messageId = attemptsSchema.parse(body)[0]?.message_id ?? '';
    await service.request('POST', `${path}/deliveries/${messageId}/redeliver`);
    await service.request('DELETE', path);
    await service.request('DELETE', path);
    const { host } = new URL(url);
    expect(linesOf(log, 'webhook created')).toMatchObject([{ by, webhook: { id, host } }]);
    for (const deed of ['secret rotated', 'enabled', 'message redelivered', 'deleted']) {
      const lines = linesOf(log, `webhook ${deed}`);
      expect(lines, deed).toMatchObject([{ level: 30, by, webhook: { id } }]);
    }
    expect(linesOf(log, 'webhook message redelivered')).toMatchObject([{ messageId }]);
    for (const hidden of [secret, fresh, 'word-of-the-receiver']) {
      expect(log.lines.join()).not.toContain(hidden);
    }
  });

  it('once, however often a change is asked for under one key', async () => {
    const { log, service } = await started();
    const headers = { ...service.authorization, 'Idempotency-Key': 'once' };
    for (let count = 0; count < 2; count += 1) {
      const init = { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' } };
      const body = JSON.stringify({ role: 'observer' });
      const answer = await fetch(`${service.service.url}/keys`, { ...init, body });
      expect(answer.status).toBe(201);
    }
    expect(linesOf(log, 'key created')).toHaveLength(2);
  });
});

describe('A8: the log tells of failed authentications', () => {
  const failed = (log: ReadableLog) => linesOf(log, 'authentication failed');

  it('at once, and then once a minute with their number', async () => {
    const { log, service } = await started();
    const wrong = `${service.token?.slice(0, -8)}AAAAAAAA`;
    service.token = undefined;
    // Who shows nothing has not tried anything.
    await service.request('GET', '/timers');
    expect(failed(log)).toEqual([]);
    service.token = wrong;
    for (let count = 0; count < 4; count += 1) await service.request('GET', '/timers');
    const address = '127.0.0.1';
    const why = 'The key is not known, or has ended';
    expect(failed(log)).toMatchObject([{ level: 40, address, why, count: 1 }]);
    await service.advance(MINUTE);
    expect(failed(log)).toMatchObject([{ count: 1 }, { level: 40, address, why, count: 3 }]);
    await service.advance(10 * MINUTE);
    expect(failed(log)).toHaveLength(2);
    service.token = 'no.token.atall';
    await service.request('GET', '/timers');
    expect(failed(log).at(-1)).toMatchObject({ why: 'The token is not valid', count: 1 });
    expect(log.lines.join()).not.toContain(wrong);
  });

  it('in as many lines a minute as can be read, however many addresses there are', async () => {
    const log = readableLog();
    const settings = { TRUST_PROXY: '1', MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '0' };
    const service = await TestService.start({ log: log.log, settings });
    await service.protect();
    const ask = (index: number) =>
      fetch(`${service.service.url}/timers`, {
        headers: {
          Authorization: 'Bearer sts_wrong',
          'X-Forwarded-For': `10.0.${index >> 8}.${index & 255}`,
        },
      }).then((response) => response.text());
    for (let index = 0; index < 1010; index += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, next) => ask(index + next)));
    }
    expect(failed(log)).toHaveLength(1001);
    expect(failed(log).filter(({ address }) => address === null)).toMatchObject([{ count: 1 }]);
    await service.advance(MINUTE);
    expect(failed(log)).toHaveLength(1002);
    expect(failed(log).at(-1)).toMatchObject({ address: null, count: 9 });
  });
});
