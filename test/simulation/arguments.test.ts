/** The command line of `npm run simulate`: what is wrong is told in a line that says what it takes. */
import { describe, expect, it } from 'vitest';
import { HELP, readArguments } from './arguments.js';
import { Progress } from './progress.js';

const WHOLE = 'a whole number from 0 to 4294967295';
const COUNT = 'a whole number from 1 to 1000000';
const HOURS = 'a number above 0, up to 1000; more seeds find more than more hours';
const KNOWN = 'there are --seed, --seeds, --hours and --help';

function complaintsAbout(text: string): readonly string[] {
  const reading = readArguments(text.split(' '));
  return reading.type === 'wrong' ? reading.lines : [`is taken as ${JSON.stringify(reading)}`];
}

describe('the arguments of a simulation', () => {
  it('have a value each where none is given', () => {
    const usual = { type: 'simulate', seed: 1, seeds: 1, hours: 10 };
    expect(readArguments([])).toEqual(usual);
    expect(HELP).toContain('(10 unless it is given)');
  });

  it.each([
    ['--seed 0 --seeds 200 --hours 0.5', { seed: 0, seeds: 200, hours: 0.5 }],
    ['--seed=4294967295 --hours=1000', { seed: 4_294_967_295, seeds: 1, hours: 1000 }],
    ['--seeds 3 --seeds 4', { seed: 1, seeds: 4, hours: 10 }],
  ])('are taken: %s', (text, values) => {
    expect(readArguments(text.split(' '))).toEqual({ type: 'simulate', ...values });
  });

  it.each([
    ['--seed abc', `--seed is "abc"; it takes ${WHOLE}`],
    ['--seed 1.5', `--seed is "1.5"; it takes ${WHOLE}`],
    ['--seed -1', `--seed is "-1"; it takes ${WHOLE}`],
    ['--seed 4294967296', `--seed is "4294967296"; it takes ${WHOLE}`],
    ['--seed=', `--seed is ""; it takes ${WHOLE}`],
    ['--seed', `--seed has no value; it takes ${WHOLE}`],
    ['--seeds 0', `--seeds is "0"; it takes ${COUNT}`],
    ['--seeds 0x10', `--seeds is "0x10"; it takes ${COUNT}`],
    ['--hours 0', `--hours is "0"; it takes ${HOURS}`],
    ['--hours 1e9', `--hours is "1e9"; it takes ${HOURS}`],
    ['--hours 1000.5', `--hours is "1000.5"; it takes ${HOURS}`],
    ['--hours Infinity', `--hours is "Infinity"; it takes ${HOURS}`],
    ['5', `"5" is not known; ${KNOWN}`],
    ['--bogus 1', `"--bogus" is not known; ${KNOWN}`],
    ['-x', `"-x" is not known; ${KNOWN}`],
  ])('that are wrong are told in one line: %s', (text, line) => {
    expect(complaintsAbout(text)).toEqual([line]);
  });

  it('are told one by one where several are wrong', () => {
    const lines = complaintsAbout('--hours 0 --bogus 1 2 --seed x');
    const names = lines.map((line) => line.split(' ')[0]);
    expect(names).toEqual(['--hours', '"--bogus"', '"2"', '--seed']);
  });

  it('are shown where somebody asks for help, whatever else stands there', () => {
    expect(readArguments(['--help'])).toEqual({ type: 'help' });
    expect(readArguments(['--seed', 'x', '--help'])).toEqual({ type: 'help' });
    for (const name of ['--seed ', '--seeds', '--hours', '--help']) expect(HELP).toContain(name);
  });
});

describe('the progress of a simulation', () => {
  it('is told every two seconds, however often there is something to tell', () => {
    const [told, clock] = [[] as string[], { nowMs: 0 }];
    const progress = new Progress(
      (line) => told.push(line),
      () => clock.nowMs,
    );
    for (; clock.nowMs <= 6500; clock.nowMs += 100) progress.note(() => `${clock.nowMs}`);
    expect(told).toEqual(['2000', '4000', '6000']);
  });
});
