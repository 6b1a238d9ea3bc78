/**
 * `npm run bench`: measures the running service and prints what it found. With names it runs only
 * those measurements: `npm run bench -- fan-out creation`. With `--quick` it uses small numbers, to see
 * whether the bench works. With `--profile` it writes a CPU profile of each service it starts.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { classroom } from './classroom.js';
import { cluster } from './cluster.js';
import { commands } from './commands.js';
import { creation } from './creation.js';
import { credentials } from './credentials.js';
import { fanOut } from './fan-out.js';
import { flips } from './flips.js';
import { massExpiry } from './mass-expiry.js';
import type { Measurement, RunOptions } from './measurement.js';
import { punctuality } from './punctuality.js';
import { recovery } from './recovery.js';
import { machine, type Result, table, writeJson } from './report.js';
import { restart } from './restart.js';
import { slowDisplay } from './slow-display.js';
import { progress } from './support/progress.js';
import { webhooks } from './webhooks.js';

const MEASUREMENTS: readonly Measurement[] = [
  punctuality,
  fanOut,
  creation,
  commands,
  credentials,
  massExpiry,
  webhooks,
  recovery,
  restart,
  cluster,
  slowDisplay,
  flips,
  classroom,
];

/** Beside the sources, where it is ignored by git; this file runs from `dist/bench`. */
const RESULTS = fileURLToPath(new URL('../../bench/results', import.meta.url));

/** What was asked for on the command line. */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, profile: { type: 'boolean' } },
  });
  const known = MEASUREMENTS.map(({ name }) => name);
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`There is no ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
  return {
    isQuick: values.quick === true,
    profileDir: values.profile === true ? `${RESULTS}/profiles` : undefined,
    wanted: MEASUREMENTS.filter(({ name }) => {
      return positionals.length === 0 || positionals.includes(name);
    }),
  };
}

/** A measurement that breaks down takes no other with it. */
async function runOne({ name, run }: Measurement, options: RunOptions): Promise<Result> {
  const startedMs = performance.now();
  progress(name, 'begins');
  const secondsSoFar = (): number => Math.round((performance.now() - startedMs) / 1000);
  try {
    const figures = await run(options);
    return { measurement: name, seconds: secondsSoFar(), figures };
  } catch (error) {
    progress(name, `broke down: ${error instanceof Error ? error.stack : String(error)}`);
    const failure = error instanceof Error ? error.message : String(error);
    return { measurement: name, seconds: secondsSoFar(), figures: [], failure };
  }
}

async function main(): Promise<void> {
  const { wanted, ...options } = readArguments();
  if (options.profileDir !== undefined) await mkdir(options.profileDir, { recursive: true });
  const results: Result[] = [];
  for (const measurement of wanted) results.push(await runOne(measurement, options));
  const { cores, processor, node } = machine();
  process.stdout.write(`\n${table(results)}\n\n${cores} cores of ${processor}, node ${node}\n`);
  if (options.isQuick) process.stdout.write('A quick run: these figures mean little.\n');
  const path = await writeJson(RESULTS, results, options.isQuick);
  process.stdout.write(`Written to ${path}\n`);
  if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
