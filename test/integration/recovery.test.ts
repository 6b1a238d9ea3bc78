/** What is there after a restart (T5), on the real database. */
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { created, entry, started } from '../support/entries.js';
import { readableLog } from '../support/log-lines.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const SECOND = 1000;

describe('T5: after a restart', () => {
  it('every timer is there as it was, and running ones keep their deadline', async () => {
    const folder = temporaryFolder();
    const clock = new SimulatedClock();
    const before = await TestService.start({ clock, journal: await openSqlite(folder) });
    const fresh = await before.create({ name: 'fresh' });
    const running = await before.create({ auto_start: true, warning_thresholds: [200, 100] });
    const paused = await before.create({ auto_start: true });
    const stopped = await before.create({ auto_start: true });
    const gone = await before.create();
    await before.advance(10_500);
    await before.act(paused.id, 'pause');
    await before.act(running.id, 'extend', 60);
    await before.act(stopped.id, 'stop');
    await before.request('DELETE', `/timers/${gone.id}`);
    const asItWas = await before.request('GET', '/timers');
    await before.stop();

    const after = await TestService.start({ clock, journal: await openSqlite(folder) });
    const elapsedMs = clock.now() - Date.UTC(2026, 0, 15, 10) - 10_500;
    expect(await after.get(fresh.id)).toMatchObject({ state: 'created', name: 'fresh' });
    expect(await after.get(running.id)).toMatchObject({
      state: 'running',
      remaining_ms: 349_500 - elapsedMs,
      revision: 2,
    });
    expect(await after.get(paused.id)).toMatchObject({ state: 'paused', remaining_ms: 289_500 });
    expect(await after.get(stopped.id)).toMatchObject({ state: 'completed', elapsed_seconds: 10 });
    expect((await after.request('GET', `/timers/${gone.id}`)).status).toBe(404);
    expect((await after.request('GET', '/timers')).body).toHaveLength(
      Number(Array.isArray(asItWas.body) && asItWas.body.length),
    );
  });

  it('timers that passed their deadline meanwhile are expired, at the deadline, before it is ready', async () => {
    const folder = temporaryFolder();
    const clock = new SimulatedClock();
    const before = await TestService.start({ clock, journal: await openSqlite(folder) });
    const { id, deadline_ms } = await before.create({ duration_seconds: 60, auto_start: true });
    await before.stop();
    clock.stall(3600 * SECOND);
    const journal = await openSqlite(folder);
    const after = await TestService.start({ clock, journal });
    expect(await after.get(id)).toMatchObject({
      state: 'expired',
      completed_at: new Date(deadline_ms ?? 0).toISOString(),
      elapsed_seconds: 60,
    });
    await after.advance(60 * SECOND);
    const history = await journal.history(id);
    expect(history.map(({ type }) => type)).toEqual(['created', 'expired']);
  });

  it('timers that ended longer ago than they are kept are not loaded, and stay in the journal', async () => {
    const clock = new SimulatedClock();
    const journal = await openSqlite();
    const settings = { RETAIN_FINISHED_SECONDS: '100' };
    const service = await TestService.start({ clock, journal, settings });
    const { id } = await service.create({ duration_seconds: 10, auto_start: true });
    await service.advance(110 * SECOND - 1);
    expect((await service.request('GET', `/timers/${id}`)).status).toBe(200);
    await service.advance(1);
    expect((await service.request('GET', `/timers/${id}`)).status).toBe(404);
    expect(await journal.history(id)).toHaveLength(2);
  });

  it('timers leave in the order of their ends, also those whose end was found at the restart', async () => {
    const journal = await openSqlite();
    const clock = new SimulatedClock();
    const hourMs = 3600 * SECOND;
    const startMs = clock.now() - 3 * hourMs;
    const overdue = ['a', 'b', 'c', 'd'];
    await journal.append([
      ...overdue.flatMap((id) => [created(id, startMs), started(id, 2, startMs)]),
      created('young', startMs),
      entry('young', 2, { type: 'stopped', data: {} }, clock.now() - 60 * SECOND),
    ]);
    const settings = { RETAIN_FINISHED_SECONDS: `${2 * 3600}` };
    const service = await TestService.start({ journal, clock, settings });
    await service.advance(SECOND);
    const present = (await service.request('GET', '/timers')).body;
    expect(present).toMatchObject([{ id: 'young' }]);
    await service.advance(2 * hourMs - 61 * SECOND);
    expect((await service.request('GET', '/timers')).body).toEqual([]);
  });

  it('no more finished timers are loaded than MAX_TIMERS leaves room for, the latest first', async () => {
    const folder = temporaryFolder();
    const clock = new SimulatedClock();
    const before = await TestService.start({ clock, journal: await openSqlite(folder) });
    const unfinished = await before.create();
    const finished: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const { id } = await before.create({ auto_start: true });
      await before.advance(SECOND);
      await before.act(id, 'stop');
      finished.push(id);
    }
    await before.stop();
    const settings = { MAX_TIMERS: '2' };
    const after = await TestService.start({ clock, journal: await openSqlite(folder), settings });
    expect((await after.get(unfinished.id)).state).toBe('created');
    const statuses = finished.map(
      async (id) => (await after.request('GET', `/timers/${id}`)).status,
    );
    expect(await Promise.all(statuses)).toEqual([404, 404, 200]);
  });

  it('refuses a journal whose history contradicts itself', async () => {
    const journal = new MemoryJournal();
    const impossible: Entry = { ...started('a', 1), revision: 1 };
    await journal.append([impossible]);
    await expect(TestService.start({ journal })).rejects.toThrow(/begins with the creation/);
  });

  it('is not ready, and refuses commands in words, until the journal has been read', async () => {
    const journal = new SlowJournal();
    await journal.append([created('timer_a')]);
    const starting = TestService.start({
      journal,
      onListening: async (service) => {
        for (const [method, path] of [
          ['GET', '/readyz'],
          ['GET', '/timers'],
          ['GET', '/timers/timer_a'],
          ['POST', '/timers'],
        ] as const) {
          const answer = await service.request(
            method,
            path,
            method === 'POST' ? { duration_seconds: 5 } : undefined,
          );
          expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([
            path,
            503,
            '1',
          ]);
        }
        expect((await service.request('GET', '/livez')).status).toBe(200);
        journal.release();
      },
    });
    const service = await starting;
    expect((await service.request('GET', '/readyz')).status).toBe(200);
    expect((await service.get('timer_a')).name).toBe('Algebra “Ω”');
  });

  it('a recovery says how far it is, once a second and not more', async () => {
    const clock = new SimulatedClock();
    const journal = new UnhurriedJournal(clock, 400);
    await journal.append(Array.from({ length: 5000 }, (_, index) => created(`timer_${index}`)));
    const { log, messages } = readableLog();
    await TestService.start({ clock, journal, log, settings: { MAX_TIMERS: '5000' } });
    expect(messages.filter((message) => message.startsWith('recovering'))).toEqual([
      'recovering: 30% of the timers',
      'recovering: 60% of the timers',
      'recovering: 90% of the timers',
    ]);
  });
});

