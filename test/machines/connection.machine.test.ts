/** The connection of a display on a simulated clock, with a link that does what a test says. */
import { describe, expect, it } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import {
  connectionMachine,
  type LinkInput,
  type LinkReport,
  type LinkRequest,
} from '../../machines/connection.machine.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;

function startConnection({ random = 0, sharpAfter = 4, pauseMs = 30 * SECOND } = {}) {
  const clock = new SimulatedClock(0);
  const log: string[] = [];
  let report: (event: LinkReport) => void = () => {};
  let exchanges = 0;
  const link = fromCallback<LinkRequest, LinkInput>(({ input, sendBack, receive }) => {
    log.push(`open ${input.transport}`);
    report = sendBack;
    receive(() => {
      exchanges += 1;
      log.push('exchange');
    });
    return () => log.push('close');
  });
  const connection = createActor(connectionMachine.provide({ actors: { link } }), {
    clock,
    input: {
      random: () => random,
      exchangePauseMs: () => pauseMs,
      isSharp: () => exchanges >= sharpAfter,
    },
  });
  connection.start();
  const value = () => JSON.stringify(connection.getSnapshot().value);
  const becomeLive = (): void => {
    report({ type: 'link.opened' });
    for (let index = 0; index < 20 && value().includes('synchronizing'); index += 1) {
      report({ type: 'link.exchanged' });
    }
  };
  const fail = (isFinal = false): void =>
    report({ type: 'link.closed', reason: { code: 1006, message: '' }, isFinal });
  return { clock, connection, log, value, becomeLive, fail, report: (e: LinkReport) => report(e) };
}

/** Fails both transports, as when there is no network at all. */
function failBoth({ fail }: { fail: () => void }): void {
  fail();
  fail();
}

describe('C4: a connection', () => {
  it('synchronizes by a burst of exchanges before it is live', () => {
    const { log, value, report, becomeLive } = startConnection();
    report({ type: 'link.opened' });
    expect(value()).toContain('synchronizing');
    becomeLive();
    expect(value()).toContain('live');
    expect(log).toEqual(['open websocket', ...Array(4).fill('exchange')]);
  });

  it('ends a burst that does not get sharp after ten exchanges', () => {
    const { log, becomeLive } = startConnection({ sharpAfter: 1000 });
    becomeLive();
    expect(log.filter((what) => what === 'exchange')).toHaveLength(10);
  });

  it('exchanges again after each pause, and in a burst when the device wakes', async () => {
    const { clock, connection, log, value, report, becomeLive } = startConnection();
    becomeLive();
    await clock.advance(30 * SECOND);
    expect(log).toHaveLength(6);
    report({ type: 'link.exchanged' });
    connection.send({ type: 'wake' });
    expect(value()).toContain('synchronizing');
    expect(log).toHaveLength(7);
  });

  it('gives a link up that does not answer an exchange', async () => {
    const { clock, value, becomeLive, log } = startConnection();
    becomeLive();
    await clock.advance(30 * SECOND + 4 * SECOND);
    expect(value()).toBe('"waiting"');
    expect(log.at(-1)).toBe('close');
  });

  it('falls back to an event stream when WebSocket is refused or swallowed', async () => {
    const refused = startConnection();
    refused.fail();
    expect(refused.log).toEqual(['open websocket', 'close', 'open sse']);
    const swallowed = startConnection();
    await swallowed.clock.advance(5 * SECOND);
    expect(swallowed.log).toEqual(['open websocket', 'close', 'open sse']);
  });

  it('begins with WebSocket again when the event stream failed as well', async () => {
    const connection = startConnection();
    failBoth(connection);
    await connection.clock.advance(1 * SECOND);
    expect(connection.log.at(-1)).toBe('open websocket');
  });

  it.each([0, 0.999])(
    'waits longer after each failure, 1 to 30 s, by chance %s',
    async (random) => {
      const connection = startConnection({ random });
      const waits: number[] = [];
      for (let failure = 0; failure < 12; failure += 1) {
        failBoth(connection);
        const sinceMs = connection.clock.now();
        while (connection.value() === '"waiting"') await connection.clock.advance(10);
        waits.push(connection.clock.now() - sinceMs);
      }
      expect(waits[0]).toBeGreaterThanOrEqual(1000);
      expect(waits[0]).toBeLessThanOrEqual(1510);
      expect(waits).toEqual([...waits].sort((a, b) => a - b));
      expect(waits.at(-1)).toBeLessThanOrEqual(30_010);
      // A service that was away for five seconds is found within five seconds of its return.
      const attemptsMs = waits.map((_, index) =>
        waits.slice(0, index + 1).reduce((a, b) => a + b, 0),
      );
      const found = attemptsMs.find((atMs) => atMs > 5000) ?? Number.POSITIVE_INFINITY;
      expect(found - 5000).toBeLessThan(5000);
    },
  );

  it('tries at once when it wakes, and forgets its failures when it gets through', async () => {
    const connection = startConnection();
    for (let failure = 0; failure < 5; failure += 1) {
      failBoth(connection);
      connection.connection.send({ type: 'wake' });
      expect(connection.value()).toContain('connecting');
    }
    connection.becomeLive();
    connection.fail();
    await connection.clock.advance(1000);
    expect(connection.value()).toContain('connecting');
  });

  it('is closed for good when connecting again would be refused again', async () => {
    const { clock, connection, fail, value } = startConnection();
    fail(true);
    expect(value()).toBe('"closed"');
    expect(connection.getSnapshot().context.closeReason).toEqual({ code: 1006, message: '' });
    expect(clock.pendingTimeouts).toBe(0);
  });

  it('is closed for good when it is asked to', () => {
    const { clock, connection, log, becomeLive } = startConnection();
    becomeLive();
    connection.send({ type: 'close' });
    expect(connection.getSnapshot().status).toBe('done');
    expect(log.at(-1)).toBe('close');
    expect(clock.pendingTimeouts).toBe(0);
  });
});
