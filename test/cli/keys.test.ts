/** `keys` and `token`: from a folder without a service to a display that is let in. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { keySchema, newKeySchema, tokenSchema } from '../../src/protocol/credentials.js';
import { startCommand, startProcess } from '../support/command.js';
import { TestDisplay } from '../support/display.js';
import { TestService } from '../support/service.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

async function output(settings: Readonly<Record<string, string>>, ...args: string[]) {
  const { code, stdout, stderr } = await startCommand(args, settings).ended;
  expect([code, stderr]).toEqual([0, '']);
  return stdout.trimEnd();
}

describe('keys', () => {
  it('A2: makes the first key in a folder that no service has open', async () => {
    const directory = temporaryFolder();
    const refused = await startProcess([
      'keys',
      'create',
      '--role',
      'observer',
      '--data-dir',
      directory,
    ]).ended;
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('role admin')]);
    const args = ['keys', 'create', '--role', 'admin', '--label', 'Ms Meyer'];
    const made = await startProcess([...args, '--data-dir', directory]).ended;
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const service = await TestService.start({
      journal: await openSqlite(directory),
      settings: { HOST: '0.0.0.0' },
    });
    service.token = made.stdout.trimEnd();
    const me = await service.request('GET', '/me');
    expect(me.body).toMatchObject({ role: 'admin', label: 'Ms Meyer' });
    const locked = await startProcess([...args, '--data-dir', directory]).ended;
    expect(locked.code).toBe(1);
    expect(locked.stderr).toMatch(/^.*journal\.db .*\n$/);
  });

  it('are made, listed and revoked, and shown by all commands', async () => {
    const service = await TestService.start();
    const server = { SYNCHRONIZED_TIMER_SERVER: service.service.url };
    const admin = await output(server, 'keys', 'create', '--role', 'admin');
    expect(admin).toMatch(/^sts_[0-9a-f]{12}_[\w-]{43}$/);
    const refused = await startCommand(['list'], server).ended;
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('key or token')]);
    const asAdmin = { ...server, SYNCHRONIZED_TIMER_TOKEN: admin };
    const args = [
      'keys',
      'create',
      '--role',
      'instructor',
      '--label',
      'Mr Li',
      '--expires-in',
      '8h',
    ];
    const made = newKeySchema.parse(
      JSON.parse(await output(asAdmin, ...args, '--timers', '*', '--json')),
    );
    expect(made).toMatchObject({ role: 'instructor', label: 'Mr Li', timers: '*' });
    const timer = await output(server, 'create', '--duration', '5m', '--token', made.key);
    const keys = z
      .array(keySchema)
      .parse(JSON.parse(await output(asAdmin, 'keys', 'list', '--json')));
    expect(keys.map(({ role }) => role)).toEqual(['admin', 'instructor']);
    expect(await output(asAdmin, 'keys', 'list')).toMatch(/instructor +Mr Li +all/);

    const token = ['token', 'create', timer, '--label', 'Seat 14', '--expires-in', '1h'];
    const display = tokenSchema.parse(JSON.parse(await output(asAdmin, ...token, '--json')));
    expect(display).toMatchObject({ timer_id: timer, label: 'Seat 14' });
    const plain = await output(asAdmin, ...token);
    await TestDisplay.connect(service.displayUrl(timer, `?access_token=${plain}`));

    expect(await output(asAdmin, 'keys', 'revoke', made.id)).toBe(`${made.id}: revoked`);
    const shutOut = await startCommand(['list', '--token', made.key], server).ended;
    expect(shutOut.code).toBe(1);
  });

  it('A3: shows no key in the help of a command', async () => {
    const help = await output({ SYNCHRONIZED_TIMER_TOKEN: 'sts_secret' }, 'list', '--help');
    expect(help).toContain('SYNCHRONIZED_TIMER_TOKEN');
    expect(help).not.toContain('sts_secret');
  });
});
