/** Every command but `serve` and `watch`, against the real service. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { historySchema } from '../../src/protocol/record.js';
import { bulkResultSchema } from '../../src/protocol/requests.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { type Fate, startBreakingProxy } from '../support/breaking-proxy.js';
import { type Run, startCommand, startProcess } from '../support/command.js';
import { BY_TEST } from '../support/entries.js';
import { TestService } from '../support/service.js';

let service: TestService;
beforeEach(async () => {
  service = await TestService.start({ settings: { MAX_DURATION_SECONDS: '7200' } });
});

function run(...args: string[]): Promise<Run> {
  return startCommand(args, { SYNCHRONIZED_TIMER_SERVER: service.service.url }).ended;
}

/** Runs a command that must do all it was asked, and gives what it wrote. */
async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

async function json<T>(schema: z.ZodType<T>, ...args: string[]): Promise<T> {
  return schema.parse(JSON.parse(await output(...args, '--json')));
}

const timersSchema = z.array(timerSchema);
const packageSchema = z.object({ version: z.string() });
const all = async () => timersSchema.parse((await service.request('GET', '/timers')).body);
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);

/** Creates very many at once, which takes long over HTTP. */
async function createNamed(names: readonly string[]): Promise<void> {
  const definition = { durationMs: 3_600_000, warningThresholdsMs: [], autoStart: false };
  const { registry } = service.service;
  await Promise.all(names.map((name) => registry.create({ name, ...definition }, BY_TEST)));
}

async function createFive(): Promise<string[]> {
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.push((await service.create()).id);
  return ids;
}

describe('create', () => {
  it('creates what it is told, and writes the id', async () => {
    const options = ['--duration', '1h30m', '--warn', '5m,60s', '--warn', '10'];
    const id = (await output('create', 'Algebra', ...options)).trimEnd();
    expect(await service.get(id)).toMatchObject({
      name: 'Algebra',
      state: 'created',
      duration_seconds: 5400,
      warning_thresholds: [300, 60, 10],
    });
  });

  it('leaves what it is not told to the service, and starts if asked', async () => {
    const timer = await json(timerSchema, 'create', '--duration', '90s', '--start');
    const { name, state, warning_thresholds, ...rest } = await service.get(timer.id);
    expect([name, state, warning_thresholds]).toEqual(['Timer', 'running', [300, 60, 30]]);
    expect(timer).toMatchObject({ name, state, ...rest });
  });

  it('T7: creates many with numbers, and starts them at one instant', async () => {
    const options = ['--duration', '300', '--count', '12', '--start'];
    const timers = await json(timersSchema, 'create', 'Seat', ...options);
    expect(timers.map(({ name }) => name)).toEqual(
      Array.from({ length: 12 }, (_, index) => `Seat ${index + 1}`),
    );
    expect(timers.every(({ state }) => state === 'running')).toBe(true);
    expect(await all()).toEqual(timers);
    const ids = linesOf(await output('create', 'Desk', '--duration', '5m', '--count', '2'));
    const [desk] = await Promise.all(ids.map((id) => service.get(id)));
    expect(desk).toMatchObject({ name: 'Desk 1', state: 'created' });
  });

  it('tells what it created before the service refused', async () => {
    service = await TestService.start({ settings: { MAX_TIMERS: '2' } });
    const { code, stdout, stderr } = await run('create', 'Seat', '--duration', '5', '--count', '4');
    expect(code).toBe(1);
    expect(linesOf(stdout)).toEqual((await all()).map(({ id }) => id));
    expect(stderr).toMatch(/^2 of 4 timers were created\.\nThere are 2 timers already.*\n$/);
  });
});

