/** How people come to use the console of a service that has keys, and what each of them gets. */
import type { Page } from 'playwright-core';
import { describe, expect, it, type TestContext } from 'vitest';
import { z } from 'zod';
import { newKeySchema } from '../../src/protocol/credentials.js';
import { historySchema } from '../../src/protocol/record.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { needBrowser, openPage, openWindow } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { violationsOn } from './axe.js';

const LONGEST_MS = 60_000;

/** A service with an administrator, whose key the requests of the test show. */
async function startProtected() {
  const service = await LiveService.start();
  const createKey = async (role: string, label: string | null = null) => {
    const body = { role, label, ...(role === 'display' && { timers: '*' }) };
    const { text } = await service.request('POST', '/keys', body);
    return newKeySchema.parse(JSON.parse(text));
  };
  service.token = (await createKey('admin', 'The office')).key;
  const createTimer = async (definition: Readonly<Record<string, unknown>> = {}) => {
    const body = { name: 'Algebra', duration_seconds: 600, auto_start: true, ...definition };
    const { text } = await service.request('POST', '/timers', body);
    return timerSchema.parse(JSON.parse(text));
  };
  const history = async (timerId: string) => {
    const { text } = await service.request('GET', `/timers/${timerId}/history`);
    return historySchema.parse(JSON.parse(text));
  };
  return { service, createKey, createTimer, history };
}

const signInDialog = (page: Page) => page.getByRole('dialog', { name: 'Sign in to the timers' });

async function signIn(page: Page, key: string): Promise<void> {
  await signInDialog(page).getByLabel('Key or token').fill(key);
  await page.keyboard.press('Enter');
}

async function openSignedIn(test: TestContext, url: string, key: string): Promise<Page> {
  const page = await openPage(test, url);
  await signIn(page, key);
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
}

describe('A7: signing in', { timeout: LONGEST_MS }, () => {
  it('is not asked for where the service has no keys', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    const page = await openPage(test, service.url);
    await page.getByText('Live', { exact: true }).waitFor();
    expect(await signInDialog(page).count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0);
    // A key of another time is of no use there, and in nobody's way.
    await page.evaluate(`localStorage.setItem('timer-console.credential', 'sts_of_long_ago')`);
    await page.reload();
    await page.getByText('Live', { exact: true }).waitFor();
    expect(await signInDialog(page).count()).toBe(0);
  });

  it('says in words what is wrong, and can be done by keyboard alone', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer } = await startProtected();
    await createTimer();
    const page = await openPage(test, service.url);
    const dialog = signInDialog(page);
    await dialog.waitFor();
    expect(await violationsOn(page)).toEqual([]);
    for (const [key, words] of [
      ['', /Paste your key/],
      ['two words', /without spaces/],
      ['sts_nobody_knows', /does not know this key or token, or it has ended/],
      [(await createKey('display')).key, /credential of a display/],
    ] as const) {
      await signIn(page, key);
      await dialog.getByText(words).waitFor();
    }
    expect(await violationsOn(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await dialog.waitFor();
    const { key } = await createKey('instructor', 'Ms Meyer');
    await signIn(page, `  ${key}\n`);
    await page.getByTitle('Signed in as Ms Meyer').waitFor();
    await page.getByText('No timers yet').waitFor();
    // What is kept for the window only is gone with it.
    expect(await page.evaluate('Object.keys(localStorage).join()')).not.toContain('credential');
    await page.reload();
    await page.getByTitle('Signed in as Ms Meyer').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await dialog.waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  it('is kept on the device for those who want it', async (test) => {
    await needBrowser(test);
    const { service, createKey } = await startProtected();
    const { key } = await createKey('observer', 'Proctor');
    const window = await openWindow(test);
    const page = await window.newPage();
    await page.goto(service.url);
    await signInDialog(page).getByLabel('Keep me signed in on this device').check();
    await signIn(page, key);
    await page.getByTitle('Signed in as Proctor').waitFor();
    const other = await window.newPage();
    await other.goto(service.url);
    await other.getByTitle('Signed in as Proctor').waitFor();
  });

  it('is asked for again when the key ends, and nothing on the page is lost', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer } = await startProtected();
    await createTimer();
    const { id, key } = await createKey('admin', 'Ms Meyer');
    const page = await openSignedIn(test, service.url, key);
    await page.getByRole('button', { name: 'Create timers' }).click();
    const form = page.getByRole('dialog', { name: 'Create timers' });
    await form.getByLabel('Name').fill('Half written');
    await service.request('DELETE', `/keys/${id}`);
    const dialog = signInDialog(page);
    await dialog.getByText(/Your key or token has ended/).waitFor();
    expect(await page.locator('timer-row').count()).toBe(1);
    // Somebody else begins with an empty page; the same person goes on.
    await page.evaluate(`sessionStorage.setItem('mark', 'here'); globalThis.mark = 'here'`);
    const again = await createKey('admin', 'The same');
    await signIn(page, again.key);
    await page.getByTitle('Signed in as The same').waitFor();
    expect(await page.evaluate('typeof globalThis.mark')).toBe('undefined');
  });

  it('gives observers all there is to see, and no buttons that would be refused', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer } = await startProtected();
    const { id } = await createTimer();
    const { key } = await createKey('observer', 'Proctor');
    const page = await openSignedIn(test, service.url, key);
    await page.locator('timer-row').waitFor();
    for (const name of [/Create/, /Pause/, /Extend/, /Stop/, /Delete/, /Link and code/]) {
      expect(await page.getByRole('button', { name }).count()).toBe(0);
    }
    expect(await page.getByRole('checkbox').count()).toBe(0);
    expect(await violationsOn(page)).toEqual([]);
    for (const letter of ['a', 'p', 'x', 'n', 'Delete']) await page.keyboard.press(letter);
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.getByRole('button', { name: 'Algebra' }).click();
    const story = page.getByRole('dialog', { name: 'Algebra' });
    await story.getByText('Created as “Algebra” of 10 min and started by The office').waitFor();
    await service.request('POST', `/timers/${id}/control`, { action: 'pause' });
    await story.getByText(/^Paused with .* left by The office$/).waitFor();
    expect(await violationsOn(page)).toEqual([]);
  });
});

