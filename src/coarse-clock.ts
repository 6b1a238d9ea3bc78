/**
 * A clock for thousands of timeouts that need not be exact: those of one stretch of time come together at
 * its end, late but never early, so that the process wakes once for all of them and not for each.
 */
import type { Clock, Timeout } from './clock.js';

/** Timeouts that come at the same instant. */
interface Slot {
  readonly dueMs: number;
  readonly members: Set<Member>;
  readonly timeout: Timeout;
}

class Member {
  constructor(
    readonly slot: Slot,
    readonly callback: () => void,
  ) {}
}

/** Gives a clock that tells the same time, and whose timeouts come up to `stepMs` late. */
export function coarseClock(clock: Clock, stepMs: number): Clock {
  const slots = new Map<number, Slot>();

  function slotAt(dueMs: number): Slot {
    const present = slots.get(dueMs);
    if (present !== undefined) return present;
    const members = new Set<Member>();
    const timeout = clock.setTimeout(() => {
      slots.delete(dueMs);
      for (const { callback } of members) callback();
    }, dueMs - clock.now());
    const slot: Slot = { dueMs, members, timeout };
    slots.set(dueMs, slot);
    return slot;
  }

  return {
    now: () => clock.now(),
    preciseMs: () => clock.preciseMs(),
    setTimeout: (callback, delayMs) => {
      const dueMs = Math.ceil((clock.now() + delayMs) / stepMs) * stepMs;
      const slot = slotAt(dueMs);
      const member = new Member(slot, callback);
      slot.members.add(member);
      return member;
    },
    clearTimeout: (timeout) => {
      if (!(timeout instanceof Member)) return;
      const { slot } = timeout;
      slot.members.delete(timeout);
      if (slot.members.size > 0 || slots.get(slot.dueMs) !== slot) return;
      slots.delete(slot.dueMs);
      clock.clearTimeout(slot.timeout);
    },
  };
}
