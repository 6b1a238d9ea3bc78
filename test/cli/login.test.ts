/** `login`, `logout` and `whoami`, with a home in a temporary folder. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { callerSchema } from '../../src/protocol/record.js';
import { type Run, startCommand, startOnTerminal, startProcess } from '../support/command.js';
import { TestService } from '../support/service.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';
import { canRun, need } from '../support/tools.js';

const QUESTION = 'Key or token for ';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const FORM = 'sts_ffffffffffff_';
/** Has the form of a key, and is none. */
const WRONG_KEY = `${FORM}${'x'.repeat(43)}`;

type Settings = Readonly<Record<string, string>>;

let service: TestService;
let home: string;
let settings: Settings;
let key: string;
let keyId: string;
beforeEach(async () => {
  service = await TestService.start();
  await service.protect();
  ({ key, id: keyId } = await service.createKey({ role: 'instructor', label: 'Ms Meyer' }));
  home = temporaryFolder();
  settings = { SYNCHRONIZED_TIMER_SERVER: service.service.url, HOME: home };
});

const fileIn = (folder: string): string => join(folder, 'synchronized-timer', 'credentials.json');
const keptFile = (): string => fileIn(join(home, '.config'));
const modeOf = (path: string): number => statSync(path).mode & 0o777;
const contentOf = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

function run(args: readonly string[], more: Settings = {}): Promise<Run> {
  return startCommand(args, { ...settings, ...more }).ended;
}

/** Logs in where nobody is there to be asked. */
function logIn(text: string, more: Settings = {}, ...args: string[]): Promise<Run> {
  const command = startCommand(['login', ...args], { ...settings, ...more });
  command.feed(text);
  return command.ended;
}

function keep(text: string, mode = 0o600): void {
  mkdirSync(dirname(keptFile()), { recursive: true });
  writeFileSync(keptFile(), text);
  chmodSync(keptFile(), mode);
}

async function who(...args: string[]): Promise<string | null> {
  const { stdout } = await run(['whoami', '--json', ...args]);
  return callerSchema.parse(JSON.parse(stdout)).label;
}

describe('login', () => {
  it('A7: reads a key that every command shows from then on, and says whose it is', async () => {
    const { url } = service.service;
    expect(await logIn(`${key}\n`)).toEqual({
      code: 0,
      stdout: `Logged in at ${url}: Ms Meyer, instructor, until it is revoked\n`,
      stderr: '',
    });
    const made = await run(['create', '--duration', '5m']);
    const [created] = await service.journal.history(made.stdout.trim());
    expect(created?.by).toMatchObject({ credential: `key:${keyId}`, label: 'Ms Meyer' });
    const told = await logIn(key, {}, '--json');
    expect(callerSchema.parse(JSON.parse(told.stdout))).toMatchObject({ role: 'instructor' });
  });

  it('A3: keeps it by the origin of the service, in a file for its user only', async () => {
    mkdirSync(dirname(keptFile()), { recursive: true });
    chmodSync(dirname(keptFile()), 0o755);
    await logIn(key);
    expect(modeOf(keptFile())).toBe(0o600);
    expect(modeOf(dirname(keptFile()))).toBe(0o700);
    const other = await TestService.start();
    await other.protect();
    const { key: otherKey } = await other.createKey({ role: 'observer', label: 'Mr Li' });
    await logIn(otherKey, {}, '--server', `${other.service.url}/`);
    const { origin } = new URL(other.service.url);
    expect(contentOf(keptFile())).toEqual({ [service.service.url]: key, [origin]: otherKey });
    expect([await who(), await who('--server', other.service.url)]).toEqual(['Ms Meyer', 'Mr Li']);
    // Nothing is left of what was written first and then given its name.
    expect(readdirSync(dirname(keptFile()))).toEqual(['credentials.json']);
  });

  it('A3: makes folders for its user only, where XDG_CONFIG_HOME says if that is absolute', async () => {
    const folder = join(home, 'deep', 'config');
    await logIn(key, { XDG_CONFIG_HOME: folder });
    expect([folder, dirname(fileIn(folder))].map(modeOf)).toEqual([0o700, 0o700]);
    expect(contentOf(fileIn(folder))).toEqual({ [service.service.url]: key });
    expect(existsSync(keptFile())).toBe(false);
    await logIn(key, { XDG_CONFIG_HOME: 'config' });
    expect(existsSync(keptFile())).toBe(true);
  });

  it('A3: keeps nothing of a key that the service does not take, and does not repeat it', async () => {
    const { code, stdout, stderr } = await logIn(WRONG_KEY);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Nothing was kept: the service at \S+ does not take this key\.\n$/);
    expect(existsSync(keptFile())).toBe(false);
    await logIn(key);
    await logIn(WRONG_KEY);
    expect(contentOf(keptFile())).toEqual({ [service.service.url]: key });
    const words = await logIn('two secrets');
    expect([words.code, words.stdout]).toEqual([2, '']);
    expect(words.stderr).not.toContain('secrets');
    expect(await logIn('')).toMatchObject({ code: 1, stderr: expect.stringMatching(/no key was/) });
    await service.stop();
    expect(await logIn(key)).toMatchObject({ code: 3, stdout: '' });
    expect(contentOf(keptFile())).toEqual({ [service.service.url]: key });
  });

  it('takes no key as an argument, and needs a home', async () => {
    const seen = await logIn('', {}, '--token', key);
    expect(seen).toMatchObject({ code: 2, stderr: expect.stringContaining('Others can see') });
    const homeless = await logIn(key, { HOME: '' });
    expect(homeless).toMatchObject({ code: 2, stderr: expect.stringContaining('XDG_CONFIG_HOME') });
  });

  it('says in one line that the file cannot be written, and leaves what is there', async () => {
    writeFileSync(join(home, '.config'), 'mine');
    const { code, stdout, stderr } = await logIn(key);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Cannot write \S+: E[^\n]*\n$/);
    expect(readFileSync(join(home, '.config'), 'utf8')).toBe('mine');
  });
});

