/** Random interleavings of commands and time, against a reference that counts by hand. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import type { Command, CommandResult, Registry } from '../../src/registry.js';
import { BY_TEST } from '../support/entries.js';
import { settled, startRegistry } from '../support/registry.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const DURATION_MS = 10_000;
const ADDED_MS = 3000;
const TIMERS = ['a', 'b'] as const;

type Step =
  | { readonly type: 'time'; readonly ms: number }
  /** Commands sent at one instant, none waiting for another. */
  | { readonly type: 'commands'; readonly commands: readonly Command[] };

const commands: fc.Arbitrary<Command> = fc
  .tuple(fc.constantFrom(...TIMERS), fc.constantFrom('start', 'pause', 'resume', 'stop', 'extend'))
  .map(([timerId, type]) =>
    type === 'extend' ? { type, timerId, addedMs: ADDED_MS } : { type, timerId },
  );
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.integer({ min: 0, max: 6000 }).map((ms) => ({ type: 'time', ms }) as const),
  fc
    .array(commands, { minLength: 1, maxLength: 4 })
    .map((some) => ({ type: 'commands', commands: some }) as const),
);

/** What a person with a stopwatch and a list of rules says: shares nothing with the service. */
class Reference {
  state = 'CREATED';
  leftMs = DURATION_MS;

  wait(ms: number): void {
    if (this.state !== 'RUNNING') return;
    this.leftMs = Math.max(0, this.leftMs - ms);
    if (this.leftMs === 0) this.state = 'EXPIRED';
  }

  /** Whether the command was possible. */
  do({ type }: Command): boolean {
    const from = { start: ['CREATED', 'PAUSED'], pause: ['RUNNING'], resume: ['PAUSED'] };
    const open = ['CREATED', 'RUNNING', 'PAUSED'];
    const allowed: readonly string[] = type in from ? from[type as keyof typeof from] : open;
    if (!allowed.includes(this.state)) return false;
    if (type === 'extend') this.leftMs += ADDED_MS;
    else this.state = type === 'pause' ? 'PAUSED' : type === 'stop' ? 'COMPLETED' : 'RUNNING';
    return true;
  }
}

const definition = {
  name: 'Timer',
  durationMs: DURATION_MS,
  warningThresholdsMs: [],
  autoStart: false,
};

/** Runs a story on the service and on the reference, comparing them after every step. */
async function tell(story: readonly Step[]): Promise<Map<string, readonly Entry[]>> {
  const clock = new SimulatedClock();
  const journal = new MemoryJournal();
  const registry = await startRegistry(journal, clock);
  const references = new Map(TIMERS.map((timerId) => [timerId as string, new Reference()]));
  for (const timerId of TIMERS)
    await registry.execute({ type: 'create', timerId, definition }, BY_TEST);
  for (const step of story) {
    if (step.type === 'time') {
      await clock.advance(step.ms, () => settled(registry));
      for (const reference of references.values()) reference.wait(step.ms);
    } else {
      const results = await Promise.all(
        step.commands.map((command) => registry.execute(command, BY_TEST)),
      );
      const expected = step.commands.map((command) => references.get(command.timerId)?.do(command));
      expect(results.map(({ ok }: CommandResult) => ok)).toEqual(expected);
    }
    for (const [timerId, reference] of references) {
      const found = registry.lookUp(timerId);
      const { record, state, atMs } = found.ok ? found.timer : expect.fail('the timer is gone');
      expect(state).toBe(reference.state);
      expect(record.deadlineMs === null ? record.heldMs : record.deadlineMs - atMs).toBe(
        reference.leftMs,
      );
    }
  }
  const histories = new Map<string, readonly Entry[]>();
  for (const timerId of TIMERS) histories.set(timerId, await journal.history(timerId));
  return histories;
}

describe('any interleaving of commands and time', () => {
  it('T2, T4: leads to the state and the remaining time that a person counts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 20 }), async (story) => {
        await tell(story);
      }),
      { numRuns: 300 },
    );
  });

  it('T4: is recorded without gaps, with one end at most and nothing after it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 20 }), async (story) => {
        for (const history of (await tell(story)).values()) {
          expect(history.map(({ revision }) => revision)).toEqual(
            history.map((_, index) => index + 1),
          );
          const ends = history.filter(({ type }) => type === 'expired' || type === 'stopped');
          expect(ends.length).toBeLessThanOrEqual(1);
          if (ends[0] !== undefined) expect(history.at(-1)).toBe(ends[0]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('T5: is the same after a restart at any point of it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(steps, { maxLength: 12 }),
        fc.array(steps, { maxLength: 12 }),
        async (before, after) => {
          const clock = new SimulatedClock();
          const journal = new MemoryJournal();
          const first = await startRegistry(journal, clock);
          for (const timerId of TIMERS)
            await first.execute({ type: 'create', timerId, definition }, BY_TEST);
          await live(first, clock, before);
          const was = snapshot(first);
          await first.drain();
          const second = await startRegistry(journal, clock);
          expect(snapshot(second)).toEqual(was);
          await live(second, clock, after);
        },
      ),
      { numRuns: 100 },
    );
  });
});

async function live(
  registry: Registry,
  clock: SimulatedClock,
  story: readonly Step[],
): Promise<void> {
  for (const step of story) {
    if (step.type === 'time') await clock.advance(step.ms, () => settled(registry));
    else await registry.executeAll(step.commands, BY_TEST);
  }
}

function snapshot(registry: Registry) {
  return [...registry.list('', undefined)].map(({ record, state }) => ({ record, state }));
}
