/**
 * Restart of a node whose journal is in NATS: how long the service takes from its start until it takes commands,
 * with 100,000 running timers and 1,000,000 entries. Measured are a start that reads the whole log, because
 * there is no snapshot yet, and starts that begin with the snapshot which the first one made and read the
 * entries after it, as many as come between two snapshots on average. The engine is one nats-server on this
 * machine; the entries are written with the service's own journal.
 */
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { BY_ITSELF, type EntryBody } from '../machines/entry.js';
import { systemClock } from '../src/clock.js';
import type { Entry } from '../src/journal/journal.js';
import { NatsJournal } from '../src/journal/nats.js';
import { createLog } from '../src/log.js';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { BenchNatsServer } from './support/nats-server.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { type Start, startOnce } from './support/starts.js';
import { median } from './support/statistics.js';

const NAME = 'restart';
const FULL = { timers: 100_000, after: 25_000, starts: 3 };
const QUICK = { timers: 10_000, after: 500, starts: 1 };

const STREAM = 'timers';
/** So many entries never come. */
const NEVER = 1e12;
const BATCH_TIMERS = 2000;
const DURATION_MS = 86_400_000;
const MOST_MS = 10_000;

const DEFINITION = {
  name: 'Room',
  durationMs: DURATION_MS,
  warningThresholdsMs: [300_000, 60_000, 30_000],
  autoStart: false,
};
const extended: EntryBody = { type: 'extended', data: { addedMs: 60_000 } };
const paused: EntryBody = { type: 'paused', data: {} };
const resumed: EntryBody = { type: 'resumed', data: {} };
/** What happened to each timer. */
const STORY: readonly EntryBody[] = [
  { type: 'created', data: DEFINITION },
  { type: 'started', data: {} },
  ...[extended, paused, resumed, extended, paused, resumed, paused, resumed],
];

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { timers, after, starts } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const server = await BenchNatsServer.start(await stage.folder());
    stage.atEnd(() => server.stop());
    const connection = await connect({ servers: server.url });
    stage.atEnd(() => connection.close());
    const nowMs = Date.now();
    progress(NAME, `writing ${timers * STORY.length} entries of ${timers} timers`);
    for (const revision of STORY.keys()) await writeRound(server, revision, timers, nowMs);
    const settings = { JOURNAL: server.url, MAX_TIMERS: `${timers}` };
    const options = { settings, dataDir: await stage.folder(), profileDir };
    progress(NAME, 'starting with the whole log');
    const whole = await startOnce(stage, options);
    const bytes = await snapshotBytes(connection);
    await writeRound(server, STORY.length, after, nowMs);
    const again: Start[] = [];
    while (again.length < starts) {
      progress(NAME, `start ${again.length + 1} of ${starts}`);
      again.push(await startOnce(stage, options));
    }
    return figuresOf(whole, again, bytes, { timers, after });
  });
}

/** One more entry for each of the first timers. */
async function writeRound(
  server: BenchNatsServer,
  round: number,
  timers: number,
  nowMs: number,
): Promise<void> {
  const journal = await NatsJournal.open({
    access: {
      servers: [server.url],
      credentials: '',
      nkeySeed: '',
      ca: '',
      certificate: '',
      key: '',
    },
    stream: STREAM,
    replicas: 1,
    maxClockSkewMs: MOST_MS,
    clock: systemClock,
    log: createLog('warn'),
    retainFinishedMs: DURATION_MS,
    entriesBetweenSnapshots: NEVER,
    onCrash: (error) => progress(NAME, `the journal failed: ${error.message}`),
  });
  const body = STORY[round] ?? extended;
  for (let first = 0; first < timers; first += BATCH_TIMERS) {
    const entries: Entry[] = [];
    for (let index = first; index < Math.min(timers, first + BATCH_TIMERS); index += 1) {
      entries.push(entryOf(index, round + 1, body, nowMs));
    }
    await journal.append(entries);
  }
  await journal.close();
}

function entryOf(index: number, revision: number, body: EntryBody, nowMs: number): Entry {
  const timerId = `timer_${nowMs.toString(36).padStart(9, '0')}${`${index}`.padStart(12, '0')}`;
  return { timerId, revision, atMs: nowMs, recordedAtMs: nowMs, ...BY_ITSELF, ...body };
}

/** The bytes of the snapshot that a service made, which does not stop before it is there. */
async function snapshotBytes(connection: NatsConnection): Promise<number> {
  const store = await new Objm(connection).open(`${STREAM}_snapshots`);
  const [snapshot] = await store.list();
  if (snapshot === undefined) throw new Error('The service made no snapshot');
  return snapshot.size;
}

function figuresOf(
  whole: Start,
  again: readonly Start[],
  bytes: number,
  { timers, after }: { readonly timers: number; readonly after: number },
): Figure[] {
  const walls = again.map(({ wallMs }) => wallMs);
  const entries = timers * STORY.length;
  return [
    {
      name: 'start to ready, whole log',
      value: whole.wallMs,
      unit: 'ms',
      comparedWith: `${timers} running timers, ${entries} entries, nats`,
    },
    {
      name: 'start to ready, with a snapshot',
      value: median(walls),
      unit: 'ms',
      comparedWith: `the same, and ${after} entries after the snapshot`,
      target: { atMost: MOST_MS },
      samples: walls,
    },
    {
      name: 'size of the snapshot',
      value: bytes / 1e6,
      unit: 'MB',
      comparedWith: `${timers} timers, zipped`,
    },
  ];
}

export const restart: Measurement = { name: NAME, run };
