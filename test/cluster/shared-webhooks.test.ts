/** Webhooks of nodes that share one log: one of them delivers, whichever was asked, and another when that one is gone. */
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { timerSchema } from '../../src/protocol/timer.js';
import {
  attemptsSchema,
  webhookSchema,
  webhookWithSecretSchema,
} from '../../src/protocol/webhooks.js';
import { eventually } from '../support/eventually.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { ServiceProcess } from '../support/process.js';
import { type Delivery, Receiver, verify } from '../support/receiver.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { need } from '../support/tools.js';

const TIMERS = 20;
const STEPS = ['start', 'pause', 'resume', 'extend', 'stop'];
const EVENTS = ['created', 'started', 'paused', 'resumed', 'extended', 'stopped'];
/** A node that ended is replaced within 10 s; a busy machine may take longer over all of it. */
const PATIENCE = { timeout: 30_000, interval: 50 };
const isThere = hasNatsServer();
let server: NatsServer;

beforeEach((context) => need(context, 'nats-server', isThere));
beforeAll(async () => {
  if (isThere) server = await NatsServer.start();
});

type Asks = (method: string, path: string, body?: unknown) => Promise<unknown>;

/** Creates a timer and leads it to its end, by a node after the other. */
async function lead(nodes: readonly Asks[]): Promise<string> {
  const ask = (step: number, path: string, body: unknown) =>
    nodes[step % nodes.length]?.('POST', path, body);
  const { id } = timerSchema.parse(await ask(0, '/timers', { duration_seconds: 300 }));
  for (const [index, action] of STEPS.entries()) {
    // A node that has not heard of the timer yet does not know it.
    await eventually(async () =>
      timerSchema.parse(
        await ask(index + 1, `/timers/${id}/control`, { action, extend_seconds: 60 }),
      ),
    );
  }
  return id;
}

/** What a receiver was told of timers, each time it was told. */
function toldOf(deliveries: readonly Delivery[], timerId: string): string[] {
  return deliveries
    .filter(({ message }) => message.data.timer.id === timerId)
    .map(({ message }) => message.type.replace('timer.', ''));
}

