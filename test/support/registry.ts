/** The registry alone, without the service around it, on a clock that tests move. */
import type { shardMachine } from '../../machines/shard.machine.js';
import type { Journal } from '../../src/journal/journal.js';
import { createLog } from '../../src/log.js';
import { Registry } from '../../src/registry.js';
import { SimulatedClock } from './simulated-clock.js';

export interface TestRegistryOptions {
  readonly clock?: SimulatedClock;
  readonly shardLogic?: typeof shardMachine;
}

/** A registry that begins to recover; a failure of it fails the test. */
export function registryOn(journal: Journal, options: TestRegistryOptions = {}): Registry {
  return new Registry({
    clock: new SimulatedClock(),
    journal,
    log: createLog('silent'),
    maxTimers: 10_000,
    maxTimersPerOwner: 0,
    retainFinishedMs: 1e9,
    onFailure: (error) => {
      throw error;
    },
    ...options,
  });
}

/** A registry that has recovered. */
export async function startRegistry(journal: Journal, clock?: SimulatedClock): Promise<Registry> {
  const registry = registryOn(journal, clock && { clock });
  await registry.recovered;
  return registry;
}

/** Waits until no command is in hand. */
export async function settled(registry: Registry): Promise<void> {
  while (!registry.isIdle) await new Promise((resolve) => setImmediate(resolve));
}
