/** What happens when a timer's actor fails (T11). */
import { describe, expect, it } from 'vitest';
import { faultyShards, shardsThatFailOver } from '../support/faulty-shards.js';
import { readableLog } from '../support/log-lines.js';
import { problemIn, TestService } from '../support/service.js';

const SECOND = 1000;

/** Lets time pass until something is settled: a restart is put off, if only by an instant. */
async function whileTimePasses<T>(service: TestService, settling: Promise<T>): Promise<T> {
  let isSettled = false;
  void settling.finally(() => {
    isSettled = true;
  });
  while (!isSettled) {
    await service.clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return settling;
}

describe('T11: a timer that fails is restarted from its journal', () => {
  it('keeps its state and its displays, is logged, and takes nothing else down', async () => {
    const faults = { left: 1 };
    const { log, lines } = readableLog();
    const service = await TestService.start({
      shardLogic: faultyShards(faults),
      log,
    });
    const other = await service.create({ auto_start: true });
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [50] });
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.act(id, 'extend', 5);
    await service.advance(5 * SECOND);
    expect(await service.get(id)).toMatchObject({
      state: 'running',
      revision: 3,
      remaining_ms: 60_000,
      connected_clients: 1,
    });
    expect(await service.get(other.id)).toMatchObject({ state: 'running', remaining_ms: 295_000 });
    await service.act(id, 'pause');
    expect(await display.next('timer_paused')).toMatchObject({ remaining_ms: 60_000 });
    expect(lines.some((line) => line.includes('a timer failed') && line.includes(id))).toBe(true);
    expect(lines.some((line) => line.includes('restarted') && line.includes(id))).toBe(true);
  });

  it('waits longer between restarts the more often it fails, and says so to callers meanwhile', async () => {
    const faults = { left: 3 };
    const service = await TestService.start({ shardLogic: faultyShards(faults) });
    const { id } = await service.create({ duration_seconds: 60 });
    await service.display(id);
    await service.act(id, 'start');
    // The first restart is at once; the second waits a second, the third two.
    await service.advance(2 * SECOND);
    const answer = await service.request('GET', `/timers/${id}`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(problemIn(answer).code).toBe('timer_restarting');
    expect(problemIn(await service.control(id, 'pause')).code).toBe('timer_restarting');
    await service.advance(10 * SECOND);
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 48_000 });
    expect(faults.left).toBeLessThan(0);
  });

  it('records the expiry of a timer that failed at its deadline', async () => {
    const service = await TestService.start({ shardLogic: faultyShards({ left: 1 }) });
    const { id, server_time_ms } = await service.create({ duration_seconds: 10, auto_start: true });
    await service.advance(12 * SECOND);
    expect(await service.get(id)).toMatchObject({
      state: 'expired',
      completed_at: new Date(server_time_ms + 10 * SECOND).toISOString(),
    });
  });

  it('tells displays the change over which it failed', async () => {
    const shardLogic = shardsThatFailOver('extended', { left: 1 });
    const service = await TestService.start({ shardLogic });
    const { id } = await service.create({ duration_seconds: 60, auto_start: true });
    const display = await service.display(id);
    const extended = await whileTimePasses(service, service.control(id, 'extend', 5));
    expect(extended.status).toBe(200);
    await service.act(id, 'pause');
    const told = await display.news();
    expect(told.filter(({ type }) => type !== 'timer_tick')).toMatchObject([
      { type: 'timer_extended', added_seconds: 5, revision: 2 },
      { type: 'timer_paused', revision: 3 },
    ]);
  });

  it('tells displays the changes that came while it was down, once and in their order', async () => {
    const shardLogic = shardsThatFailOver('extended', { left: 3 });
    const service = await TestService.start({ shardLogic });
    const { id } = await service.create({ duration_seconds: 2, auto_start: true });
    const display = await service.display(id);
    await whileTimePasses(service, service.control(id, 'extend', 1));
    await service.advance(10 * SECOND);
    const told = await display.news();
    const changes = told.filter(({ type }) => /extended|expired/.test(type));
    expect(changes.map(({ type }) => type)).toEqual(['timer_extended', 'timer_expired']);
  });

  it('tells displays the deletion over which it failed, and lets them go', async () => {
    const service = await TestService.start({
      shardLogic: shardsThatFailOver('deleted', { left: 1 }),
    });
    const { id } = await service.create();
    const display = await service.display(id);
    await whileTimePasses(service, service.request('DELETE', `/timers/${id}`));
    expect(await display.next('timer_deleted')).toMatchObject({ revision: 2 });
    expect(await display.closed).toMatchObject({ code: 4000 });
  });
});
