/** How an instructor finds timers, gives their link away, and does without a mouse. */
import type { Locator, Page } from 'playwright-core';
import { encode } from 'uqr';
import { describe, expect, it, type TestContext } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/client/messages.js';
import { needBrowser, openPage } from '../support/browser.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { LiveService } from '../support/live-service.js';
import { Room } from './room.js';

const LONGEST_MS = 60_000;

interface Definition {
  readonly name: string;
  readonly duration_seconds?: number;
  readonly auto_start?: boolean;
}

/** A console with timers, in the order of their creation. */
async function openConsole(test: TestContext, ...definitions: Definition[]) {
  await needBrowser(test);
  const service = await LiveService.start();
  for (const definition of definitions) {
    await service.request('POST', '/timers', { duration_seconds: 600, ...definition });
  }
  const page = await openPage(test, service.url);
  await page
    .locator('timer-row')
    .nth(definitions.length - 1)
    .waitFor();
  const timers = async () => {
    const { text } = await service.request('GET', '/timers');
    return z.array(timerSchema).parse(JSON.parse(text));
  };
  const states = async () => (await timers()).map(({ state }) => state);
  return { service, page, timers, states };
}

/** The names of the timers that are shown, from the top. */
function untilShown(page: Page, ...names: string[]): Promise<void> {
  return expect.poll(() => page.locator('timer-row .name').allTextContents()).toEqual(names);
}

function untilSelected(page: Page, count: number): Promise<void> {
  return expect.poll(() => page.locator('timer-row input:checked').count()).toBe(count);
}

/** A dialog that closed is gone a moment later, and only then are keys those of the list again. */
function untilClosed(page: Page): Promise<void> {
  const dialogs = page.locator('create-dialog, extend-dialog, confirm-dialog, help-dialog');
  return expect.poll(() => dialogs.count()).toBe(0);
}

/** Where the focus is, through every shadow. */
const FOCUSED = `(() => {
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused?.getAttribute('placeholder') ?? '';
})()`;

describe('the list of the console', { timeout: LONGEST_MS }, () => {
  it('shows what is searched for, filtered and in the order that is chosen', async (test) => {
    const { page } = await openConsole(
      test,
      { name: 'Chemistry 10', auto_start: true },
      { name: 'Biology 2' },
      { name: 'Chemistry 2', duration_seconds: 300, auto_start: true },
    );
    await untilShown(page, 'Biology 2', 'Chemistry 2', 'Chemistry 10');
    await page.getByText('3 timers', { exact: true }).waitFor();
    const search = page.getByPlaceholder('Search by name');
    await search.fill('  2 CHEM');
    await untilShown(page, 'Chemistry 2');
    await page.getByText('1 of 3 timers').waitFor();
    await search.fill('physics');
    await page.getByText('No timer matches').waitFor();
    await search.fill('');
    const filter = page.getByLabel('Filter by state');
    await filter.selectOption('Running');
    await untilShown(page, 'Chemistry 2', 'Chemistry 10');
    await search.fill('10');
    await untilShown(page, 'Chemistry 10');
    await search.fill('');
    await filter.selectOption('All states');
    const order = page.getByLabel('Order');
    await order.selectOption('Newest first');
    await untilShown(page, 'Chemistry 2', 'Biology 2', 'Chemistry 10');
    await order.selectOption('Ending first');
    await untilShown(page, 'Chemistry 2', 'Chemistry 10', 'Biology 2');
  });

  it('acts on nothing that a search hides', async (test) => {
    const { page, states } = await openConsole(test, { name: 'Hidden' }, { name: 'Seen' });
    await page.getByLabel('Select all shown').check();
    await untilSelected(page, 2);
    await page.getByPlaceholder('Search by name').fill('seen');
    await untilShown(page, 'Seen');
    const group = page.getByRole('group', { name: 'What to do with the selected timers' });
    await group.getByRole('button', { name: 'Start' }).click();
    await expect.poll(states).toEqual(['created', 'running']);
  });
});

