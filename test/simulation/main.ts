/** `npm run simulate -- --seed 1 --seeds 1000 --hours 10`: many simulations, and the story of the first that fails. */
import { HELP, type Reading, readArguments } from './arguments.js';
import type { BrokenRule } from './model.js';
import { planOf } from './plan.js';
import { Progress } from './progress.js';
import { shrink, storyOf } from './shrink.js';
import { FIGURES, noFigures, run } from './simulation.js';

const HOUR_MS = 3_600_000;
const SEEDS_PER_REPORT = 50;
const EXIT_CODES = { broken: 1, wrongUsage: 2 };

type Wanted = Extract<Reading, { type: 'simulate' }>;

const progress = new Progress((line) => process.stderr.write(`${line}\n`));
const sum = noFigures();
let simulatedMs = 0;

const reading = readArguments(process.argv.slice(2));
if (reading.type === 'help') say(HELP);
else if (reading.type === 'simulate') await simulate(reading);
else {
  process.stderr.write(`${reading.lines.join('\n')}\n`);
  process.exitCode = EXIT_CODES.wrongUsage;
}

async function simulate({ seed: firstSeed, seeds, hours }: Wanted): Promise<void> {
  for (let done = 0; done < seeds; done += 1) {
    const seed = firstSeed + done;
    const before = `${done} of ${seeds} seeds done, ${hoursDone()} hours simulated`;
    const onStep = (steps: number, of: number): void =>
      progress.note(() => `${before}; of seed ${seed} ${steps} of ${of} steps`);
    const verdict = await run(planOf(seed, hours), { onStep });
    if (verdict.broken !== undefined) {
      process.exitCode = EXIT_CODES.broken;
      return report(seed, hours, verdict.broken);
    }
    simulatedMs += verdict.simulatedMs;
    for (const figure of FIGURES) sum[figure] += verdict.figures[figure];
    const isLast = done === seeds - 1;
    if (isLast || (done + 1) % SEEDS_PER_REPORT === 0) say(summary(firstSeed, seed));
  }
  say('no rule was broken');
}

async function report(seed: number, hours: number, broken: BrokenRule): Promise<void> {
  say(`seed ${seed} breaks ${broken.message}`);
  const plan = planOf(seed, hours);
  const onStep = (_: number, of: number): void =>
    progress.note(() => `looking for the shortest story, now among ${of} steps`);
  const least = await shrink(plan, broken, { onStep });
  say(`${least.steps.length} of ${plan.steps.length} steps are enough:\n`);
  say(await storyOf(least, {}));
}

function hoursDone(): number {
  return Math.round(simulatedMs / HOUR_MS);
}

function summary(firstSeed: number, lastSeed: number): string {
  const counts = FIGURES.map((figure) => `${sum[figure]} ${figure}`).join(', ');
  return `seeds ${firstSeed} to ${lastSeed}: ${hoursDone()} simulated hours, ${counts}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
