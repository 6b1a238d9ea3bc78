/**
 * Three nodes on three servers of NATS, real processes all of them: one history whoever changes what and
 * where, and what is left of it when servers, nodes and the network between them are lost.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectTimer } from '../../src/client/node.js';
import type { TimerDisplay } from '../../src/client/timer-display.js';
import { hashOf, NO_HASH } from '../../src/journal/chain.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import {
  createOn,
  entriesIn,
  type History,
  historyOn,
  type RecordEntry,
  recordOn,
  TestCluster,
} from '../support/cluster.js';
import { endWithTest } from '../support/endings.js';
import { eventually } from '../support/eventually.js';
import { hasNatsServer } from '../support/nats.js';
import type { ServiceProcess } from '../support/process.js';
import { need } from '../support/tools.js';

const INSTRUCTORS = 20;
const COMMANDS_EACH = 15;
const CONTESTED_TIMERS = 5;
const TIMERS = 100;
const ENDING_TIMERS = 40;
/** An election of a leader takes NATS some seconds, and sometimes several are needed. */
const PATIENCE = { timeout: 40_000, interval: 100 };
const AN_HOUR_SECONDS = 3600;
/** How long each of those who change timers in the background waits before the next change. */
const PAUSE_MS = 200;

const ENTRY_TYPES: Readonly<Record<string, readonly string[]>> = {
  start: ['started', 'resumed'],
  pause: ['paused'],
  resume: ['resumed'],
  extend: ['extended'],
};
const ACTIONS = Object.keys(ENTRY_TYPES);

const isThere = hasNatsServer();
let cluster: TestCluster;
const displays = new Set<TimerDisplay>();

endWithTest('clients', () => {
  for (const display of displays) display.close();
  displays.clear();
});

beforeEach((context) => need(context, 'nats-server', isThere));
beforeAll(async () => {
  if (isThere) cluster = await TestCluster.start();
}, 60_000);

/** A change that a node has acknowledged. */
interface Acknowledged {
  readonly timerId: string;
  /** Of the timer after it, which may have got other entries with this one. */
  readonly revision: number;
  readonly types: readonly string[];
  /** The reason it was sent with, which no other command has. */
  readonly reason: string;
}

let lastReason = 0;

/** Numbers that look random and are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

function nodeOf(index: number): ServiceProcess {
  const node = cluster.nodes[index % cluster.nodes.length];
  if (node === undefined) throw new Error('There is no node');
  return node;
}

/** Creates timers, each on another node. */
function createTimers(
  durationsSeconds: readonly number[],
  isStarted = true,
): Promise<readonly TimerResource[]> {
  return Promise.all(
    durationsSeconds.map((duration_seconds, index) =>
      createOn(nodeOf(index), { duration_seconds, auto_start: isStarted }),
    ),
  );
}

/** Sends a command; `undefined` when it was refused, or the node went away. */
async function control(
  node: ServiceProcess,
  timerId: string,
  action: string,
  key?: string,
): Promise<Acknowledged | undefined> {
  lastReason += 1;
  const text = `Command ${lastReason}`;
  const headers = key === undefined ? {} : { 'Idempotency-Key': key };
  const body = {
    action,
    reason: { category: 'other', text },
    ...(action === 'extend' && { extend_seconds: 60 }),
  };
  const path = `/timers/${timerId}/control`;
  const answer = await node.request('POST', path, body, headers);
  expect([200, 400, 503]).toContain(answer.status);
  if (answer.status !== 200) return undefined;
  const { revision } = timerSchema.parse(JSON.parse(answer.text));
  return { timerId, revision, types: ENTRY_TYPES[action] ?? [], reason: text };
}

/** Waits until all nodes have the same record, and gives it. */
async function commonRecord(): Promise<readonly RecordEntry[]> {
  const lines = await eventually(async () => {
    const [first = [], ...others] = await Promise.all(cluster.nodes.map(recordOn));
    for (const other of others) {
      expect(other.length).toBe(first.length);
      expect(other.find((line, index) => line !== first[index])).toBeUndefined();
    }
    return first;
  }, PATIENCE);
  return entriesIn(lines);
}

