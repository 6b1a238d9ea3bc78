/** Programs of the machine that some tests run, and what happens where they are missing. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';

/** Little less than a test may take: a busy machine starts programs slowly. */
export const LONGEST_RUN_MS = 25_000;

const runFile = promisify(execFile);

/** What programs run in. A proxy must not come between them and the service on this machine. */
export const environment: NodeJS.ProcessEnv = { ...process.env, no_proxy: '*', NO_PROXY: '*' };

/** Skips a test for want of a tool and says so; in CI every tool must be there. */
export function need(context: TestContext, what: string, isThere: boolean): void {
  if (isThere) return;
  if (process.env.CI === 'true') throw new Error(`This test needs ${what}, and CI must have it`);
  context.skip(`needs ${what}`);
}

export function canRun(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { env: environment, stdio: 'ignore' }).status === 0;
}

export function pythonThatCan(statement: string): string | undefined {
  const candidates = ['python3', '/usr/bin/python3', 'python'];
  return candidates.find((candidate) => canRun(candidate, '-c', statement));
}

/** Runs a program on a text until it ends, which must be well, and gives what it printed. */
export async function runText(
  program: string,
  flag: string,
  text: string,
  ...args: string[]
): Promise<string> {
  const options = { env: environment, timeout: LONGEST_RUN_MS };
  const { stdout } = await runFile(program, [flag, text, ...args], options);
  return stdout;
}
