/** The console in a real browser: an instructor runs a class with it, without a manual. */
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/client/messages.js';
import { needBrowser, openPage } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';
import { Room } from './room.js';

const LONGEST_MS = 60_000;

async function timersOf(service: ServiceProcess | LiveService) {
  return z.array(timerSchema).parse(JSON.parse((await service.request('GET', '/timers')).text));
}

function rowOf(page: Page, name: string) {
  return page.locator('timer-row').filter({ hasText: name });
}

describe('the console', { timeout: LONGEST_MS }, () => {
  it('creates and starts a timer, and three displays follow a pause and an extension', async (test) => {
    await needBrowser(test);
    const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
    const page = await openPage(test, service.url);
    await page.getByRole('button', { name: 'Create timers' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Mathematics');
    await dialog.getByText('5 min', { exact: true }).first().click();
    await dialog.getByRole('button', { name: 'Create timer' }).click();
    const row = rowOf(page, 'Mathematics');
    await row.getByRole('button', { name: 'Start' }).click();
    await row.getByRole('button', { name: 'Pause' }).waitFor();
    const [timer] = await timersOf(service);
    expect(timer).toMatchObject({ name: 'Mathematics', state: 'running', duration_seconds: 300 });

    const rooms = await Promise.all(
      ['Seat 1', 'Seat 2', 'Seat 3'].map((label) =>
        Room.open(test, service.url, timer?.id ?? '', { query: `?label=${label}` }),
      ),
    );
    await row.getByText('3 of 3 displays show this').waitFor();
    await row.getByRole('button', { name: 'Pause' }).click();
    for (const room of rooms) await room.until(({ state }) => state === 'Paused');
    await row.getByRole('button', { name: 'Extend by 5 min' }).click();
    for (const room of rooms) await room.until(({ remainingMs }) => remainingMs > 590_000);
    await row.getByText('3 of 3 displays show this').click();
    for (const seat of ['Seat 1', 'Seat 2', 'Seat 3']) {
      await page.getByRole('dialog').getByText(seat).waitFor();
    }
  });

  it('does the same to all that are selected, and asks before what cannot be undone', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const timers = Array.from({ length: 12 }, (_, index) => ({
      name: `Room ${index + 1}`,
      duration_seconds: 600,
      auto_start: true,
    }));
    for (const timer of timers) await service.request('POST', '/timers', timer);
    const page = await openPage(test, service.url);
    await rowOf(page, 'Room 12').waitFor();
    await page.getByLabel(/Select all shown/).check();
    const toolbar = page.getByRole('group', { name: 'What to do with the selected timers' });
    await toolbar.getByRole('button', { name: 'Pause' }).click();
    await expect
      .poll(async () => (await timersOf(service)).every(({ state }) => state === 'paused'))
      .toBe(true);
    await toolbar.getByRole('button', { name: 'Stop' }).click();
    const dialog = page.getByRole('dialog');
    await dialog
      .getByText(/12 timers/)
      .first()
      .waitFor();
    expect((await timersOf(service)).every(({ state }) => state === 'paused')).toBe(true);
    await dialog.getByRole('button', { name: /Stop/ }).click();
    await expect
      .poll(async () => (await timersOf(service)).every(({ state }) => state === 'completed'))
      .toBe(true);
  });

  it('says in words what the service refused, beside the timer it was about', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const timer = { name: 'Long exam', duration_seconds: 600, auto_start: true };
    await service.request('POST', '/timers', timer);
    const page = await openPage(test, service.url);
    const row = rowOf(page, 'Long exam');
    await row.getByRole('button', { name: /another|other|custom/i }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Minutes').fill('600');
    await dialog.getByRole('button', { name: /Add|Extend/ }).click();
    await page
      .getByText(/3600|at most|hour/i)
      .first()
      .waitFor();
  });

  it('says first what to do, and says when it has lost the service and when it has it back', async (test) => {
    await needBrowser(test);
    const folder = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR: folder });
    const page = await openPage(test, service.url);
    await page.getByText(/no timers yet/i).waitFor();
    await service.kill();
    await page
      .getByText(/Offline|Connecting/)
      .first()
      .waitFor();
    const settings = { DATA_DIR: folder, PORT: new URL(service.url).port };
    const back = await ServiceProcess.start(settings);
    await back.request('POST', '/timers', { name: 'After the crash', duration_seconds: 60 });
    await page.getByText('Live', { exact: true }).waitFor();
    await rowOf(page, 'After the crash').waitFor();
  });
});
