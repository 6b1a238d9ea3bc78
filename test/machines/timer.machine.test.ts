import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import type { Entry, EntryBody } from '../../machines/entry.js';
import { createRecord, recordOf, stateOf, type TimerRecord } from '../../machines/record.js';
import { type Notice, timerMachine } from '../../machines/timer.machine.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;

function startTimer(record: TimerRecord = createRecord(created('a'))) {
  const clock = new SimulatedClock(START_MS);
  const due: string[] = [];
  const timer = createActor(timerMachine, {
    clock,
    input: { record, clock, onDue: (timerId) => due.push(timerId), onWarning: () => {} },
  });
  const notices: Notice[] = [];
  timer.on('*', (notice) => notices.push(notice));
  timer.start();
  const apply = (body: EntryBody, atMs = clock.now()): void => {
    timer.send(entry('a', timer.getSnapshot().context.record.revision + 1, body, atMs));
  };
  const told = () => notices.map(({ type, atMs }) => [type, atMs - START_MS]);
  return { clock, timer, notices, told, apply, due };
}

const running = () => recordOf([created('a'), started('a', 2)]);

describe('a timer comes up in the state its record says, with the delays of that state', () => {
  const histories: [string, Entry[]][] = [
    ['CREATED', [created('a')]],
    ['RUNNING', [created('a'), started('a', 2)]],
    ['PAUSED', [created('a'), started('a', 2), entry('a', 3, { type: 'paused', data: {} })]],
    ['COMPLETED', [created('a'), entry('a', 2, { type: 'stopped', data: {} })]],
    [
      'EXPIRED',
      [
        created('a'),
        started('a', 2),
        entry('a', 3, { type: 'expired', data: {} }, START_MS + 60 * SECOND),
      ],
    ],
  ];

  it.each(histories)('%s', (state, history) => {
    const { timer } = startTimer(recordOf(history));
    const { value, context } = timer.getSnapshot();
    expect(typeof value === 'string' ? value : Object.keys(value)[0]).toBe(state);
    expect(stateOf(context.record)).toBe(state);
  });

  it('T5: a restored timer that runs still warns, ticks and asks for its expiry', async () => {
    const { clock, timer, told, due } = startTimer(running());
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    await clock.advance(60 * SECOND);
    expect(told().filter(([type]) => type === 'timer_warning')).toEqual([
      ['timer_warning', 30_000],
    ]);
    expect(told().filter(([type]) => type === 'timer_tick')).toHaveLength(60);
    expect(due).toEqual(['a']);
  });
});

describe('T4: a timer never expires early and expires exactly once', () => {
  it('stays RUNNING at its deadline until the expiry is committed', async () => {
    const { clock, timer, apply, told } = startTimer(running());
    await clock.advance(60 * SECOND + 500);
    expect(timer.getSnapshot().value).toEqual({ RUNNING: 'due' });
    apply({ type: 'expired', data: {} }, START_MS + 60 * SECOND);
    expect(timer.getSnapshot().value).toBe('EXPIRED');
    expect(timer.getSnapshot().context.record.completedAtMs).toBe(START_MS + 60 * SECOND);
    expect(told().at(-1)).toEqual(['timer_expired', 60 * SECOND + 500]);
  });

  it('asks once, and leaves it to the registry to ask again', async () => {
    const { clock, due } = startTimer(running());
    await clock.advance(60 * SECOND - 1);
    expect(due).toEqual([]);
    await clock.advance(1);
    expect(due).toHaveLength(1);
    await clock.advance(3 * SECOND);
    expect(due).toHaveLength(1);
  });

  it('runs on when an extension was committed first', async () => {
    const { clock, timer, apply, due } = startTimer(running());
    await clock.advance(60 * SECOND);
    apply({ type: 'extended', data: { addedMs: 10 * SECOND } }, START_MS + 59_999);
    expect(timer.getSnapshot().value).toEqual({ RUNNING: 'silent' });
    await clock.advance(10 * SECOND - 1);
    expect(due).toHaveLength(1);
    await clock.advance(1);
    expect(due).toHaveLength(2);
  });

  it.each(['paused', 'stopped'] as const)('cannot be %s at its deadline or later', (type) => {
    const { timer } = startTimer(running());
    const at = (atMs: number) => entry('a', 3, { type, data: {} }, atMs);
    expect(timer.getSnapshot().can(at(START_MS + 59_999))).toBe(true);
    expect(timer.getSnapshot().can(at(START_MS + 60_000))).toBe(false);
  });

  it('cannot expire before its deadline', () => {
    const { timer } = startTimer(running());
    const at = (atMs: number) => entry('a', 3, { type: 'expired', data: {} }, atMs);
    expect(timer.getSnapshot().can(at(START_MS + 59_999))).toBe(false);
    expect(timer.getSnapshot().can(at(START_MS + 60_000))).toBe(true);
  });
});