describe('list', () => {
  it('shows a table, with as many pages as there are', async () => {
    const names = Array.from({ length: 2100 }, (_, index) => `T${index}`);
    await createNamed(names);
    const [heading, ...rows] = linesOf(await output('list'));
    expect(heading).toMatch(/^ID +NAME +STATE +REMAINING +DISPLAYS$/);
    expect(rows.map((row) => row.split(/ +/)[1])).toEqual(names);
    expect(rows[0]).toMatch(/^timer_\w+ {2}T0 {5}created {2}1:00:00 {4}0$/);
  });

  it('filters by state, and says so when nothing is left', async () => {
    const { id } = await service.create({ auto_start: true });
    await service.create();
    const running = await json(timersSchema, 'list', '--state', 'running');
    expect(running.map((timer) => timer.id)).toEqual([id]);
    expect(await run('list', '--state', 'paused')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'There are no such timers.\n',
    });
    expect(await output('list', '--state', 'paused', '--json')).toBe('[]\n');
  });

  it('lets no name of a timer reach the terminal with control characters', async () => {
    await service.create({ name: 'A\u001b[2J\nB\u202e' });
    const [, row, ...rest] = linesOf(await output('list'));
    expect(row).toContain('A\ufffd[2J\ufffdB\ufffd');
    expect(rest).toEqual([]);
  });

  it('ends quietly when its reader does', async () => {
    await createNamed(Array.from({ length: 300 }, () => 'x'.repeat(200)));
    const listing = startProcess(['list', '--server', service.service.url]);
    listing.child.stdout?.destroy();
    expect(await listing.ended).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('show', () => {
  it('shows everything about a timer', async () => {
    const { id } = await service.create({ name: 'Quiz', warning_thresholds: [90, 5] });
    await service.act(id, 'start');
    await service.advance(1000);
    const facts = linesOf(await output('show', id)).map((line) => line.split(/ {2,}/));
    expect(Object.fromEntries(facts)).toEqual({
      id,
      name: 'Quiz',
      state: 'running, 4:59 remaining',
      duration: '5m',
      'warns at': '1m30s, 5s',
      displays: '0',
      created: '2026-01-15T10:00:00.000Z',
      started: '2026-01-15T10:00:00.000Z',
      ended: 'not yet',
    });
    expect(await json(timerSchema, 'show', id)).toEqual(await service.get(id));
  });
});

describe('start, pause, resume, extend and stop', () => {
  it('do so with one timer, and tell how it is', async () => {
    const { id } = await service.create();
    const steps = [
      [['start', id], 'running, 5:00'],
      [['pause', id], 'paused, 5:00'],
      [['extend', id, '--by', '1m30s'], 'paused, 6:30'],
      [['resume', id], 'running, 6:30'],
      [['stop', id], 'completed, 6:30'],
    ] as const;
    for (const [args, standing] of steps) {
      expect(await output(...args)).toBe(`${id}: ${standing} remaining\n`);
    }
    const other = await service.create();
    expect(await json(timerSchema, 'start', other.id)).toEqual(await service.get(other.id));
  });

  it('T7: do so with several at one instant, and tell it of each', async () => {
    const ids = [(await service.create()).id, (await service.create()).id];
    expect(await output('start', ...ids)).toBe(ids.map((id) => `${id}: started\n`).join(''));
    expect(await json(bulkResultSchema, 'extend', ...ids, '--by', '5m')).toEqual(
      ids.map((timer_id) => ({ timer_id, success: true, status: 'extended by 300s' })),
    );
    expect((await all()).map((timer) => timer.duration_seconds)).toEqual([600, 600]);
  });

  it('mean with --all those that have not ended, or those in a state', async () => {
    const [running, paused, ended] = [
      await service.create({ auto_start: true }),
      await service.create({ auto_start: true }),
      await service.create(),
    ];
    await service.act(paused.id, 'pause');
    await service.act(ended.id, 'stop');
    expect(await output('pause', '--all', '--state', 'running')).toBe(`${running.id}: paused\n`);
    const results = await json(bulkResultSchema, 'resume', '--all');
    expect(results.map(({ timer_id }) => timer_id)).toEqual([running.id, paused.id]);
    expect(await run('resume', '--all', '--state', 'created')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No timer is like that; nothing was done.\n',
    });
  });

  it('take more timers than one command of the service, and say so', async () => {
    service = await TestService.start({ settings: { MAX_BULK_TIMERS: '2' } });
    const ids = await createFive();
    const { code, stdout, stderr } = await run('start', '--all');
    expect([code, linesOf(stdout)]).toEqual([0, ids.map((id) => `${id}: started`)]);
    expect(stderr).toBe('5 timers take 3 commands, each with an instant of its own.\n');
  });

  it('T7: give as many timers one instant as the service takes', async () => {
    service = await TestService.start({ settings: { MAX_BULK_TIMERS: '2000' } });
    await createNamed(Array.from({ length: 1001 }, (_, index) => `T${index}`));
    expect(linesOf(await output('start', '--all'))).toHaveLength(1001);
  });

  it.each([
    ['refused', 'The disk is full.', ['was not', 'The disk is full.']],
    ['answer lost', /^Cannot reach the service at /, ['may have been', 'no answer came']],
  ] as const)(
    'tell what was done before a part was %s, and what was not',
    async (fate, why, doubt) => {
      service = await TestService.start({ settings: { MAX_BULK_TIMERS: '2' } });
      const ids = await createFive();
      const fates: Fate[] = ['passed', fate];
      const server = await startBreakingProxy(service.service.url, (path) =>
        path.includes('/bulk/') ? (fates.shift() ?? 'passed') : 'passed',
      );
      const { code, stdout, stderr } = await run('start', ...ids, '--server', server);
      expect([code, linesOf(stdout)]).toEqual([1, ids.slice(0, 2).map((id) => `${id}: started`)]);
      const [, failure, ...lines] = linesOf(stderr);
      expect(failure).toMatch(why);
      const [what, reason] = doubt;
      expect(lines).toEqual([
        `${ids[2]} ${what} started: ${reason}`,
        `${ids[3]} ${what} started: ${reason}`,
        `${ids[4]} was not started: not asked for after that`,
      ]);
      const done = (await all()).filter(({ state }) => state === 'running');
      expect(done).toHaveLength(fate === 'refused' ? 2 : 4);
    },
  );
});

describe('a command for several that got no answer', () => {
  it('says that it may have been carried out', async () => {
    const ids = [(await service.create()).id, (await service.create()).id];
    const server = await startBreakingProxy(service.service.url, (path) =>
      path.includes('/bulk/') ? 'answer lost' : 'passed',
    );
    const { code, stdout, stderr } = await run('start', ...ids, '--server', server);
    expect([code, stdout]).toEqual([1, '']);
    const [failure, ...lines] = linesOf(stderr);
    expect(failure).toMatch(/^Cannot reach the service at /);
    expect(lines).toEqual(ids.map((id) => `${id} may have been started: no answer came`));
    expect((await all()).map(({ state }) => state)).toEqual(['running', 'running']);
  });
});

describe('a command for several of which nothing was done', () => {
  it('says only why', async () => {
    const ids = await createFive();
    const server = await startBreakingProxy(service.service.url, (path) =>
      path.includes('/bulk/') ? 'refused' : 'passed',
    );
    expect(await run('start', ...ids, '--server', server)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The disk is full.\n',
    });
  });
});

describe('A7: a reason', () => {
  const reasons = async (id: string) =>
    (await service.journal.history(id)).map(({ type, reason }) => [type, reason]);

  it('goes on record with every control and with deletions, of one timer and of several', async () => {
    const ids = [(await service.create()).id, (await service.create()).id];
    const [id = ''] = ids;
    await output('start', ...ids, '--reason', 'All are here');
    await output('pause', id, '--reason-category', 'environment', '--reason', 'Fire alarm');
    await output('resume', id, '--reason', 'False alarm');
    await output('extend', ...ids, '--by', '5m', '--reason-category', 'examinee');
    await output('stop', ...ids, '--reason', 'Drill');
    await output('delete', id, '--yes', '--reason-category', 'staff', '--reason', 'Wrong & room');
    expect(await reasons(id)).toEqual([
      ['created', null],
      ['started', { category: 'other', text: 'All are here' }],
      ['paused', { category: 'environment', text: 'Fire alarm' }],
      ['resumed', { category: 'other', text: 'False alarm' }],
      ['extended', { category: 'examinee', text: null }],
      ['stopped', { category: 'other', text: 'Drill' }],
      ['deleted', { category: 'staff', text: 'Wrong & room' }],
    ]);
  });

  it('is of one of the categories', async () => {
    const { code, stderr } = await run('pause', 'timer_x', '--reason-category', 'weather');
    expect(code).toBe(2);
    expect(stderr).toContain('environment, examinee, staff, technical, other');
  });
});

describe('A7: a key or token', () => {
  it('is shown by every command, and what is done is on record with it', async () => {
    await service.protect();
    const { key, id: keyId } = await service.createKey({ role: 'instructor', label: 'Ms Meyer' });
    const asMeyer = {
      SYNCHRONIZED_TIMER_SERVER: service.service.url,
      SYNCHRONIZED_TIMER_TOKEN: key,
    };
    const runAsMeyer = (...args: string[]) => startCommand(args, asMeyer).ended;
    const ids: string[] = [];
    for (const name of ['A', 'B']) {
      const { stdout } = await runAsMeyer('create', name, '--duration', '5m');
      ids.push(stdout.trim());
    }
    for (const args of [['list'], ['start', ...ids], ['history', ids[0] ?? '']]) {
      expect(await runAsMeyer(...args)).toMatchObject({ code: 0, stderr: '' });
    }
    const [created, started] = await service.journal.history(ids[0] ?? '');
    for (const entry of [created, started]) {
      expect(entry?.by).toMatchObject({ credential: `key:${keyId}`, label: 'Ms Meyer' });
    }
    const watching = startCommand(['watch', ids[0] ?? '', '--json'], asMeyer);
    await watching.until('running');
    await service.act(ids[0] ?? '', 'stop');
    expect((await watching.ended).code).toBe(0);
    expect(await run('show', ids[1] ?? '', '--token', `${key}\n`)).toMatchObject({ code: 0 });
  });

  it('is asked for in words where there is none, or one that is not valid, and is not repeated', async () => {
    await service.protect();
    for (const args of [[], ['--token', 'sts_secret']]) {
      const { code, stderr } = await run('list', ...args);
      expect(code).toBe(1);
      expect(stderr).toMatch(/wants a key or token that is valid: .*SYNCHRONIZED_TIMER_TOKEN/);
      expect(stderr).not.toContain('sts_secret');
    }
    const { code, stderr } = await run('list', '--token', 'two secrets');
    expect(code).toBe(2);
    expect(stderr).not.toContain('secrets');
  });
});

describe('history', () => {
  it('A7: tells what happened, by whom and why, also after the timer is gone', async () => {
    const { id } = await service.create({ name: 'Quiz' });
    await output('start', id);
    await output('pause', id, '--reason-category', 'environment', '--reason', 'Fire\u001b alarm');
    await output('delete', id, '--yes');
    expect(linesOf(await output('history', id))).toEqual([
      '2026-01-15T10:00:00.000Z  Created as “Quiz” of 5 min',
      '2026-01-15T10:00:00.000Z  Started with 5 min left',
      '2026-01-15T10:00:00.000Z  Paused with 5 min left (environment: Fire\ufffd alarm)',
      '2026-01-15T10:00:00.000Z  Deleted',
    ]);
    const history = await json(historySchema, 'history', id);
    expect(history.map(({ revision, type }) => [revision, type])).toEqual([
      [1, 'created'],
      [2, 'started'],
      [3, 'paused'],
      [4, 'deleted'],
    ]);
  });
});

describe('delete', () => {
  it('deletes timers in whatever state when told not to ask', async () => {
    const ids = [(await service.create()).id, (await service.create({ auto_start: true })).id];
    await service.act(ids[0] ?? '', 'stop');
    expect(await output('delete', '--all', '--yes')).toBe(
      ids.map((id) => `${id}: deleted\n`).join(''),
    );
    expect(await all()).toEqual([]);
    const { id } = await service.create();
    expect(await json(bulkResultSchema, 'delete', id, '--yes')).toEqual([
      { timer_id: id, success: true, status: 'deleted' },
    ]);
  });

  it('refuses when nobody is there to be asked, and deletes nothing', async () => {
    const { id } = await service.create();
    const { code, stdout, stderr } = await run('delete', id);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/--yes/);
    expect(await all()).toHaveLength(1);
  });

  it('tells each that is not there, and deletes the others', async () => {
    const { id } = await service.create();
    expect(await run('delete', 'timer_x', id, '--yes')).toEqual({
      code: 1,
      stdout: `${id}: deleted\n`,
      stderr: 'timer_x was not deleted: Timer not found: timer_x\n',
    });
  });
});

