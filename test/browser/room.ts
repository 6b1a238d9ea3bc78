/** A room as people use it: an instructor's console and displays, in windows of a real browser. */
import type { Page } from 'playwright-core';
import type { TestContext } from 'vitest';
import { z } from 'zod';
import { openPage } from '../support/browser.js';

/** What a display says of itself when it is asked. */
const reading = z.object({
  digits: z.string(),
  state: z.string(),
  isUnverified: z.boolean(),
  connection: z.string(),
  /** What it shows, in ms, and how far it says that may be off. */
  remainingMs: z.number(),
  boundMs: z.number(),
  deadlineMs: z.number().nullable(),
  /** The machine's clock just before and after, whatever a test makes of the page's own. */
  wallBeforeMs: z.number(),
  wallAfterMs: z.number(),
});
export type Reading = z.output<typeof reading>;

const SOON_MS = 200;

/** The component is in the shadow of the page around it. */
const ELEMENT =
  "document.querySelector('display-page').shadowRoot.querySelector('synchronized-timer')";

const READ = `(() => {
  const element = ${ELEMENT};
  const part = (name) => element.shadowRoot.querySelector('[part~=' + name + ']').textContent;
  const { display } = element;
  const wall = () => (globalThis.RealDate ?? Date).now();
  const wallBeforeMs = wall();
  const remainingMs = display?.remaining() ?? -1;
  const wallAfterMs = wall();
  return {
    digits: part('digits'),
    state: part('state'),
    isUnverified: element.hasAttribute('unverified'),
    connection: display?.connection ?? '',
    remainingMs,
    boundMs: display?.errorBound() ?? -1,
    deadlineMs: display?.timer?.deadline_ms ?? null,
    wallBeforeMs,
    wallAfterMs,
  };
})()`;

/** Reads when what it shows changes, or soon in any case: to ask again and again costs the processor more. */
const READ_NEXT = `new Promise((resolve) => {
  const changes = new MutationObserver(() => settle());
  const settle = () => {
    changes.disconnect();
    clearTimeout(soon);
    resolve(${READ});
  };
  const soon = setTimeout(settle, ${SOON_MS});
  const seen = { subtree: true, childList: true, characterData: true, attributes: true };
  changes.observe(${ELEMENT}.shadowRoot, seen);
})`;

/** Keeps what the component announces. */
const LISTEN = `(() => {
  const element = ${ELEMENT};
  element.heard = [];
  element.addEventListener('timer-warning', ({ detail }) => {
    element.heard.push(detail.thresholdSeconds + ' s left');
  });
  element.addEventListener('timer-expired', () => element.heard.push('expired'));
})()`;

const PATIENCE_MS = 15_000;

export class Room {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Opens the display page of a timer, and waits until it is live. */
  static async open(
    test: TestContext,
    server: string,
    timerId: string,
    options: { readonly before?: string; readonly query?: string } = {},
  ): Promise<Room> {
    const url = `${server}/display/${timerId}${options.query ?? ''}`;
    const room = new Room(await openPage(test, url, options));
    await room.ready();
    return room;
  }

  /** Waits until the display is live, and begins to listen to it. */
  async ready(): Promise<void> {
    await this.page.locator('synchronized-timer').waitFor();
    await this.until(({ connection }) => connection === 'live');
    await this.page.evaluate(LISTEN);
  }

  async read(): Promise<Reading> {
    return reading.parse(await this.page.evaluate(READ));
  }

  /** What was announced since the display was ready. */
  async heard(): Promise<string[]> {
    return z.array(z.string()).parse(await this.page.evaluate(`${ELEMENT}.heard`));
  }

  /** Waits for something to be seen. */
  async until(isSo: (seen: Reading) => boolean): Promise<Reading> {
    const untilMs = performance.now() + PATIENCE_MS;
    let seen = await this.read();
    while (!isSo(seen)) {
      if (performance.now() > untilMs) {
        throw new Error(`It was not seen that ${isSo}: ${JSON.stringify(seen)}`);
      }
      seen = reading.parse(await this.page.evaluate(READ_NEXT));
    }
    return seen;
  }
}
