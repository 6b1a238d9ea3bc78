/**
 * Classroom: an instructor's console in a real browser, 60 timers, and 60 displays on each that run the
 * client library in a process of their own. How long after a click does the console show that every
 * display shows the change? And when the service is killed and started again: how long until displays
 * are live again, and did any announce something twice? All of it shares the cores of one machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { z } from 'zod';
import { findChromium, launchChromium } from '../test/support/chromium.js';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import type { ClientDisplays } from './support/client-displays.js';
import { createTimers } from './support/http.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { largest, median } from './support/statistics.js';

const NAME = 'classroom';
const FULL = { timers: 60, each: 60, rounds: 5, comingBack: 5 };
const QUICK = { timers: 6, each: 3, rounds: 1, comingBack: 1 };
type Plan = typeof FULL;

const AT_MOST_MS = 1000;
const AT_MOST_BACK_MS = 5000;
/** How long the service is away: not so short that nobody notices. */
const AWAY_MS = 2000;
const POLL_MS = 20;
const PATIENCE_MS = 30_000;

/**
 * Runs in the page: clicks, then looks at every frame whether each row has the words of the state and
 * of its displays. Gives the ms from the click to that frame.
 */
function clickAndWait(button: string, count: number, each: number, words: string): string {
  return `new Promise((resolve, reject) => {
    const deep = (root, selector) => [...root.querySelectorAll('*')].flatMap((element) => [
      ...(element.matches(selector) ? [element] : []),
      ...(element.shadowRoot ? deep(element.shadowRoot, selector) : []),
    ]);
    const rows = deep(document, 'timer-row');
    const group = deep(document, '[aria-label="What to do with the selected timers"]')[0];
    const button = [...group.querySelectorAll('button')].find((candidate) =>
      (candidate.getAttribute('aria-label') ?? candidate.textContent).trim() === ${JSON.stringify(button)});
    const isShown = (row) => {
      const text = row.shadowRoot.textContent.replace(/\\s+/g, ' ');
      return text.includes('${each} of ${each} displays') && text.includes(${JSON.stringify(words)});
    };
    const startedMs = performance.now();
    const look = () => {
      const passedMs = performance.now() - startedMs;
      if (rows.length === ${count} && rows.every(isShown)) resolve(passedMs);
      else if (passedMs > ${PATIENCE_MS}) reject(new Error('never: ' + rows[0].shadowRoot.textContent));
      else requestAnimationFrame(look);
    };
    button.click();
    look();
  })`;
}

async function run({ isQuick }: RunOptions): Promise<Figure[]> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    progress(NAME, 'skipped: there is no Chromium on this machine');
    return [];
  }
  const plan = isQuick ? QUICK : FULL;
  return [...(await throughTheConsole(plan, executablePath)), ...(await throughACrash(plan))];
}

function throughTheConsole(plan: Plan, executablePath: string): Promise<Figure[]> {
  return onStage(async (stage) => {
    const { timers, each, rounds } = plan;
    const service = await stage.service({});
    const connection = await stage.connection(service.url);
    const definition = { name: 'Room', duration_seconds: 36_000, auto_start: true };
    const timerIds = await createTimers([connection], timers, definition);
    progress(NAME, `connecting ${timers * each} displays`);
    await stage.clientDisplays(service.url, timerIds, each);
    const browser = await launchChromium(executablePath);
    stage.atEnd(() => browser.close());
    const page = await browser.newPage();
    await page.goto(service.url.href);
    await page.getByLabel('Select all shown').check();
    await page
      .getByText(`${each} of ${each} displays`)
      .nth(timers - 1)
      .waitFor();
    const paused: number[] = [];
    const extended: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      progress(NAME, `round ${round} of ${rounds}`);
      const click = (button: string, words: string): Promise<number> =>
        clickOn(page, button, plan, words);
      paused.push(await click('Pause', 'Paused'));
      extended.push(await click('Extend by 5 min', wordsOfDuration(600 + 5 * round)));
      await click('Resume', 'Running');
    }
    const comparedWith = `${timers} timers, ${each} displays on each, one console`;
    const figure = (name: string, values: readonly number[]): Figure => ({
      name,
      value: largest(values),
      unit: 'ms',
      comparedWith,
      target: { atMost: AT_MOST_MS },
      samples: values,
    });
    return [
      figure('pause all, until the console shows it of all, slowest', paused),
      figure('extend all, until the console shows it of all, slowest', extended),
      { ...figure('extend all, median', [median(extended)]) },
    ];
  });
}

async function clickOn(page: Page, button: string, plan: Plan, words: string): Promise<number> {
  const passed = await page.evaluate(clickAndWait(button, plan.timers, plan.each, words));
  await sleep(500);
  return z.number().parse(passed);
}

/** As the console says it: `10 h 5 min`. */
function wordsOfDuration(minutes: number): string {
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function throughACrash({ timers, comingBack }: Plan): Promise<Figure[]> {
  return onStage(async (stage) => {
    const dataDir = await stage.folder();
    const first = await stage.service({ dataDir });
    const connection = await stage.connection(first.url);
    const definition = { name: 'Room', duration_seconds: 25, auto_start: true };
    const thresholds = { warning_thresholds: [22, 10, 4] };
    const timerIds = await createTimers([connection], timers, { ...definition, ...thresholds });
    const displays = await stage.clientDisplays(first.url, timerIds, comingBack);
    progress(NAME, `killing the service under ${timers * comingBack} displays`);
    await first.kill();
    await sleep(AWAY_MS);
    await stage.service({ dataDir, settings: { PORT: `${first.port}` } });
    const backMs = performance.now();
    const count = timers * comingBack;
    await untilLive(displays, count);
    const liveAfterMs = performance.now() - backMs;
    const announced = await untilAnnounced(displays, count);
    const twice = announced.length - new Set(announced).size;
    const comparedWith = `${count} displays, the service killed and away for ${AWAY_MS / 1000} s`;
    return [
      {
        name: 'all live again after the return of the service',
        value: liveAfterMs,
        unit: 'ms',
        comparedWith,
        target: { atMost: AT_MOST_BACK_MS },
      },
      {
        name: 'announced twice',
        value: twice,
        unit: 'times',
        comparedWith,
        target: { exactly: 0 },
      },
      {
        name: 'ends announced',
        value: announced.filter((what) => what.endsWith('expired')).length,
        unit: 'ends',
        comparedWith,
        target: { exactly: count },
      },
    ];
  });
}

async function untilLive(displays: ClientDisplays, count: number): Promise<void> {
  while ((await displays.state()).live < count) await sleep(POLL_MS);
}

/** Everything announced, once all displays have announced the end or patience is over. */
async function untilAnnounced(displays: ClientDisplays, count: number): Promise<string[]> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const { announced } = await displays.state();
    const ends = announced.filter((what) => what.endsWith('expired')).length;
    if (ends >= count || performance.now() > untilMs) return announced;
    await sleep(POLL_MS);
  }
}

export const classroom: Measurement = { name: NAME, run };