describe('T9: late timeouts', () => {
  it('after a stall the tick tells the present second, and none is told twice', async () => {
    const { clock, timer, notices } = startTimer(running());
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    await clock.advance(1 * SECOND);
    clock.stall(3400);
    await clock.advance(2 * SECOND);
    const ticks = notices.filter(({ type }) => type === 'timer_tick');
    expect(ticks.map(({ atMs }) => 60_000 - (atMs - START_MS))).toEqual([
      59_000, 55_600, 55_000, 54_000,
    ]);
  });

  it('T8: thresholds passed in a stall are all warned of, the highest first, before the tick', async () => {
    const record = { ...running(), warningThresholdsMs: [57_000, 58_000, 20_000] };
    const { clock, timer, notices } = startTimer(record);
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    clock.stall(3500);
    await clock.advance(0);
    expect(
      notices.map((notice) => (notice.type === 'timer_warning' ? notice.thresholdMs : notice.type)),
    ).toEqual([58_000, 57_000, 'timer_tick']);
  });

  it('a tick that is later than the deadline is not told', async () => {
    const { clock, timer, told } = startTimer(running());
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    await clock.advance(58_500);
    clock.stall(5000);
    await clock.advance(0);
    expect(told().filter(([type, atMs]) => type === 'timer_tick' && Number(atMs) > 58_500)).toEqual(
      [['timer_tick', 63_500]],
    );
  });
});

describe('a timer that nobody watches', () => {
  it('does not tick, and begins to when somebody does, on the whole second', async () => {
    const { clock, timer, told } = startTimer({ ...running(), warningThresholdsMs: [] });
    await clock.advance(10_300);
    expect(told()).toEqual([]);
    timer.send({ type: 'displays', counts: { connected: 2, ticking: 1 } });
    await clock.advance(1 * SECOND);
    expect(told()).toEqual([['timer_tick', 11_000]]);
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 0 } });
    await clock.advance(30 * SECOND);
    expect(told()).toHaveLength(2);
    expect(clock.pendingTimeouts).toBe(1);
  });
});

describe('a finished timer', () => {
  it('stays, with nothing pending, until it is retired', async () => {
    const { clock, timer, told, apply } = startTimer(running());
    await clock.advance(5 * SECOND);
    apply({ type: 'stopped', data: {} });
    expect(clock.pendingTimeouts).toBe(0);
    expect(timer.getSnapshot().status).toBe('active');
    timer.send({ type: 'retire' });
    expect(timer.getSnapshot().status).toBe('done');
    expect(told().at(-1)).toEqual(['timer_retired', 5 * SECOND]);
  });
});

describe('a node whose clock is behind those of others', () => {
  const tickSeconds = (notices: readonly Notice[]) =>
    notices.flatMap(({ type, record, atMs }) =>
      type === 'timer_tick' ? [((record.deadlineMs ?? 0) - atMs) / SECOND] : [],
    );

  it('T9, J4: tells an end that comes early there after the tick that says 0', async () => {
    const { clock, timer, notices, apply } = startTimer(running());
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    await clock.advance(59 * SECOND + 700);
    apply({ type: 'expired', data: {} }, START_MS + 60 * SECOND);
    expect(tickSeconds(notices).slice(-2)).toEqual([1, 0]);
    expect(notices.at(-1)?.type).toBe('timer_expired');
  });

  it('T9: ticks at whole seconds of a start that is still to come there', async () => {
    const { clock, timer, notices, apply } = startTimer();
    timer.send({ type: 'displays', counts: { connected: 1, ticking: 1 } });
    apply({ type: 'started', data: {} }, START_MS + 200);
    await clock.advance(2 * SECOND);
    expect(tickSeconds(notices)).toEqual([60, 59]);
  });
});