describe('a refusal', () => {
  it('T12: is exit code 1, and says in words what the service said', async () => {
    const { id } = await service.create();
    const refusals = [
      [['show', 'timer_x'], 'Timer not found: timer_x'],
      [['watch', 'timer_x'], 'Timer not found: timer_x'],
      [['pause', id], /^Cannot pause timer in state 'created'\. Valid actions: \[/],
      [['create', '--duration', '3h'], /duration_seconds: .*7200/],
    ] as const;
    for (const [args, words] of refusals) {
      const { code, stdout, stderr } = await run(...args);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr.trimEnd()).toMatch(words);
    }
  });

  it('of several timers names each', async () => {
    const { id } = await service.create();
    const { code, stdout, stderr } = await run('start', 'timer_x', id, 'timer_y', '--json');
    expect(code).toBe(1);
    expect(bulkResultSchema.parse(JSON.parse(stdout)).map(({ success }) => success)).toEqual([
      ...[false, true, false],
    ]);
    expect(stderr).toBe('timer_x was not started: not found\ntimer_y was not started: not found\n');
  });
});

describe('wrong usage', () => {
  it.each([
    [[], 'Usage: synchronized-timer'],
    [['creat'], 'Did you mean create?'],
    [['create'], "'--duration <time>' not specified"],
    [['create', '--duration', '5x'], 'It is written like 90s, 5m, 1h30m, or 300 for seconds.'],
    [['create', '--duration', '5m', '--warn', '1m,'], 'It is written like'],
    [['create', '--duration', '5m', '--count', '0'], 'a whole number from 1'],
    [['extend', 'timer_x'], "'--by <time>' not specified"],
    [['list', '--state', 'asleep'], 'Allowed choices are created, running, paused'],
    [['start'], 'Say which timers: ids, or --all.'],
    [['start', 'timer_x', '--all'], 'not both'],
    [['start', 'timer_x', '--state', 'created'], 'Say --all with --state.'],
    [['show', '../health'], 'The id of a timer looks like'],
    [['show', ''], 'The id of a timer looks like'],
    [['show', 'timer_x', 'timer_y'], 'too many arguments'],
    [['list', '--server', 'localhost:8003'], 'It is a URL such as http://127.0.0.1:8003.'],
    [['list', '--server', 'http://user:pw@127.0.0.1:8003'], 'without a name or a password'],
    [['list', '--loud'], "unknown option '--loud'"],
  ])('%j is exit code 2, and says what is wrong', async (args, words) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
  });

  it('of the environment is told by its name, and not repeated', async () => {
    const server = { SYNCHRONIZED_TIMER_SERVER: 'http://user:secret@127.0.0.1:8003' };
    expect(await startCommand(['list'], server).ended).toEqual({
      code: 2,
      stdout: '',
      stderr: 'SYNCHRONIZED_TIMER_SERVER is wrong. It is a URL without a name or a password.\n',
    });
  });
});

