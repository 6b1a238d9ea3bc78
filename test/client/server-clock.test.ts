/** The estimate of the server's clock, over networks that are as uneven as they like. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Exchange, ServerClock } from '../../src/client/server-clock.js';

/** The truth that no display can see: what the server's clock shows at a monotonic time of the display. */
const OFFSET_MS = 1_768_471_200_123.4;
const serverAt = (monotonicMs: number): number => monotonicMs + OFFSET_MS;

/** An exchange as it really happens: each way takes its own time, and the server's times are whole. */
function exchangeAt(sentMs: number, thereMs: number, backMs: number, busyMs = 0): Exchange {
  const serverReceivedMs = Math.floor(serverAt(sentMs + thereMs));
  const serverSentMs = Math.floor(serverAt(sentMs + thereMs + busyMs));
  return { sentMs, serverReceivedMs, serverSentMs, receivedMs: sentMs + thereMs + busyMs + backMs };
}

const delayMs = fc.double({ min: 0, max: 200, noNaN: true });
const roundTrips = fc.array(
  fc.tuple(delayMs, delayMs, fc.double({ min: 0, max: 50, noNaN: true })),
  {
    minLength: 1,
    maxLength: 30,
  },
);

describe('C1: the server is never further off than the bound says', () => {
  it('behind any delays, uneven in both directions', () => {
    fc.assert(
      fc.property(roundTrips, (trips) => {
        const clock = new ServerClock();
        let nowMs = 1000;
        for (const [thereMs, backMs, busyMs] of trips) {
          const exchange = exchangeAt(nowMs, thereMs, backMs, busyMs);
          nowMs = exchange.receivedMs + 10;
          clock.add(exchange);
          const errorMs = Math.abs((clock.now(nowMs) ?? 0) - serverAt(nowMs));
          expect(errorMs).toBeLessThanOrEqual((clock.errorBoundMs(nowMs) ?? 0) + 1e-3);
        }
      }),
    );
  });

  it('while the two clocks drift apart by 200 parts in a million', () => {
    const clock = new ServerClock();
    clock.add(exchangeAt(0, 5, 5));
    for (const minutes of [1, 10, 60]) {
      const elapsedMs = minutes * 60_000;
      const shownMs = clock.now(elapsedMs * (1 - 200e-6)) ?? 0;
      const boundMs = clock.errorBoundMs(elapsedMs * (1 - 200e-6)) ?? 0;
      expect(Math.abs(shownMs - serverAt(elapsedMs))).toBeLessThanOrEqual(boundMs + 1);
    }
  });
});

describe('C2: the exchange with the smallest round trip sets the bound', () => {
  it('whatever slower ones come before and after it', () => {
    const clock = new ServerClock();
    clock.add(exchangeAt(0, 150, 30));
    clock.add(exchangeAt(200, 4, 6));
    const boundMs = clock.errorBoundMs(210) ?? 0;
    expect(boundMs).toBeLessThan(6.5);
    clock.add(exchangeAt(300, 20, 180));
    expect(clock.errorBoundMs(500)).toBeCloseTo(boundMs + 290 * 200e-6, 1);
  });

  it('and others make it narrower where they were quick one way', () => {
    const clock = new ServerClock();
    clock.add(exchangeAt(0, 40, 40));
    clock.add(exchangeAt(100, 5, 190));
    clock.add(exchangeAt(400, 190, 5));
    expect(clock.errorBoundMs(600)).toBeLessThan(6);
  });

  it('until drift has made it worse than a newer one', () => {
    const clock = new ServerClock();
    clock.add(exchangeAt(0, 4, 6));
    clock.add(exchangeAt(60_000, 8, 8));
    expect(clock.errorBoundMs(60_016)).toBeCloseTo(8.5, 0);
  });

  it('unless it is contradicted: the device slept, or the server came back with another clock', () => {
    const clock = new ServerClock();
    clock.add(exchangeAt(0, 1, 1));
    const afterSleep = exchangeAt(5000, 90, 90);
    const jumpMs = 3_600_000;
    clock.add({
      ...afterSleep,
      serverReceivedMs: afterSleep.serverReceivedMs + jumpMs,
      serverSentMs: afterSleep.serverSentMs + jumpMs,
    });
    expect(Math.abs((clock.now(5180) ?? 0) - serverAt(5180) - jumpMs)).toBeLessThan(1);
  });
});

describe('C3: a device that slept is found out by the next thing the server says', () => {
  it('because the server is later than it can be', () => {
    const clock = new ServerClock();
    expect(clock.isBehind(serverAt(5000), 5000)).toBe(false);
    clock.add(exchangeAt(0, 5, 5));
    expect(clock.isBehind(Math.floor(serverAt(60_000 - 80)), 60_000)).toBe(false);
    expect(clock.isBehind(serverAt(60_000 + 30), 60_000)).toBe(true);
  });
});
