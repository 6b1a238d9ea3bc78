/**
 * Creation: what the last 1,000 of 50,000 timers cost to create against the first 1,000, over REST with
 * the default journal, and how much heap each of them takes. The timers run and have the default
 * thresholds, so each has its delays armed. The cost is the CPU time of the service's process; the time
 * on the wall is shown beside it. The heap is what the running service holds after a full garbage
 * collection. As many timers are created and deleted before, so that compilation is no part of it.
 */
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers, type HttpConnection, times } from './support/http.js';
import { progress } from './support/progress.js';
import type { RunningService } from './support/service.js';
import { onStage } from './support/stage.js';
import { sum } from './support/statistics.js';
import { heldBy, usageOf } from './support/usage.js';

const NAME = 'creation';
const FULL = { timers: 50_000, block: 1000, warmUp: 5000 };
const QUICK = { timers: 5000, block: 500, warmUp: 1000 };

const CONNECTIONS = 16;
const TIMER = { name: 'Midterm, room 12', duration_seconds: 86_400, auto_start: true };

const AT_MOST_TIMES = 2;
const AT_MOST_BYTES = 5120;

/** What a block of timers cost to create. */
interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
}

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { timers, block, warmUp } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const service = await stage.service({ profileDir });
    const connections = await stage.connections(service.url, CONNECTIONS);
    progress(NAME, `warming up with ${warmUp} timers`);
    const warmUpIds = await createTimers(connections, warmUp, TIMER);
    await times(connections, warmUp, (connection, index) =>
      connection.request('DELETE', `/timers/${warmUpIds[index]}`),
    );

    const before = await heldBy(service.child);
    const costs: Cost[] = [];
    while (costs.length < timers / block) {
      if (costs.length % 10 === 0) progress(NAME, `${costs.length * block} of ${timers} timers`);
      costs.push(await createBlock(service, connections, block));
    }
    const after = await heldBy(service.child);
    return [...costFigures(costs, block), heapFigure(after.heapBytes - before.heapBytes, timers)];
  });
}

async function createBlock(
  service: RunningService,
  connections: readonly HttpConnection[],
  block: number,
): Promise<Cost> {
  const cpuBefore = (await usageOf(service.child)).cpuMs;
  const startedMs = performance.now();
  await createTimers(connections, block, TIMER);
  const wallMs = performance.now() - startedMs;
  return { cpuMs: (await usageOf(service.child)).cpuMs - cpuBefore, wallMs };
}

function costFigures(costs: readonly Cost[], block: number): Figure[] {
  const timers = costs.length * block;
  const first = costs.slice(0, 1);
  const last = costs.slice(-1);
  const each = (name: string, some: readonly Cost[]): Figure => ({
    name: `CPU per timer, ${name} ${block}`,
    value: (sum(some.map(({ cpuMs }) => cpuMs)) * 1000) / (some.length * block),
    unit: 'us',
    comparedWith: `${timers} timers in all, ${CONNECTIONS} connections`,
  });
  const ratio = (of: keyof Cost, blocks: number): number =>
    sum(costs.slice(-blocks).map((cost) => cost[of])) /
    sum(costs.slice(0, blocks).map((cost) => cost[of]));
  const target = { atMost: AT_MOST_TIMES };
  return [
    { ...each('first', first), samples: costs.map(({ cpuMs }) => (cpuMs * 1000) / block) },
    each('last', last),
    {
      name: `CPU to create, last ${block} to first ${block}`,
      value: ratio('cpuMs', 1),
      unit: 'times',
      comparedWith: `the first ${block} of ${timers} timers, same run`,
      target,
    },
    {
      name: `time to create, last ${block} to first ${block}`,
      value: ratio('wallMs', 1),
      unit: 'times',
      comparedWith: `the first ${block} of ${timers} timers, same run`,
      target,
    },
    {
      name: `CPU to create, last ${block * 5} to first ${block * 5}`,
      value: ratio('cpuMs', 5),
      unit: 'times',
      comparedWith: 'the same over five times as many, which is less noisy',
    },
  ];
}

function heapFigure(bytes: number, timers: number): Figure {
  return {
    name: 'heap per timer',
    value: bytes / timers,
    unit: 'bytes',
    comparedWith: `heap of the service with ${timers} running timers less that with none`,
    target: { atMost: AT_MOST_BYTES },
  };
}

export const creation: Measurement = { name: NAME, run };
