import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EndQueue } from '../../machines/end-queue.js';

type Step =
  | { readonly type: 'add'; readonly timerId: string; readonly atMs: number }
  | { readonly type: 'delete'; readonly timerId: string }
  | { readonly type: 'take' };

const timerIds = fc.integer({ min: 0, max: 60 }).map(String);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('add' as const),
      timerId: timerIds,
      atMs: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('delete' as const), timerId: timerIds }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'take' } as const) },
);

function take(queue: EndQueue, reference: Map<string, number>): void {
  const { first } = queue;
  expect(first?.atMs).toBe(reference.size === 0 ? undefined : Math.min(...reference.values()));
  if (first === undefined) return;
  expect(reference.get(first.timerId)).toBe(first.atMs);
  queue.delete(first.timerId);
  reference.delete(first.timerId);
}

describe('the queue of ends', () => {
  it('gives the earliest first, in whatever order ends come and timers go', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 50, maxLength: 200, size: 'max' }), (story) => {
        const queue = new EndQueue();
        const reference = new Map<string, number>();
        for (const step of story) {
          if (step.type === 'add') {
            queue.add({ ...step, ownerId: 'me' });
            if (!reference.has(step.timerId)) reference.set(step.timerId, step.atMs);
          } else if (step.type === 'delete') {
            queue.delete(step.timerId);
            reference.delete(step.timerId);
          } else {
            take(queue, reference);
          }
          expect(queue.size).toBe(reference.size);
        }
        while (reference.size > 0) take(queue, reference);
        expect(queue.first).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});
