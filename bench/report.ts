/** Shows the figures as a table, and writes them as JSON for whoever compares runs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { SETTINGS } from '../src/config.js';
import { type Figure, isMet, type Target } from './measurement.js';

export interface Result {
  readonly measurement: string;
  readonly seconds: number;
  readonly figures: readonly Figure[];
  /** Why there are no figures, if the measurement itself broke down. */
  readonly failure?: string;
}

const HEADINGS = ['measurement', 'figure', 'value', 'unit', 'target', 'met', 'compared with'];

export function table(results: readonly Result[]): string {
  const rows = [HEADINGS, ...results.flatMap(rowsOf)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return HEADINGS[column] === 'value' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width));
  return [HEADINGS, rule, ...rows.slice(1)].map(line).join('\n');
}

function rowsOf({ measurement, figures, failure }: Result): string[][] {
  if (failure !== undefined)
    return [[measurement, 'could not be measured', '', '', '', '', failure]];
  return figures.map(({ name, value, unit, comparedWith, target }) => [
    measurement,
    name,
    rounded(value),
    unit,
    target === undefined ? '' : wordsOf(target),
    target === undefined ? '' : isMet(value, target) ? 'met' : 'NOT MET',
    comparedWith,
  ]);
}

/** Three digits that matter, whole numbers whole. */
function rounded(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3);
}

function wordsOf(target: Target): string {
  if ('atLeast' in target) return `at least ${target.atLeast}`;
  if ('atMost' in target) return `at most ${target.atMost}`;
  if ('below' in target) return `below ${target.below}`;
  return `exactly ${target.exactly}`;
}

/** Writes the results into a file named after the time, and gives its path. */
export async function writeJson(
  directory: string,
  results: readonly Result[],
  isQuick: boolean,
): Promise<string> {
  const date = new Date().toISOString();
  const report = {
    date,
    isQuick,
    machine: machine(),
    settings: changedSettings(),
    results: results.map(withVerdicts),
  };
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${date.replaceAll(':', '-')}.json`);
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  return path;
}

function withVerdicts({ figures, ...result }: Result) {
  return {
    ...result,
    figures: figures.map((figure) => {
      const { target, value } = figure;
      return target === undefined ? figure : { ...figure, isMet: isMet(value, target) };
    }),
  };
}

/** Settings of the service that the environment of the bench changes for every measurement. */
function changedSettings(): Record<string, string> {
  const changed: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS)) {
    const value = process.env[name];
    if (value !== undefined) changed[name] = value;
  }
  return changed;
}

export function machine() {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}
