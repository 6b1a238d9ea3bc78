/** Finds out how little has to happen for a rule to be broken, by trying again with ever fewer steps. */
import type { BrokenRule } from './model.js';
import type { Plan } from './plan.js';
import { type RunOptions, run } from './simulation.js';

/** The same plan with as few of its steps as still break the same rule. */
export async function shrink(plan: Plan, broken: BrokenRule, options: RunOptions): Promise<Plan> {
  let least = plan;
  let chunk = Math.ceil(plan.steps.length / 2);
  for (;;) {
    const fewer = await withoutOneChunk(least, chunk, broken.rule, options);
    if (fewer !== undefined) least = fewer;
    else if (chunk === 1) return least;
    else chunk = Math.ceil(chunk / 2);
  }
}

/** The first plan that breaks the rule without some steps in a row; `undefined` if all are needed. */
async function withoutOneChunk(
  plan: Plan,
  chunk: number,
  rule: string,
  options: RunOptions,
): Promise<Plan | undefined> {
  for (let from = 0; from < plan.steps.length; from += chunk) {
    for (const fewer of [without(plan, from, chunk), withoutButLater(plan, from, chunk)]) {
      const { broken } = await run(fewer, options);
      if (broken?.rule === rule) return fewer;
    }
  }
  return undefined;
}

function without(plan: Plan, from: number, chunk: number): Plan {
  return { ...plan, steps: plan.steps.toSpliced(from, chunk) };
}

/** As much time passes as before: some steps are there only because a timer ends meanwhile. */
function withoutButLater(plan: Plan, from: number, chunk: number): Plan {
  const fewer = without(plan, from, chunk);
  const gone = plan.steps.slice(from, from + chunk);
  const waitedMs = gone.reduce((sumMs, { waitMs }) => sumMs + waitMs, 0);
  const next = fewer.steps[from];
  if (next === undefined) return { ...fewer, afterMs: plan.afterMs + waitedMs };
  const later = { ...next, waitMs: next.waitMs + waitedMs };
  return { ...fewer, steps: fewer.steps.with(from, later) };
}

/** What happened, line by line. */
export async function storyOf(plan: Plan, options: RunOptions): Promise<string> {
  const lines: string[] = [];
  await run(plan, { ...options, tell: (line) => lines.push(line) });
  return lines.join('\n');
}
