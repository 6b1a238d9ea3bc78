/** The process: how it starts, refuses to start, and stops. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { unusableSetting } from '../../src/run.js';
import { TestDisplay } from '../support/display.js';
import { created } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { HeldPart } from '../support/held-part.js';
import { ServiceProcess } from '../support/process.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';
import { canRun, need } from '../support/tools.js';

const timersSchema = z.array(timerSchema);

/** Sets how large the process may let a file grow, which is a full disk to it; gives the exit status. */
function limitFileSize(pid: number | undefined, bytes: string): number | null {
  return spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`]).status;
}

async function createIn(service: ServiceProcess, body: object) {
  return timerSchema.parse(JSON.parse((await service.request('POST', '/timers', body)).text));
}

/** A folder with a journal of so many timers. */
async function folderWith(timers: number): Promise<string> {
  const folder = temporaryFolder();
  const journal = await openSqlite(folder);
  await journal.append(Array.from({ length: timers }, (_, index) => created(`timer_${index}`)));
  await journal.close();
  return folder;
}

describe('the start', () => {
  it('says in one line where it listens and which journal it uses', async () => {
    const DATA_DIR = join(temporaryFolder(), 'deep', 'down');
    const service = await ServiceProcess.start({ DATA_DIR });
    const lines = service.log.filter((line) => line.includes('listening'));
    expect(lines).toHaveLength(1);
    expect(z.object({ msg: z.string() }).parse(JSON.parse(lines[0] ?? '')).msg).toBe(
      `listening on ${service.url}, journal: sqlite (${DATA_DIR}/journal.db)`,
    );
    expect(service.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('is stopped by a wrong setting, with one line that names it, what it got and what it takes', async () => {
    const service = ServiceProcess.launch({ JOURNAL: 'memory', MAX_TIMERS: 'many' });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.stderr).toBe(
      'MAX_TIMERS is "many"; it takes a whole number from 1 to 1000000\n',
    );
  });

  it.each(['no.such.host.invalid', '::::', '192.0.2.1'])(
    'is stopped by a host that is not of this machine, %s, with one line that says so',
    async (HOST) => {
      const service = ServiceProcess.launch({ JOURNAL: 'memory', ALLOW_OPEN: '1', HOST });
      expect(await service.exited).toMatchObject({ code: 1 });
      expect(service.stderr).toMatch(/^HOST is "[^\n]*; it takes [^\n]* of this machine\n$/);
      expect(service.stderr).toContain(HOST);
    },
  );

  it('is stopped by a port that only others may use, with words that say so', () => {
    const message = 'listen EACCES: permission denied 127.0.0.1:80';
    const refused = Object.assign(new Error(message), { code: 'EACCES', syscall: 'listen' });
    const config = readConfig({ PORT: '80' });
    expect(unusableSetting(refused, config)?.message).toMatch(
      /^PORT is "80", which this user may not listen on .*; it takes a whole number/,
    );
    expect(unusableSetting(new Error('something else'), config)).toBeUndefined();
  });

  it('is stopped by a journal that cannot be used, with one line, and leaves it as it was', async () => {
    const DATA_DIR = temporaryFolder();
    const file = join(DATA_DIR, 'journal.db');
    writeFileSync(file, 'x'.repeat(9000));
    const service = ServiceProcess.launch({ DATA_DIR });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.stderr).toMatch(/^[^\n]*journal\.db is damaged or no database[^\n]*\n$/);
    expect(readFileSync(file, 'utf8')).toBe('x'.repeat(9000));
  });

  it('R3: is stopped by an entry that somebody changed, with one line that names it', async () => {
    const DATA_DIR = await folderWith(3);
    const database = new Database(join(DATA_DIR, 'journal.db'));
    database.exec("UPDATE entries SET data = replace(data, '60000', '76000') WHERE position = 2");
    database.close();
    const service = ServiceProcess.launch({ DATA_DIR });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.stderr).toMatch(/^[^\n]*journal\.db is damaged [^\n]* timer_1 [^\n]*\n$/);
  });

  it('is stopped by a folder that cannot be written to, with one line', async () => {
    const folder = temporaryFolder();
    const DATA_DIR = join(folder, 'file', 'data');
    writeFileSync(join(folder, 'file'), '');
    const service = ServiceProcess.launch({ DATA_DIR });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(service.stderr).toContain(DATA_DIR);
  });

  it('is stopped by a folder in which none can be made, with one line', async () => {
    const service = ServiceProcess.launch({ DATA_DIR: '/proc/timers' });
    expect(await service.exited).toMatchObject({ code: 1 });
    expect(service.stderr).toMatch(/^A journal cannot be made in \/proc\/timers [^\n]*\n$/);
  });

  it('is stopped by a port or a folder that another service uses, with one line', async () => {
    const DATA_DIR = temporaryFolder();
    const first = await ServiceProcess.start({ DATA_DIR });
    const sameFolder = ServiceProcess.launch({ DATA_DIR });
    expect(await sameFolder.exited).toMatchObject({ code: 1 });
    expect(sameFolder.stderr).toMatch(/^[^\n]*in use by another process[^\n]*\n$/);
    const samePort = ServiceProcess.launch({ JOURNAL: 'memory', PORT: new URL(first.url).port });
    expect(await samePort.exited).toMatchObject({ code: 1 });
    expect(samePort.stderr).toMatch(/^[^\n]*set PORT to another one[^\n]*\n$/);
  });
});

describe('a start that checks its journal for long', () => {
  it('says what it is doing and how large the journal is, and goes on when the check has ended', async () => {
    const DATA_DIR = await folderWith(4000);
    const file = join(DATA_DIR, 'journal.db');
    const check = await HeldPart.prepare('check');
    const service = ServiceProcess.launch({ DATA_DIR, ...check.settings });
    const megabytes = Math.ceil(statSync(file).size / 1e6);
    expect(megabytes).toBeGreaterThan(1);
    expect(await service.logged('checking')).toBe(`checking the journal ${file}, ${megabytes} MB`);
    check.release();
    await service.ready();
    expect((await service.request('GET', '/timers/timer_3999')).status).toBe(200);
    expect(await service.terminate()).toBe(0);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends on %s with 0, and the check with it; the next start finds everything',
    async (signal) => {
      const DATA_DIR = await folderWith(1);
      const check = await HeldPart.prepare('check');
      const service = ServiceProcess.launch({ DATA_DIR, ...check.settings });
      const { gone } = await check.begun();
      service.child.kill(signal);
      expect(await service.exited).toEqual({ code: 0, signal: null });
      await gone;
      expect(service.stderr).toBe('');
      const again = await ServiceProcess.start({ DATA_DIR });
      expect((await again.request('GET', '/timers/timer_0')).status).toBe(200);
    },
  );
});

describe('a start that is told to stop while it opens its journal', () => {
  it('finishes that, because no thread may be ended in the middle of a write, and exits with 0', async () => {
    const DATA_DIR = temporaryFolder();
    const thread = await HeldPart.prepare('thread');
    const service = ServiceProcess.launch({ DATA_DIR, ...thread.settings });
    await thread.begun();
    service.child.kill('SIGTERM');
    await service.logged('shutting down');
    thread.release();
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(service.stderr).toBe('');
    expect(readdirSync(DATA_DIR)).toEqual(['journal.db']);
  });
});

describe('the stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'on %s tells displays with 1012 and exits with 0',
    async (signal) => {
      const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
      const { id } = await createIn(service, { duration_seconds: 60, auto_start: true });
      const display = await TestDisplay.connect(`${service.url.replace('http', 'ws')}/ws/${id}`);
      service.child.kill(signal);
      expect(await display.closed).toMatchObject({ code: 1012 });
      expect(await service.exited).toEqual({ code: 0, signal: null });
    },
  );

  it('is that of the service, too, when npm is asked that started it', async () => {
    // It is built already; building it again would take it from under other tests.
    const args = ['start', '--silent', '--ignore-scripts'];
    const env = { PATH: process.env.PATH, PORT: '0', DATA_DIR: temporaryFolder() };
    const npm = spawn('npm', args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    npm.stdout.on('data', (data) => {
      output += String(data);
      if (output.includes('listening on')) npm.kill('SIGTERM');
    });
    // Which is when nobody has the pipe any more.
    await once(npm.stdout, 'close');
    expect(output).toContain('"msg":"stopped"');
  });

  it('finishes what was accepted: each command is answered, and a change that was is kept', async () => {
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR });
    const created = Promise.all(
      Array.from({ length: 300 }, () =>
        service.request('POST', '/timers', { duration_seconds: 60 }),
      ),
    );
    await service.request('GET', '/livez');
    const exit = service.terminate();
    const replies = await created;
    expect(await exit).toBe(0);
    const kept = replies.filter(({ status }) => status === 201);
    const refused = replies.filter(({ status }) => status === 503);
    expect(kept.length + refused.length).toBe(300);
    const again = await ServiceProcess.start({ DATA_DIR });
    const list = await again.request('GET', '/timers');
    const ids = new Set(timersSchema.parse(JSON.parse(list.text)).map(({ id }) => id));
    for (const { text } of kept) expect(ids).toContain(timerSchema.parse(JSON.parse(text)).id);
    expect(await again.terminate()).toBe(0);
  });

  it('does not wait for a display that says nothing, nor for an idle connection', async () => {
    const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
    const { port } = new URL(service.url);
    const idle = connect(Number(port), '127.0.0.1');
    await once(idle, 'connect');
    const { id } = await createIn(service, { duration_seconds: 60 });
    const mute = connect(Number(port), '127.0.0.1');
    const key = Buffer.alloc(16).toString('base64');
    mute.write(
      `GET /ws/${id} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await once(mute, 'data');
    expect(await service.terminate()).toBe(0);
    idle.destroy();
    mute.destroy();
  });
});

