/** Which timers a caller reaches. */
import { describe, expect, it } from 'vitest';
import { anonymous, type Caller, reaches } from '../src/access/caller.js';

describe('a caller that names timers', () => {
  it('A1, A4: reaches those, and its list is gone through once, however often that is asked', () => {
    let reads = 0;
    const ids = Array.from({ length: 1000 }, (_, index) => `timer_${index}`);
    const timers = new Proxy(ids, {
      get: (target, name, receiver) => {
        reads += 1;
        return Reflect.get(target, name, receiver);
      },
    });
    const caller: Caller = { ...anonymous(null), role: 'instructor', timers };
    for (let asked = 0; asked < 1000; asked += 1) {
      const ownerId = 'key:other';
      expect(reaches({ ...caller }, { id: `timer_${asked}`, ownerId })).toBe(true);
      expect(reaches({ ...caller }, { id: `timer_${asked + 1000}`, ownerId })).toBe(false);
    }
    expect(reads).toBeLessThan(10 * ids.length);
  });
});
