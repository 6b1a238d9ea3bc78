/**
 * Credentials: what it costs that every command shows an API key, is limited, and is put down to its author.
 * Two services run at the same time, one open and one with keys, and get the same load in turns, so that what
 * disturbs the machine disturbs both.
 */
import { z } from 'zod';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers } from './support/http.js';
import { type Commander, commander, load } from './support/load.js';
import { progress } from './support/progress.js';
import { onStage, type Stage } from './support/stage.js';
import { median } from './support/statistics.js';

const NAME = 'credentials';
const FULL = { connections: 64, timersEach: 20, rounds: 8, forMs: 2500 };
const QUICK = { connections: 16, timersEach: 5, rounds: 2, forMs: 500 };
type Plan = typeof FULL;

const TIMER = { name: 'Midterm, room 12', duration_seconds: 3600 };
/** High enough not to be met, and a limit all the same, so that it is counted. */
const SETTINGS = { MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '1000000' };
const AT_LEAST_RATIO = 0.85;

const newKey = z.object({ key: z.string() });

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const plan = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const open = await commandersOf(stage, plan, false, undefined);
    const guarded = await commandersOf(stage, plan, true, profileDir);
    await load(open, plan.forMs);
    await load(guarded, plan.forMs);
    const ratios: number[] = [];
    const rates: number[] = [];
    for (let round = 1; round <= plan.rounds; round += 1) {
      progress(NAME, `round ${round} of ${plan.rounds}`);
      const without = await rateOf(open, plan.forMs);
      const withKeys = await rateOf(guarded, plan.forMs);
      rates.push(withKeys);
      ratios.push(withKeys / without);
    }
    return figuresOf(median(rates), median(ratios), plan);
  });
}

async function commandersOf(
  stage: Stage,
  { connections: count, timersEach }: Plan,
  hasKeys: boolean,
  profileDir: string | undefined,
): Promise<Commander[]> {
  const service = await stage.service({ settings: SETTINGS, profileDir });
  const first = await stage.connection(service.url);
  const credential = hasKeys
    ? (await first.post('/keys', { role: 'admin', label: 'Bench' }, newKey)).key
    : undefined;
  const connections = await stage.connections(service.url, count, credential);
  const timerIds = await createTimers(connections, count * timersEach, TIMER);
  return connections.map((connection, index) => {
    return commander(connection, timerIds.slice(index * timersEach, (index + 1) * timersEach));
  });
}

/** Acknowledged commands per second. */
async function rateOf(commanders: readonly Commander[], forMs: number): Promise<number> {
  const { latenciesMs, wallMs } = await load(commanders, forMs);
  return latenciesMs.length / (wallMs / 1000);
}

function figuresOf(rate: number, ratio: number, { connections }: Plan): Figure[] {
  const comparedWith = `single commands over ${connections} connections, sqlite on disk`;
  return [
    {
      name: 'acknowledged commands per second, each with an API key',
      value: rate,
      unit: 'per s',
      comparedWith,
    },
    {
      name: 'commands per second with keys / without',
      value: ratio,
      unit: 'times',
      comparedWith: 'an open service in the same run, in turns',
      target: { atLeast: AT_LEAST_RATIO },
    },
  ];
}

export const credentials: Measurement = { name: NAME, run };
