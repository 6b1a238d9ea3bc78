/** What the clock of a timer shows, over real sockets and simulated time. */
import { describe, expect, it } from 'vitest';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;

describe('T2: remaining time comes from the deadline; pauses keep the fraction of a second', () => {
  it('counts ten run/pause cycles of 0.9 s as 9.0 s', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60 });
    for (let cycle = 0; cycle < 10; cycle += 1) {
      await service.act(id, 'start');
      await service.advance(900);
      await service.act(id, 'pause');
      await service.advance(7777);
    }
    const timer = await service.get(id);
    expect(timer.remaining_ms).toBe(51_000);
    expect(timer).toMatchObject({ state: 'paused', remaining_seconds: 51, elapsed_seconds: 9 });
  });

  it('runs a 24-hour exam to the millisecond', async () => {
    const service = await TestService.start();
    const { id, server_time_ms } = await service.create({
      duration_seconds: 86_400,
      auto_start: true,
    });
    await service.advance(86_400 * SECOND - 1);
    expect(await service.get(id)).toMatchObject({ state: 'running', remaining_ms: 1 });
    await service.advance(1);
    expect(await service.get(id)).toMatchObject({
      state: 'expired',
      elapsed_seconds: 86_400,
      completed_at: new Date(server_time_ms + 86_400 * SECOND).toISOString(),
    });
  });
});

describe('T8: a threshold warns each time the running clock passes it from above', () => {
  it('warns at each threshold once, highest first, and again after an extension lifted the clock', async () => {
    const service = await TestService.start();
    const { id } = await service.create({
      duration_seconds: 20,
      warning_thresholds: [5, 10, 20, 5],
    });
    const display = await service.display(id, '?ticks=false');
    await service.act(id, 'start');
    await service.advance(12 * SECOND);
    await service.act(id, 'extend', 4);
    await service.advance(8 * SECOND);
    const warnings = (await display.news()).filter(({ type }) => type === 'timer_warning');
    expect(warnings).toMatchObject([
      { threshold: 10, remaining_seconds: 10, remaining_ms: 10_000 },
      { threshold: 10, remaining_seconds: 10, remaining_ms: 10_000 },
      { threshold: 5, remaining_seconds: 5, remaining_ms: 5000 },
    ]);
  });

  it('does not warn again because of a pause', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10, warning_thresholds: [5] });
    const display = await service.display(id, '?ticks=false');
    await service.act(id, 'start');
    await service.advance(5 * SECOND);
    await service.act(id, 'pause');
    await service.act(id, 'resume');
    await service.advance(2 * SECOND);
    const news = await display.news();
    expect(news.filter(({ type }) => type === 'timer_warning')).toHaveLength(1);
  });
});

describe('T9: a tick says N when N seconds remain exactly', () => {
  it.each([
    ['first', false],
    ['last', true],
  ])(
    'ticks down to 0, with each warning before the tick of its second, whichever timeout fires %s',
    async (_, isLastFirst) => {
      const service = await TestService.start({
        clock: new SimulatedClock(undefined, isLastFirst),
      });
      const { id } = await service.create({ duration_seconds: 4, warning_thresholds: [2] });
      const display = await service.display(id);
      await service.act(id, 'start');
      await service.advance(4 * SECOND);
      const news = await display.news();
      expect(news.map(({ type }) => type)).toEqual([
        'timer_started',
        'timer_tick',
        'timer_warning',
        'timer_tick',
        'timer_tick',
        'timer_tick',
        'timer_expired',
      ]);
      const ticks = news.filter((message) => message.type === 'timer_tick');
      expect(ticks.map((tick) => [tick.remaining_seconds, tick.remaining_ms])).toEqual([
        [3, 3000],
        [2, 2000],
        [1, 1000],
        [0, 0],
      ]);
      expect(ticks.map(({ elapsed_seconds }) => elapsed_seconds)).toEqual([1, 2, 3, 4]);
    },
  );

  it('keeps to whole seconds after a pause in the middle of one', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 10 });
    const display = await service.display(id);
    await service.act(id, 'start');
    await service.advance(1500);
    await service.act(id, 'pause');
    await service.advance(333);
    await service.act(id, 'resume');
    await service.advance(500);
    const ticks = (await display.news()).filter((message) => message.type === 'timer_tick');
    expect(ticks.map((tick) => tick.remaining_ms)).toEqual([9000, 8000]);
  });

  it('sends no ticks to a display that keeps its own countdown, and everything else', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 3, warning_thresholds: [1] });
    const display = await service.display(id, '?ticks=false');
    await service.act(id, 'start');
    await service.advance(3 * SECOND);
    const types = (await display.news()).map(({ type }) => type);
    expect(types).toEqual(['timer_started', 'timer_warning', 'timer_expired']);
  });
});
