/**
 * Slow displays: what clients that stop reading cost the server in memory, and whether anybody else's
 * ticks come later for them. Two services run side by side, with 100 displays each, and tick at
 * different halves of the second; one of them also has 10 displays on the same timer that have stopped
 * reading. Before the comparison these are sent so much that the kernel takes no more for them (some
 * 3 MB each, by extending the timer over and over before anybody else watches), and then ask for long
 * answers until the service holds nearly as much for each as it ever does.
 *
 * Memory is what the service's process holds after a full garbage collection, with them less before
 * them; what waits in the kernel is no part of it. At the end they are sent more, to see at which
 * backlog the service gives them up. They are not pinged, which would end them earlier.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import type { Displays } from './support/displays.js';
import { createTimers, type HttpConnection, timerSchema } from './support/http.js';
import { progress } from './support/progress.js';
import type { RunningService } from './support/service.js';
import { onStage, type Stage } from './support/stage.js';
import { largest, median, percentile } from './support/statistics.js';
import { heldBy, TRACKS_SOCKETS, type Usage, usageOf } from './support/usage.js';

const NAME = 'slow-display';
const FULL = { healthy: 100, stalled: 10, windowMs: 60_000 };
const QUICK = { healthy: 20, stalled: 3, windowMs: 4000 };

const SETTINGS = { KEEPALIVE_SECONDS: '3600', [TRACKS_SOCKETS]: '1' };
const TIMER = { name: 'Slow displays', duration_seconds: 80_000 };
/** Extensions before the first reading, so that compilation is no part of the memory. */
const WARM_UP_EXTENSIONS = 5000;
const EXTENSIONS_AT_ONCE = 10;
/** The kernel takes some megabytes for one connection; past this it would take anything. */
const MOST_EXTENSIONS = 200_000;
/** How long the answers are that the stalled displays ask for, and the backlog to reach with them. */
const ANSWER_BYTES = 3900;
const BACKLOG_BYTES = 48 * 1024;
/** Connections of a service that are no displays: the one that commands come over. */
const COMMAND_CONNECTIONS = 1;
const HALF_SECOND_MS = 500;
/** What has just ended is let go of within this time. */
const SETTLING_MS = 2000;

const AT_MOST_BYTES = 256 * 1024;
/** The clock of the measurement has whole milliseconds. */
const AT_MOST_LATER_MS = 1;

/** A service and its timer, as one of the two sides of the comparison. */
interface Side {
  readonly service: RunningService;
  readonly connection: HttpConnection;
  readonly timerId: string;
}

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { healthy, stalled, windowMs } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const alone = await prepareSide(stage);
    const beside = await prepareSide(stage, profileDir);
    await act(beside, { action: 'start' });
    await sleep(HALF_SECOND_MS);
    await act(alone, { action: 'start' });

    progress(NAME, 'warming up');
    await Promise.all([warmUp(stage, alone, stalled), warmUp(stage, beside, stalled)]);
    await sleep(SETTLING_MS);
    const before = await heldBy(beside.service.child);
    const stalledDisplays = await openDisplays(stage, beside, stalled);
    await stalledDisplays.stall();
    progress(NAME, `filling the connections of ${stalled} displays that do not read`);
    const backlogBytes = await fill(beside, stalledDisplays, stalled);
    const after = await heldBy(beside.service.child);

    progress(NAME, `comparing the ticks of ${healthy} others for ${windowMs / 1000} s`);
    const others = await Promise.all([alone, beside].map((s) => openDisplays(stage, s, healthy)));
    const latenessMs = await compare(others, windowMs);
    await requireConnections(beside, healthy + stalled);
    progress(NAME, 'sending the displays that do not read more, until they are given up');
    const peakBytes = await overfill(beside, healthy);
    const bytesEach = (heldBytes(after) - heldBytes(before)) / stalled;
    return [
      ...memoryFigures(bytesEach, backlogBytes, peakBytes, stalled),
      ...latenessFigures(latenessMs, stalled),
    ];
  });
}

async function prepareSide(stage: Stage, profileDir?: string): Promise<Side> {
  const service = await stage.service({ settings: SETTINGS, profileDir });
  const connection = await stage.connection(service.url);
  const [timerId = ''] = await createTimers([connection], 1, TIMER);
  return { service, connection, timerId };
}

async function act({ connection, timerId }: Side, command: object): Promise<void> {
  await connection.post(`/timers/${timerId}/control`, command, timerSchema);
}

