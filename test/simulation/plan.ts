/** What happens in a simulation, made from a seed before it begins, so that it can be told with fewer steps. */
import { Random } from './random.js';

export const NODES = ['A', 'B', 'C'] as const;
export type NodeName = (typeof NODES)[number];

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** How far from the end of a timer something is that happens at its end: nodes differ by no more in when that is. */
const NEAR_MS = 300;
/** How long it takes at least until all know of an end. */
const RECORDING_MS = 20;
const FIRST_CREATIONS = 3;
const STEPS_PER_RESTART = 20;
const FLOOD_CHANGES = 420;
/** Commands are for the latest timers; one that is so old and has not ended would be carried along for ever. */
const OLDEST_TIMER = 30;

export type Wish =
  | { readonly type: 'start' | 'pause' | 'resume' | 'stop' | 'delete' }
  | { readonly type: 'extend'; readonly addedMs: number };

/** A display's connection breaks, or it goes, or it reads nothing for a while. */
export type Disturbance = 'lose' | 'leave' | 'stall';

/** What keeps a node from recording for a while. */
export type Outage =
  | { readonly type: 'cut off'; readonly node: NodeName; readonly forMs: number }
  | { readonly type: 'crash'; readonly node: NodeName; readonly forMs: number }
  /** No node reaches the log. */
  | { readonly type: 'engine away'; readonly forMs: number };

/** Timers are named by how many were asked for since: 0 is the newest. */
export type Event =
  | {
      readonly type: 'create';
      readonly node: NodeName;
      readonly durationMs: number;
      readonly warningThresholdsMs: readonly number[];
      readonly autoStart: boolean;
      /** On which node a display follows it from then on. */
      readonly watchedOn: NodeName | undefined;
    }
  | {
      readonly type: 'command';
      readonly node: NodeName;
      readonly timer: number;
      readonly wish: Wish;
      /** How far the revision that is expected is behind the present one. */
      readonly revisionsBehind: number | undefined;
    }
  /** The same over HTTP, asked again until it is answered. */
  | {
      readonly type: 'keyed';
      readonly node: NodeName;
      /** The answer of the log gets lost. */
      readonly losesAnswer: boolean;
      readonly timer: number;
      readonly wish: Wish;
    }
  | {
      readonly type: 'bulk';
      readonly node: NodeName;
      readonly timers: readonly number[];
      readonly wish: Wish;
    }
  /** Two instructors want something of the same timer at once, on different nodes. */
  | {
      readonly type: 'clash';
      readonly nodes: readonly [NodeName, NodeName];
      readonly timer: number;
      readonly wishes: readonly [Wish, Wish];
      readonly apartMs: number;
    }
  | { readonly type: 'watch'; readonly node: NodeName; readonly timer: number }
  /** Displays are named by their place among those that follow. */
  | {
      readonly type: 'disturb';
      readonly display: number;
      readonly how: Disturbance;
      readonly forMs: number;
    }
  | Outage
  | { readonly type: 'drain'; readonly node: NodeName; readonly forMs: number }
  /**
   * Something happens at the end of a timer, or right before or after it, by the clock of the node that it happens to.
   * Timers are named by how many end before them.
   */
  | {
      readonly type: 'at end';
      readonly ending: number;
      readonly byMs: number;
      readonly what:
        | Outage
        | { readonly type: 'ask'; readonly node: NodeName; readonly wish: Wish };
    }
  /** A display stops reading, and its timer is changed many times. */
  | {
      readonly type: 'flood';
      readonly display: number;
      readonly changes: number;
      readonly forMs: number;
    }
  /** Somebody sets the wall clock of a machine, and back. */
  | {
      readonly type: 'step clock';
      readonly node: NodeName;
      readonly byMs: number;
      readonly forMs: number;
    }
  | { readonly type: 'lose answers'; readonly node: NodeName; readonly answers: number }
  | { readonly type: 'fail timers'; readonly node: NodeName; readonly failures: number };

