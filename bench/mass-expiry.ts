/**
 * Mass expiry: how late the last of 10,000 timers that end at the same instant is recorded and told.
 * One bulk command starts all of them, which gives them one instant (T7). Each has one display, in
 * another process, that notes when its `timer_expired` arrives. A timer is told only after its entry
 * is on the disk (T3), so what is told is recorded. The display process takes its own time to read
 * 10,000 messages, and that is in the figures.
 *
 * The whole is done twice: once with displays that get ticks, which all fall on the same instants as
 * well, the last of them on the deadline; and once with displays that count for themselves. Each time
 * the service is a new one, to which no timer has ended before: so it is at the end of a first exam.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import type { Displays } from './support/displays.js';
import { createTimers, type HttpConnection, type Timer, timerSchema } from './support/http.js';
import { requireOpenFiles } from './support/limits.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { largest, median, percentile } from './support/statistics.js';
import { usageOf } from './support/usage.js';

const NAME = 'mass-expiry';
const FULL = { timers: 10_000, durationSeconds: 15 };
const QUICK = { timers: 1000, durationSeconds: 3 };
type Plan = typeof FULL;

const CONNECTIONS = 16;
/** How long after the deadline the last message is waited for. */
const PATIENCE_MS = 20_000;
const POLL_MS = 100;
/** How long before the deadline the CPU time is read; ticks of the second before are over by then. */
const BEFORE_MS = 150;
const AT_MOST_LATE_MS = 1000;

const bulkAnswer = z.array(z.object({ success: z.boolean() }));

interface Expiry {
  /** How long after the deadline each display was told. */
  readonly latenessMs: readonly number[];
  readonly recorded: number;
  readonly instants: number;
  /** CPU time of the service from shortly before the deadline until all were told. */
  readonly cpuMs: number;
}

async function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const plan = isQuick ? QUICK : FULL;
  requireOpenFiles(plan.timers);
  const ticking = await expireAll(plan, '', profileDir);
  const silent = await expireAll(plan, '?ticks=false', profileDir);
  return [
    ...figuresOf(ticking, plan, 'displays with ticks'),
    ...figuresOf(silent, plan, 'displays without ticks'),
  ];
}

/** `query` is how the displays connect. */
function expireAll(plan: Plan, query: string, profileDir: string | undefined): Promise<Expiry> {
  return onStage(async (stage) => {
    const { timers, durationSeconds } = plan;
    const settings = { MAX_BULK_TIMERS: `${timers}` };
    const service = await stage.service({ settings, profileDir });
    progress(NAME, `creating ${timers} timers`);
    const connections = await stage.connections(service.url, CONNECTIONS);
    const timer = { name: 'Mass expiry', duration_seconds: durationSeconds };
    const timerIds = await createTimers(connections, timers, timer);
    progress(NAME, `connecting ${timers} displays`);
    const paths = timerIds.map((timerId) => `/ws/${timerId}${query}`);
    const displays = await stage.displays(service.port, paths);

    progress(NAME, `starting them; they end in ${durationSeconds} s`);
    const connection = await stage.connection(service.url);
    await connection.post('/timers/bulk/start', timerIds, bulkAnswer);
    const deadlineMs = await deadlineOf(connection, timerIds[0] ?? '');
    await sleep(deadlineMs - BEFORE_MS - Date.now());
    const cpuBefore = (await usageOf(service.child)).cpuMs;
    const expiredAtMs = await tellings(displays, timers);
    const cpuMs = (await usageOf(service.child)).cpuMs - cpuBefore;
    const ended = await expiredTimers(connection);
    return {
      latenessMs: expiredAtMs.map((atMs) => atMs - deadlineMs),
      recorded: ended.length,
      instants: new Set(ended.map(({ completed_at }) => completed_at)).size,
      cpuMs,
    };
  });
}

async function deadlineOf(connection: HttpConnection, timerId: string): Promise<number> {
  const { deadline_ms } = await connection.get(`/timers/${timerId}`, timerSchema);
  if (deadline_ms === null) throw new Error('The timers do not run');
  return deadline_ms;
}

/** When each display was told that its timer expired, once all have been, or patience is over. */
async function tellings(displays: Displays, count: number): Promise<number[]> {
  const expiredAtMs: number[] = [];
  for (let waitedMs = 0; expiredAtMs.length < count && waitedMs < PATIENCE_MS; ) {
    await sleep(POLL_MS);
    waitedMs += POLL_MS;
    expiredAtMs.push(...(await displays.report()).expiredAtMs);
  }
  return expiredAtMs;
}

/** All timers that are expired, read page by page. */
async function expiredTimers(connection: HttpConnection): Promise<Timer[]> {
  const found: Timer[] = [];
  for (let after = ''; ; ) {
    const path = `/timers?state=expired&limit=1000&after=${after}`;
    const page = await connection.get(path, z.array(timerSchema));
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined) return found;
    after = last.id;
  }
}

function figuresOf(
  { latenessMs, recorded, instants, cpuMs }: Expiry,
  plan: Plan,
  who: string,
): Figure[] {
  const comparedWith = `${plan.timers} timers with one deadline, ${who}`;
  const late = (which: string, value: number): Figure => ({
    name: `told after the deadline, ${which}`,
    value,
    unit: 'ms',
    comparedWith,
  });
  return [
    {
      name: 'timers recorded as expired',
      value: recorded,
      unit: 'timers',
      comparedWith,
      target: { exactly: plan.timers },
    },
    {
      name: 'displays told',
      value: latenessMs.length,
      unit: 'displays',
      comparedWith,
      target: { exactly: plan.timers },
    },
    {
      name: 'instants recorded for them',
      value: instants,
      unit: 'instants',
      comparedWith,
      target: { exactly: 1 },
    },
    late('first', -largest(latenessMs.map((ms) => -ms))),
    late('median', median(latenessMs)),
    late('99 of 100', percentile(latenessMs, 99)),
    { ...late('last', largest(latenessMs)), target: { atMost: AT_MOST_LATE_MS } },
    { name: 'CPU time of the service for it', value: cpuMs, unit: 'ms', comparedWith },
  ];
}

export const massExpiry: Measurement = { name: NAME, run };
