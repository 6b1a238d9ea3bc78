/** A real browser: Debian's Chromium, driven by playwright-core. Pages end with their test. */

import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { TestContext } from 'vitest';
import { findChromium, launchChromium } from './chromium.js';
import { endWithFile, endWithTest } from './endings.js';
import { need } from './tools.js';

let browser: Browser | undefined;
const contexts = new Set<BrowserContext>();

endWithTest('clients', async () => {
  for (const context of contexts) await context.close();
  contexts.clear();
});

endWithFile(async () => {
  await browser?.close();
  browser = undefined;
});

/** Starts the browser, or skips the test where there is none. */
export async function needBrowser(test: TestContext): Promise<Browser> {
  const executablePath = findChromium();
  need(test, 'Chromium', executablePath !== undefined);
  browser ??= await launchChromium(executablePath ?? '');
  return browser;
}

/** A window of its own, as on another device. Uncaught errors of its pages fail the test. */
export async function openWindow(
  test: TestContext,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<BrowserContext> {
  // Motion costs the processor that other tests share, and shows nothing.
  const context = await (await needBrowser(test)).newContext({
    reducedMotion: 'reduce',
    ...options,
  });
  contexts.add(context);
  context.on('weberror', (error) => {
    test.onTestFinished(() => {
      throw error.error();
    });
  });
  return context;
}

export async function openPage(
  test: TestContext,
  url: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Page> {
  const page = await (await openWindow(test, options)).newPage();
  await page.goto(url);
  return page;
}
