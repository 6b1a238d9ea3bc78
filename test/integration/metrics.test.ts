/** Metrics: what Prometheus is told, and that the dashboard asks for nothing else. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Entry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { EventReader } from '../support/event-reader.js';
import { eventually } from '../support/eventually.js';
import { ServiceProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { temporaryFolder } from '../support/sqlite.js';

const SECOND = 1000;

/** Every sample, by its name with its labels as they are written. */
function samplesIn(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name = '', value = ''] = /^(.+) (\S+)$/.exec(line) ?? [];
      return [name, value === 'Nan' ? Number.NaN : Number(value)];
    }),
  );
}

async function metricsOf(service: TestService): Promise<Map<string, number>> {
  const url = `${service.service.url}/metrics`;
  const response = await fetch(url, { headers: service.authorization });
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return samplesIn(await response.text());
}

/** A journal that takes its time, on the clock of the test. */
class SlowJournal extends MemoryJournal {
  readonly clock = new SimulatedClock();
  appendMs = 0;
  isFull = false;

  override async append(entries: readonly Entry[]) {
    this.clock.stall(this.appendMs);
    if (this.isFull) throw new Error('The disk is full');
    return super.append(entries);
  }
}

describe('M1: metrics', () => {
  it('M1: count timers by their states, through every change', async () => {
    const service = await TestService.start({ settings: { RETAIN_FINISHED_SECONDS: '100' } });
    const states = async () => {
      const samples = await metricsOf(service);
      return ['created', 'running', 'paused', 'expired', 'completed'].map((state) =>
        samples.get(`timer_timers{state="${state}"}`),
      );
    };
    expect(await states()).toEqual([0, 0, 0, 0, 0]);
    const [first, second, third, fourth] = await Promise.all(
      Array.from({ length: 4 }, () => service.create({ duration_seconds: 10 })),
    );
    expect(await states()).toEqual([4, 0, 0, 0, 0]);
    for (const timer of [first, second, third]) await service.act(timer?.id ?? '', 'start');
    await service.act(second?.id ?? '', 'pause');
    await service.act(third?.id ?? '', 'stop');
    expect(await states()).toEqual([1, 1, 1, 0, 1]);
    await service.advance(10 * SECOND);
    expect(await states()).toEqual([1, 0, 1, 1, 1]);
    await service.request('DELETE', `/timers/${fourth?.id}`);
    await service.advance(100 * SECOND);
    expect(await states()).toEqual([0, 0, 1, 0, 0]);
  });

  it('M1: count timers that were read from the journal', async () => {
    const journal = new MemoryJournal();
    const before = await TestService.start({ journal });
    await before.create({ auto_start: true });
    const after = await TestService.start({ journal });
    expect((await metricsOf(after)).get('timer_timers{state="running"}')).toBe(1);
  });

  it('M1: count displays by transport, and tell the worst error bound of all', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const other = await service.create();
    const bound = 'timer_worst_display_error_bound_seconds';
    expect((await metricsOf(service)).get(bound)).toBeNaN();
    const displays = [await service.display(id), await service.display(other.id)];
    await EventReader.open(`${service.service.url}/timers/${id}/events`, z.unknown());
    for (const [index, display] of displays.entries()) {
      display.say({ type: 'acknowledge', revision: 1, error_bound_ms: 12.5 * (index + 1) });
      await display.news();
    }
    const samples = await metricsOf(service);
    expect(samples.get('timer_displays{transport="websocket"}')).toBe(2);
    expect(samples.get('timer_displays{transport="sse"}')).toBe(1);
    expect(samples.get(bound)).toBe(0.025);
  });

  it('M1: count commands by what became of them', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    await service.control(id, 'pause');
    await service.request('POST', '/timers/bulk/start', [id, 'timer_unknown']);
    const samples = await metricsOf(service);
    const of = (command: string, outcome: string) =>
      samples.get(`timer_commands_total{command="${command}",outcome="${outcome}"}`);
    expect(of('create', 'done')).toBe(1);
    expect(of('pause', 'impossible_action')).toBe(1);
    expect(of('start', 'done')).toBe(1);
    expect(of('start', 'unknown_timer')).toBe(1);
  });

  it('M1: measure the journal, and count what it could not take', async () => {
    const journal = new SlowJournal();
    const service = await TestService.start({ journal, clock: journal.clock });
    journal.appendMs = 40;
    await service.create();
    journal.isFull = true;
    await service.request('POST', '/timers', { duration_seconds: 60 });
    const samples = await metricsOf(service);
    expect(samples.get('timer_journal_append_seconds_count')).toBe(2);
    expect(samples.get('timer_journal_append_seconds_sum')).toBeCloseTo(0.08);
    expect(samples.get('timer_journal_append_seconds_bucket{le="0.025"}')).toBe(0);
    expect(samples.get('timer_journal_append_seconds_bucket{le="0.05"}')).toBe(2);
    expect(samples.get('timer_journal_append_failures_total')).toBe(1);
    expect(
      samples.get('timer_commands_total{command="create",outcome="journal_unavailable"}'),
    ).toBe(1);
  });

  it('M1: measure each message to displays once, and how late ticks are', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60, warning_thresholds: [] });
    const displays = [await service.display(id), await service.display(id)];
    const silent = await service.display(id, '?ticks=false');
    await service.act(id, 'start');
    await service.advance(2 * SECOND);
    let samples = await metricsOf(service);
    expect(samples.get('timer_fan_out_seconds_count')).toBe(3);
    expect(samples.get('timer_tick_lateness_seconds_count')).toBe(2);
    expect(samples.get('timer_tick_lateness_seconds_sum')).toBe(0);
    // The process is busy: the next tick is due after 1 s and told after 3.25 s.
    service.clock.stall(3250);
    await service.advance(0);
    samples = await metricsOf(service);
    expect(samples.get('timer_tick_lateness_seconds_count')).toBe(3);
    expect(samples.get('timer_tick_lateness_seconds_sum')).toBeCloseTo(2.25);
    // A pause is nobody's lateness, and neither is a time without those that want ticks.
    await service.act(id, 'pause');
    await service.advance(5500);
    await service.act(id, 'start');
    await service.advance(2 * SECOND);
    for (const display of displays) await display.leave();
    await service.advance(10 * SECOND);
    await service.display(id);
    await service.advance(60 * SECOND);
    samples = await metricsOf(service);
    expect(samples.get('timer_tick_lateness_seconds_sum')).toBeCloseTo(2.25);
    expect((await silent.news()).length).toBeGreaterThan(0);
  });

  it('M1: count those who were refused, by limit', async () => {
    const settings = {
      ALLOW_OPEN: '1',
      TRUST_PROXY: '1',
      MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '1',
    };
    const service = await TestService.start({ settings });
    const headers = { 'X-Forwarded-For': '203.0.113.7' };
    for (let asked = 0; asked < 7; asked += 1) {
      await fetch(`${service.service.url}/livez`, { headers });
    }
    const samples = await metricsOf(service);
    expect(samples.get('timer_limited_total{limit="requests_per_address"}')).toBe(2);
    expect(samples.get('timer_limited_total{limit="failed_authentications"}')).toBe(0);
  });

  it('M1: count a display once that said too much', async () => {
    const service = await TestService.start({ settings: { MAX_MESSAGES_PER_SECOND: '1' } });
    const display = await service.display((await service.create()).id);
    for (let count = 0; count < 20; count += 1) display.say({ type: 'ping' });
    await display.closed;
    const samples = await metricsOf(service);
    expect(samples.get('timer_limited_total{limit="messages"}')).toBe(1);
  });

  it('M1: tell of webhooks, of those that are disabled too, also after a restart', async () => {
    const journal = new MemoryJournal();
    const settings = { WEBHOOK_RETRY_SECONDS: '5', WEBHOOK_ALLOW_PRIVATE: '1' };
    const service = await TestService.start({ journal, settings });
    const receiver = await Receiver.open();
    for (const url of [receiver.url, 'http://127.0.0.1:9/']) {
      expect((await service.request('POST', '/webhooks', { url })).status).toBe(201);
    }
    const told = async (from: TestService) => {
      const samples = await metricsOf(from);
      return [
        samples.get('timer_webhooks{state="enabled"}'),
        samples.get('timer_webhooks{state="disabled"}'),
        samples.get('timer_webhook_attempts_total{outcome="delivered"}'),
        samples.get('timer_webhook_attempts_total{outcome="failed"}'),
        samples.get('timer_webhook_lag_seconds'),
      ];
    };
    expect(await told(service)).toEqual([2, 0, 0, 0, 0]);
    await service.create();
    await eventually(async () => expect(await told(service)).toEqual([2, 0, 1, 1, 0]));
    await service.advance(10 * SECOND);
    await eventually(async () => expect(await told(service)).toEqual([1, 1, 1, 2, 10]));
    await service.stop();
    const restarted = await TestService.start({ journal, settings, clock: service.clock });
    service.clock.stall(60 * SECOND);
    expect((await told(restarted)).slice(0, 2)).toEqual([1, 1]);
    expect((await told(restarted))[4]).toBeGreaterThanOrEqual(70);
  });

  it('M1: are for observers and administrators', async () => {
    const service = await TestService.start();
    await service.protect();
    const keys = await Promise.all(
      (['observer', 'instructor'] as const).map((role) => service.createKey({ role })),
    );
    const [observer, instructor] = keys.map(({ key }) => key);
    service.token = observer;
    expect((await metricsOf(service)).has('timer_timers{state="created"}')).toBe(true);
    service.token = instructor;
    expect(problemIn(await service.request('GET', '/metrics')).code).toBe('forbidden');
    service.token = undefined;
    expect(problemIn(await service.request('GET', '/metrics')).code).toBe('unauthenticated');
  });
});