describe('a service that cannot be reached', () => {
  it('is exit code 3, with the address and what to try', async () => {
    const server = service.service.url;
    await service.stop();
    for (const args of [['list'], ['watch', 'timer_x'], ['create', '--duration', '5m']]) {
      const { code, stdout, stderr } = await run(...args, '--server', server);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^[^\n]*ECONNREFUSED[^\n]*synchronized-timer serve[^\n]*--server/);
      expect(stderr).toContain(server);
    }
  });

  it('is also one that is something else', async () => {
    const other = createServer((_, response) => response.end('<h1>Welcome</h1>'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { code, stderr } = await run('list', '--server', `http://127.0.0.1:${port}/`);
    other.close();
    expect(code).toBe(3);
    expect(stderr).toContain(`http://127.0.0.1:${port}: what answers there is no Synchronized`);
  });
});

describe('the compiled command line', () => {
  it('runs a command, and ends with its exit code', async () => {
    const server = { SYNCHRONIZED_TIMER_SERVER: service.service.url };
    const { code, stdout } = await startProcess(['create', '--duration', '5m'], server).ended;
    expect([code, stdout]).toEqual([0, `${(await all())[0]?.id}\n`]);
    expect(await startProcess(['show', 'timer_x'], server).ended).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Timer not found: timer_x\n',
    });
    expect(await startProcess(['creat']).ended).toMatchObject({ code: 2, stdout: '' });
    await service.stop();
    expect(await startProcess(['list'], server).ended).toMatchObject({ code: 3, stdout: '' });
    const { version } = packageSchema.parse(JSON.parse(readFileSync('package.json', 'utf8')));
    expect(await startProcess(['--version']).ended).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
  });
});

describe('help', () => {
  const commands = [
    ...['serve', 'create', 'list', 'show', 'start', 'pause', 'resume', 'stop', 'extend', 'delete'],
    ...['history', 'watch', 'login', 'logout', 'whoami'],
  ];

  it.each(['', ...commands])('of %j has examples and the exit codes', async (command) => {
    const help = await output(...(command === '' ? [] : [command]), '--help');
    expect(help).toMatch(new RegExp(`Examples:\n  # .*\n  synchronized-timer ${command}`));
    expect(help).toMatch(/Exit codes:\n +0 {2}done\n/);
    expect(help).toContain('SYNCHRONIZED_TIMER_SERVER');
  });

  it('names every command, and the version is that of the package', async () => {
    const help = await output('--help');
    for (const command of commands) expect(help).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect(await output('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
