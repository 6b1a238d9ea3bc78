/** What the folders promise about themselves, held against the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('..', import.meta.url).pathname;
/** Pages, displays and the command line have the clock of the machine that they run on. */
const HAS_NO_CLOCK_OF_THE_SERVICE = /^src\/(web|client|cli)\//;
const READS_THE_TIME =
  /\bDate\.now\(|new Date\(\)|performance\.now\(|(?<![.\w])set(Timeout|Interval)\(|\.hrtime\b/;
const IMPORTS =
  /(?:^(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s+|^import\s+|\bimport\()'([^']+)'/gm;

interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly path: string;
  readonly isOfTypes: boolean;
  /** A path from the root without its end, as `path` is, a package, or Node. */
  readonly target: string;
}

/** A row of the table of places: all that the files there may import beside each other, and no more. */
interface Row {
  readonly title: string;
  readonly places: readonly string[];
  readonly mayTouch: readonly string[];
  readonly mayTouchTypesOf: readonly string[];
}

function sourcesIn(folder: string): Source[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
    .map((path) => ({ path, text: readFileSync(`${ROOT}${path}`, 'utf8') }));
}

function importsOf({ path, text }: Source): Import[] {
  return [...text.matchAll(IMPORTS)].map(([, type, name = '']) => ({
    path: withoutEnd(path),
    isOfTypes: type !== undefined,
    target: targetOf(name, path),
  }));
}

function targetOf(name: string, path: string): string {
  if (name.startsWith('node:')) return 'Node';
  return name.startsWith('.') ? withoutEnd(posix.join(posix.dirname(path), name)) : name;
}

const withoutEnd = (path: string): string => path.replace(/\.[jt]s$/, '');
const namesIn = (list: string): string[] =>
  list.split(', ').filter((name) => name !== '' && name !== 'nothing');

/** The table in docs/ARCHITECTURE.md. */
function readTable(): Row[] {
  const text = readFileSync(`${ROOT}docs/ARCHITECTURE.md`, 'utf8');
  const rows = [...text.matchAll(/^\| (`.*`) \| .* \| (.*) \|$/gm)];
  return rows.map(([, title = '', touched = '']) => {
    const [, values = '', types = ''] = /^(.*?)(?:(?:; |^)types of (.*))?$/.exec(touched) ?? [];
    const places = [...title.matchAll(/`(.*?)`/g)].map(([, place = '']) => withoutEnd(place));
    return { title, places, mayTouch: namesIn(values), mayTouchTypesOf: namesIn(types) };
  });
}

/** A folder ends with a slash, and the beginning of the names of files with an asterisk. */
function isAt(place: string, path: string): boolean {
  return /[/*]$/.test(place) ? path.startsWith(place.replace('*', '')) : path === place;
}

/** The row with the place that says most about a file. */
function rowOf(path: string, table: readonly Row[]): Row | undefined {
  const places = table.flatMap((row) => row.places.map((place) => ({ row, place })));
  const fitting = places.filter(({ place }) => isAt(place, path));
  return fitting.sort((a, b) => b.place.length - a.place.length)[0]?.row;
}

function isNamed(target: string, names: readonly string[]): boolean {
  const path = target.replace(/^src\//, '');
  return names.some((name) => name === 'everything' || isAt(name, path) || isAt(`${name}/`, path));
}

describe('the structure', () => {
  const table = readTable();
  const sources = [...sourcesIn('machines'), ...sourcesIn('src')];
  const imports = sources.flatMap(importsOf);

  it('has a place in the table of the architecture for every file', () => {
    expect(imports.length).toBeGreaterThan(500);
    expect(sources.filter(({ path }) => rowOf(withoutEnd(path), table) === undefined)).toEqual([]);
  });

  it.each(table)('$title may touch what it does, and no more', (row) => {
    const { mayTouch, mayTouchTypesOf } = row;
    const ofRow = imports.filter(
      ({ path, target }) => rowOf(path, table) === row && rowOf(target, table) !== row,
    );
    const forbidden = ofRow.filter(({ isOfTypes, target }) => {
      return !isNamed(target, isOfTypes ? [...mayTouch, ...mayTouchTypesOf] : mayTouch);
    });
    expect(forbidden).toEqual([]);
    const isUntouched = (name: string, isOfTypes: boolean): boolean =>
      !ofRow.some((one) => one.isOfTypes === isOfTypes && isNamed(one.target, [name]));
    expect(mayTouch.filter((name) => name !== 'everything' && isUntouched(name, false))).toEqual(
      [],
    );
    expect(mayTouchTypesOf.filter((name) => isUntouched(name, true))).toEqual([]);
  });

  it('lets nobody import main.ts, which is the process', () => {
    expect(imports.filter(({ target }) => target === 'src/main')).toEqual([]);
  });

  it('nobody in the service but its clock reads the time or waits for it', () => {
    const readers = sources
      .filter(({ path }) => !HAS_NO_CLOCK_OF_THE_SERVICE.test(path))
      .filter(({ text }) => READS_THE_TIME.test(text))
      .map(({ path }) => path);
    expect(readers).toEqual(['src/clock.ts']);
  });
});