describe('login on a terminal', () => {
  function start() {
    return startCommand(['login'], settings, { isTerminal: true });
  }

  it('A3: asks for the key, and does not show it', async () => {
    const login = start();
    await login.until(QUESTION);
    login.type(`${key}\r`);
    const { code, stdout, stderr } = await login.ended;
    expect([code, stderr]).toEqual([0, `${QUESTION}${service.service.url}: \n`]);
    expect(stdout).not.toContain(key);
    expect(await who()).toBe('Ms Meyer');
  });

  it.each([
    [CTRL_C, 130],
    [CTRL_D, 1],
    ['\r', 1],
  ])('keeps nothing after %j, and ends with %i', async (keys, code) => {
    const login = start();
    await login.until(QUESTION);
    login.type(keys);
    expect((await login.ended).code).toBe(code);
    expect(existsSync(keptFile())).toBe(false);
  });

  it('A3: has a real terminal show nothing of it', async (context) => {
    need(context, 'script', canRun('script', '--version'));
    const login = startOnTerminal(['login'], settings);
    await login.until(QUESTION);
    login.type(`${key}\r`);
    const { code, stdout } = await login.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('Ms Meyer, instructor')]);
    expect(stdout).not.toContain(key.slice(0, FORM.length));
    const given = startOnTerminal(['login'], settings);
    await given.until(QUESTION);
    given.type(CTRL_C);
    expect((await given.ended).code).toBe(130);
  });
});

