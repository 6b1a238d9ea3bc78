/**
 * Commands: how many changes the service acknowledges in a second with its default journal, which has
 * every one of them on the disk before it answers. Single commands come over 64 connections, each of
 * which controls timers of its own, one after the other; bulk commands come one at a time and change
 * 1,000 timers each. The load comes from this process, and shares the machine's cores.
 */
import { z } from 'zod';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers, type HttpConnection } from './support/http.js';
import { commander, type Load, load } from './support/load.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { median, percentile } from './support/statistics.js';

const NAME = 'commands';
const FULL = { connections: 64, timersEach: 20, bulk: 1000, warmUpMs: 3000, forMs: 10_000 };
const QUICK = { connections: 16, timersEach: 5, bulk: 200, warmUpMs: 500, forMs: 1500 };

const TIMER = { name: 'Midterm, room 12', duration_seconds: 3600 };
const BULK_CYCLE = ['start', 'pause'] as const;

const bulkAnswer = z.array(z.object({ success: z.literal(true) }));

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { connections: count, timersEach, bulk, warmUpMs, forMs } = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const service = await stage.service({ profileDir });
    const connections = await stage.connections(service.url, count);
    const timerIds = await createTimers(connections, count * timersEach, TIMER);
    const bulkIds = await createTimers(connections, bulk, TIMER);
    const commanders = connections.map((connection, index) => {
      const own = timerIds.slice(index * timersEach, (index + 1) * timersEach);
      return commander(connection, own);
    });
    const [first] = connections;
    if (first === undefined) throw new Error('There is no connection');
    const bulkCommander = bulkCommanderOf(first, bulkIds);

    progress(NAME, `single commands over ${count} connections`);
    await load(commanders, warmUpMs);
    const single = await load(commanders, forMs);
    progress(NAME, `bulk commands of ${bulk} timers`);
    await load([bulkCommander], warmUpMs);
    const bulked = await load([bulkCommander], forMs);
    return [...singleFigures(single, count), ...bulkFigures(bulked, bulk)];
  });
}

function bulkCommanderOf(connection: HttpConnection, timerIds: readonly string[]) {
  let next = 0;
  return async (): Promise<void> => {
    const action = BULK_CYCLE[next % BULK_CYCLE.length];
    next += 1;
    await connection.post(`/timers/bulk/${action}`, timerIds, bulkAnswer);
  };
}

function singleFigures({ latenciesMs, wallMs }: Load, connections: number): Figure[] {
  const comparedWith = `single commands over ${connections} connections, sqlite on disk`;
  return [
    {
      name: 'acknowledged commands per second',
      value: latenciesMs.length / (wallMs / 1000),
      unit: 'per s',
      comparedWith,
    },
    { name: 'time of a command, median', value: median(latenciesMs), unit: 'ms', comparedWith },
    {
      name: 'time of a command, 99 of 100',
      value: percentile(latenciesMs, 99),
      unit: 'ms',
      comparedWith,
    },
  ];
}

function bulkFigures({ latenciesMs, wallMs }: Load, bulk: number): Figure[] {
  const comparedWith = `bulk commands of ${bulk} timers, one at a time, sqlite on disk`;
  return [
    {
      name: 'timers changed per second by bulk commands',
      value: (latenciesMs.length * bulk) / (wallMs / 1000),
      unit: 'per s',
      comparedWith,
    },
    {
      name: 'time of a bulk command, median',
      value: median(latenciesMs),
      unit: 'ms',
      comparedWith,
    },
    {
      name: 'time of a bulk command, 99 of 100',
      value: percentile(latenciesMs, 99),
      unit: 'ms',
      comparedWith,
    },
  ];
}

export const commands: Measurement = { name: NAME, run };