describe('T4: an expiry that the disk refuses', () => {
  it('is proposed again every second, and recorded once with the deadline as its time', async () => {
    const folder = temporaryFolder();
    await (await openSqlite(folder)).close();
    const database = new Database(join(folder, 'journal.db'));
    database.exec(`CREATE TRIGGER broken_disk BEFORE INSERT ON entries
      WHEN NEW.type = 'expired' AND NOT EXISTS (SELECT 1 FROM entries WHERE type = 'paused')
      BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
    database.close();
    const journal = await openSqlite(folder);
    const service = await TestService.start({ journal });
    const healer = await service.create({ auto_start: true });
    const timer = await service.create({ duration_seconds: 10, auto_start: true });
    const other = await service.create({ duration_seconds: 11, auto_start: true });
    const display = await service.display(timer.id);
    await service.advance(15 * SECOND);
    expect(await service.get(timer.id)).toMatchObject({ state: 'running', remaining_ms: 0 });
    await service.act(healer.id, 'pause');
    await service.advance(SECOND);
    expect(await service.get(timer.id)).toMatchObject({
      state: 'expired',
      completed_at: new Date(timer.deadline_ms ?? 0).toISOString(),
    });
    expect((await service.get(other.id)).state).toBe('expired');
    await display.next('timer_expired');
    await service.advance(60 * SECOND);
    expect((await journal.history(timer.id)).map(({ type }) => type)).toEqual([
      'created',
      'expired',
    ]);
  });
});

/** The memory journal, which takes its time to read each batch of timers. */
class UnhurriedJournal extends MemoryJournal {
  readonly #clock: SimulatedClock;
  readonly #batchMs: number;

  constructor(clock: SimulatedClock, batchMs: number) {
    super();
    this.#clock = clock;
    this.#batchMs = batchMs;
  }

  override async *replay(endedBeforeMs: number) {
    for await (const batch of super.replay(endedBeforeMs)) {
      this.#clock.stall(this.#batchMs);
      yield batch;
    }
  }
}

/** The memory journal, read no sooner than a test allows. */
class SlowJournal extends MemoryJournal {
  readonly #gate = new EventEmitter();

  release(): void {
    this.#gate.emit('open');
  }

  override async *replay(endedBeforeMs: number) {
    await once(this.#gate, 'open');
    yield* super.replay(endedBeforeMs);
  }
}
