/** `npm run simulate -- --seed 1 --seeds 1000 --hours 10`: many simulations, and the story of the first that fails. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { planOf } from './plan.js';
import { shrink, storyOf } from './shrink.js';
import { type Figures, run } from './simulation.js';

const HOUR_MS = 3_600_000;
const PROGRESS_SEEDS = 50;

const optionsSchema = z.strictObject({
  /** The first seed. */
  seed: z.coerce.number().int().min(0).default(1),
  /** How many seeds, one after the other. */
  seeds: z.coerce.number().int().min(1).default(1),
  /** Simulated hours of each. */
  hours: z.coerce.number().positive().default(10),
});

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, hours: { type: 'string' } },
});
const { seed: firstSeed, seeds, hours } = optionsSchema.parse(values);
const sum = new Map<keyof Figures, number>();
let simulatedMs = 0;

for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
  const plan = planOf(seed, hours);
  const verdict = await run(plan);
  if (verdict.broken !== undefined) {
    process.stdout.write(`seed ${seed} breaks ${verdict.broken.message}\n`);
    const least = await shrink(plan, verdict.broken, {});
    const counts = `${least.steps.length} of ${plan.steps.length} steps are enough`;
    process.stdout.write(`${counts}:\n\n${await storyOf(least, {})}\n`);
    process.stdout.write(`\nThe same for stories.ts: ${JSON.stringify(least)}\n`);
    process.exit(1);
  }
  simulatedMs += verdict.simulatedMs;
  for (const [name, count] of Object.entries(verdict.figures)) add(name as keyof Figures, count);
  if ((seed - firstSeed + 1) % PROGRESS_SEEDS === 0) process.stdout.write(`${summary(seed)}\n`);
}
process.stdout.write(`${summary(firstSeed + seeds - 1)}\nno rule was broken\n`);

function add(name: keyof Figures, count: number): void {
  sum.set(name, (sum.get(name) ?? 0) + count);
}

function summary(lastSeed: number): string {
  const counts = [...sum].map(([name, count]) => `${count} ${name}`).join(', ');
  return `seeds ${firstSeed} to ${lastSeed}: ${Math.round(simulatedMs / HOUR_MS)} simulated hours, ${counts}`;
}
