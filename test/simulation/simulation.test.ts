/** Nodes of a cluster in a simulated world: `npm run simulate` looks at more seeds, for longer. */
import { describe, expect, it } from 'vitest';
import type { Bug } from './log.js';
import { planOf } from './plan.js';
import { shrink, storyOf } from './shrink.js';
import { run } from './simulation.js';

const SEEDS = 200;
const SEEDS_WITH_BUG = 10;
/** They take some seconds; a machine that is busy with other things may take its time. */
const PATIENCE_MS = 180_000;

describe('three nodes that share a log which is late, cuts them off, repeats itself and loses answers', () => {
  it(
    'T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, A5, D2, J1, J3, J4, J5: keep the rules, whatever they are asked and whoever crashes',
    async () => {
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const { broken } = await run(planOf(seed, 1));
        if (broken !== undefined) expect.fail(`seed ${seed} breaks ${broken.message}`);
      }
    },
    PATIENCE_MS,
  );

  it('are the same whenever they are simulated again', async () => {
    const plan = planOf(7, 2);
    expect(await storyOf(plan, {})).toBe(await storyOf(plan, {}));
  });
});

describe('a bug', () => {
  const bugs: readonly [Bug, RegExp][] = [
    ['revision off by one', /^(T[45]|A5)$/],
    ['lost entry', /^(T[345]|A5)$/],
    ['early expiry', /^T4$/],
    ['clock ahead', /^T4$/],
    ['change told twice', /^D2$/],
    ['stale snapshot', /^(T(2|5|11)|A5)$/],
  ];

  it.each(bugs)(
    'of the kind "%s" is found by every seed',
    async (bug, rule) => {
      for (let seed = 1; seed <= SEEDS_WITH_BUG; seed += 1) {
        const { broken } = await run(planOf(seed, 5), { bug });
        expect(broken?.rule ?? `nothing by seed ${seed}`).toMatch(rule);
      }
    },
    PATIENCE_MS,
  );

  it('is told in a story that has no step too many', async () => {
    const options = { bug: 'early expiry' } as const;
    const plan = planOf(1, 5);
    const { broken } = await run(plan, options);
    if (broken === undefined) expect.fail('the bug was not found');
    const least = await shrink(plan, broken, options);
    expect(least.steps.map(({ event }) => event.type)).toEqual(['create']);
    const story = (await storyOf(least, options)).split('\n');
    expect(story[0]).toMatch(/^10:\d\d:\d\d\.\d{3} {2}node [ABC] is asked to create timer_001 of/);
    expect(story.at(-1)).toMatch(/broken: T4: expired of timer_001 is committed \d+ ms early$/);
  });
});