/** The dark squares of a code that is drawn as one path, row by row. */
async function squaresOf(code: Locator): Promise<boolean[][]> {
  const [, , width = '0'] = ((await code.getAttribute('viewBox')) ?? '').split(' ');
  const size = Number(width);
  const path = (await code.locator('path').getAttribute('d')) ?? '';
  const dark = new Set([...path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x} ${y}`));
  return Array.from({ length: size }, (_, y) =>
    Array.from({ length: size }, (_, x) => dark.has(`${x} ${y}`)),
  );
}

describe('the link of a display', { timeout: LONGEST_MS }, () => {
  it('is shown as a code for cameras, as a text, and leads to the display', async (test) => {
    const { service, page, timers } = await openConsole(test, { name: 'Algebra' });
    const [timer] = await timers();
    const url = `${service.url}/display/${timer?.id}`;
    await page.getByRole('button', { name: 'Link and code of the display' }).click();
    const dialog = page.getByRole('dialog');
    const code = dialog.getByRole('img', { name: 'QR code of the link to the display of Algebra' });
    expect(await squaresOf(code)).toEqual(encode(url, { ecc: 'M', border: 3 }).data);
    // Cameras want dark squares on a light ground, also when the page is dark.
    await page.emulateMedia({ colorScheme: 'dark' });
    const colours = await page.evaluate(`(() => {
      const dialog = document.querySelector('timer-console').shadowRoot.querySelector('share-dialog');
      const style = getComputedStyle(dialog.shadowRoot.querySelector('.code'));
      return [style.color, style.backgroundColor];
    })()`);
    expect(colours).toEqual(['rgb(0, 0, 0)', 'rgb(255, 255, 255)']);
    expect(await dialog.getByRole('textbox', { name: 'Link to the display' }).inputValue()).toBe(
      url,
    );
    expect(await dialog.getByRole('link', { name: 'Open' }).getAttribute('href')).toBe(url);
  });
});

describe('the displays of a timer', { timeout: LONGEST_MS }, () => {
  it('D4: are said to be old when the network swallows what is told, and are new when it is back', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start({ KEEPALIVE_SECONDS: '1' });
    const timer = { name: 'Algebra', duration_seconds: 600 };
    const { text } = await service.request('POST', '/timers', timer);
    const { id } = timerSchema.parse(JSON.parse(text));
    let delayMs = 0;
    const proxy = await DelayProxy.start(service.url, { there: () => 0, back: () => delayMs });
    test.onTestFinished(() => proxy.close());
    await Room.open(test, service.url, id, { query: '?label=Seat 14' });
    const page = await openPage(test, proxy.url);
    await page.getByRole('button', { name: /display shows? this/ }).click();
    const dialog = page.getByRole('dialog', { name: 'Displays of Algebra' });
    await dialog.getByRole('rowheader', { name: 'Seat 14' }).waitFor();
    delayMs = LONGEST_MS;
    await dialog.getByText('The connection is interrupted').waitFor();
    delayMs = 0;
    proxy.cut();
    await dialog.getByText('The connection is interrupted').waitFor({ state: 'detached' });
    await Room.open(test, service.url, id, { query: '?label=Seat 15' });
    await dialog.getByRole('rowheader', { name: 'Seat 15' }).waitFor();
  });
});

describe('stopping more timers than one command takes', { timeout: LONGEST_MS }, () => {
  it('T7: says before that they will not stop at one instant', async (test) => {
    await needBrowser(test);
    const service = await LiveService.start({ MAX_BULK_TIMERS: '2' });
    for (const name of ['A', 'B', 'C']) {
      await service.request('POST', '/timers', { name, duration_seconds: 600, auto_start: true });
    }
    const page = await openPage(test, service.url);
    await page.locator('timer-row').nth(2).waitFor();
    await page.keyboard.press('a');
    await untilSelected(page, 3);
    await page.keyboard.press('x');
    const dialog = page.getByRole('dialog', { name: 'Stop 3 timers?' });
    await dialog.getByText('They are stopped in 2 parts, each at an instant of its own.').waitFor();
  });
});

describe('C7: the keys of the console', { timeout: LONGEST_MS }, () => {
  it('select, start, pause, resume and extend timers', async (test) => {
    const { page, states, timers } = await openConsole(test, { name: 'A' }, { name: 'B' });
    await page.keyboard.press('s');
    await page.getByText('Select timers first').waitFor();
    await page.keyboard.press('a');
    await untilSelected(page, 2);
    for (const [key, state] of [
      ['s', 'running'],
      ['p', 'paused'],
      ['r', 'running'],
    ] as const) {
      await page.keyboard.press(key);
      await expect.poll(states).toEqual([state, state]);
    }
    await page.keyboard.press('e');
    const dialog = page.getByRole('dialog', { name: 'Extend 2 timers' });
    await dialog.getByLabel('Minutes').fill('1');
    await page.keyboard.press('Enter');
    await untilClosed(page);
    await expect
      .poll(async () => (await timers()).map(({ duration_seconds }) => duration_seconds))
      .toEqual([660, 660]);
    await page.keyboard.press('Escape');
    await untilSelected(page, 0);
  });

  it('ask before they stop or delete', async (test) => {
    const { page, states } = await openConsole(test, { name: 'A', auto_start: true });
    await page.keyboard.press('a');
    await untilSelected(page, 1);
    await page.keyboard.press('x');
    const stopping = page.getByRole('dialog', { name: 'Stop A?' });
    await stopping.waitFor();
    await page.keyboard.press('Enter');
    await untilClosed(page);
    expect(await states()).toEqual(['running']);
    await page.keyboard.press('x');
    await stopping.getByRole('button', { name: 'Stop', exact: true }).click();
    await expect.poll(states).toEqual(['completed']);
    await untilClosed(page);
    for (const key of ['Delete', 'Backspace']) {
      await page.keyboard.press(key);
      const deleting = page.getByRole('dialog', { name: 'Delete A?' });
      await deleting.waitFor();
      await page.keyboard.press('Escape');
      await untilClosed(page);
    }
    expect(await states()).toEqual(['completed']);
  });

  it('open what they say, and are letters where somebody writes', async (test) => {
    const { page, states } = await openConsole(test, { name: 'A' });
    for (const [key, heading] of [
      ['n', 'Create timers'],
      ['?', 'Help'],
    ] as const) {
      await page.keyboard.press(key);
      await page.getByRole('dialog', { name: heading }).waitFor();
      await page.keyboard.press('Escape');
      await untilClosed(page);
    }
    const feed = page.getByRole('button', { name: 'What happened' });
    const before = await feed.getAttribute('aria-expanded');
    await page.keyboard.press('f');
    await expect.poll(() => feed.getAttribute('aria-expanded')).not.toBe(before);
    await page.keyboard.press('a');
    await untilSelected(page, 1);
    await page.keyboard.press('/');
    expect(await page.evaluate(FOCUSED)).toBe('Search by name');
    await page.keyboard.type('a?nsx');
    expect(await page.getByPlaceholder('Search by name').inputValue()).toBe('a?nsx');
    expect(await page.getByRole('dialog').count()).toBe(0);
    expect(await states()).toEqual(['created']);
  });

  it('leave the keys of the browser alone, and can be switched off but for the help', async (test) => {
    const { page, states } = await openConsole(test, { name: 'A' });
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Alt+a');
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog', { name: 'Help' });
    await dialog.getByLabel(/Use these keys/).uncheck();
    await page.keyboard.press('Escape');
    await untilClosed(page);
    await page.keyboard.press('a');
    await page.keyboard.press('n');
    await page.keyboard.press('?');
    await dialog.waitFor();
    expect(await page.locator('timer-row input:checked').count()).toBe(0);
    expect(await states()).toEqual(['created']);
  });

  it('go from timer to timer in the list, and select those they pass', async (test) => {
    const { page } = await openConsole(test, { name: 'A' }, { name: 'B' }, { name: 'C' });
    await page.getByLabel('Select A', { exact: true }).focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Shift+ArrowDown');
    const chosen = page.locator('timer-row').filter({ has: page.locator('input:checked') });
    await expect.poll(() => chosen.locator('.name').allTextContents()).toEqual(['B', 'C']);
  });
});
