/** Where the log goes when nobody takes it. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { createLog } from '../src/log.js';
import { eventually } from './support/eventually.js';
import { temporaryFolder } from './support/sqlite.js';

const lineSchema = z.looseObject({
  msg: z.string(),
  number: z.number().optional(),
  dropped: z.number().optional(),
});

/** A pipe that holds 64 KB and takes no more until somebody reads. */
function openPipe(): number {
  const path = join(temporaryFolder(), 'pipe');
  execFileSync('mkfifo', [path]);
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** What is in a pipe now. */
function readAll(pipe: number): string {
  const buffer = Buffer.alloc(1_000_000);
  try {
    return buffer.toString('utf8', 0, readSync(pipe, buffer));
  } catch {
    return '';
  }
}

it('a log that nobody reads for a while waits, then drops lines, and says how many once it is read', async () => {
  const pipe = openPipe();
  const log = createLog('info', pipe);
  const count = 20_000;
  for (let number = 0; number < count; number += 1) log.info({ number }, 'x'.repeat(100));

  let text = '';
  await eventually(() => {
    text += readAll(pipe);
    expect(text).toContain('dropped');
  });
  const lines = text.trimEnd().split('\n');
  const told = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  const numbers = told.flatMap(({ number }) => number ?? []);
  expect(numbers.length).toBeGreaterThan(1000);
  expect(numbers).toEqual(numbers.map((_, index) => index));
  expect(told.at(-1)?.dropped).toBe(count - numbers.length);

  log.info('read again');
  await eventually(() => expect(readAll(pipe)).toContain('read again'));
  closeSync(pipe);
});

it('a last line is written before the process may end', () => {
  const pipe = openPipe();
  createLog('info', pipe).fatal('the end');
  expect(readAll(pipe)).toContain('the end');
  closeSync(pipe);
});