describe('what a command shows', () => {
  it('is --token, or else SYNCHRONIZED_TIMER_TOKEN, or else what was kept', async () => {
    const [byOption, byEnvironment] = [
      (await service.createKey({ role: 'observer', label: 'Option' })).key,
      (await service.createKey({ role: 'observer', label: 'Environment' })).key,
    ];
    await logIn(key);
    const env = { SYNCHRONIZED_TIMER_TOKEN: byEnvironment };
    const name = async (args: readonly string[], more: Settings = {}) =>
      (await run(['whoami', ...args], more)).stdout.split(',')[0];
    expect(await name(['--token', byOption], env)).toBe('Option');
    expect(await name([], env)).toBe('Environment');
    expect(await name([])).toBe('Ms Meyer');
    expect(await name([], { SYNCHRONIZED_TIMER_TOKEN: '' })).toBe('Ms Meyer');
    // Whoever says that they show none means it.
    expect(await run(['whoami', '--token', ''])).toMatchObject({ code: 1, stdout: '' });
    const hidden = await logIn(key, env);
    expect(hidden).toMatchObject({ code: 0, stderr: expect.stringContaining('TOKEN is set') });
  });

  it('A3: was not kept for another service', async () => {
    const other = await TestService.start();
    await other.protect();
    await logIn((await service.createKey({ role: 'admin' })).key);
    for (const args of [
      ['list', '--server', other.service.url],
      ['audit', 'verify', other.service.url],
    ]) {
      const { code, stderr } = await run(args);
      expect([code, stderr]).toEqual([1, expect.stringContaining('synchronized-timer login,')]);
    }
    const { url } = service.service;
    const elsewhere = { SYNCHRONIZED_TIMER_SERVER: other.service.url };
    expect(await run(['audit', 'verify', url], elsewhere)).toMatchObject({ code: 0, stderr: '' });
  });

  it('is told with what to do when the service takes it no longer', async () => {
    await logIn(key);
    await service.request('DELETE', `/keys/${keyId}`);
    const { url } = service.service;
    for (const args of [['list'], ['watch', 'timer_x']]) {
      const { code, stderr } = await run(args);
      expect([code, stderr]).toEqual([
        1,
        'The service no longer takes the key that you logged in with. ' +
          `Log in again with "synchronized-timer login --server ${url}", or log out.\n`,
      ]);
    }
  });

  it('is nobody in particular as long as the service has no key', async () => {
    const open = await TestService.start();
    const { stdout } = await run(['whoami', '--server', open.service.url]);
    expect(stdout).toBe('anybody, admin, until the service has a key\n');
  });
});

describe('the file of kept keys', () => {
  it.each([0o640, 0o604, 0o620])('A3: is not used when its mode is %i', async (mode) => {
    await logIn(key);
    chmodSync(keptFile(), mode);
    for (const args of [['list'], ['logout']]) {
      const { code, stdout, stderr } = await run(args);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(/^Others of this machine may read or write [^\n]* chmod 600[^\n]*\n$/);
      expect(stderr).not.toContain(key);
    }
    expect(contentOf(keptFile())).toEqual({ [service.service.url]: key });
  });

  it.each(['', '{"http', '[]', '{"http://127.0.0.1:8003":1}', '{"http://127.0.0.1:8003":"a\\nb"}'])(
    'is told of in one line that says what to do when it holds %j',
    async (text) => {
      keep(text);
      const { code, stdout, stderr } = await run(['list']);
      expect([code, stdout]).toEqual([3, '']);
      expect(stderr).toBe(`${keptFile()} is not as it was written. Remove it, and log in again.\n`);
    },
  );

  it('is told of in one line that says what to do when it cannot be read', async () => {
    mkdirSync(keptFile(), { recursive: true });
    chmodSync(keptFile(), 0o700);
    const { code, stderr } = await run(['list']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^Cannot read \S+ \(EISDIR[^\n]*or remove it, and log in again\.\n$/);
  });

  it('is needed by nothing that is told what to show, or shows nothing', async () => {
    keep('broken');
    expect(await run(['whoami', '--token', key])).toMatchObject({ code: 0, stderr: '' });
    const directory = temporaryFolder();
    await (await openSqlite(directory)).close();
    const create = ['keys', 'create', '--role', 'admin', '--data-dir', directory];
    expect(await startProcess(create, settings).ended).toMatchObject({ code: 0, stderr: '' });
    const open = { HOME: '/dev/null', SYNCHRONIZED_TIMER_TOKEN: '' };
    expect(await run(['list'], open)).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('logout', () => {
  it('forgets the key of this service only, and says so when there is none', async () => {
    const elsewhere = { 'http://timers.example': 'sts_other' };
    await logIn(key);
    keep(JSON.stringify({ ...elsewhere, [service.service.url]: key }));
    const { url } = service.service;
    const done = { code: 0, stdout: `Logged out at ${url}\n`, stderr: '' };
    expect(await run(['logout'])).toEqual(done);
    expect(contentOf(keptFile())).toEqual(elsewhere);
    expect(modeOf(keptFile())).toBe(0o600);
    expect(await run(['list'])).toMatchObject({ code: 1, stdout: '' });
    const again = await run(['logout']);
    expect(again).toEqual({
      code: 0,
      stdout: '',
      stderr: `You were not logged in at ${url}; nothing was done.\n`,
    });
    const told = await run(['logout', '--json']);
    expect(JSON.parse(told.stdout)).toEqual({ server: url, status: 'not logged in' });
  });
});
