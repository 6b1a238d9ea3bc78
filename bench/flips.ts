/**
 * Flips: when the digits of two displays change, in two windows of a real browser on this machine. Each
 * display is behind a network of its own that keeps every piece back for 0 to 200 ms, unevenly in the two
 * directions. Because the browser and the service share a machine and so a wall clock, the true error
 * of each display can be seen, and held against the bound it gives itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { findChromium, launchChromium } from '../test/support/chromium.js';
import { DelayProxy } from '../test/support/delay-proxy.js';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers } from './support/http.js';
import { progress } from './support/progress.js';
import { onStage, type Stage } from './support/stage.js';
import { largest, median } from './support/statistics.js';

const NAME = 'flips';
const FULL = { rounds: 6, seconds: 40 };
const QUICK = { rounds: 1, seconds: 12 };
const LARGEST_DELAY_MS = 200;
/** The service and the page read the wall clock in whole ms, so the truth is known no better than this. */
const TRUTH_MS = 2;
/** Displays count for longer than a round, so that none comes to its end. */
const DURATION_SECONDS = 3600;

const observations = z.object({
  /** For each digit that appeared, the wall clock of the machine at that moment. */
  flips: z.array(z.tuple([z.string(), z.number()])),
  samples: z.array(z.object({ errorMs: z.number(), boundMs: z.number() })),
});
type Observations = z.output<typeof observations>;

/** Runs in the page: notes each change of the digits, and now and then how far the display is off. */
const OBSERVE = `(() => {
  const { shadowRoot } = document.querySelector('display-page');
  const element = shadowRoot.querySelector('synchronized-timer');
  const wall = () => Date.now();
  const seen = { flips: [], samples: [] };
  let last = '';
  const note = () => {
    const digits = element.shadowRoot.querySelector('[part~=digits]').textContent;
    if (digits !== last) seen.flips.push([digits, wall()]);
    last = digits;
  };
  new MutationObserver(note).observe(element.shadowRoot, {
    subtree: true, childList: true, characterData: true,
  });
  setInterval(() => {
    const { display } = element;
    const boundMs = display?.errorBound();
    if (boundMs === undefined || display.timer?.deadline_ms == null) return;
    const mostMs = display.timer.deadline_ms - wall();
    const shownMs = display.remaining();
    const leastMs = display.timer.deadline_ms - wall();
    seen.samples.push({ errorMs: Math.max(0, shownMs - mostMs, leastMs - shownMs), boundMs });
  }, 50);
  globalThis.__seen = seen;
})()`;

async function run({ isQuick }: RunOptions): Promise<Figure[]> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    progress(NAME, 'skipped: there is no Chromium on this machine');
    return [];
  }
  const { rounds, seconds } = isQuick ? QUICK : FULL;
  const apart: number[] = [];
  const samples: Observations['samples'] = [];
  for (let round = 1; round <= rounds; round += 1) {
    progress(NAME, `round ${round} of ${rounds}`);
    const [one, other] = await observeTwo(executablePath, seconds);
    apart.push(...differences(one, other));
    samples.push(...one.samples, ...other.samples);
  }
  return figuresOf(
    apart,
    samples,
    `two displays, each behind 0 to ${LARGEST_DELAY_MS} ms each way`,
  );
}

function observeTwo(
  executablePath: string,
  seconds: number,
): Promise<readonly [Observations, Observations]> {
  return onStage(async (stage) => {
    const service = await stage.service({});
    const connection = await stage.connection(service.url);
    const timer = { name: 'Exam', duration_seconds: DURATION_SECONDS, auto_start: true };
    const [timerId = ''] = await createTimers([connection], 1, timer);
    const browser = await launchChromium(executablePath);
    stage.atEnd(() => browser.close());
    const pages = await Promise.all(
      [0, 1].map(() => openDisplay(stage, browser, service.url, timerId)),
    );
    await sleep(seconds * 1000);
    const [one, other] = await Promise.all(
      pages.map(async (page) => observations.parse(await page.evaluate('globalThis.__seen'))),
    );
    if (one === undefined || other === undefined) throw new Error('A display is missing');
    return [one, other];
  });
}

async function openDisplay(
  stage: Stage,
  browser: Browser,
  service: URL,
  timerId: string,
): Promise<Page> {
  const delayMs = (): number => Math.random() * LARGEST_DELAY_MS;
  const proxy = await DelayProxy.start(service.href, { there: delayMs, back: delayMs });
  stage.atEnd(() => proxy.close());
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${proxy.url}/display/${timerId}`);
  await page.locator('synchronized-timer').waitFor();
  await page.evaluate(OBSERVE);
  return page;
}

/** How far apart the same digit appeared on both, in ms; the first few are of displays not yet live. */
function differences(one: Observations, other: Observations): number[] {
  const settled = one.flips.slice(5);
  const others = new Map(other.flips);
  return settled.flatMap(([digits, atMs]) => {
    const otherAtMs = others.get(digits);
    return otherAtMs === undefined ? [] : [Math.abs(atMs - otherAtMs)];
  });
}

function figuresOf(
  apart: readonly number[],
  samples: Observations['samples'],
  comparedWith: string,
): Figure[] {
  const outside = samples.filter(({ errorMs, boundMs }) => errorMs > boundMs + TRUTH_MS);
  const errors = samples.map(({ errorMs }) => errorMs);
  const bounds = samples.map(({ boundMs }) => boundMs);
  const figure = (name: string, value: number, unit: string): Figure => ({
    name,
    value,
    unit,
    comparedWith,
  });
  return [
    figure('digits compared', apart.length, 'digits'),
    { ...figure('same digit apart, median', median(apart), 'ms'), target: { atMost: 20 } },
    { ...figure('same digit apart, furthest', largest(apart), 'ms'), target: { atMost: 50 } },
    figure('samples of the true error', samples.length, 'samples'),
    { ...figure('samples outside the bound', outside.length, 'samples'), target: { exactly: 0 } },
    figure('true error, median', median(errors), 'ms'),
    figure('true error, largest', largest(errors), 'ms'),
    figure('error bound, median', median(bounds), 'ms'),
  ];
}

export const flips: Measurement = { name: NAME, run };
