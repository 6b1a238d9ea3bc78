/**
 * Nodes that share a log: three nats-servers in a cluster and nodes of the service, all on this machine. How long
 * after a change was sent to one node is it on a display of another? How long until changes are possible again
 * when the server that leads the log is killed, and what part of that is the engine's own? How long until displays
 * of a killed node are live elsewhere? What does a delivered tick cost with one node, and what with two?
 *
 * Deliveries per second of two nodes against one can be seen only where each has a core of its own and the
 * displays have others. What can be seen anywhere is what a delivery costs: two nodes deliver 1.7 times as many as
 * one where a delivery costs them at most 2 / 1.7 times as much.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SETTINGS } from '../src/config.js';
import { hasNatsServer, type NatsCluster, NatsServer } from '../test/support/nats.js';
import { TcpProxy } from '../test/support/tcp-proxy.js';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import type { Displays } from './support/displays.js';
import { createTimers, type HttpConnection, timerSchema } from './support/http.js';
import { commander, load } from './support/load.js';
import { progress } from './support/progress.js';
import type { RunningService } from './support/service.js';
import { onStage, type Stage } from './support/stage.js';
import { largest, median, percentile } from './support/statistics.js';
import { heldBy, usageOf } from './support/usage.js';

const NAME = 'cluster';
const FULL = {
  changes: 1000,
  losses: 8,
  displays: 2000,
  spreadMs: 5000,
  rounds: 6,
  roundMs: 5000,
  following: 200,
  connections: 32,
  loadMs: 10_000,
};
const QUICK = {
  changes: 50,
  losses: 1,
  displays: 200,
  spreadMs: 500,
  rounds: 2,
  roundMs: 2000,
  following: 20,
  connections: 4,
  loadMs: 1000,
};
type Plan = typeof FULL;

const TIMER = { name: 'Hall', duration_seconds: 86_400, auto_start: true };
const MEDIAN_MS = 20;
const HIGHEST_MS = 100;
const AWAY_MS = 5000;
/** Two nodes must deliver so many times what one does. */
const AT_LEAST_TIMES = 1.7;
const TIMERS_EACH = 10;
const PAUSE_MS = 20;
const WARM_UP_MS = 3000;
/** A timer that was paused or resumed ticks as it should after this. */
const TURN_MS = 1500;
const PATIENCE_MS = 60_000;
/** A bare client gives the engine so long for an answer before it asks again. */
const BARE_TIMEOUT_MS = 300;
const POLL_MS = 50;

const toldSchema = z.object({ type: z.string(), revision: z.number().optional() });

async function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  if (!hasNatsServer()) {
    progress(NAME, 'skipped: there is no nats-server on this machine');
    return [];
  }
  const plan = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    const nats = await NatsServer.startCluster();
    stage.atEnd(() => nats.remove());
    const settings = {
      JOURNAL: nats.servers.map(({ url }) => url).join(','),
      NATS_REPLICAS: `${nats.servers.length}`,
    };
    const dataDir = await stage.folder();
    const start = () => stage.service({ settings, dataDir, profileDir });
    const nodes = [await start(), await start()] as const;
    const deliveries = await costOfDeliveries(stage, nodes, plan);
    const underLoad = await costOfChanges(stage, nodes, plan);
    const changes = await timesOfChanges(stage, nodes, plan);
    const losses = await timesOfLosses(stage, nodes, nats, plan);
    return [...changes, ...losses, ...underLoad, ...deliveries];
  });
}

type Nodes = readonly [RunningService, RunningService];

/** What many changes that one node is asked for cost it, and what they cost a node that only hears of them. */
async function costOfChanges(stage: Stage, [one, two]: Nodes, plan: Plan): Promise<Figure[]> {
  const { connections: count, loadMs } = plan;
  progress(NAME, `changes over ${count} connections to one node`);
  const connections = await stage.connections(one.url, count);
  const timerIds = await createTimers(connections, count * TIMERS_EACH, {
    ...TIMER,
    auto_start: false,
  });
  const commanders = connections.map((connection, index) =>
    commander(connection, timerIds.slice(index * TIMERS_EACH, (index + 1) * TIMERS_EACH)),
  );
  await load(commanders, WARM_UP_MS);
  const read = () => Promise.all([one, two].map(async ({ child }) => (await usageOf(child)).cpuMs));
  const before = await read();
  const { latenciesMs, wallMs } = await load(commanders, loadMs);
  const after = await read();
  const [asked, other] = after.map((cpuMs, index) => {
    return ((cpuMs - (before[index] ?? 0)) * 1000) / latenciesMs.length;
  });
  const comparedWith = `${count} connections, three copies of the log, all on this machine`;
  const figure = (name: string, value: number | undefined, unit: string): Figure => ({
    name,
    value: value ?? Number.NaN,
    unit,
    comparedWith,
  });
  return [
    figure('acknowledged commands per second', latenciesMs.length / (wallMs / 1000), 'per s'),
    figure('time of a command, median', median(latenciesMs), 'ms'),
    figure('CPU per change, the node that was asked', asked, 'us'),
    figure('CPU per change, the other node', other, 'us'),
  ];
}

