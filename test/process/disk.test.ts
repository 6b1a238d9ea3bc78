/** Disks that take no more, or say so of what they took: nothing is lost, and what was refused stays refused. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { problemSchema } from '../../src/protocol/problems.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { eventually } from '../support/eventually.js';
import { FailingDisk } from '../support/failing-disk.js';
import { freePorts } from '../support/ports.js';
import { type Reply, ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';

const HOUR = { duration_seconds: 3600, auto_start: true };

function problemIn({ status, text }: Reply): [number, string] {
  return [status, problemSchema.parse(JSON.parse(text)).code];
}

async function createIn(service: ServiceProcess) {
  return timerSchema.parse(JSON.parse((await service.request('POST', '/timers', HOUR)).text));
}

async function timerIn(service: ServiceProcess, id: string) {
  const { text } = await service.request('GET', `/timers/${id}`);
  return timerSchema.parse(JSON.parse(text));
}

function extend(service: ServiceProcess, id: string, seconds: number): Promise<Reply> {
  return service.request('POST', `/timers/${id}/control`, {
    action: 'extend',
    extend_seconds: seconds,
  });
}

function makeKey(service: ServiceProcess): Promise<Reply> {
  return service.request('POST', '/keys', { name: 'desk', role: 'admin' });
}

/** How many frames of a write-ahead log say that a commit ends there. */
function commitsIn(frames: Buffer): number {
  let commits = 0;
  for (let at = 0; at < frames.length; at += 24 + 4096) {
    if (frames.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}

describe('a disk that fails to sync what was written', () => {
  it('T3: a change that was refused is not made by a crash either', async (context) => {
    const disk = FailingDisk.prepare(context);
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR, ...disk.settings });
    const { id } = await createIn(service);
    disk.begin('fails-once');
    expect(problemIn(await extend(service, id, 100))).toEqual([503, 'journal_unavailable']);
    expect(await timerIn(service, id)).toMatchObject({ revision: 1, duration_seconds: 3600 });
    await service.kill();

    const again = await ServiceProcess.start({ DATA_DIR });
    expect(await timerIn(again, id)).toMatchObject({ revision: 1, duration_seconds: 3600 });
    expect((await extend(again, id, 5)).status).toBe(200);
  });

  it('T3: nor is a key that was refused', async (context) => {
    const disk = FailingDisk.prepare(context);
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR, ...disk.settings });
    disk.begin('fails-once');
    expect(problemIn(await makeKey(service))).toEqual([503, 'journal_unavailable']);
    await service.kill();

    const again = await ServiceProcess.start({ DATA_DIR });
    expect((await again.request('GET', '/timers')).status).toBe(200);
  });

  it('T3: what nobody can know is said to be so, and the next change settles it', async (context) => {
    const disk = FailingDisk.prepare(context);
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR, ...disk.settings });
    const { id } = await createIn(service);
    disk.begin('fails');
    expect(problemIn(await extend(service, id, 100))).toEqual([503, 'outcome_unknown']);
    expect(problemIn(await makeKey(service))).toEqual([503, 'outcome_unknown']);
    expect(await timerIn(service, id)).toMatchObject({ revision: 1 });
    disk.end('fails');
    expect((await extend(service, id, 5)).status).toBe(200);
    await service.kill();

    const again = await ServiceProcess.start({ DATA_DIR });
    expect(await timerIn(again, id)).toMatchObject({ revision: 2, duration_seconds: 3605 });
    expect((await extend(again, id, 5)).status).toBe(200);
  });

  it('T5: what refused changes left in the write-ahead log is not taken for damage', async (context) => {
    const disk = FailingDisk.prepare(context);
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR, ...disk.settings });
    const ids = [];
    for (let timer = 0; timer < 80; timer += 1) ids.push((await createIn(service)).id);
    const [id = ''] = ids;
    const log = join(DATA_DIR, 'journal.db-wal');
    const end = statSync(log).size;
    disk.begin('fails');
    for (const count of [80, 40, 10, 1]) {
      const bulk = { timer_ids: ids.slice(0, count), seconds: 100 };
      const refused = await service.request('POST', '/timers/bulk/extend', bulk);
      expect(problemIn(refused)).toEqual([503, 'outcome_unknown']);
    }
    disk.end('fails');
    expect((await extend(service, id, 5)).status).toBe(200);
    await service.kill();
    expect(commitsIn(readFileSync(log).subarray(end))).toBeGreaterThan(2);

    const again = await ServiceProcess.start({ DATA_DIR });
    expect(await timerIn(again, id)).toMatchObject({ revision: 2, duration_seconds: 3605 });
  });
});

describe('a disk that never answers', () => {
  it('keeps no process from ending, and the next start finds a whole journal', async (context) => {
    const disk = FailingDisk.prepare(context);
    const DATA_DIR = temporaryFolder();
    const service = await ServiceProcess.start({ DATA_DIR, ...disk.settings });
    const { id } = await createIn(service);
    disk.begin('hangs');
    const unanswered = extend(service, id, 100).catch(() => 'cut off');
    await disk.hung();
    service.child.kill('SIGTERM');
    expect(await service.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(service.log.at(-1)).toContain('shutting down took too long and was broken off');
    expect(await unanswered).toBe('cut off');

    const again = await ServiceProcess.start({ DATA_DIR });
    expect((await extend(again, id, 5)).status).toBe(200);
  });
});

describe('a standard output that takes no line', () => {
  it('harms the log only: the service serves, and ends when it is told to', async () => {
    const [port = 0] = await freePorts(1);
    const full = openSync('/dev/full', 'w');
    const settings = { JOURNAL: 'memory', PORT: String(port), LOG_LEVEL: 'trace' };
    const service = ServiceProcess.launch(settings, 'test', full);
    closeSync(full);
    service.url = `http://127.0.0.1:${port}`;
    await eventually(async () => {
      expect((await service.request('GET', '/readyz')).status).toBe(200);
    });
    expect(await createIn(service)).toMatchObject({ state: 'running' });
    expect(await service.terminate()).toBe(0);
    expect(service.stderr).toBe('');
  });
});
