/** `serve`: the same service that `npm start` runs, with flags. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SETTINGS } from '../../src/config.js';
import { type RunningProcess, startCommand, startProcess } from '../support/command.js';
import { temporaryFolder } from '../support/sqlite.js';

const logLine = z.looseObject({ msg: z.string(), url: z.string().optional() });

/** The address that a service logs when it takes commands. */
async function urlOf(serving: RunningProcess): Promise<string> {
  await serving.until('listening on');
  const lines = serving.stdout.trimEnd().split('\n');
  const urls = lines.map((line) => logLine.parse(JSON.parse(line)).url);
  return urls.find((url) => url !== undefined) ?? '';
}

describe('serve', () => {
  it('runs the service until a signal, with the flags it is given', async () => {
    const folder = join(temporaryFolder(), 'deep');
    const flags = ['--port', '0', '--host', 'localhost', '--data-dir', folder];
    const serving = startProcess(['serve', ...flags]);
    const server = await urlOf(serving);
    expect(server).toMatch(/^http:\/\/localhost:\d+$/);
    expect(serving.stdout).toContain(`journal: sqlite (${folder}/journal.db)`);
    const created = await startCommand(['create', '--duration', '5m', '--server', server]).ended;
    expect(created.code).toBe(0);
    serving.child.kill('SIGTERM');
    expect(await serving.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('takes flags before settings of the environment, and those before defaults', async () => {
    const settings = { PORT: '1', JOURNAL: 'sqlite', LOG_LEVEL: 'silent', HOST: '127.0.0.1' };
    const flags = ['--port', '0', '--journal', 'memory', '--log-level', 'info'];
    const serving = startProcess(['serve', ...flags], settings);
    expect(await urlOf(serving)).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(serving.stdout).toContain('journal: memory');
    serving.child.kill('SIGINT');
    expect(await serving.ended).toMatchObject({ code: 0 });
  });

  it.each([
    [['--port', 'http'], {}, 'PORT is "http"; it takes a whole number from 0 to 65535\n'],
    [['--journal', 'paper'], {}, `JOURNAL is "paper"; it takes ${SETTINGS.JOURNAL.takes}\n`],
    [
      [],
      { MAX_TIMERS: 'many' },
      'MAX_TIMERS is "many"; it takes a whole number from 1 to 1000000\n',
    ],
  ])('%j with %j is refused as the setting would be', async (flags, settings, stderr) => {
    const { ended } = startCommand(['serve', ...flags], settings);
    expect(await ended).toEqual({ code: 2, stdout: '', stderr });
  });

  it('ends with 1 and one line when the port is taken', async () => {
    const first = startProcess(['serve', '--port', '0', '--journal', 'memory']);
    const { port } = new URL(await urlOf(first));
    const second = startProcess(['serve', '--port', port, '--journal', 'memory']);
    const { code, stderr } = await second.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^[^\n]*Another process listens there[^\n]*\n$/);
  });
});