function expectChained(record: readonly RecordEntry[]): void {
  let last = { position: 0, hash: NO_HASH };
  for (const line of record) {
    const { hash, ...hashed } = line;
    expect([line.position, line.previous_hash]).toEqual([last.position + 1, last.hash]);
    expect(hash).toBe(hashOf(hashed));
    last = line;
  }
}

/** Each acknowledged change is in the record once. */
function expectKept(record: readonly RecordEntry[], all: readonly Acknowledged[]): void {
  const entries = new Map<string, RecordEntry>();
  for (const line of record) {
    const text = line.reason?.text ?? undefined;
    if (text === undefined) continue;
    expect(entries.has(text)).toBe(false);
    entries.set(text, line);
  }
  for (const { timerId, revision, types, reason } of all) {
    const line = entries.get(reason);
    expect([line?.timer_id, types.includes(line?.type ?? '')]).toEqual([timerId, true]);
    expect(line?.revision).toBeLessThanOrEqual(revision);
  }
}

/** An ended timer ended once, at its deadline, and nobody had noticed before. */
function expectEndedInTime(history: History): void {
  const ends = history.filter(({ type }) => type === 'expired');
  expect(ends).toHaveLength(1);
  const [end] = ends;
  expect(end?.revision).toBe(history.length);
  expect(end?.at).toBe(end?.before?.deadline);
  expect(Date.parse(end?.recorded_at ?? '')).toBeGreaterThanOrEqual(Date.parse(end?.at ?? ''));
}

describe('T3: on three nodes that share a log', () => {
  it('R5: what one of them signs can be checked with the keys of any', async () => {
    const keys = cluster.nodes.map((node) => node.request('GET', '/.well-known/jwks.json'));
    const [first, ...others] = (await Promise.all(keys)).map(({ text }) => text);
    expect(others).toEqual([first, first]);
  });

  it('conflicting commands of 20 instructors are each carried out once or refused, in one history', async () => {
    const contested = await createTimers(Array(CONTESTED_TIMERS).fill(AN_HOUR_SECONDS));
    async function instruct(instructor: number): Promise<readonly Acknowledged[]> {
      const pick = numbers(instructor);
      const done: Acknowledged[] = [];
      for (let command = 0; command < COMMANDS_EACH; command += 1) {
        const { id = '' } = contested[pick(contested.length)] ?? {};
        const action = ACTIONS[pick(ACTIONS.length)] ?? '';
        const key = `${instructor}-${command}`;
        const change = await control(nodeOf(instructor), id, action, key);
        if (change !== undefined) done.push(change);
      }
      return done;
    }
    const instructors = Array.from({ length: INSTRUCTORS }, (_, index) => instruct(index));
    const acknowledged = (await Promise.all(instructors)).flat();
    const record = await commonRecord();
    expectChained(record);
    expectKept(record, acknowledged);
    // What was refused left nothing, so each entry is that of one answer.
    const requests = record.flatMap(({ request_id }) => request_id ?? []);
    expect(new Set(requests).size).toBe(requests.length);
    expect(requests.length).toBe(acknowledged.length);
    expect(acknowledged.length).toBeGreaterThan(INSTRUCTORS);
    for (const { id } of contested) {
      const [first, ...others] = await Promise.all(
        cluster.nodes.map((node) => historyOn(node, id)),
      );
      for (const other of others) expect(other).toEqual(first);
    }
  });

  it('a change on one node is told to a display of another', async () => {
    const [{ id = '' } = {}] = await createTimers([AN_HOUR_SECONDS], false);
    const display = await follow(nodeOf(1).url, id);
    const change = await control(nodeOf(2), id, 'start');
    await eventually(() => expect(display.timer?.revision).toBe(change?.revision), PATIENCE);
    expect(display.state).toBe('running');
  });
});

/** Follows a timer and waits until it is live. */
async function follow(server: string, timerId: string): Promise<TimerDisplay> {
  const display = connectTimer({ server, timer: timerId });
  displays.add(display);
  await eventually(() => expect(display.connection).toBe('live'), PATIENCE);
  return display;
}

/** Changes that go on in the background, on every node that lives, until they are stopped. */
class Changes {
  readonly acknowledged: Acknowledged[] = [];
  readonly #timerIds: readonly string[];
  readonly #working: Promise<unknown>;
  #isOver = false;

  constructor(timerIds: readonly string[], workers: number) {
    this.#timerIds = timerIds;
    this.#working = Promise.all(Array.from({ length: workers }, (_, index) => this.#work(index)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#working;
  }

