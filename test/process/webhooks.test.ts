/** The real process tells a receiver that fails in every way there is, and is killed in between. */
import { describe, expect, it } from 'vitest';
import { timerSchema } from '../../src/protocol/timer.js';
import { webhookWithSecretSchema } from '../../src/protocol/webhooks.js';
import { eventsOf, messageIdOf } from '../../src/webhooks/events.js';
import { ServiceProcess } from '../support/process.js';
import { type Answer, Receiver, verify } from '../support/receiver.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const TIMERS_PER_ROUND = 12;
const ENDS = ['timer.expired', 'timer.stopped', 'timer.deleted'];

/** Creates a timer, and for every other one leads it through all states; the others run to their end. */
async function createTimer(service: ServiceProcess, index: number): Promise<string> {
  const definition = {
    duration_seconds: 2 + (index % 3),
    warning_thresholds: [1, 2, 3],
    auto_start: index % 2 === 0,
  };
  const reply = await service.request('POST', '/timers', definition);
  const { id } = timerSchema.parse(JSON.parse(reply.text));
  if (definition.auto_start) return id;
  for (const action of ['start', 'pause', 'extend', 'resume', 'stop']) {
    await service.request('POST', `/timers/${id}/control`, { action, extend_seconds: 60 });
  }
  return id;
}

describe('W1, W2, W3, W4: a receiver that fails, hangs, redirects, goes away and comes back', () => {
  it('W1: is told every event in order per timer, though the service is killed in between', {
    timeout: 240_000,
  }, async () => {
    const directory = temporaryFolder();
    const start = () =>
      ServiceProcess.start({
        DATA_DIR: directory,
        WEBHOOK_ALLOW_PRIVATE: '1',
        WEBHOOK_RETRY_SECONDS: Array(20).fill('1').join(','),
        WEBHOOK_TIMEOUT_SECONDS: '1',
        LOG_LEVEL: 'info',
      });
    const receiver = await Receiver.open();
    const redirected = await Receiver.open();
    const ways: readonly Answer[] = [
      500,
      'hang',
      (response) => response.writeHead(307, { Location: redirected.url }).end(),
      (response) => response.destroy(),
    ];
    let service = await start();
    const reply = await service.request('POST', '/webhooks', { url: receiver.url });
    const webhook = webhookWithSecretSchema.parse(JSON.parse(reply.text));
    const timerIds: string[] = [];
    const createAll = async () => {
      const creating = Array.from({ length: TIMERS_PER_ROUND }, (_, index) =>
        createTimer(service, index),
      );
      timerIds.push(...(await Promise.all(creating)));
    };

    for (const way of ways) {
      receiver.answer = () => 204;
      await createAll();
      await receiver.until(receiver.deliveries.length + TIMERS_PER_ROUND);
      receiver.answer = () => way;
      const before = receiver.deliveries.length;
      await createAll();
      // Third attempts are long after what the service writes down once a second.
      await receiver.until(before + 3 * TIMERS_PER_ROUND);
      await service.kill();
      service = await start();
    }
    receiver.close();
    await createAll();
    await service.kill();
    service = await start();
    receiver.answer = () => 204;
    await receiver.listen();
    const hasEnded = (timerId: string) =>
      receiver.received.some(
        ({ message }) => message.data.timer.id === timerId && ENDS.includes(message.type),
      );
    await receiver.untilTrue(() => timerIds.every(hasEnded));
    expect(await service.terminate()).toBe(0);

    expect(timerIds).toHaveLength(TIMERS_PER_ROUND * (2 * ways.length + 1));
    expect(receiver.deliveries.length).toBeGreaterThan(receiver.received.length);
    expect(redirected.deliveries).toEqual([]);
    for (const delivery of receiver.deliveries) {
      expect(verify(webhook.secret, delivery)).toEqual(delivery.message);
    }
    const journal = await openSqlite(directory);
    for (const timerId of timerIds) {
      const told = receiver.received.filter(({ message }) => message.data.timer.id === timerId);
      const history = await journal.history(timerId);
      const happened = eventsOf(history, Number.POSITIVE_INFINITY);
      const ids = happened.map(({ event }) => messageIdOf(webhook.id, event));
      expect(told.map(({ id }) => id).filter((id) => ids.includes(id))).toEqual(ids);
      // While a pause is on its way to the disk the clock runs on, and may pass a threshold.
      const others = told.filter(({ id }) => !ids.includes(id));
      expect(others.filter(({ message }) => message.type !== 'timer.warning')).toEqual([]);
    }
  });
});
