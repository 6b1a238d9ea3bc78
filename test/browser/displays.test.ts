/** Displays in a real browser, on the real service, in real time: what a room of students sees. */
import type { Browser } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/client/messages.js';
import { needBrowser } from '../support/browser.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { LiveService } from '../support/live-service.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';
import { type Reading, Room } from './room.js';

const LONGEST_MS = 60_000;
const HOUR_MS = 3_600_000;

async function createTimer(
  service: ServiceProcess | LiveService,
  definition: Readonly<Record<string, unknown>>,
) {
  const body = { name: 'Exam', duration_seconds: 600, auto_start: true, ...definition };
  return timerSchema.parse(JSON.parse((await service.request('POST', '/timers', body)).text));
}

/** How far a display is off, in ms; it and the service have the clock of one machine. */
function trueErrorMs({ remainingMs, deadlineMs, wallBeforeMs, wallAfterMs }: Reading): number {
  if (deadlineMs === null) throw new Error('The timer does not run');
  return Math.max(
    0,
    remainingMs - (deadlineMs - wallBeforeMs),
    deadlineMs - wallAfterMs - remainingMs,
  );
}

/** The service and the page read the wall clock in whole ms, so the truth is known no better than this. */
const TRUTH_MS = 2;

const processesSchema = z.object({
  processInfo: z.array(z.object({ type: z.string(), id: z.number() })),
});

/** Stops every page of the browser, as a phone does with pages that nobody sees; gives what lets them go on. */
async function stopPages(browser: Browser): Promise<() => void> {
  const devtools = await browser.newBrowserCDPSession();
  const { processInfo } = processesSchema.parse(await devtools.send('SystemInfo.getProcessInfo'));
  const pages = processInfo.filter(({ type }) => type === 'renderer');
  for (const { id } of pages) process.kill(id, 'SIGSTOP');
  return () => {
    for (const { id } of pages) process.kill(id, 'SIGCONT');
  };
}

describe('a display', { timeout: LONGEST_MS }, () => {
  it('shows the same after a reload, and announces nothing again', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const { id } = await createTimer(service, { duration_seconds: 302, auto_start: false });
    const room = await Room.open(test, service.url, id);
    await service.request('POST', `/timers/${id}/control`, { action: 'start' });
    await room.until(({ remainingMs }) => remainingMs < 299_000);
    expect(await room.heard()).toEqual(['300 s left']);
    await room.page.reload();
    await room.ready();
    const seen = await room.read();
    expect(trueErrorMs(seen)).toBeLessThanOrEqual(seen.boundMs + TRUTH_MS);
    expect(await room.heard()).toEqual([]);
  });

  it('T5: goes on through a crash of the service, and announces each thing once', async (test) => {
    await needBrowser(test);
    const folder = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR: folder });
    const settings = { DATA_DIR: folder, PORT: new URL(service.url).port };
    const { id } = await createTimer(service, {
      duration_seconds: 11,
      warning_thresholds: [8, 3],
      auto_start: false,
    });
    const rooms = await Promise.all([1, 2, 3].map(() => Room.open(test, service.url, id)));
    await service.request('POST', `/timers/${id}/control`, { action: 'start' });
    await Promise.all(rooms.map((room) => room.until(({ remainingMs }) => remainingMs < 7500)));
    await service.kill();
    const away = await Promise.all(rooms.map((room) => room.until((seen) => seen.isUnverified)));
    for (const seen of away) expect(seen.state).toMatch(/No connection/);
    await ServiceProcess.start(settings);
    await Promise.all(rooms.map((room) => room.until(({ connection }) => connection === 'live')));
    for (const room of rooms) {
      const ended = await room.until(({ state }) => state === 'Time is up');
      expect(ended.digits).toBe('0:00');
      expect(await room.heard()).toEqual(['8 s left', '3 s left', 'expired']);
    }
  });

  it('C6: counts on without a network and says so, and is confirmed when it is back', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const noDelay = { there: () => 0, back: () => 0 };
    const proxy = await DelayProxy.start(service.url, noDelay);
    test.onTestFinished(() => proxy.close());
    const { id } = await createTimer(service, {});
    const room = await Room.open(test, proxy.url, id);
    proxy.setDown(true);
    const lost = await room.until(({ isUnverified }) => isUnverified);
    const later = await room.until(({ remainingMs }) => remainingMs < lost.remainingMs - 2000);
    expect(trueErrorMs(later)).toBeLessThanOrEqual(later.boundMs + TRUTH_MS);
    await service.request('POST', `/timers/${id}/control`, { action: 'pause' });
    proxy.setDown(false);
    const back = await room.until(({ state }) => state === 'Paused');
    expect(back.isUnverified).toBe(false);
  });

  it('C3: does not care what the wall clock of the device says, nor when it is set', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const { id } = await createTimer(service, {});
    const wrongClock = `(() => {
      globalThis.RealDate = Date;
      globalThis.clockErrorMs = ${3 * HOUR_MS};
      globalThis.Date = class extends RealDate {
        constructor(...given) {
          if (given.length > 0) super(...given);
          else super(RealDate.now() + globalThis.clockErrorMs);
        }
        static now() { return RealDate.now() + globalThis.clockErrorMs; }
      };
    })()`;
    const room = await Room.open(test, service.url, id, { before: wrongClock });
    for (const errorMs of [3 * HOUR_MS, -2 * HOUR_MS, 0, HOUR_MS]) {
      await room.page.evaluate(`globalThis.clockErrorMs = ${errorMs}`);
      const before = await room.read();
      const seen = await room.until(({ digits }) => digits !== before.digits);
      expect(trueErrorMs(seen)).toBeLessThanOrEqual(seen.boundMs + TRUTH_MS);
    }
  });

  it('C3: is right at once when a page that was stopped in the background comes back', async (test) => {
    const browser = await needBrowser(test);
    const service = await LiveService.start();
    const { id } = await createTimer(service, {});
    const room = await Room.open(test, service.url, id);
    const before = await room.read();
    const resume = await stopPages(browser);
    // Windows are used again, so they must go on whatever happens.
    try {
      const stoppedUntilMs = performance.now() + 3000;
      while (performance.now() < stoppedUntilMs) await service.request('GET', `/timers/${id}`);
    } finally {
      resume();
    }
    const seen = await room.until(({ digits }) => digits !== before.digits);
    expect(seen.remainingMs).toBeLessThan(before.remainingMs - 2900);
    expect(trueErrorMs(seen)).toBeLessThanOrEqual(seen.boundMs + TRUTH_MS);
    await room.until(({ connection }) => connection === 'live');
  });

  it('C1: is never further off than it says, behind 0 to 200 ms each way', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const { id } = await createTimer(service, {});
    const delayMs = (): number => Math.random() * 200;
    const proxies = await Promise.all(
      [0, 1].map(() => DelayProxy.start(service.url, { there: delayMs, back: delayMs })),
    );
    test.onTestFinished(async () => {
      for (const proxy of proxies) await proxy.close();
    });
    const rooms = await Promise.all(proxies.map(({ url }) => Room.open(test, url, id)));
    for (let sample = 0; sample < 20; sample += 1) {
      for (const room of rooms) {
        const seen = await room.read();
        expect(trueErrorMs(seen)).toBeLessThanOrEqual(seen.boundMs + TRUTH_MS);
        await room.page.waitForTimeout(50);
      }
    }
  });
});
