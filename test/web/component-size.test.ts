/** The component is to be loaded by pages of others, on school networks. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';

const LARGEST_BYTES = 40 * 1024;

it('the component has at most 40 KB, compressed, with everything in it', () => {
  const script = readFileSync(new URL('../../dist/web/synchronized-timer.js', import.meta.url));
  expect(gzipSync(script).length).toBeLessThanOrEqual(LARGEST_BYTES);
});
