/** What the folders promise about themselves, held against the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;
/** Pages, displays and the command line have the clock of the machine that they run on. */
const HAS_NO_CLOCK_OF_THE_SERVICE = /^src\/(web|client|cli)\//;
const READS_THE_TIME =
  /\bDate\.now\(|new Date\(\)|performance\.now\(|(?<![.\w])set(Timeout|Interval)\(|\.hrtime\b/;

interface Source {
  readonly path: string;
  readonly text: string;
}

function sourcesIn(folder: string): Source[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
    .map((path) => ({ path, text: readFileSync(`${ROOT}${path}`, 'utf8') }));
}

describe('the structure', () => {
  it('machines know XState and one another, and so neither disk nor network', () => {
    const imports = sourcesIn('machines').flatMap(({ path, text }) =>
      [...text.matchAll(/(?:from|import) ?\(?'([^']+)'/g)].map(
        ([, name = '']) => `${path}: ${name}`,
      ),
    );
    expect(imports.length).toBeGreaterThan(20);
    expect(imports.filter((line) => !/: (xstate|\.\/[\w.-]+\.js)$/.test(line))).toEqual([]);
  });

  it('nobody in the service but its clock reads the time or waits for it', () => {
    const sources = [...sourcesIn('machines'), ...sourcesIn('src')].filter(
      ({ path }) => !HAS_NO_CLOCK_OF_THE_SERVICE.test(path),
    );
    const readers = sources.filter(({ text }) => READS_THE_TIME.test(text)).map(({ path }) => path);
    expect(readers).toEqual(['src/clock.ts']);
  });
});
