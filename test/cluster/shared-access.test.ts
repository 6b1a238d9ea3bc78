/** Credentials on two nodes that share one log: what is done at one of them counts at the other. */
import { once } from 'node:events';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../support/eventually.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { need } from '../support/tools.js';

const isThere = hasNatsServer();
let server: NatsServer;

beforeEach((context) => need(context, 'nats-server', isThere));
beforeAll(async () => {
  if (isThere) server = await NatsServer.start();
});

async function startNodes(): Promise<readonly [TestService, TestService]> {
  const [stream, clock] = [newStream(), new SimulatedClock()];
  const start = async () =>
    TestService.start({ journal: await openNats(server, { stream }), clock });
  return [await start(), await start()];
}

async function statusOf(service: TestService, token: string | undefined): Promise<number> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return (await fetch(`${service.service.url}/timers`, { headers })).status;
}

/** Connects a display, and gives what tells the code with which its connection ended. */
async function connected(service: TestService, timerId: string): Promise<() => number> {
  const webSocket = new WebSocket(service.displayUrl(timerId), { headers: service.authorization });
  let code = 0;
  webSocket.once('close', (closeCode) => {
    code = closeCode;
  });
  await once(webSocket, 'message');
  return () => code;
}

describe('keys of nodes that share a log', () => {
  it('A2: protect every node as soon as the first is made at one of them', async () => {
    const [one, other] = await startNodes();
    const { id } = await other.create();
    const closeCode = await connected(other, id);
    expect(await statusOf(other, undefined)).toBe(200);
    await one.protect();
    await eventually(async () => expect(await statusOf(other, undefined)).toBe(401));
    expect((await other.request('POST', '/timers', { duration_seconds: 1 })).status).toBe(401);
    await eventually(() => expect(closeCode()).toBe(4401));
    other.token = one.token;
    expect((await other.create()).id).not.toBe('');
  });

  it('A1: end at every node, and connections that came with them', async () => {
    const [one, other] = await startNodes();
    await one.protect();
    const key = await one.createKey({ role: 'admin' });
    await eventually(async () => expect(await statusOf(other, key.key)).toBe(200));
    other.token = key.key;
    const { id } = await other.create();
    const closeCode = await connected(other, id);
    expect((await one.request('DELETE', `/keys/${key.id}`)).status).toBe(204);
    await eventually(async () => expect(await statusOf(other, key.key)).toBe(401));
    await eventually(() => expect(closeCode()).toBe(4401));
  });

  it('A2: are never all taken away, though two nodes revoke the last two at the same moment', async () => {
    const [one, other] = await startNodes();
    await one.protect();
    const second = await one.createKey({ role: 'admin' });
    const [, firstId] = one.token?.split('_') ?? [];
    await eventually(async () => expect(await statusOf(other, second.key)).toBe(200));
    other.token = one.token;
    const answers = await Promise.all([
      one.request('DELETE', `/keys/${firstId}`),
      other.request('DELETE', `/keys/${second.id}`),
    ]);
    const refused = answers.filter(({ status }) => status !== 204);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expect(problemIn(answer).code).toBe('admin_key_needed');
    for (const node of [one, other]) {
      await eventually(async () => {
        const statuses = [await statusOf(node, one.token), await statusOf(node, second.key)];
        expect(statuses).toContain(200);
      });
      expect(await statusOf(node, undefined)).toBe(401);
    }
  });
});
