/** The real process, killed in the middle of things, again and again on one disk. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Entry } from '../../src/journal/journal.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import { type PipelinedReply, Pipelines } from '../support/pipelines.js';
import { ServiceProcess } from '../support/process.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const ROUNDS = 20;
const COMMANDS = 2000;
const TIMERS = 20;
const MOST_BEFORE_CRASH = 200;

/** A change the service has acknowledged, by the entry types that record it. */
interface Acknowledged {
  readonly timerId: string;
  readonly types: readonly string[];
  /** Unknown for a deletion, whose answer has no body. */
  readonly revision: number | undefined;
  /** The timer as the acknowledgement showed it. */
  readonly timer?: TimerResource;
}

const ENTRY_TYPES: Readonly<Record<string, readonly string[]>> = {
  start: ['started', 'resumed'],
  pause: ['paused'],
  resume: ['resumed'],
  extend: ['extended'],
  stop: ['stopped'],
};
const actions = [
  'start',
  'pause',
  'resume',
  'extend',
  'start',
  'pause',
  'resume',
  'extend',
  'stop',
];

/** Numbers that look random and are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    yield state >>> 8;
  }
}

async function create(requests: Pipelines, seconds: number): Promise<Acknowledged | undefined> {
  const body = { duration_seconds: seconds, auto_start: seconds === 1, warning_thresholds: [] };
  const reply = await requests.request('POST', '/timers', body);
  if (reply.status !== 201) return undefined;
  const timer = timerSchema.parse(JSON.parse(reply.text));
  return { timerId: timer.id, types: ['created'], revision: timer.revision, timer };
}

async function control(
  requests: Pipelines,
  timerId: string,
  action: string,
): Promise<Acknowledged | undefined> {
  const body = { action, extend_seconds: 60 };
  const reply = await requests.request('POST', `/timers/${timerId}/control`, body);
  return acknowledged(reply, timerId, ENTRY_TYPES[action] ?? []);
}

function acknowledged(
  reply: PipelinedReply,
  timerId: string,
  types: readonly string[],
): Acknowledged | undefined {
  expect([200, 204, 400, 404]).toContain(reply.status);
  if (reply.status === 204) return { timerId, types, revision: undefined };
  if (reply.status !== 200) return undefined;
  const timer = timerSchema.parse(JSON.parse(reply.text));
  return { timerId, types, revision: timer.revision, timer };
}

/** Sends every command at once, and kills the process when so many have been acknowledged. */
async function crashInTheMiddle(
  service: ServiceProcess,
  requests: Pipelines,
  timerIds: readonly string[],
  round: number,
): Promise<Acknowledged[]> {
  const random = numbers(round + 1);
  const pick = (count: number): number => random.next().value % count;
  const all: Acknowledged[] = [];
  // Few enough that the crash always comes while hundreds of commands are still under way.
  const killAfter = 1 + pick(MOST_BEFORE_CRASH);
  const send = async (index: number): Promise<void> => {
    const timerId = timerIds[pick(timerIds.length)] ?? '';
    const chance = pick(100);
    const sent =
      index % 10 === 0
        ? create(requests, chance < 50 ? 1 : 3600)
        : chance === 0
          ? requests
              .request('DELETE', `/timers/${timerId}`)
              .then((reply) => acknowledged(reply, timerId, ['deleted']))
          : control(requests, timerId, actions[pick(actions.length)] ?? 'start');
    // What the crash cuts off was not acknowledged, and may be there or not.
    const change = await sent.catch((error: unknown) => {
      if (service.child.signalCode === null && !service.child.killed) throw error;
      return undefined;
    });
    if (change === undefined || service.child.killed) return;
    all.push(change);
    if (all.length === killAfter) service.child.kill('SIGKILL');
  };
  await Promise.all(Array.from({ length: COMMANDS }, (_, index) => send(index)));
  expect(all).toHaveLength(killAfter);
  expect(service.child.killed).toBe(true);
  await service.kill();
  return all;
}

function checkHistory(history: readonly Entry[]): void {
  expect(history.map(({ revision }) => revision)).toEqual(history.map((_, index) => index + 1));
  const ends = history.filter(({ type }) => type === 'expired' || type === 'stopped');
  expect(ends.length).toBeLessThanOrEqual(1);
}

/** The service that came back shows every timer as it was last acknowledged, or as it went on from there. */
async function checkRestarted(requests: Pipelines, all: readonly Acknowledged[]): Promise<void> {
  const latest = new Map<string, TimerResource>();
  for (const { timer } of all) {
    const known = timer === undefined ? undefined : latest.get(timer.id);
    if (timer !== undefined && (known?.revision ?? 0) < timer.revision) latest.set(timer.id, timer);
  }
  const ids = [...latest.keys()];
  const replies = ids.map((id) => requests.request('GET', `/timers/${id}`));
  for (const [index, was] of [...latest.values()].entries()) {
    const reply = await replies[index];
    if (reply === undefined || reply.status === 404) continue;
    const is = timerSchema.parse(JSON.parse(reply.text));
    expect(is.revision).toBeGreaterThanOrEqual(was.revision);
    if (is.revision === was.revision) {
      expect([is.state, is.deadline_ms]).toEqual([was.state, was.deadline_ms]);
    }
    if (is.state === 'expired' && is.revision === was.revision + 1 && was.deadline_ms !== null) {
      expect(Date.parse(is.completed_at ?? '')).toBe(was.deadline_ms);
    }
  }
}

/**
 * What was acknowledged is in the journal at its revision. The journal is only ever added to, and each
 * round has timers of its own, so what a crash had lost would still be missing at the end.
 */
async function checkJournal(directory: string, all: readonly Acknowledged[]): Promise<void> {
  const journal = await openSqlite(directory);
  const histories = new Map<string, readonly Entry[]>();
  for (const { timerId, types, revision } of all) {
    const history = histories.get(timerId) ?? (await journal.history(timerId));
    histories.set(timerId, history);
    const entry = revision === undefined ? history.at(-1) : history[revision - 1];
    expect(types).toContain(entry?.type);
  }
  for (const history of histories.values()) checkHistory(history);
}

describe('T3, T5: after SIGKILL in the middle of concurrent commands', () => {
  it(`every acknowledged change is there, and nothing expires twice, ${ROUNDS} times on one disk`, {
    timeout: 240_000,
  }, async () => {
    const directory = temporaryFolder();
    const start = () => ServiceProcess.start({ DATA_DIR: directory, LOG_LEVEL: 'info' });
    const all: Acknowledged[] = [];
    let service = await start();
    for (let round = 0; round < ROUNDS; round += 1) {
      const requests = new Pipelines(service.url);
      const created = await Promise.all(
        Array.from({ length: TIMERS }, () => create(requests, 3600)),
      );
      const fresh = created.filter((change) => change !== undefined);
      const timerIds = fresh.map(({ timerId }) => timerId);
      const ofRound = [...fresh, ...(await crashInTheMiddle(service, requests, timerIds, round))];
      all.push(...ofRound);
      service = await start();
      await checkRestarted(new Pipelines(service.url), ofRound);
    }
    const health = JSON.parse((await service.request('GET', '/health')).text);
    expect(z.object({ timers_active: z.number() }).parse(health).timers_active).toBeGreaterThan(0);
    await service.terminate();
    expect(all.length).toBeGreaterThan(ROUNDS * (TIMERS + 20));
    await checkJournal(directory, all);
  });
});
