/** Where a real browser is on this machine, and how it is started. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** The shell is the same browser without windows, menus and what belongs to them, for half of the processor's time. */
const PLACES = [
  process.env.CHROMIUM,
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The path of Chromium; `undefined` where there is none. Set CHROMIUM where it is somewhere else. */
export function findChromium(): string | undefined {
  return PLACES.find((path) => path !== undefined && existsSync(path));
}

/** Starts a browser, which is killed with this process at the latest. */
export function launchChromium(
  executablePath: string,
  others: readonly string[] = [],
): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // A container's root cannot have a sandbox, and pages that are not looked at must not be slowed down.
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows',
      ...others,
    ],
  });
}