  async #work(worker: number): Promise<void> {
    const pick = numbers(worker);
    while (!this.#isOver) {
      const timerId = this.#timerIds[pick(this.#timerIds.length)] ?? '';
      const node = nodeOf(worker);
      const action = ACTIONS[pick(ACTIONS.length)] ?? '';
      // What was under way on a node that ended may have been carried out or not.
      const change = await control(node, timerId, action).catch(() => undefined);
      if (change !== undefined) this.acknowledged.push(change);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** Waits until every node that lives carries out changes. */
async function changeable(timerId: string): Promise<readonly Acknowledged[]> {
  const extend = (index: number): Promise<Acknowledged> =>
    eventually(async () => {
      const change = await control(nodeOf(index), timerId, 'extend');
      if (change === undefined) throw new Error('The change was refused');
      return change;
    }, PATIENCE);
  return Promise.all([...cluster.nodes.keys()].map(extend));
}

describe('T4, T5: when a server, a node and a cable between servers are lost while 100 timers run', () => {
  it('nothing acknowledged is lost, each timer ends once and in time, and displays go on elsewhere', {
    timeout: 120_000,
  }, async () => {
    const lasting = await createTimers(Array(TIMERS - ENDING_TIMERS).fill(AN_HOUR_SECONDS));
    // Three of them end in each second of what follows.
    const ending = await createTimers(
      Array.from({ length: ENDING_TIMERS }, (_, index) => 4 + Math.floor(index / 3)),
    );
    const [{ id: watched = '' } = {}, { id: probe = '' } = {}, ...changing] = lasting;
    const followers = await Promise.all(
      Array.from({ length: 6 }, () => follow(cluster.url, watched)),
    );
    const ends: string[] = [];
    for (const { id } of ending.slice(-6)) {
      const display = await follow(cluster.url, id);
      display.on('end', ({ reason }) => ends.push(`${id} ${reason}`));
    }
    const changes = new Changes(
      changing.map(({ id }) => id),
      6,
    );

    const leader = await eventually(() => cluster.nats.settledLeader(), PATIENCE);
    await leader.kill();
    const acknowledged = [...(await changeable(probe))];
    await leader.restart();

    const [lost] = cluster.nodes;
    if (lost === undefined) throw new Error('There is no node');
    await cluster.killNode(lost);
    acknowledged.push(...(await changeable(probe)));
    await eventually(() => {
      for (const { connection } of followers) expect(connection).toBe('live');
    }, PATIENCE);
    const change = await control(nodeOf(0), watched, 'extend');
    await eventually(() => {
      for (const { timer } of followers) expect(timer?.revision).toBe(change?.revision);
    }, PATIENCE);

    // The leader still reaches both of them. When it does not, nats-server elects again and again and its
    // copies may differ for good, which docs/scaling.md tells of.
    const leads = await eventually(() => cluster.nats.settledLeader(), PATIENCE);
    const [one, other] = cluster.nats.servers.filter((server) => server !== leads);
    if (one === undefined || other === undefined) throw new Error('There are three servers');
    cluster.nats.cut(one.name, other.name);
    acknowledged.push(...(await changeable(probe)));
    await eventually(async () => {
      const ended = await historyOn(nodeOf(0), ending.at(-1)?.id ?? '');
      expect(ended.at(-1)?.type).toBe('expired');
    }, PATIENCE);
    cluster.nats.mend(one.name, other.name);
    acknowledged.push(...(await changeable(probe)));

    await eventually(() => expect(changes.acknowledged.length).toBeGreaterThan(TIMERS), PATIENCE);
    await changes.stop();
    await cluster.addNode();
    const record = await commonRecord();
    expectChained(record);
    expectKept(record, [...acknowledged, ...changes.acknowledged, ...(change ? [change] : [])]);
    for (const { id } of ending) expectEndedInTime(await historyOn(nodeOf(0), id));
    const expired = record.filter(({ type }) => type === 'expired');
    expect(expired).toHaveLength(ENDING_TIMERS);
    for (const { child } of cluster.nodes) expect(child.exitCode).toBeNull();
    await eventually(() => expect(ends).toHaveLength(6), PATIENCE);
    expect(new Set(ends).size).toBe(6);
  });
});