/** The times from the sending of a change to one node to its message at a display of another. */
async function timesOfChanges(stage: Stage, [one, two]: Nodes, plan: Plan): Promise<Figure[]> {
  const connection = await stage.connection(one.url);
  const [timerId = ''] = await createTimers([connection], 1, TIMER);
  const figures: Figure[] = [];
  for (const [node, where] of [
    [two, 'another node'],
    [one, 'the same node'],
  ] as const) {
    progress(NAME, `${plan.changes} changes, with a display on ${where}`);
    const heard = await hear(stage, node, timerId);
    const timesMs: number[] = [];
    for (let change = 0; change < plan.changes; change += 1) {
      const body = { action: change % 2 === 0 ? 'pause' : 'resume' };
      const sentMs = performance.now();
      await connection.post(`/timers/${timerId}/control`, body, timerSchema);
      timesMs.push((await heard.next()) - sentMs);
      await sleep(PAUSE_MS);
    }
    const name = `a change, until it is on a display of ${where}`;
    const comparedWith = `${plan.changes} changes, one after the other, three nats-servers`;
    const common = { unit: 'ms', comparedWith, samples: timesMs };
    figures.push(
      { ...common, name: `${name}, median`, value: median(timesMs), target: { atMost: MEDIAN_MS } },
      {
        ...common,
        name: `${name}, 99 of 100`,
        value: percentile(timesMs, 99),
        target: { atMost: HIGHEST_MS },
      },
    );
  }
  return figures;
}

