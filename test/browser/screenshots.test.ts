/**
 * The pictures of the README, made by the real thing: `npm run screenshots`. They are not taken each
 * time, because a picture differs a little from machine to machine.
 */
import type { Page } from 'playwright-core';
import { describe, expect, it, type TestContext } from 'vitest';
import { z } from 'zod';
import { newKeySchema } from '../../src/protocol/credentials.js';
import { needBrowser, openPage } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { Room } from './room.js';

const FOLDER = 'docs/images';
const ROOM = { width: 800, height: 600 };

async function take(page: Page, name: string): Promise<void> {
  const path = `${FOLDER}/${name}.png`;
  const picture = await page.screenshot({ path, animations: 'disabled' });
  expect(picture.length).toBeGreaterThan(5000);
}

async function create(
  service: LiveService,
  definition: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { text } = await service.request('POST', '/timers', { auto_start: true, ...definition });
  return z.object({ id: z.string() }).parse(JSON.parse(text)).id;
}

async function createKey(service: LiveService, role: string, label: string): Promise<string> {
  const body = { role, label, ...(role === 'display' && { timers: '*' }) };
  const { text } = await service.request('POST', '/keys', body);
  return newKeySchema.parse(JSON.parse(text)).key;
}

async function openRoom(
  test: TestContext,
  service: LiveService,
  id: string,
  query = '?label=Seat 14',
): Promise<Room> {
  const room = await Room.open(test, service.url, id, { query });
  await room.page.setViewportSize(ROOM);
  return room;
}

const isWanted = process.env.SCREENSHOTS === '1';

describe.runIf(isWanted)('the pictures of the README', { timeout: 60_000 }, () => {
  it('the console of a class', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    service.token = await createKey(service, 'admin', 'The office');
    const key = await createKey(service, 'admin', 'Ms Meyer');
    const page = await openPage(test, service.url);
    await page.setViewportSize({ width: 1280, height: 760 });
    const field = page.getByLabel('Key or token');
    await field.waitFor();
    await take(page, 'sign-in');
    await field.fill(key);
    await page.keyboard.press('Enter');
    await page.getByText(/no timers yet/i).waitFor();
    service.token = key;
    await create(service, {
      name: 'Biology',
      duration_seconds: 290,
      warning_thresholds: [300, 60],
    });
    await create(service, {
      name: 'Chemistry',
      duration_seconds: 55,
      warning_thresholds: [60, 54],
    });
    const id = await create(service, { name: 'Mathematics', duration_seconds: 5400 });
    await create(service, { name: 'Physics', duration_seconds: 2700, auto_start: false });
    const query = `?label=Seat 14&access_token=${await createKey(service, 'display', 'Seat 14')}`;
    await openRoom(test, service, id, query);
    await openRoom(test, service, id, query);
    const reason = { category: 'environment', text: 'Fire alarm' };
    const control = { action: 'extend', extend_seconds: 300, reason };
    await service.request('POST', `/timers/${id}/control`, control);
    await page.getByText('Mathematics extended by 5 min by Ms Meyer').waitFor();
    await page.getByText('2 of 2 displays show this').waitFor();
    await take(page, 'console');
  });

  it('a display, a warning, and the end', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const name = 'Mathematics';
    const calm = await create(service, { name, duration_seconds: 1476 });
    const short = { name, duration_seconds: 52, warning_thresholds: [51, 50] };
    const warned = await openRoom(test, service, await create(service, short));
    const over = await openRoom(
      test,
      service,
      await create(service, { name, duration_seconds: 3 }),
    );
    await take((await openRoom(test, service, calm)).page, 'display');
    await warned.until(({ remainingMs }) => remainingMs < 50_000);
    await take(warned.page, 'warning');
    await over.until(({ state }) => state === 'Time is up');
    await take(over.page, 'time-is-up');
  });
});
