/**
 * Fan-out: what one tick to one display costs the service in CPU time, against other servers in the
 * same run. One is bare `node:net` that writes the same bytes, which is the floor; another is `ws`
 * with `send` of the same string to each client, which is the usual way. The fourth is the service
 * once more with pings switched off, only to show their share. The service has the options of Node that
 * `npm start` gives it, the others none.
 *
 * All of them have as many connections and tick once a second, each at its own part of the second, so
 * that they take turns and meet the same state of the machine. CPU time is that of the server's
 * process, all of it: the service's pings and their answers are in it, and come evenly because the
 * displays join evenly over the time between two pings. Only ticks that have arrived count.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import type { Child } from './support/child.js';
import type { Displays } from './support/displays.js';
import { createTimers, timerSchema } from './support/http.js';
import type { PeerName } from './support/peers.js';
import { progress } from './support/progress.js';
import { onStage, type Stage } from './support/stage.js';
import { median, sum } from './support/statistics.js';
import { usageOf } from './support/usage.js';

const NAME = 'fan-out';
const FULL = { displays: 5000, spreadMs: 45_000, idleMs: 10_000, rounds: 8, roundMs: 10_000 };
const QUICK = { displays: 500, spreadMs: 2000, idleMs: 2000, rounds: 2, roundMs: 3000 };
type Plan = typeof FULL;

const DURATION_SECONDS = 86_400;
/** Ticks before the first round, so that every server's code has been compiled. */
const WARM_UP_MS = 5000;
/** Each server's turn within the second that begins with the service's tick. */
const TURN_MS = 250;
/** Where in that second the counters are read: the last turn is over by then. */
const READING_MS = 970;
/** The longest keepalive time there is: no display is pinged during the measurement. */
const NO_PINGS = { KEEPALIVE_SECONDS: '3600' };

/** The ratios that the service is held to. */
const AT_MOST_OF_NET = 1.3;
const BELOW_OF_WS = 0.85;

/** A server, and the displays that listen to it. */
interface Contestant {
  readonly name: string;
  readonly server: Child;
  readonly displays: Displays;
  /** Lets it tick once a second from now on, in its turn; `text` is a tick for those who have none. */
  readonly startTicking: (text: string, phaseMs: number) => Promise<unknown>;
}

interface Reading {
  readonly cpuMs: number;
  readonly ticks: number;
}

/** What was read of one contestant. */
interface Score {
  readonly name: string;
  readonly idle: Reading;
  readonly rounds: readonly Reading[];
}

function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const plan = isQuick ? QUICK : FULL;
  return onStage(async (stage) => {
    progress(NAME, `connecting ${plan.displays} displays to each of four servers`);
    const contestants = await Promise.all([
      enterService(stage, 'service', plan, {}, profileDir),
      enterPeer(stage, 'bare node:net', 'net-server', plan),
      enterPeer(stage, 'ws.send to each', 'ws-server', plan),
      enterService(stage, 'service without pings', plan, NO_PINGS),
    ]);

    progress(NAME, 'reading what they take while idle');
    const [idle = []] = await measure(contestants, 1, () => sleep(plan.idleMs));

    progress(NAME, 'beginning to tick, each in its turn');
    const { text, phaseMs } = await startTicking(contestants);
    const rounds = await measure(contestants, plan.rounds, async (round) => {
      progress(NAME, `round ${round} of ${plan.rounds}`);
      await sleep(plan.roundMs - 500);
      await untilPhase(phaseMs + READING_MS);
    });
    const scores = contestants.map(({ name }, index) => ({
      name,
      idle: idle[index] ?? { cpuMs: 0, ticks: 0 },
      rounds: rounds.flatMap((round) => round[index] ?? []),
    }));
    return figuresOf(plan, scores, Buffer.byteLength(text));
  });
}

async function enterService(
  stage: Stage,
  name: string,
  { displays, spreadMs }: Plan,
  settings: Readonly<Record<string, string>>,
  profileDir?: string,
): Promise<Contestant> {
  const service = await stage.service({ settings, profileDir });
  const connection = await stage.connection(service.url);
  const timer = { name: 'Fan-out', duration_seconds: DURATION_SECONDS };
  const [timerId = ''] = await createTimers([connection], 1, timer);
  const paths = Array.from({ length: displays }, () => `/ws/${timerId}`);
  return {
    name,
    server: service.child,
    displays: await stage.displays(service.port, paths, spreadMs),
    startTicking: async (_, phaseMs) => {
      await untilPhase(phaseMs);
      await connection.post(`/timers/${timerId}/control`, { action: 'start' }, timerSchema);
    },
  };
}

