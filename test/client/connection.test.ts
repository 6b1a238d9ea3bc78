/** How a display's connection begins and comes back: its burst of exchanges, and its waits. */
import { describe, expect, it } from 'vitest';
import { createActor, fromCallback } from 'xstate';
import {
  type ConnectionInput,
  connectionMachine,
  type LinkInput,
  type LinkReport,
  type LinkRequest,
} from '../../machines/connection.machine.js';
import { SimulatedClock } from '../support/simulated-clock.js';

function startConnection(input: Partial<ConnectionInput> = {}) {
  const clock = new SimulatedClock(0);
  let exchanges = 0;
  let report: (event: LinkReport) => void = () => {};
  const link = fromCallback<LinkRequest, LinkInput>(({ sendBack, receive }) => {
    report = sendBack;
    receive(() => {
      exchanges += 1;
    });
  });
  const connection = createActor(connectionMachine.provide({ actors: { link } }), {
    clock,
    input: { random: () => 0, exchangePauseMs: () => 30_000, isSharp: () => false, ...input },
  });
  connection.start();
  return {
    clock,
    connection,
    exchanges: () => exchanges,
    report: (event: LinkReport) => report(event),
  };
}

/** How long a connection waits after each of several failures of both transports, in ms. */
async function waitsOf(random: () => number, failures: number): Promise<number[]> {
  const { clock, connection, report } = startConnection({ random });
  const waits: number[] = [];
  for (let failure = 0; failure < failures; failure += 1) {
    for (const _transport of ['websocket', 'sse']) {
      report({ type: 'link.closed', reason: { code: 1006, message: '' }, isFinal: false });
    }
    const sinceMs = clock.now();
    while (connection.getSnapshot().matches('waiting')) await clock.advance(1);
    waits.push(clock.now() - sinceMs);
  }
  return waits;
}

describe('C4: the wait before the next attempt', () => {
  it('is by chance up to half as long again, so that displays do not all come at once', async () => {
    expect(await waitsOf(() => 0, 3)).toEqual([1000, 1500, 2250]);
    expect(await waitsOf(() => 0.5, 3)).toEqual([1250, 1875, 2813]);
    expect(await waitsOf(() => 0.999, 3)).toEqual([1500, 2250, 3374]);
  });

  it('asks chance anew each time', async () => {
    const chances = [0, 0.8];
    expect(await waitsOf(() => chances.shift() ?? 0, 2)).toEqual([1000, 2100]);
  });
});

describe('C2: a burst of exchanges', () => {
  it.each([
    [true, 4],
    [false, 10],
  ])('with a clock that is sharp at once: %s has %d', (isSharp, count) => {
    const { connection, exchanges, report } = startConnection({ isSharp: () => isSharp });
    report({ type: 'link.opened' });
    for (let answered = 1; answered < count; answered += 1) {
      report({ type: 'link.exchanged' });
      expect(connection.getSnapshot().matches({ linked: 'synchronizing' })).toBe(true);
    }
    report({ type: 'link.exchanged' });
    expect(connection.getSnapshot().matches({ linked: 'live' })).toBe(true);
    expect(exchanges()).toBe(count);
  });
});
