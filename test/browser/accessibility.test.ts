/** What axe-core, which knows the rules of WCAG, finds on the pages: nothing. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { needBrowser, openPage } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { violationsOn } from './axe.js';

async function startClass(): Promise<LiveService> {
  const service = await LiveService.start();
  const timers = [
    { name: 'Not started', duration_seconds: 3600 },
    { name: 'Running', duration_seconds: 3600, auto_start: true },
    { name: 'Nearly over', duration_seconds: 50, auto_start: true, warning_thresholds: [49] },
    { name: 'Over', duration_seconds: 1, auto_start: true },
  ];
  for (const timer of timers) await service.request('POST', '/timers', timer);
  return service;
}

const idSchema = z.array(z.object({ id: z.string(), name: z.string() }));

describe('C7: axe-core finds nothing', { timeout: 60_000 }, () => {
  it('on the empty console and in its dialogs', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const page = await openPage(test, service.url);
    await page.getByText(/no timers yet/i).waitFor();
    expect(await violationsOn(page)).toEqual([]);
    await page.getByRole('button', { name: 'Create timers' }).first().click();
    await page.getByRole('dialog').getByLabel('Name').waitFor();
    expect(await violationsOn(page)).toEqual([]);
    await page.keyboard.press('Escape');
    // Keys are the list's again only when the dialog is gone.
    await expect.poll(() => page.locator('create-dialog').count()).toBe(0);
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    expect(await violationsOn(page)).toEqual([]);
  });

  it('on the console of a class, and on displays in every state', async (test) => {
    await needBrowser(test);
    const service = await startClass();
    const page = await openPage(test, service.url);
    await page.locator('timer-row').filter({ hasText: 'Time is up' }).waitFor();
    await page.getByLabel(/Select all shown/).check();
    expect(await violationsOn(page)).toEqual([]);
    const timers = idSchema.parse(JSON.parse((await service.request('GET', '/timers')).text));
    for (const { id, name } of timers) {
      const display = await openPage(test, `${service.url}/display/${id}`);
      await display.getByText(name).first().waitFor();
      await display.getByText(/In sync/).waitFor();
      expect(await violationsOn(display)).toEqual([]);
    }
  });
});