describe('A7: a reason', { timeout: LONGEST_MS }, () => {
  it('goes with the next pause, which is still one click, and is told with who did it', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer, history } = await startProtected();
    const { id } = await createTimer();
    const { key } = await createKey('admin', 'Ms Meyer');
    const page = await openSignedIn(test, service.url, key);
    const reason = page.locator('list-toolbar').getByLabel('Reason', { exact: true });
    await reason.selectOption('Environment');
    await page.getByLabel('Reason in words').fill('Fire alarm');
    expect(await violationsOn(page)).toEqual([]);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Algebra paused (Environment: Fire alarm)').waitFor();
    const feed = page.locator('activity-feed');
    await feed.getByText('Algebra paused by Ms Meyer').waitFor();
    await feed.getByText('Environment: Fire alarm').waitFor();
    await page.getByRole('button', { name: 'Give no reason' }).click();
    await page.getByRole('button', { name: 'Extend by another time' }).click();
    const dialog = page.getByRole('dialog', { name: 'Extend Algebra' });
    await dialog.getByLabel('Reason', { exact: true }).selectOption('Examinee');
    expect(await violationsOn(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Extend' }).click();
    await expect.poll(async () => (await history(id)).length).toBe(3);
    const [, paused, extended] = await history(id);
    expect(paused).toMatchObject({
      by: { label: 'Ms Meyer', role: 'admin' },
      reason: { category: 'environment', text: 'Fire alarm' },
    });
    expect(extended).toMatchObject({
      type: 'extended',
      reason: { category: 'examinee', text: null },
    });
  });
});

describe('A7: a reason that was forgotten', { timeout: LONGEST_MS }, () => {
  it('is on record with nothing that is done more than five minutes later', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start();
    await service.request('POST', '/timers', { name: 'Algebra', duration_seconds: 6000 });
    const window = await openWindow(test);
    const page = await window.newPage();
    await page.clock.install();
    await page.goto(service.url);
    await page.locator('timer-row').waitFor();
    const reason = page.getByLabel('Reason', { exact: true });
    await reason.selectOption('Staff');
    await page.clock.fastForward('04:00');
    await page.getByLabel('Reason in words').fill('Wrong room');
    await page.clock.fastForward('04:50');
    expect(await reason.inputValue()).toBe('Staff');
    await page.clock.fastForward('00:20');
    await expect.poll(() => reason.inputValue()).toBe('None given');
  });
});

const DISPLAY = 'synchronized-timer';

describe('A7: the link of a display', { timeout: LONGEST_MS }, () => {
  it('carries a token for its timer, which is in no address afterwards', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer } = await startProtected();
    await createTimer();
    const { key } = await createKey('admin', 'Ms Meyer');
    const page = await openSignedIn(test, service.url, key);
    await page.getByRole('button', { name: 'Link and code of the display' }).click();
    const dialog = page.getByRole('dialog', { name: 'Display of Algebra' });
    const link = dialog.getByRole('textbox', { name: 'Link to the display' });
    await link.waitFor();
    expect(await violationsOn(page)).toEqual([]);
    await dialog.getByLabel('Label of this display').fill('Seat 14');
    await page.keyboard.press('Enter');
    await expect.poll(() => link.inputValue()).toMatch(/\?label=Seat\+14#access_token=[\w.-]+$/);
    const display = await openPage(test, await link.inputValue());
    await display.locator(DISPLAY).getByText('Running').waitFor();
    expect(display.url()).not.toContain('access_token');
    await display.reload();
    await display.locator(DISPLAY).getByText('Running').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /display shows? this/ }).click();
    await page.getByRole('dialog').getByRole('rowheader', { name: 'Seat 14' }).waitFor();
  });

  it('says in words that a display was not let in', async (test) => {
    await needBrowser(test);
    const { service, createKey, createTimer } = await startProtected();
    const { id } = await createTimer();
    const display = await openPage(test, `${service.url}/display/${id}`);
    await display.getByText(/has ended or is not valid; it needs a new link/).waitFor();
    const { id: keyId, key } = await createKey('display', 'Seat 14');
    // Another token behind the # is a new link in the same window.
    await display.goto(`${service.url}/display/${id}#access_token=${key}`);
    await display.locator(DISPLAY).getByText('Running').waitFor();
    await service.request('DELETE', `/keys/${keyId}`);
    await display.getByText(/has ended or is not valid; it needs a new link/).waitFor();
    expect(
      await display
        .locator(DISPLAY)
        .getByText(/^\d+:\d\d$/)
        .count(),
    ).toBe(1);
    const wrong = z
      .object({ key: z.string() })
      .parse(
        JSON.parse(
          (await service.request('POST', '/keys', { role: 'display', timers: ['timer_x'] })).text,
        ),
      );
    await display.goto(`${service.url}/display/${id}#access_token=${wrong.key}`);
    await display.getByText(/may not show this timer/).waitFor();
  });
});
