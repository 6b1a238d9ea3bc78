/** The same request, sent to two nodes that share one log at the same moment. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Documents, JournalError } from '../../src/journal/journal.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { eventually } from '../support/eventually.js';
import { loseNextAppend } from '../support/lost-append.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { need } from '../support/tools.js';

const KEY = '4d7f9d5e-6a7c-4b0c-9b6e-8f5f3f7c2a11';
const ROUNDS = 10;
const isThere = hasNatsServer();
let server: NatsServer;

beforeEach((context) => need(context, 'nats-server', isThere));
beforeAll(async () => {
  if (isThere) server = await NatsServer.start();
});

interface Told {
  readonly status: number;
  readonly text: string;
}

async function send(
  { service, authorization }: TestService,
  path: string,
  body: unknown,
  key = KEY,
): Promise<Told> {
  const response = await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { ...authorization, 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

/** Holds the second lease back that is written: the one that ends the first. */
function holdSecond(documents: Documents): () => void {
  const { replace } = documents;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let leases = 0;
  const holding: Documents['replace'] = async (drawer, ...asked) => {
    if (drawer === 'leases') leases += 1;
    if (drawer === 'leases' && leases === 2) await released;
    return replace.call(documents, drawer, ...asked);
  };
  Object.assign(documents, { replace: holding });
  return release;
}

/** Lets a little time pass with each exchange of a node, until something is settled. */
async function whileTimePasses<T>(node: TestService, work: Promise<T>): Promise<T> {
  let isSettled = false;
  void work.finally(() => {
    isSettled = true;
  });
  while (!isSettled) {
    await node.request('GET', '/livez');
    await node.clock.advance(10);
  }
  return work;
}

describe('A5: a request that two nodes are sent at once', () => {
  let nodes: readonly TestService[];

  beforeEach(async () => {
    const [stream, clock] = [newStream(), new SimulatedClock()];
    const start = async () =>
      TestService.start({ journal: await openNats(server, { stream }), clock });
    nodes = [await start(), await start()];
  });

  function everywhere(path: string, body: unknown, key: string): Promise<Told[]> {
    const [one] = nodes;
    if (one === undefined) throw new Error('There is no node');
    const sent = nodes.flatMap((node) => [1, 2, 3].map(() => send(node, path, body, key)));
    return whileTimePasses(one, Promise.all(sent));
  }

  it('A5: changes the timer once, and gets one answer', async () => {
    const created = await everywhere('/timers', { duration_seconds: 300 }, KEY);
    for (const answer of created) expect(answer).toEqual(created[0]);
    const { id, revision } = timerSchema.parse(JSON.parse(created[0]?.text ?? ''));
    expect(revision).toBe(1);
    for (let round = 1; round <= ROUNDS; round += 1) {
      const body = { action: 'extend', extend_seconds: 10 };
      const answers = await everywhere(`/timers/${id}/control`, body, `${KEY}${round}`);
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(timerSchema.parse(JSON.parse(answers[0]?.text ?? '')).revision).toBe(1 + round);
    }
    expect(await nodes[0]?.journal.read(0, 100)).toHaveLength(1 + ROUNDS);
  });

  it('A5: makes one key and one webhook', async () => {
    await nodes[0]?.protect();
    const [one, other] = nodes;
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    other.token = one.token;
    const keys = await everywhere('/keys', { role: 'observer' }, KEY);
    for (const answer of keys) expect(answer).toEqual({ ...keys[0], status: 201 });
    for (const node of nodes) expect((await node.request('GET', '/keys')).body).toHaveLength(2);
    const body = { url: 'http://127.0.0.1:9/', events: ['timer.expired'] };
    const webhooks = await everywhere('/webhooks', body, `${KEY}w`);
    for (const answer of webhooks) expect(answer).toEqual({ ...webhooks[0], status: 201 });
  });

  it('A5: brings no webhook back that was deleted at another node', async () => {
    const [one, other] = nodes;
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    const body = { url: 'http://127.0.0.1:9/', events: ['timer.expired'] };
    const ask = (node: TestService): Promise<Told> =>
      whileTimePasses(one, send(node, '/webhooks', body));
    const { documents } = one.journal;
    const { put } = documents;
    const full = async (): Promise<never> => {
      throw new JournalError('it is full');
    };
    // Its plan is kept, and its answer is not.
    Object.assign(documents, { put: full });
    const first = await ask(one);
    Object.assign(documents, { put });
    expect(first.status).toBe(201);
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(first.text));
    await eventually(async () => {
      expect((await other.request('DELETE', `/webhooks/${id}`)).status).toBe(204);
    });
    for (const node of [other, one]) expect(await ask(node)).toEqual(first);
    for (const node of nodes) {
      const { body: left } = await node.request('GET', '/webhooks');
      expect(left).toEqual([]);
    }
  });

  it('A5: makes one timer when the first node does not know whether it did', async () => {
    const [one, other] = nodes;
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    const ask = (node: TestService, key: string): Promise<Told> =>
      whileTimePasses(one, send(node, '/timers', { duration_seconds: 300 }, key));
    for (const [key, isLate] of [
      ['late', true],
      ['meanwhile', false],
    ] as const) {
      const arrive = loseNextAppend(one.journal);
      expect(JSON.parse((await ask(one, key)).text).code).toBe('outcome_unknown');
      if (!isLate) expect(await arrive()).toEqual(['committed']);
      const answer = await ask(other, key);
      expect(answer.status).toBe(201);
      if (isLate) expect(await arrive()).toEqual(['conflict']);
      expect(await ask(one, key)).toEqual(answer);
    }
    expect((await one.request('GET', '/timers')).body).toHaveLength(2);
    expect(await other.journal.read(0, 100)).toHaveLength(2);
  });

  it('J1, A5: is answered before others may see to it, which they may before its node stops', async () => {
    const [one, other] = nodes;
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    const giveBack = holdSecond(one.journal.documents);
    const answer = await send(one, '/timers', { duration_seconds: 300 });
    expect(answer.status).toBe(201);
    const { documents } = other.journal;
    expect(await documents.list('leases', 'request/')).toHaveLength(1);
    let isStopped = false;
    const stopped = one.stop().then(() => {
      isStopped = true;
    });
    const later = send(other, '/timers', { duration_seconds: 1 }, 'another');
    expect((await whileTimePasses(other, later)).status).toBe(201);
    expect(isStopped).toBe(false);
    giveBack();
    await stopped;
    expect(await whileTimePasses(other, send(other, '/timers', { duration_seconds: 300 }))).toEqual(
      answer,
    );
  });

  it('A5: is refused by one node under a key that another has seen with another body', async () => {
    const [one, other] = nodes;
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    expect((await send(one, '/timers', { duration_seconds: 1 })).status).toBe(201);
    const asked = send(other, '/timers', { duration_seconds: 2 });
    const { status, text } = await whileTimePasses(other, asked);
    expect([status, JSON.parse(text).code]).toEqual([422, 'idempotency_key_reused']);
  });
});
