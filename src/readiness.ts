/**
 * Whether the service takes changes, and which part is missing if it does not: for probes, and for the log,
 * which is told when something goes missing, when it is back, and when the clocks drift apart.
 */
import type { Clock, Timeout } from './clock.js';
import type { ClockOffset, Engine, Lack } from './journal/journal.js';
import type { Log } from './log.js';
import type { Registry } from './registry.js';

const INTERVAL_MS = 1000;
/** Clocks of nodes that are further apart are told of, long before it does harm. */
const NOTABLE_SKEW_MS = 50;

export interface MissingPart {
  readonly part: 'timers' | 'service' | Lack['part'];
  readonly detail: string;
}

export class Readiness {
  readonly #registry: Registry;
  readonly #engine: Engine | undefined;

  constructor(registry: Registry, engine: Engine | undefined) {
    this.#registry = registry;
    this.#engine = engine;
  }

  /** What is missing for a change, the first thing first; empty when it can be made. */
  missing(): readonly MissingPart[] {
    return [...this.#missingHere(), ...(this.#engine?.lacks ?? [])];
  }

  #missingHere(): readonly MissingPart[] {
    switch (this.#registry.phase) {
      case 'recovering':
        return [{ part: 'timers', detail: 'The timers are being read from the journal.' }];
      case 'draining':
      case 'stopped':
        return [{ part: 'service', detail: 'The service is shutting down.' }];
      case 'serving':
        return [];
    }
  }
}

/** Begins to tell the log how the engine fares, and gives the function that ends it. */
export function watchEngine(engine: Engine, clock: Clock, log: Log): () => void {
  let missing: readonly Lack[] = [];
  let isSkewNotable = false;
  let timeout: Timeout;
  const look = (): void => {
    const { lacks } = engine;
    for (const { part, detail } of lacks) {
      if (!missing.some((before) => before.part === part)) log.warn({ part }, detail);
    }
    for (const { part } of missing) {
      const isBack = !lacks.some((lack) => lack.part === part);
      if (isBack) log.info({ part }, 'what was missing of the journal is back');
    }
    missing = lacks;
    lookAtClock(engine.clockOffset);
    timeout = clock.setTimeout(look, INTERVAL_MS);
  };
  const lookAtClock = (offset: ClockOffset | undefined): void => {
    const surelyMs = offset === undefined ? 0 : Math.abs(offset.offsetMs) - offset.errorBoundMs;
    const isNotable = surelyMs > NOTABLE_SKEW_MS;
    if (isNotable === isSkewNotable) return;
    isSkewNotable = isNotable;
    if (isNotable) log.warn({ ...offset }, 'the clock of this node is not that of the journal');
    else log.info({ ...offset }, 'the clock of this node is that of the journal again');
  };
  look();
  return () => clock.clearTimeout(timeout);
}
