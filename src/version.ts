/** The version of the package that the running code belongs to. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/** What is compiled lies one folder deeper than its source. */
const PLACES = ['../package.json', '../../package.json'] as const;

export function packageVersion(): string {
  const [nearest] = PLACES.map((path) => new URL(path, import.meta.url)).filter(existsSync);
  if (nearest === undefined) throw new Error('The package has no package.json');
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(nearest, 'utf8'))).version;
}
