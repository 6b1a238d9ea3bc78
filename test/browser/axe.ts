/** axe-core, which knows the rules of WCAG. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { z } from 'zod';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const findings = z.object({
  violations: z.array(z.object({ id: z.string(), nodes: z.array(z.object({ html: z.string() })) })),
});

/** To describe also what is right takes axe-core longer than to find it. */
const FOUND = { resultTypes: ['violations'] };
/** The rules about colours that apply unless they are asked for: not those of the highest level. */
const COLOURS = {
  ...FOUND,
  runOnly: ['cat.color'],
  rules: { 'color-contrast-enhanced': { enabled: false } },
};
/** All rules in light colours; in dark ones, which change nothing else, those that are about colours. */
const RUNS = [
  { colorScheme: 'light', options: FOUND },
  { colorScheme: 'dark', options: COLOURS },
] as const;

/** What is found on a page, in its light and in its dark colours. */
export async function violationsOn(page: Page): Promise<string[]> {
  if (!(await page.evaluate(`'axe' in globalThis`))) await page.evaluate(AXE);
  const all: string[] = [];
  for (const { colorScheme, options } of RUNS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const run = `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => ({ violations }))`;
    const { violations } = findings.parse(await page.evaluate(run));
    all.push(...violations.map(({ id, nodes }) => `${colorScheme} ${id}: ${nodes[0]?.html}`));
  }
  return all;
}