export interface Step {
  /** The time that passes before it. */
  readonly waitMs: number;
  readonly event: Event;
}

export interface Plan {
  readonly seed: number;
  readonly steps: readonly Step[];
  /** The time that passes after the last step. */
  readonly afterMs: number;
}

export function planOf(seed: number, hours: number): Plan {
  const random = new Random(seed);
  const steps: Step[] = [];
  let leftMs = hours * HOUR_MS;
  let creations = 0;
  while (leftMs > 0) {
    const waitMs = steps.length === 0 ? 0 : Math.min(leftMs, waitOf(random));
    leftMs -= waitMs;
    const event = nextEvent(steps.length, random);
    steps.push({ waitMs, event });
    if (event.type !== 'create') continue;
    creations += 1;
    if (creations > OLDEST_TIMER) steps.push({ waitMs: 0, event: clearance(random) });
  }
  return { seed, steps, afterMs: 0 };
}

/** First there are timers; and in every plan that is not short a node starts again. */
function nextEvent(step: number, random: Random): Event {
  if (step < FIRST_CREATIONS) return creation(random);
  const isRestart = step % STEPS_PER_RESTART === 0;
  if (isRestart) return { type: 'drain', node: nodeOf(random), forMs: outageOf(random) };
  const chance = random.next();
  if (chance < 0.13) return endingOf(random);
  return chance < 0.132 ? floodOf(random) : eventOf(random);
}

function waitOf(random: Random): number {
  const chance = random.next();
  if (chance < 0.6) return random.between(0, 200);
  if (chance < 0.85) return random.between(0, 20 * SECOND_MS);
  return random.between(0, 30 * MINUTE_MS);
}

function eventOf(random: Random): Event {
  const chance = random.next();
  if (chance < 0.16) return creation(random);
  if (chance < 0.26) {
    const addedMs = random.between(1, 600) * SECOND_MS;
    const type = random.pick<Exclude<Wish['type'], 'extend' | 'delete'>>([
      'start',
      'pause',
      'stop',
    ]);
    const asked: Wish = random.chance(0.6) ? { type: 'extend', addedMs } : { type };
    const losesAnswer = random.chance(0.3);
    return {
      type: 'keyed',
      node: nodeOf(random),
      losesAnswer,
      timer: timerOf(random),
      wish: asked,
    };
  }
  if (chance < 0.46) {
    const revisionsBehind = random.chance(0.2) ? random.between(0, 1) : undefined;
    return {
      type: 'command',
      node: nodeOf(random),
      timer: timerOf(random),
      wish: wishOf(random),
      revisionsBehind,
    };
  }
  if (chance < 0.53) {
    const timers = [
      ...new Set(Array.from({ length: random.between(2, 6) }, () => timerOf(random))),
    ];
    return { type: 'bulk', node: nodeOf(random), timers, wish: wishOf(random) };
  }
  if (chance < 0.67) return clashOf(random);
  if (chance < 0.8) return { type: 'watch', node: nodeOf(random), timer: timerOf(random) };
  if (chance < 0.86) {
    const how = random.pick<Disturbance>(['lose', 'leave', 'stall']);
    return { type: 'disturb', display: random.between(0, 5), how, forMs: outageOf(random) };
  }
  return faultOf(random);
}

function endingOf(random: Random): Event {
  const ending = random.between(0, 5);
  if (random.chance(0.4)) {
    return { type: 'at end', ending, byMs: random.between(-NEAR_MS, 0), what: outageAtEnd(random) };
  }
  // Most dangerous is what comes while the end is being recorded.
  const byMs = random.pick([random.between(-NEAR_MS, NEAR_MS), random.between(0, RECORDING_MS)]);
  const what = { type: 'ask', node: nodeOf(random), wish: wishOf(random) } as const;
  return { type: 'at end', ending, byMs, what };
}

