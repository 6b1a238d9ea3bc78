/**
 * Recovery: how long the service takes from its start until it takes commands, with a journal of
 * 100,000 timers of three entries each, all of them running and none overdue. The journal is written
 * with the service's own SQLite journal. What is timed is the real process, from `spawn` to the first
 * 200 of `/readyz`; beside it stands the part that the service itself counts as recovery, and how long
 * the process then takes to stop. The file has just been written, so the system holds it in memory.
 */
import { BY_ITSELF } from '../machines/entry.js';
import { systemClock } from '../src/clock.js';
import type { Entry } from '../src/journal/journal.js';
import { SqliteJournal } from '../src/journal/sqlite.js';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { progress } from './support/progress.js';
import { onStage, type Stage } from './support/stage.js';
import { type Start, startOnce } from './support/starts.js';
import { median } from './support/statistics.js';

const NAME = 'recovery';
const FULL = { timers: 100_000, starts: 3 };
const QUICK = { timers: 2000, starts: 1 };

const WORKER = new URL('../src/journal/sqlite-worker.js', import.meta.url);
const BATCH_TIMERS = 2000;
const ENTRIES_EACH = 3;
const DURATION_MS = 86_400_000;

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { timers, starts } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const empty = await stage.folder();
    const full = await stage.folder();
    progress(NAME, `writing a journal of ${timers} timers`);
    await writeJournal(full, timers);
    const baseline = await startRepeatedly(stage, empty, starts, profileDir);
    const recovered = await startRepeatedly(stage, full, starts, profileDir);
    return figuresOf(baseline, recovered, timers);
  });
}

async function writeJournal(directory: string, timers: number): Promise<void> {
  const journal = await SqliteJournal.open({
    directory,
    clock: systemClock,
    workerUrl: WORKER,
    onCrash: (error) => progress(NAME, `the journal failed: ${error.message}`),
  });
  const nowMs = Date.now();
  for (let written = 0; written < timers; written += BATCH_TIMERS) {
    const entries: Entry[] = [];
    for (let index = written; index < Math.min(timers, written + BATCH_TIMERS); index += 1) {
      entries.push(...historyOf(index, nowMs));
    }
    await journal.append(entries);
  }
  await journal.close();
}

/** A timer that was created, started, and extended once. */
function historyOf(index: number, nowMs: number): Entry[] {
  const timerId = `timer_${nowMs.toString(36).padStart(9, '0')}${`${index}`.padStart(12, '0')}`;
  const common = { timerId, atMs: nowMs, recordedAtMs: nowMs, ...BY_ITSELF };
  const definition = {
    name: `Room ${index}`,
    durationMs: DURATION_MS,
    warningThresholdsMs: [300_000, 60_000, 30_000],
    autoStart: false,
  };
  return [
    { ...common, revision: 1, type: 'created', data: definition },
    { ...common, revision: 2, type: 'started', data: {} },
    { ...common, revision: 3, type: 'extended', data: { addedMs: 60_000 } },
  ];
}

async function startRepeatedly(
  stage: Stage,
  dataDir: string,
  starts: number,
  profileDir: string | undefined,
): Promise<Start[]> {
  const measured: Start[] = [];
  for (let start = 1; start <= starts; start += 1) {
    progress(NAME, `start ${start} of ${starts}`);
    measured.push(await startOnce(stage, { dataDir, profileDir }));
  }
  return measured;
}

function figuresOf(
  baseline: readonly Start[],
  recovered: readonly Start[],
  timers: number,
): Figure[] {
  const wall = (starts: readonly Start[]): number[] => starts.map(({ wallMs }) => wallMs);
  const recoveries = recovered.map(({ recoveryMs }) => recoveryMs);
  const stops = recovered.map(({ stopMs }) => stopMs);
  const journal = `${timers} running timers, ${ENTRIES_EACH} entries each, sqlite`;
  return [
    {
      name: 'start to ready, empty journal',
      value: median(wall(baseline)),
      unit: 'ms',
      comparedWith: 'what Node and the service take to load',
      samples: wall(baseline),
    },
    {
      name: 'start to ready',
      value: median(wall(recovered)),
      unit: 'ms',
      comparedWith: journal,
      samples: wall(recovered),
    },
    {
      name: 'recovery, as the service logs it',
      value: median(recoveries),
      unit: 'ms',
      comparedWith: journal,
      samples: recoveries,
    },
    {
      name: 'recovery per timer',
      value: (median(recoveries) * 1000) / timers,
      unit: 'us',
      comparedWith: journal,
    },
    {
      name: 'SIGTERM to the end of the process',
      value: median(stops),
      unit: 'ms',
      comparedWith: `${timers} running timers, no displays`,
      samples: stops,
    },
  ];
}

export const recovery: Measurement = { name: NAME, run };
