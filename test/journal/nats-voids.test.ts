/** The arithmetic of messages that count for nothing, against counting one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Voids } from '../../src/journal/nats-voids.js';

describe('messages of the stream that count for nothing', () => {
  it('leave the entries places without gaps', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (isVoidAt) => {
        const voids = new Voids();
        let position = 0;
        for (const [index, isVoid] of isVoidAt.entries()) {
          const sequence = index + 1;
          if (isVoid) voids.add(sequence);
          else position += 1;
          expect(voids.isVoid(sequence)).toBe(isVoid);
          expect(voids.positionUpTo(sequence)).toBe(position);
          if (!isVoid) expect(voids.sequenceOf(position)).toBe(sequence);
        }
        // What comes later changes nothing of what was before.
        position = 0;
        for (const [index, isVoid] of isVoidAt.entries()) {
          if (isVoid) continue;
          position += 1;
          expect(voids.sequenceOf(position)).toBe(index + 1);
          expect(voids.positionUpTo(index + 1)).toBe(position);
        }
      }),
    );
  });
});
