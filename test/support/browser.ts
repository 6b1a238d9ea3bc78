/**
 * A real browser: Debian's Chromium, driven by playwright-core. It lives as long as the process that runs
 * files of tests, and its windows are used again: to open one costs four times what it costs to load a page
 * into one that is open.
 */

import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { TestContext } from 'vitest';
import { findChromium, launchChromium } from './chromium.js';
import { endWithTest } from './endings.js';
import { need } from './tools.js';

let browser: Promise<Browser> | undefined;
/** Windows that end with their test, because nothing could make them what they were. */
const own = new Set<BrowserContext>();
/** What makes the page of each window that is in use what it was. */
const lent = new Map<Page, () => Promise<void>>();
const idle: Page[] = [];

/** A window keeps its process, whatever page it loads: to start one costs more than to load the page. */
const FEW_PROCESSES = ['--disable-site-isolation-trials', '--renderer-process-limit=1'];
/** Motion costs the processor that other tests share, and shows nothing. */
const SIZE = { width: 1280, height: 720 };
const WINDOW = { reducedMotion: 'reduce', viewport: SIZE } as const;

endWithTest('clients', async () => {
  const closing = [...own].map((context) => context.close());
  await Promise.all([...closing, ...[...lent.values()].map((putBack) => putBack())]);
  own.clear();
});

/** Starts the browser, or skips the test where there is none. */
export function needBrowser(test: TestContext): Promise<Browser> {
  const executablePath = findChromium();
  need(test, 'Chromium', executablePath !== undefined);
  browser ??= launch(executablePath ?? '');
  return browser;
}

function launch(executablePath: string): Promise<Browser> {
  // This is how the process ends when it has run its files; only one that exits takes its browser with it.
  process.once('SIGTERM', () => process.exit());
  return launchChromium(executablePath, FEW_PROCESSES);
}

/** A window of its own, as on another device, for pages that cannot be made what they were. */
export async function openWindow(
  test: TestContext,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<BrowserContext> {
  const context = await (await needBrowser(test)).newContext({ ...WINDOW, ...options });
  own.add(context);
  context.on('weberror', (error) => failWith(test, error.error()));
  return context;
}

/** A page in a window that remembers nothing, as on another device; scripts of `before` run before its own. */
export async function openPage(
  test: TestContext,
  url: string,
  { before }: { readonly before?: string | undefined } = {},
): Promise<Page> {
  const chromium = await needBrowser(test);
  const page = idle.pop() ?? (await (await chromium.newContext(WINDOW)).newPage());
  const onError = (error: Error): void => failWith(test, error);
  page.on('pageerror', onError);
  const script = before === undefined ? undefined : await page.addInitScript(before);
  lent.set(page, async () => {
    lent.delete(page);
    page.off('pageerror', onError);
    await script?.dispose();
    await putBack(page);
  });
  await page.goto(url);
  return page;
}

/** Uncaught errors of pages fail the test. */
function failWith(test: TestContext, error: Error): void {
  test.onTestFinished(() => {
    throw error;
  });
}

/** Forgets what a test left in a window; one that cannot be used again is closed. */
async function putBack(page: Page): Promise<void> {
  try {
    await page.evaluate('localStorage.clear(); sessionStorage.clear()');
    await page.goto('about:blank');
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' });
    await page.setViewportSize(SIZE);
    await page.mouse.move(-1, -1);
    idle.push(page);
  } catch {
    await page.context().close();
  }
}
