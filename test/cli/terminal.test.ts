/** What only happens on a terminal: the bar, the question, colours. */
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/protocol/timer.js';
import { type RunningCommand, startOnTerminal } from '../support/command.js';
import { ServiceProcess } from '../support/process.js';
import { canRun, need } from '../support/tools.js';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

let service: ServiceProcess;
beforeEach(async (context) => {
  need(context, 'script', canRun('script', '--version'));
  service = await ServiceProcess.start({ JOURNAL: 'memory' });
});

async function create(definition: object): Promise<string> {
  return timerSchema.parse(JSON.parse((await service.request('POST', '/timers', definition)).text))
    .id;
}

async function count(): Promise<number> {
  return z.array(timerSchema).parse(JSON.parse((await service.request('GET', '/timers')).text))
    .length;
}

const start = (args: string[], settings: Record<string, string> = {}): RunningCommand =>
  startOnTerminal(args, { SYNCHRONIZED_TIMER_SERVER: service.url, ...settings });

describe('watch', () => {
  it('draws a bar that reaches the end with the timer, and gives the cursor back', async () => {
    const id = await create({ duration_seconds: 2, name: 'Quiz', auto_start: true });
    const { code, stdout } = await start(['watch', id]).ended;
    expect(code).toBe(0);
    const frames = stripVTControlCharacters(stdout);
    expect(frames).toMatch(/░ 0:02 {2}running {2}Quiz/);
    expect(frames).toMatch(/█+░+ 0:01 {2}running {2}Quiz/);
    expect(frames).toMatch(/█ 0:00 {2}expired {2}Quiz/);
    expect(stdout.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(stdout.lastIndexOf(HIDE_CURSOR));
  });

  it('grows its bar with the time that is added', async () => {
    const id = await create({ duration_seconds: 60 });
    const watching = start(['watch', id]);
    await watching.until('created');
    await service.request('POST', `/timers/${id}/control`, {
      action: 'extend',
      extend_seconds: 3600,
    });
    await watching.until('1:01:00');
    watching.type(CTRL_C);
    await watching.ended;
  });

  it('ends on Ctrl-C with 130, and gives the cursor back', async () => {
    const watching = start(['watch', await create({ duration_seconds: 60 })]);
    await watching.until(HIDE_CURSOR);
    watching.type(CTRL_C);
    const { code, stdout } = await watching.ended;
    expect(code).toBe(130);
    expect(stdout.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(stdout.lastIndexOf(HIDE_CURSOR));
  });
});

describe('delete', () => {
  it.each([
    ['y\n', 0, 0],
    ['YES\n', 0, 0],
    ['n\n', 1, 1],
    ['\n', 1, 1],
    [CTRL_C, 1, 1],
    [CTRL_D, 1, 1],
  ])('asks, and to %j it ends with %i', async (keys, code, left) => {
    const id = await create({ duration_seconds: 60 });
    const deleting = start(['delete', id]);
    await deleting.until(`Delete ${id}? [y/N]`);
    deleting.type(keys);
    expect(await deleting.ended).toMatchObject({ code });
    expect(await count()).toBe(left);
  });

  it('says how many it is about, and does not ask when told so', async () => {
    await create({ duration_seconds: 60 });
    await create({ duration_seconds: 60 });
    const asking = start(['delete', '--all']);
    await asking.until('Delete 2 timers? [y/N]');
    asking.type('n\n');
    expect((await asking.ended).stdout).toContain('Nothing was deleted.');
    expect(await start(['delete', '--all', '--yes']).ended).toMatchObject({ code: 0 });
    expect(await count()).toBe(0);
  });
});

describe('colours', () => {
  it('are used on a terminal, and not with NO_COLOR', async () => {
    await create({ duration_seconds: 60 });
    const { stdout: coloured } = await start(['list']).ended;
    const { stdout: plain } = await start(['list'], { NO_COLOR: '1' }).ended;
    expect(coloured).toContain('\u001b[36mcreated\u001b[39m');
    expect(plain).not.toContain('\u001b');
    expect(stripVTControlCharacters(coloured)).toBe(plain);
  });
});
