/** The supervision of timers that fail as often as a test says, and are the real ones otherwise. */
import { assign } from 'xstate';
import { applyEntry } from '../../machines/record.js';
import { shardMachine } from '../../machines/shard.machine.js';
import { timerMachine } from '../../machines/timer.machine.js';

/** Timers that fail over a tick as long as there are faults left for them. */
export function faultyShards(faults: { left: number }): typeof shardMachine {
  const faultyTimer = timerMachine.provide({
    actions: {
      tellTick: () => {
        faults.left -= 1;
        if (faults.left >= 0) throw new Error('a bug');
      },
    },
  });
  return shardMachine.provide({ actors: { timer: faultyTimer } });
}

/** Timers that fail over an entry, instead of applying it, as long as there are faults left for them. */
export function shardsThatFailOver(type: string, faults: { left: number }): typeof shardMachine {
  const faultyTimer = timerMachine.provide({
    actions: {
      apply: assign(({ context, event }) => {
        if (!('revision' in event)) return {};
        if (event.type === type) faults.left -= 1;
        if (event.type === type && faults.left >= 0) throw new Error('a bug');
        return { record: applyEntry(context.record, event) };
      }),
    },
  });
  return shardMachine.provide({ actors: { timer: faultyTimer } });
}