async function extend(side: Side, extensions: number): Promise<void> {
  for (let done = 0; done < extensions; done += 1) {
    await act(side, { action: 'extend', extend_seconds: 1 });
  }
}

function openDisplays(stage: Stage, { service, timerId }: Side, count: number): Promise<Displays> {
  const paths = Array.from({ length: count }, () => `/ws/${timerId}`);
  return stage.displays(service.port, paths);
}

/** Does once, with displays that read, what is then done with displays that do not. */
async function warmUp(stage: Stage, side: Side, count: number): Promise<void> {
  const displays = await openDisplays(stage, side, count);
  await extend(side, WARM_UP_EXTENSIONS);
  await displays.askFor(ANSWER_BYTES);
  await displays.close();
}

/** Makes every stalled display's backlog nearly as long as it can get; gives the longest. */
async function fill(side: Side, displays: Displays, count: number): Promise<number> {
  const { child } = side.service;
  const waiting = async (moreThan: number): Promise<number> => {
    const { backlogsBytes } = await usageOf(child);
    return backlogsBytes.filter((bytes) => bytes > moreThan).length;
  };
  for (let sent = 0; (await waiting(0)) < count; sent += EXTENSIONS_AT_ONCE) {
    if (sent > MOST_EXTENSIONS) throw new Error('The kernel took everything; nothing had to wait');
    await extend(side, EXTENSIONS_AT_ONCE);
  }
  while ((await waiting(BACKLOG_BYTES)) < count) await displays.askFor(ANSWER_BYTES);
  return largest((await usageOf(child)).backlogsBytes);
}

/** Gives how late the ticks were on each side. */
async function compare(sides: readonly Displays[], windowMs: number): Promise<number[][]> {
  await Promise.all(sides.map((displays) => displays.report({ timesTicks: true })));
  await sleep(windowMs);
  const reports = await Promise.all(sides.map((displays) => displays.report()));
  return reports.map(({ tickLatenessMs }) => tickLatenessMs);
}

/** A comparison beside displays that were given up meanwhile would be none. */
async function requireConnections({ service }: Side, displays: number): Promise<void> {
  const { backlogsBytes } = await usageOf(service.child);
  const open = backlogsBytes.length - COMMAND_CONNECTIONS;
  if (open !== displays) throw new Error(`${open} displays are left of ${displays}`);
}

/** Sends more until the stalled displays are gone; gives the longest backlog that was seen. */
async function overfill(side: Side, healthy: number): Promise<number> {
  const staying = healthy + COMMAND_CONNECTIONS;
  let peakBytes = 0;
  for (;;) {
    const { backlogsBytes } = await usageOf(side.service.child);
    peakBytes = Math.max(peakBytes, largest(backlogsBytes));
    if (backlogsBytes.length <= staying) return peakBytes;
    await extend(side, 1);
  }
}

function heldBytes({ heapBytes, externalBytes }: Usage): number {
  return heapBytes + externalBytes;
}

function memoryFigures(
  bytesEach: number,
  backlogBytes: number,
  peakBytes: number,
  stalled: number,
): Figure[] {
  const kilobytes = { unit: 'KB', target: { atMost: AT_MOST_BYTES / 1024 } };
  return [
    {
      ...kilobytes,
      name: 'memory for a display that does not read',
      value: bytesEach / 1024,
      comparedWith: `heap and buffers of the service before ${stalled} of them, with ${(backlogBytes / 1024).toFixed(0)} KB waiting for each`,
    },
    {
      ...kilobytes,
      name: 'longest backlog before it is given up',
      value: peakBytes / 1024,
      comparedWith: 'bytes that wait for one display in the process; the kernel holds its own',
    },
  ];
}

function latenessFigures([without = [], withThem = []]: number[][], stalled: number): Figure[] {
  const beside = `beside ${stalled} displays that do not read`;
  const late = (name: string, value: number, of: readonly number[]): Figure => ({
    name,
    value,
    unit: 'ms',
    comparedWith: `${of.length} ticks in the same run`,
  });
  return [
    late('ticks after their second, median, without them', median(without), without),
    late(`ticks after their second, median, ${beside}`, median(withThem), withThem),
    late('ticks after their second, 99 of 100, without them', percentile(without, 99), without),
    late(`ticks after their second, 99 of 100, ${beside}`, percentile(withThem, 99), withThem),
    {
      ...late('later than without them, median', median(withThem) - median(without), withThem),
      target: { atMost: AT_MOST_LATER_MS },
    },
  ];
}

export const slowDisplay: Measurement = { name: NAME, run };
