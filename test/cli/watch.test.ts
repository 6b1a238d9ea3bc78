/** `watch` without a terminal: the real client, the real service, real seconds. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { timerSchema } from '../../src/protocol/timer.js';
import {
  type RunningCommand,
  type RunningProcess,
  startCommand,
  startProcess,
} from '../support/command.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';

let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start({ JOURNAL: 'memory' }, 'file');
});

async function create(definition: object, by = service): Promise<string> {
  return timerSchema.parse(JSON.parse((await by.request('POST', '/timers', definition)).text)).id;
}

const control = (id: string, action: string, extend_seconds?: number) =>
  service.request('POST', `/timers/${id}/control`, { action, extend_seconds });

const watch = (...args: string[]): RunningCommand =>
  startCommand(['watch', ...args, '--server', service.url]);

const watchByProcess = (id: string): RunningProcess =>
  startProcess(['watch', id, '--server', service.url]);

/** Ends so many connections to a port as soon as they come. */
async function refuse(count: number, port: number): Promise<void> {
  const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  for (let refused = 0; refused < count; refused += 1) await once(server, 'connection');
  server.close();
  await once(server, 'close');
}

describe('watch', () => {
  it('writes a line for each change, warning and mark, and ends with the timer', async () => {
    const id = await create({ duration_seconds: 1, name: 'Quiz', warning_thresholds: [2] });
    const watching = watch(id);
    await watching.until('created');
    await control(id, 'extend', 2);
    await watching.until('added');
    await control(id, 'start');
    await watching.until('running');
    await control(id, 'pause');
    await watching.until('paused');
    await control(id, 'resume');
    expect(await watching.ended).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'Quiz: created, 0:01 remaining',
        '2s added, 0:03 remaining',
        'running, 0:03 remaining',
        'paused, 0:03 remaining',
        'running, 0:03 remaining',
        'warning: 0:02 remaining',
        '0:01 remaining',
        'the time is up',
        '',
      ].join('\n'),
    });
  });

  it('writes every change as a line of JSON', async () => {
    const id = await create({ duration_seconds: 60, warning_thresholds: [] });
    const watching = watch(id, '--json');
    await watching.until('connected');
    await control(id, 'start');
    await watching.until('timer_started');
    await control(id, 'stop');
    const { code, stdout, stderr } = await watching.ended;
    expect([code, stderr]).toEqual([0, '']);
    const messages = stdout
      .trimEnd()
      .split('\n')
      .map((line) => z.looseObject({ type: z.string() }).parse(JSON.parse(line)));
    expect(messages).toMatchObject([
      { type: 'connected', timer: { id, state: 'created' } },
      { type: 'timer_started', revision: 2, remaining_seconds: 60 },
      { type: 'timer_stopped', revision: 3 },
    ]);
  });

  it('ends at once with a timer that has ended', async () => {
    const id = await create({ duration_seconds: 60, name: 'Quiz' });
    await control(id, 'stop');
    expect(await watch(id).ended).toEqual({
      code: 0,
      stdout: 'Quiz: completed, 1:00 remaining\n',
      stderr: '',
    });
  });

  it('ends with 1 when the timer is deleted', async () => {
    const id = await create({ duration_seconds: 60 });
    const watching = watch(id);
    await watching.until('created');
    await service.request('DELETE', `/timers/${id}`);
    expect(await watching.ended).toMatchObject({ code: 1, stderr: 'The timer was deleted.\n' });
  });

  it('says that the contact is lost, and goes on when the service is back', async () => {
    const DATA_DIR = temporaryFolder();
    const first = await ServiceProcess.start({ DATA_DIR });
    const id = await create({ duration_seconds: 60, auto_start: true }, first);
    const watching = startCommand(['watch', id, '--server', first.url]);
    await watching.until('running');
    const { port: PORT } = new URL(first.url);
    await first.kill();
    await watching.until('no contact to the service; trying again');
    await refuse(2, Number(PORT));
    const second = await ServiceProcess.start({ DATA_DIR, PORT });
    await watching.until('in contact again: running');
    await second.request('POST', `/timers/${id}/control`, { action: 'stop' });
    const { code, stdout } = await watching.ended;
    expect(code).toBe(0);
    expect(stdout.match(/no contact/g)).toHaveLength(1);
    expect(stdout).toMatch(/stopped, 0:\d\d remaining\n$/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends on %s with %i', async (signal, code) => {
    const watching = watchByProcess(await create({ duration_seconds: 60 }));
    await watching.until('created');
    watching.child.kill(signal);
    expect(await watching.ended).toMatchObject({ code, stderr: '' });
  });

  it('ends quietly when its reader does', async () => {
    const id = await create({ duration_seconds: 60 });
    const watching = watchByProcess(id);
    await watching.until('created');
    watching.child.stdout?.destroy();
    await control(id, 'start');
    expect(await watching.ended).toMatchObject({ code: 0, stderr: '' });
  });
});
