/** What only happens on a terminal: the bar, the question, colours. It is a real one where that has a say in it. */
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/protocol/timer.js';
import {
  type RunningCommand,
  type RunningProcess,
  startCommand,
  startOnTerminal,
} from '../support/command.js';
import { ServiceProcess } from '../support/process.js';
import { TestService } from '../support/service.js';
import { canRun, need } from '../support/tools.js';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

let service: TestService;
beforeEach(async () => {
  service = await TestService.start();
});

const create = async (): Promise<string> => (await service.create({ duration_seconds: 60 })).id;

async function count(): Promise<number> {
  return z.array(timerSchema).parse((await service.request('GET', '/timers')).body).length;
}

/** Starts a command that takes its streams for a terminal. */
const start = (args: string[], settings: Record<string, string> = {}): RunningCommand =>
  startCommand(
    args,
    { SYNCHRONIZED_TIMER_SERVER: service.service.url, ...settings },
    { isTerminal: true },
  );

/** Starts the compiled command line on a terminal. */
function startReally(
  context: TestContext,
  args: string[],
  server = service.service.url,
): RunningProcess {
  need(context, 'script', canRun('script', '--version'));
  return startOnTerminal(args, { SYNCHRONIZED_TIMER_SERVER: server });
}

describe('watch', () => {
  it('draws a bar that reaches the end with the timer, and gives the cursor back', async (context) => {
    const real = await ServiceProcess.start({ JOURNAL: 'memory' });
    const { text } = await real.request('POST', '/timers', { duration_seconds: 2, name: 'Quiz' });
    const { id } = timerSchema.parse(JSON.parse(text));
    const watching = startReally(context, ['watch', id], real.url);
    // A process may take longer to start than the timer runs, so it is there before.
    await watching.until('created');
    await real.request('POST', `/timers/${id}/control`, { action: 'start' });
    const { code, stdout } = await watching.ended;
    expect(code).toBe(0);
    const frames = stripVTControlCharacters(stdout);
    expect(frames).toMatch(/░ 0:02 {2}running {2}Quiz/);
    expect(frames).toMatch(/█+░+ 0:01 {2}running {2}Quiz/);
    expect(frames).toMatch(/█ 0:00 {2}expired {2}Quiz/);
    expect(stdout.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(stdout.lastIndexOf(HIDE_CURSOR));
  });

  it('grows its bar with the time that is added', async () => {
    const id = await create();
    const watching = start(['watch', id]);
    await watching.until('created');
    await service.act(id, 'extend', 3600);
    await watching.until('1:01:00');
    await service.act(id, 'stop');
    expect(await watching.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('ends on Ctrl-C with 130, and gives the cursor back', async (context) => {
    const watching = startReally(context, ['watch', await create()]);
    await watching.until(HIDE_CURSOR);
    watching.type(CTRL_C);
    const { code, stdout } = await watching.ended;
    expect(code).toBe(130);
    expect(stdout.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(stdout.lastIndexOf(HIDE_CURSOR));
  });
});

describe('delete', () => {
  const answers = [
    ['y\n', 0, 0],
    ['YES\n', 0, 0],
    ['n\n', 1, 1],
    ['\n', 1, 1],
    [CTRL_C, 1, 1],
    [CTRL_D, 1, 1],
  ] as const;

  async function answer(deleting: RunningCommand | RunningProcess, question: string, keys: string) {
    await deleting.until(question);
    deleting.type(keys);
    return (await deleting.ended).code;
  }

  it.each(answers)('asks, and to %j it ends with %i', async (keys, code, left) => {
    const id = await create();
    expect(await answer(start(['delete', id]), `Delete ${id}? [y/N]`, keys)).toBe(code);
    expect(await count()).toBe(left);
  });

  it('asks on a terminal, where Ctrl-C is no answer', async (context) => {
    const id = await create();
    const ask = (keys: string) =>
      answer(startReally(context, ['delete', id]), `Delete ${id}? [y/N]`, keys);
    expect([await ask(CTRL_C), await count()]).toEqual([1, 1]);
    expect([await ask(CTRL_D), await count()]).toEqual([1, 1]);
    expect([await ask('y\n'), await count()]).toEqual([0, 0]);
  });

  it('says how many it is about, and does not ask when told so', async () => {
    await create();
    await create();
    const asking = start(['delete', '--all']);
    expect(await answer(asking, 'Delete 2 timers? [y/N]', 'n\n')).toBe(1);
    expect(asking.stderr).toContain('Nothing was deleted.');
    expect(await start(['delete', '--all', '--yes']).ended).toMatchObject({ code: 0 });
    expect(await count()).toBe(0);
  });
});

describe('colours', () => {
  it('are used on a terminal, and not with NO_COLOR', async (context) => {
    await create();
    const { stdout: coloured } = await startReally(context, ['list']).ended;
    const { stdout: plain } = await start(['list'], { NO_COLOR: '1' }).ended;
    expect(coloured).toContain('\u001b[36mcreated\u001b[39m');
    expect(plain).not.toContain('\u001b');
    expect(stripVTControlCharacters(coloured).replaceAll('\r', '')).toBe(plain);
    expect(stripVTControlCharacters((await start(['list']).ended).stdout)).toBe(plain);
  });
});
