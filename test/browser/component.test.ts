/** What a display does for people who do not look at it: words, sounds, and a screen that stays on. */
import type { Page } from 'playwright-core';
import { describe, expect, it, type TestContext } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/client/messages.js';
import { needBrowser } from '../support/browser.js';
import { LiveService } from '../support/live-service.js';
import { Room } from './room.js';

const COMPONENT =
  "document.querySelector('display-page').shadowRoot.querySelector('synchronized-timer')";

async function startTimer(definition: Readonly<Record<string, unknown>>) {
  const service = await LiveService.start();
  const { text } = await service.request('POST', '/timers', { name: 'Exam', ...definition });
  const { id } = timerSchema.parse(JSON.parse(text));
  const act = (action: string, extend_seconds?: number) =>
    service.request('POST', `/timers/${id}/control`, { action, extend_seconds });
  return { service, id, act };
}

/** Keeps every text that a screen reader is given to read at once. */
const LISTEN = `(() => {
  const announcer = ${COMPONENT}.shadowRoot.querySelector('[aria-live=assertive]');
  globalThis.spoken = [];
  new MutationObserver(() => globalThis.spoken.push(announcer.textContent))
    .observe(announcer, { childList: true, characterData: true, subtree: true });
})()`;

async function spokenOn(page: Page): Promise<string[]> {
  return z.array(z.string()).parse(await page.evaluate('globalThis.spoken'));
}

async function untilSpoken(page: Page, ...texts: string[]): Promise<void> {
  await expect.poll(() => spokenOn(page), { timeout: 10_000 }).toEqual(texts);
}

describe('C7: a screen reader is told', { timeout: 60_000 }, () => {
  it('each change and each warning, once and in whole words', async (test) => {
    await needBrowser(test);
    const { service, id, act } = await startTimer({
      duration_seconds: 3602,
      warning_thresholds: [3661],
    });
    const { page } = await Room.open(test, service.url, id);
    await page.evaluate(LISTEN);
    const started = [
      'The time is running, 1 hour 1 minute 2 seconds left',
      '1 hour 1 minute 1 second left',
    ];
    const steps = [
      [() => act('extend', 60), ['1 minute more, 1 hour 1 minute 2 seconds left']],
      [() => act('start'), started],
      [() => act('pause'), ['Paused']],
      [() => act('stop'), ['Stopped']],
    ] as const;
    const told: string[] = [];
    for (const [step, texts] of steps) {
      await step();
      told.push(...texts);
      await untilSpoken(page, ...told);
    }
    await service.request('DELETE', `/timers/${id}`);
    await page.getByText('This timer was deleted').waitFor();
    expect(await spokenOn(page)).toEqual(told);
    // The digits change each second, which nobody wants to have read to them.
    await expect(page.getByRole('timer').getAttribute('aria-live')).resolves.toBe('off');
  });

  it('the end, and a deletion, in the words of the page', async (test) => {
    await needBrowser(test);
    const { service, id, act } = await startTimer({ duration_seconds: 1, warning_thresholds: [] });
    const ending = await Room.open(test, service.url, id);
    await ending.page.evaluate(LISTEN);
    const words = "{ timeIsUp: 'Pens down', started: (seconds) => 'Go: ' + seconds }";
    await ending.page.evaluate(`${COMPONENT}.texts = ${words}`);
    await act('start');
    await untilSpoken(ending.page, 'Go: 1', 'Pens down');
    await ending.page.getByText('Pens down').first().waitFor();

    const other = timerSchema.parse(
      JSON.parse((await service.request('POST', '/timers', { duration_seconds: 60 })).text),
    );
    const deleted = await Room.open(test, service.url, other.id);
    await deleted.page.evaluate(LISTEN);
    await service.request('DELETE', `/timers/${other.id}`);
    await untilSpoken(deleted.page, 'This timer was deleted');
  });
});

/** Counts the tones that are played. */
const COUNT_TONES = `(() => {
  globalThis.tones = 0;
  globalThis.AudioContext = class extends AudioContext {
    createOscillator() {
      globalThis.tones += 1;
      return super.createOscillator();
    }
  };
})()`;

async function untilTones(page: Page, count: number): Promise<void> {
  await expect.poll(() => page.evaluate('globalThis.tones'), { timeout: 10_000 }).toBe(count);
}

describe('the sounds of a display', { timeout: 60_000 }, () => {
  it('are heard at a warning and at the end, where somebody switched them on', async (test) => {
    await needBrowser(test);
    const { service, id, act } = await startTimer({ duration_seconds: 3, warning_thresholds: [2] });
    const openRoom = () => Room.open(test, service.url, id, { before: COUNT_TONES });
    const [loud, silent] = [await openRoom(), await openRoom()];
    const sound = loud.page.getByRole('switch', { name: 'Sound' });
    expect(await sound.getAttribute('aria-checked')).toBe('false');
    await sound.click();
    // How it sounds is heard when it is switched on.
    await untilTones(loud.page, 2);
    expect(await sound.getAttribute('aria-checked')).toBe('true');
    await act('start');
    await untilTones(loud.page, 2 + 2 + 6);
    await silent.until(({ state }) => state === 'Time is up');
    await untilTones(silent.page, 0);
  });

  it('are remembered, and wait for a touch after a reload, as browsers want it', async (test) => {
    await needBrowser(test);
    const { service, id } = await startTimer({ duration_seconds: 60 });
    const { page } = await Room.open(test, service.url, id, { before: COUNT_TONES });
    const sound = page.getByRole('switch', { name: 'Sound' });
    await sound.click();
    await untilTones(page, 2);
    await page.reload();
    await page.getByText('Sound: touch the page to allow it').waitFor();
    await page.mouse.click(300, 300);
    await page.getByText('Sound: on').waitFor();
    await untilTones(page, 0);
    await sound.click();
    await page.getByText('Sound: off').waitFor();
    await page.reload();
    await page.getByText('Sound: off').waitFor();
  });
});

/** Notes what is asked of the screen, and lets a test hide the page. */
const NOTE_LOCKS = `(() => {
  globalThis.locks = [];
  globalThis.seen = 'visible';
  const wakeLock = { request: async (kind) => void globalThis.locks.push(kind) };
  Object.defineProperty(navigator, 'wakeLock', { value: wakeLock });
  Object.defineProperty(document, 'visibilityState', { get: () => globalThis.seen });
  globalThis.see = (state) => {
    globalThis.seen = state;
    document.dispatchEvent(new Event('visibilitychange'));
  };
})()`;

async function openRoom(test: TestContext, before: string): Promise<Page> {
  await needBrowser(test);
  const { service, id } = await startTimer({ duration_seconds: 60 });
  return (await Room.open(test, service.url, id, { before })).page;
}

describe('the screen of a display', { timeout: 60_000 }, () => {
  it('is kept awake, and again whenever the page is seen again', async (test) => {
    const page = await openRoom(test, NOTE_LOCKS);
    const locks = () => page.evaluate('globalThis.locks');
    expect(await locks()).toEqual(['screen']);
    await page.evaluate("globalThis.see('hidden')");
    expect(await locks()).toEqual(['screen']);
    await page.evaluate("globalThis.see('visible')");
    expect(await locks()).toEqual(['screen', 'screen']);
  });

  it('may sleep where the browser knows no better', async (test) => {
    const page = await openRoom(
      test,
      "Object.defineProperty(navigator, 'wakeLock', { value: undefined })",
    );
    await page.getByText('Not started').waitFor();
  });
});
