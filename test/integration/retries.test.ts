/** Changes that are asked for again, and changes that hold for one revision only. */
import { describe, expect, it } from 'vitest';
import { problemIn, TestService } from '../support/service.js';
import { openSqlite } from '../support/sqlite.js';

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly key?: string;
  readonly ifMatch?: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Every byte of the body. */
  readonly text: string;
  readonly body: unknown;
}

async function send(service: TestService, sent: Sent): Promise<Reply> {
  const { method = 'POST', path, body, key, ifMatch } = sent;
  const response = await fetch(`${service.service.url}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key === undefined ? {} : { 'Idempotency-Key': key }),
      ...(ifMatch === undefined ? {} : { 'If-Match': ifMatch }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const parsed: unknown = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, headers: response.headers, text, body: parsed };
}

/** What must be the same about two answers to one request. */
function essenceOf({ status, headers, text }: Reply) {
  const kept = ['content-type', 'etag', 'location', 'cache-control'];
  return { status, text, headers: kept.map((name) => headers.get(name)) };
}

function extension(timerId: string, seconds = 60): Sent {
  const body = { action: 'extend', extend_seconds: seconds };
  return { path: `/timers/${timerId}/control`, body };
}

const KEY = '3f1c9a52-8f0e-4c52-9a7e-0d4c1a5b6e7f';

describe('A5: a change that is asked for again is not made again', () => {
  it('changes the timer once when it is retried 50 times in parallel', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    const { id } = await service.create();
    const retries = Array.from({ length: 50 }, () => {
      return send(service, { ...extension(id), key: KEY });
    });
    const [first, ...others] = (await Promise.all(retries)).map(essenceOf);
    expect(first).toMatchObject({ status: 200 });
    for (const other of others) expect(other).toEqual(first);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
    expect(await service.journal.history(id)).toHaveLength(2);
  });

  it('refuses the key with another request', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await send(service, { ...extension(id), key: KEY });
    const reply = await send(service, { ...extension(id, 61), key: KEY });
    expect([reply.status, problemIn(reply).code]).toEqual([422, 'idempotency_key_reused']);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
  });
});

describe('A6: a change with If-Match is made at that revision only', () => {
  it('is refused when the timer has moved on, and made when it has not', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    expect((await send(service, { ...extension(id), ifMatch: '"1"' })).status).toBe(200);
    const late = await send(service, { ...extension(id), ifMatch: '"1"' });
    expect([late.status, problemIn(late).code]).toEqual([412, 'wrong_revision']);
    expect(await service.get(id)).toMatchObject({ duration_seconds: 360, revision: 2 });
  });
});