async function enterPeer(
  stage: Stage,
  name: string,
  peerName: PeerName,
  { displays, spreadMs }: Plan,
): Promise<Contestant> {
  const peer = await stage.peer(peerName);
  // The bare server knows no handshake, which an empty path stands for.
  const paths = Array.from({ length: displays }, () => (peerName === 'net-server' ? '' : '/'));
  return {
    name,
    server: peer.child,
    displays: await stage.displays(peer.port, paths, spreadMs),
    startTicking: (text, phaseMs) => peer.tick(text, phaseMs % 1000),
  };
}

/** Starts the first service, whose real ticks the peers then send, and the others in their turns. */
async function startTicking(
  contestants: readonly Contestant[],
): Promise<{ text: string; phaseMs: number }> {
  const [service, ...others] = contestants;
  await service?.startTicking('', 0);
  await sleep(WARM_UP_MS);
  const text = (await service?.displays.report())?.lastTick ?? '';
  const { deadline_ms } = z.object({ deadline_ms: z.number() }).parse(JSON.parse(text));
  const phaseMs = deadline_ms % 1000;
  for (const [index, other] of others.entries()) {
    await other.startTicking(text, phaseMs + (index + 1) * TURN_MS);
  }
  await sleep(WARM_UP_MS);
  await untilPhase(phaseMs + READING_MS);
  return { text, phaseMs };
}

/** Waits for the next time the clock shows these milliseconds of a second. */
async function untilPhase(phaseMs: number): Promise<void> {
  const waitMs = (((phaseMs - Date.now()) % 1000) + 1000) % 1000;
  await sleep(waitMs);
}

/** Reads every contestant before and after each round, and gives the differences. */
async function measure(
  contestants: readonly Contestant[],
  rounds: number,
  wait: (round: number) => Promise<unknown>,
): Promise<Reading[][]> {
  const differences: Reading[][] = [];
  let before = await Promise.all(contestants.map(read));
  for (let round = 1; round <= rounds; round += 1) {
    await wait(round);
    const after = await Promise.all(contestants.map(read));
    differences.push(
      after.map(({ cpuMs, ticks }, index) => ({
        cpuMs: cpuMs - (before[index]?.cpuMs ?? 0),
        ticks: ticks - (before[index]?.ticks ?? 0),
      })),
    );
    before = after;
  }
  return differences;
}

async function read({ server, displays }: Contestant): Promise<Reading> {
  const [{ cpuMs }, { ticks }] = await Promise.all([usageOf(server), displays.report()]);
  return { cpuMs, ticks };
}

function figuresOf(plan: Plan, scores: readonly Score[], bytes: number): Figure[] {
  const costs = scores.map((score): Figure => {
    const { name, idle, rounds } = score;
    const idleMs = idle.cpuMs / (plan.idleMs / 1000);
    const arrived = sum(rounds.map(({ ticks }) => ticks));
    const expected = plan.displays * plan.rounds * (plan.roundMs / 1000);
    const samples = tickCostsOf(score);
    return {
      name: `CPU per delivered tick, ${name}`,
      value: median(samples),
      unit: 'us',
      comparedWith:
        `${arrived} of ${expected} ticks of ${bytes} bytes arrived; ` +
        `idle: ${idleMs.toFixed(1)} ms of CPU/s`,
      samples,
    };
  });
  const [service, net, ws] = scores;
  return [
    ...costs,
    {
      name: 'CPU per delivered tick, ratio to node:net',
      ...ratioOf(service, net),
      comparedWith: `bare node:net writing the same bytes to ${plan.displays} displays`,
      target: { atMost: AT_MOST_OF_NET },
    },
    {
      name: 'CPU per delivered tick, ratio to ws.send',
      ...ratioOf(service, ws),
      comparedWith: `ws.send of the same string to each of ${plan.displays} displays`,
      target: { below: BELOW_OF_WS },
    },
  ];
}

/** What a tick cost in each round, in us. */
function tickCostsOf({ rounds }: Score): number[] {
  return rounds.map(({ cpuMs, ticks }) => (cpuMs * 1000) / ticks);
}

/** Round by round, since the machine is not the same in all of them. */
function ratioOf(
  score: Score | undefined,
  other: Score | undefined,
): Pick<Figure, 'value' | 'unit' | 'samples'> {
  if (score === undefined || other === undefined) throw new Error('A contestant is missing');
  const others = tickCostsOf(other);
  const samples = tickCostsOf(score).map((cost, index) => cost / (others[index] ?? Number.NaN));
  return { value: median(samples), unit: 'times', samples };
}

export const fanOut: Measurement = { name: NAME, run };