describe('webhooks of nodes that share a log', () => {
  async function startNodes(): Promise<readonly TestService[]> {
    const [stream, clock] = [newStream(), new SimulatedClock()];
    const start = async () =>
      TestService.start({ journal: await openNats(server, { stream }), clock });
    return [await start(), await start()];
  }

  const asksOf =
    (node: TestService): Asks =>
    async (method, path, body) =>
      (await node.request(method, path, body)).body;

  it('W1: tell each event once and in order, by whichever node it was made', async () => {
    const nodes = await startNodes();
    const [one, other] = nodes.map(asksOf);
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    const receiver = await Receiver.open();
    // The second node is the one that does not deliver.
    const made = webhookWithSecretSchema.parse(
      await other('POST', '/webhooks', { url: receiver.url }),
    );
    await eventually(async () => {
      expect(webhookSchema.parse(await one('GET', `/webhooks/${made.id}`)).url).toBe(receiver.url);
    });
    const ids = await Promise.all(Array.from({ length: TIMERS }, () => lead([one, other])));
    await receiver.until(TIMERS * EVENTS.length);
    for (const id of ids) expect(toldOf(receiver.deliveries, id)).toEqual(EVENTS);
    // Simulated time leaves those no time that are under way.
    await eventually(() => expect(nodes[0]?.service.webhooks.isIdle).toBe(true));
    // A node that stops hands over, and what comes after is told once as well.
    await nodes[0]?.stop();
    const last = await lead([other]);
    await eventually(async () => {
      await nodes[1]?.clock.advance(500);
      expect(toldOf(receiver.deliveries, last)).toEqual(EVENTS);
    }, PATIENCE);
    for (const id of ids) expect(toldOf(receiver.deliveries, id)).toEqual(EVENTS);
    expect(receiver.deliveries).toHaveLength((TIMERS + 1) * EVENTS.length);
  });

  it('W1, W2, W4: are changed by every node: rotated, disabled, enabled, redelivered and deleted', async () => {
    const [one, other] = (await startNodes()).map(asksOf);
    if (one === undefined || other === undefined) throw new Error('There are two nodes');
    const receiver = await Receiver.open();
    const { id } = webhookWithSecretSchema.parse(
      await one('POST', '/webhooks', { url: receiver.url, events: ['timer.created'] }),
    );
    const path = `/webhooks/${id}`;
    const shown = async (ask: Asks) => webhookSchema.parse(await ask('GET', path));
    await eventually(() => shown(other));
    const { secret } = webhookWithSecretSchema.parse(await other('POST', `${path}/rotate`, {}));
    const create = (ask: Asks) => ask('POST', '/timers', { duration_seconds: 300 });
    await eventually(async () => {
      await create(one);
      await receiver.until(receiver.deliveries.length + 1);
      const last = receiver.deliveries.at(-1);
      if (last !== undefined) verifySignature(secret, last);
    });
    // The node that delivers finds out that the receiver is gone, and the other enables the webhook again.
    receiver.answer = () => 410;
    await create(other);
    await eventually(async () => expect((await shown(other)).disabled).not.toBeNull());
    receiver.answer = () => 204;
    const before = receiver.received.length;
    expect(webhookSchema.parse(await other('POST', `${path}/enable`)).disabled).toBeNull();
    await eventually(() => expect(receiver.received.length).toBe(before + 1));
    const redelivered = receiver.deliveries.at(-1)?.id ?? '';
    await eventually(async () => {
      const attempts = attemptsSchema.parse(await one('GET', `${path}/deliveries`));
      expect(attempts.map(({ message_id }) => message_id)).toContain(redelivered);
      await other('POST', `${path}/deliveries/${redelivered}/redeliver`);
      const after = attemptsSchema.parse(await one('GET', `${path}/deliveries`));
      expect(after.length).toBe(attempts.length + 1);
    });
    await other('DELETE', path);
    await eventually(async () => expect(await one('GET', '/webhooks')).toEqual([]));
    const count = receiver.deliveries.length;
    await create(one);
    await create(other);
    expect(receiver.deliveries).toHaveLength(count);
  });
});

/** Checks a delivery of simulated time, which receivers would find too old. */
function verifySignature(secret: string, delivery: Delivery): void {
  const sentMs = Number(delivery.headers['webhook-timestamp']) * 1000;
  vi.useFakeTimers({ toFake: ['Date'], now: sentMs });
  try {
    verify(secret, delivery);
  } finally {
    vi.useRealTimers();
  }
}

describe('the node that delivers', () => {
  it('W1: is replaced by another when it dies, which tells everything that was not told', {
    timeout: 60_000,
  }, async () => {
    const settings = {
      JOURNAL: server.url,
      NATS_STREAM: newStream(),
      WEBHOOK_ALLOW_PRIVATE: '1',
      WEBHOOK_RETRY_SECONDS: Array(20).fill('1').join(','),
    };
    const asksOf =
      (node: ServiceProcess): Asks =>
      async (method, path, body) =>
        JSON.parse((await node.request(method, path, body)).text);
    const first = await ServiceProcess.start(settings);
    const second = await ServiceProcess.start(settings);
    const [one, other] = [asksOf(first), asksOf(second)];
    const receiver = await Receiver.open();
    await one('POST', '/webhooks', { url: receiver.url });
    const told = await lead([one, other]);
    await receiver.until(EVENTS.length);
    expect(toldOf(receiver.deliveries, told)).toEqual(EVENTS);
    receiver.answer = () => 500;
    const ids = await Promise.all(Array.from({ length: TIMERS }, () => lead([one, other])));
    await first.kill();
    receiver.answer = () => 204;
    const later = await lead([other]);
    await eventually(() => {
      for (const id of [...ids, later]) expect(toldOf(receiver.received, id)).toEqual(EVENTS);
    }, PATIENCE);
  });
});