const dashboardSchema = z.object({
  title: z.string().min(1),
  panels: z.array(
    z.object({
      title: z.string().min(1),
      targets: z.array(z.object({ expr: z.string() })).min(1),
    }),
  ),
});

describe('the dashboard', () => {
  it('M1: asks only for what the service tells, and for all that it tells of itself', async () => {
    const service = await ServiceProcess.start({ DATA_DIR: temporaryFolder() });
    const created = await service.request('POST', '/timers', { duration_seconds: 60 });
    expect(created.status).toBe(201);
    const { text } = await service.request('GET', '/metrics');
    const told = new Set([...samplesIn(text).keys()].map((name) => name.replace(/\{.*/, '')));
    const file = new URL('../../docs/grafana-dashboard.json', import.meta.url);
    const { panels } = dashboardSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const asked = panels
      .flatMap(({ targets }) => targets)
      .flatMap(({ expr }) => expr.match(/\b(timer|process|nodejs)_\w+/g) ?? []);
    expect(asked.filter((name) => !told.has(name))).toEqual([]);
    const families = [...text.matchAll(/^# TYPE (timer_\w+) /gm)].map(([, name]) => name ?? '');
    expect(families.length).toBeGreaterThan(8);
    const unasked = families.filter((family) => !asked.some((name) => name.startsWith(family)));
    expect(unasked).toEqual([]);
    expect(told).toContain('nodejs_eventloop_lag_seconds');
    // What is listed connection by connection keeps displays waiting, and what is sampled costs them.
    expect([...told].filter((name) => /open_fds|_active_|lag_p99/.test(name))).toEqual([]);
  });
});