describe('a full disk', () => {
  it('T3, J2: refuses changes with 503, changes no timer, and recovers when the disk does', async (context) => {
    need(context, 'prlimit', canRun('prlimit', '--version'));

    const DATA_DIR = temporaryFolder();
    mkdirSync(DATA_DIR, { recursive: true });
    const service = await ServiceProcess.start({ DATA_DIR });
    const { id } = await createIn(service, { duration_seconds: 60 });
    const display = await TestDisplay.connect(`${service.url.replace('http', 'ws')}/ws/${id}`);
    const { pid } = service.child;
    expect(limitFileSize(pid, '8192')).toBe(0);
    for (const action of ['start', 'extend', 'stop']) {
      const reply = await service.request('POST', `/timers/${id}/control`, {
        action,
        extend_seconds: 5,
      });
      expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    }
    expect((await service.request('POST', '/timers', { duration_seconds: 60 })).status).toBe(503);
    expect((await service.request('POST', '/timers/bulk/start', [id])).status).toBe(503);
    const timer = await service.request('GET', `/timers/${id}`);
    expect(timerSchema.parse(JSON.parse(timer.text))).toMatchObject({
      state: 'created',
      revision: 1,
    });
    expect(await display.news()).toEqual([]);
    const missing = await service.request('GET', '/readyz');
    expect([missing.status, JSON.parse(missing.text).missing[0].part]).toEqual([503, 'disk']);

    expect(limitFileSize(pid, 'unlimited')).toBe(0);
    // By itself: nobody asks a service for changes that is not ready.
    await eventually(async () => {
      expect((await service.request('GET', '/readyz')).status).toBe(200);
    });
    const reply = await service.request('POST', `/timers/${id}/control`, { action: 'start' });
    expect(reply.status).toBe(200);
    expect(await display.next('timer_started')).toMatchObject({ revision: 2 });
    expect(await service.terminate()).toBe(0);
    const again = await ServiceProcess.start({ DATA_DIR });
    const kept = await again.request('GET', `/timers/${id}`);
    expect(timerSchema.parse(JSON.parse(kept.text))).toMatchObject({
      state: 'running',
      revision: 2,
    });
  });
});
