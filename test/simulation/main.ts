/** `npm run simulate -- --seed 1 --seeds 1000 --hours 10`: many simulations, and the story of the first that fails. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { planOf } from './plan.js';
import { shrink, storyOf } from './shrink.js';
import { FIGURES, noFigures, run, type Verdict } from './simulation.js';

const HOUR_MS = 3_600_000;
const SEEDS_PER_REPORT = 50;

const optionsSchema = z.strictObject({
  /** The first seed. */
  seed: z.coerce.number().int().min(0).default(1),
  /** How many seeds, one after the other. */
  seeds: z.coerce.number().int().min(1).default(1),
  /** Simulated hours of each. */
  hours: z.coerce.number().positive().default(10),
});
const option = { type: 'string' } as const;
const { values } = parseArgs({ options: { seed: option, seeds: option, hours: option } });
const { seed: firstSeed, seeds, hours } = optionsSchema.parse(values);

const sum = noFigures();
let simulatedMs = 0;

for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
  const verdict = await run(planOf(seed, hours));
  if (verdict.broken !== undefined) {
    await report(seed, verdict.broken);
    process.exitCode = 1;
    break;
  }
  simulatedMs += verdict.simulatedMs;
  for (const figure of FIGURES) sum[figure] += verdict.figures[figure];
  const isLast = seed === firstSeed + seeds - 1;
  if (isLast || (seed - firstSeed + 1) % SEEDS_PER_REPORT === 0) say(summary(seed));
  if (isLast) say('no rule was broken');
}

async function report(seed: number, broken: NonNullable<Verdict['broken']>): Promise<void> {
  say(`seed ${seed} breaks ${broken.message}`);
  const plan = planOf(seed, hours);
  const least = await shrink(plan, broken, {});
  say(`${least.steps.length} of ${plan.steps.length} steps are enough:\n`);
  say(await storyOf(least, {}));
}

function summary(lastSeed: number): string {
  const counts = FIGURES.map((figure) => `${sum[figure]} ${figure}`).join(', ');
  const simulatedHours = Math.round(simulatedMs / HOUR_MS);
  return `seeds ${firstSeed} to ${lastSeed}: ${simulatedHours} simulated hours, ${counts}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
