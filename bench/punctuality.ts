/**
 * Punctuality: whether a timer of 5 s is over 5.000 s after its start, on the real clock. Each timer
 * has one display in another process, which notes when `timer_expired` arrives; that is compared with
 * the deadline. Both processes read the clock of the same machine. What is recorded must be exact:
 * `completed_at` less `started_at` is 5,000 ms. The timers are started one after the other, so that
 * each has the service to itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers, type HttpConnection, timerSchema } from './support/http.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { largest, median } from './support/statistics.js';

const NAME = 'punctuality';
const FULL = { timers: 40 };
const QUICK = { timers: 5 };

const DURATION_SECONDS = 5;
/** Time between the starts; no whole fraction of a second, so that ticks do not meet either. */
const BETWEEN_MS = 137;
const AT_MOST_LATE_MS = 20;

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { timers } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const service = await stage.service({ profileDir });
    const connection = await stage.connection(service.url);
    const timer = { name: 'Punctuality', duration_seconds: DURATION_SECONDS };
    const timerIds = await createTimers([connection], timers, timer);
    const paths = timerIds.map((timerId) => `/ws/${timerId}`);
    const displays = await stage.displays(service.port, paths);

    progress(NAME, `${timers} timers of ${DURATION_SECONDS} s`);
    for (const timerId of timerIds) {
      await connection.post(`/timers/${timerId}/control`, { action: 'start' }, timerSchema);
      await sleep(BETWEEN_MS);
    }
    await sleep(DURATION_SECONDS * 1000 + 500);

    // They expire in the order of their starts, so arrivals are in the order of the ids.
    const { expiredAtMs } = await displays.report();
    const ended = await spansOf(connection, timerIds);
    const latenessMs = ended.map(({ completedAtMs }, index) => {
      return (expiredAtMs[index] ?? Number.POSITIVE_INFINITY) - completedAtMs;
    });
    return figuresOf(
      ended.map(({ startedAtMs, completedAtMs }) => completedAtMs - startedAtMs),
      latenessMs,
    );
  });
}

interface Span {
  readonly startedAtMs: number;
  readonly completedAtMs: number;
}

async function spansOf(connection: HttpConnection, timerIds: readonly string[]): Promise<Span[]> {
  const spans: Span[] = [];
  for (const timerId of timerIds) {
    const { started_at, completed_at } = await connection.get(`/timers/${timerId}`, timerSchema);
    spans.push({
      startedAtMs: Date.parse(started_at ?? ''),
      completedAtMs: Date.parse(completed_at ?? ''),
    });
  }
  return spans;
}

function figuresOf(spansMs: readonly number[], latenessMs: readonly number[]): Figure[] {
  const exactMs = DURATION_SECONDS * 1000;
  const furthest = spansMs.toSorted((a, b) => Math.abs(b - exactMs) - Math.abs(a - exactMs));
  const comparedWith = `${latenessMs.length} timers of ${DURATION_SECONDS} s, one display each`;
  return [
    {
      name: 'completed_at less started_at, furthest off',
      value: furthest[0] ?? Number.NaN,
      unit: 'ms',
      comparedWith,
      target: { exactly: exactMs },
    },
    {
      name: 'timer_expired after the deadline, median',
      value: median(latenessMs),
      unit: 'ms',
      comparedWith,
      samples: latenessMs,
    },
    {
      name: 'timer_expired after the deadline, latest',
      value: largest(latenessMs),
      unit: 'ms',
      comparedWith,
      target: { atMost: AT_MOST_LATE_MS },
    },
    {
      name: 'timer_expired before the deadline',
      value: latenessMs.filter((ms) => ms < 0).length,
      unit: 'timers',
      comparedWith: 'a timer never expires early',
      target: { exactly: 0 },
    },
  ];
}

export const punctuality: Measurement = { name: NAME, run };