function outageAtEnd(random: Random): Outage {
  const type = random.pick<Outage['type']>(['cut off', 'crash', 'engine away', 'engine away']);
  const forMs = random.between(SECOND_MS, 3 * MINUTE_MS);
  return type === 'engine away' ? { type, forMs } : { type, node: nodeOf(random), forMs };
}

/** More than may wait for a display, in less time than it may read nothing. */
function floodOf(random: Random): Event {
  const display = random.between(0, 5);
  return { type: 'flood', display, changes: FLOOD_CHANGES, forMs: 2 * MINUTE_MS };
}

function faultOf(random: Random): Event {
  const chance = random.next();
  if (chance < 0.28) return { type: 'cut off', node: nodeOf(random), forMs: outageOf(random) };
  if (chance < 0.43) return { type: 'crash', node: nodeOf(random), forMs: outageOf(random) };
  if (chance < 0.53) return { type: 'drain', node: nodeOf(random), forMs: outageOf(random) };
  if (chance < 0.58) return { type: 'engine away', forMs: longOutageOf(random) };
  if (chance < 0.68) return stepOf(random);
  if (chance < 0.85)
    return { type: 'lose answers', node: nodeOf(random), answers: random.between(1, 3) };
  return { type: 'fail timers', node: nodeOf(random), failures: random.between(1, 3) };
}

/** A correction by a fraction of a second, or a clock that somebody got wrong. */
function stepOf(random: Random): Event {
  const largestMs = random.pick([200, 5 * SECOND_MS, 2 * HOUR_MS]);
  const byMs = random.between(-largestMs, largestMs);
  return { type: 'step clock', node: nodeOf(random), byMs, forMs: longOutageOf(random) };
}

function creation(random: Random): Event {
  const durationMs = random.pick([
    random.between(1, 30) * SECOND_MS,
    random.between(1, 10) * MINUTE_MS,
    random.between(10, 180) * MINUTE_MS,
    random.between(10, 180) * MINUTE_MS,
  ]);
  const thresholds = Array.from({ length: random.between(0, 3) }, () =>
    random.pick([1, 2, 5, 10, 30, 60, 300, 900]),
  );
  return {
    type: 'create',
    node: nodeOf(random),
    durationMs,
    warningThresholdsMs: thresholds.map((seconds) => seconds * SECOND_MS),
    autoStart: random.chance(0.6),
    watchedOn: random.chance(0.5) ? nodeOf(random) : undefined,
  };
}

function clearance(random: Random): Event {
  const command = { type: 'command', timer: OLDEST_TIMER, wish: { type: 'delete' } } as const;
  return { ...command, node: nodeOf(random), revisionsBehind: undefined };
}

function clashOf(random: Random): Event {
  const first = nodeOf(random);
  const second = NODES[(NODES.indexOf(first) + random.between(1, 2)) % NODES.length] ?? first;
  return {
    type: 'clash',
    nodes: [first, second],
    timer: timerOf(random),
    wishes: [wishOf(random), wishOf(random)],
    apartMs: random.pick([0, 0, random.between(0, 30)]),
  };
}

function wishOf(random: Random): Wish {
  const type = random.pick<Wish['type']>([
    'start',
    'start',
    'pause',
    'pause',
    'resume',
    'extend',
    'extend',
    random.pick<Wish['type']>(['stop', 'delete', 'pause', 'extend']),
  ]);
  return type === 'extend' ? { type, addedMs: random.between(1, 600) * SECOND_MS } : { type };
}

function nodeOf(random: Random): NodeName {
  return random.pick(NODES);
}

function timerOf(random: Random): number {
  return random.between(0, 5);
}

function outageOf(random: Random): number {
  return random.chance(0.7) ? random.between(1, 10 * SECOND_MS) : random.between(1, 20 * MINUTE_MS);
}

function longOutageOf(random: Random): number {
  return random.chance(0.9) ? outageOf(random) : random.between(1, 3 * HOUR_MS);
}