/** A display that tells when each change arrived. */
async function hear(stage: Stage, node: RunningService, timerId: string) {
  const socket = new WebSocket(`ws://${node.url.host}/ws/${timerId}?ticks=false`);
  stage.atEnd(() => socket.terminate());
  const arrivals: number[] = [];
  let wake: () => void = () => {};
  socket.on('message', (data) => {
    const { type } = toldSchema.parse(JSON.parse(String(data)));
    if (type !== 'timer_paused' && type !== 'timer_started' && type !== 'timer_resumed') return;
    arrivals.push(performance.now());
    wake();
  });
  await new Promise((resolve) => socket.once('message', resolve));
  return {
    async next(): Promise<number> {
      for (;;) {
        const arrival = arrivals.shift();
        if (arrival !== undefined) return arrival;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** How long the loss of a server or of a node is felt. */
async function timesOfLosses(
  stage: Stage,
  [one, two]: Nodes,
  nats: NatsCluster,
  plan: Plan,
): Promise<Figure[]> {
  const connections = await Promise.all([one, two].map(({ url }) => stage.connection(url)));
  const [first] = connections;
  if (first === undefined) throw new Error('There is no connection');
  const [timerId = '', idle = ''] = await createTimers([first], 2, TIMER);
  const untilRecorded = await bareClient(stage, nats, idle);
  const awayMs: number[] = [];
  const bareMs: number[] = [];
  for (let loss = 1; loss <= plan.losses; loss += 1) {
    progress(NAME, `losing the server that leads, ${loss} of ${plan.losses}`);
    const leader = await settledLeader(nats);
    const lostMs = performance.now();
    await leader.kill();
    const changed = Promise.all(connections.map((each) => untilChanged(each, timerId)));
    await untilRecorded();
    bareMs.push(performance.now() - lostMs);
    await changed;
    awayMs.push(performance.now() - lostMs);
    await leader.restart();
  }
  await settledLeader(nats);
  const backMs = await timeOfReturn(stage, [one, two], timerId, plan);
  return [
    {
      name: 'the leading nats-server is killed: no changes on some node, median',
      value: median(awayMs),
      unit: 'ms',
      comparedWith: 'an election of nats-server begins 4 to 9 s after the last sign of the leader',
      target: { atMost: AWAY_MS },
      samples: awayMs,
    },
    {
      name: 'the leading nats-server is killed: no changes on some node, longest',
      value: largest(awayMs),
      unit: 'ms',
      comparedWith: `${plan.losses} losses`,
      target: { atMost: AWAY_MS },
    },
    {
      name: '… of it the time until the engine records what a bare client publishes, median',
      value: median(bareMs),
      unit: 'ms',
      comparedWith: `the same ${plan.losses} losses`,
      samples: bareMs,
    },
    {
      name: 'a node is killed: the last of its displays is live elsewhere',
      value: backMs,
      unit: 'ms',
      comparedWith: `${plan.following} displays with the client library on two nodes`,
      target: { atMost: AWAY_MS },
    },
  ];
}

/**
 * A client of the engine with nothing of the service in it. It publishes the entry that made a timer again, which takes
 * a quorum like any other, and counts for nothing; the function that it gives settles when that is recorded.
 */
async function bareClient(stage: Stage, nats: NatsCluster, timerId: string) {
  const servers = nats.servers.map(({ url }) => url);
  const connection = await connect({
    servers,
    maxReconnectAttempts: -1,
    reconnectTimeWait: POLL_MS,
  });
  stage.atEnd(() => connection.close());
  const stream = SETTINGS.NATS_STREAM.default;
  const subject = `${stream}.${timerId}`;
  const manager = await jetstreamManager(connection);
  const message = await manager.streams.getMessage(stream, { last_by_subj: subject });
  if (message === null) throw new Error('The timer has no entry');
  const client = jetstream(connection);
  return async (): Promise<void> => {
    for (;;) {
      try {
        await client.publish(subject, message.data, { timeout: BARE_TIMEOUT_MS });
        return;
      } catch {
        await sleep(PAUSE_MS);
      }
    }
  };
}

async function timeOfReturn(
  stage: Stage,
  [one, two]: Nodes,
  timerId: string,
  { following }: Plan,
): Promise<number> {
  progress(NAME, `losing a node with half of ${following} displays`);
  const balancer = await TcpProxy.start([one.port, two.port]);
  stage.atEnd(() => balancer.close());
  const url = new URL(`http://127.0.0.1:${balancer.port}`);
  const displays = await stage.clientDisplays(url, [timerId], following);
  const lostMs = performance.now();
  await two.kill();
  let live = following;
  // The displays need a moment to hear of it.
  while (live === following) live = (await displays.state()).live;
  while (live < following) {
    await sleep(POLL_MS);
    live = (await displays.state()).live;
  }
  return performance.now() - lostMs;
}

/** The server that leads the log, once all of them have what it has. */
async function settledLeader(nats: NatsCluster): Promise<NatsServer> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const leader = await nats.settledLeader().catch(() => undefined);
    if (leader !== undefined) return leader;
    if (performance.now() > deadlineMs) throw new Error('The cluster does not settle');
    await sleep(POLL_MS);
  }
}

async function untilChanged(connection: HttpConnection, timerId: string): Promise<void> {
  const body = { action: 'extend', extend_seconds: 1 };
  for (;;) {
    const { status } = await connection.request('POST', `/timers/${timerId}/control`, body);
    if (status === 200) return;
    await sleep(POLL_MS);
  }
}

/**
 * CPU time of a tick that a node delivers, in turns while the other node delivers as many and while it delivers
 * none: what else the machine does meets both.
 */
async function costOfDeliveries(stage: Stage, [one, two]: Nodes, plan: Plan): Promise<Figure[]> {
  const connection = await stage.connection(one.url);
  const [own = '', others = ''] = await createTimers([connection], 2, TIMER);
  const pathsOf = (timerId: string) =>
    Array.from({ length: plan.displays }, () => `/ws/${timerId}`);
  progress(NAME, `${plan.displays} displays on each of two nodes`);
  const emptyBytes = (await heldBy(one.child)).residentBytes;
  const displays = await stage.displays(one.port, pathsOf(own), plan.spreadMs);
  const bytes = (await heldBy(one.child)).residentBytes - emptyBytes;
  const elsewhere = await stage.displays(two.port, pathsOf(others), plan.spreadMs);
  const alone: number[] = [];
  const together: number[] = [];
  for (let round = 0; round < plan.rounds * 2; round += 1) {
    const costs = round % 2 === 0 ? together : alone;
    const before = (await elsewhere.report()).ticks;
    costs.push(await costOfTick(one, displays, plan.roundMs));
    const delivered = (await elsewhere.report()).ticks - before;
    if (delivered > 0 !== (costs === together)) throw new Error('The other node took no turns');
    const action = round % 2 === 0 ? 'pause' : 'resume';
    await connection.post(`/timers/${others}/control`, { action }, timerSchema);
    await sleep(TURN_MS);
  }
  const comparedWith = `${plan.displays} displays on each node, in turns, all on this machine`;
  return [
    {
      name: 'memory of a node for each display',
      value: bytes / plan.displays / 1024,
      unit: 'KB',
      comparedWith: 'resident, after a garbage collection',
    },
    {
      name: 'CPU per delivered tick, while the other node delivers none',
      value: median(alone),
      unit: 'us',
      comparedWith,
      samples: alone,
    },
    {
      name: '… while it delivers as many',
      value: median(together),
      unit: 'us',
      comparedWith,
      samples: together,
    },
    {
      name: '… ratio',
      value: median(together) / median(alone),
      unit: 'times',
      comparedWith: `at this ratio two nodes with cores of their own deliver ${AT_LEAST_TIMES} times as many`,
      target: { atMost: 2 / AT_LEAST_TIMES },
    },
  ];
}

async function costOfTick(
  { child }: RunningService,
  displays: Displays,
  roundMs: number,
): Promise<number> {
  const read = () => Promise.all([usageOf(child), displays.report()]);
  const [usageBefore, reportBefore] = await read();
  await sleep(roundMs);
  const [usage, report] = await read();
  return ((usage.cpuMs - usageBefore.cpuMs) * 1000) / (report.ticks - reportBefore.ticks);
}

export const cluster: Measurement = { name: NAME, run };
