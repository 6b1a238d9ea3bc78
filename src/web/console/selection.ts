/** Which timers are shown, in which order, and which of them are selected. */
import type { Timer, TimerState } from '../../client/messages.js';

export type Sort = 'name' | 'newest' | 'ending';

export interface View {
  readonly search: string;
  readonly state: TimerState | 'all';
  readonly sort: Sort;
}

export interface Selection {
  readonly timerIds: ReadonlySet<string>;
  /** Where a range of timers begins. */
  readonly anchor: string | undefined;
}

/** `Exam 2` comes before `Exam 10`. */
const byName = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

const ORDERS: Record<Sort, (a: Timer, b: Timer) => number> = {
  name: (a, b) => byName.compare(a.name, b.name) || compareIds(a, b),
  newest: (a, b) => compareIds(b, a),
  ending: (a, b) => endOf(a) - endOf(b) || byName.compare(a.name, b.name) || compareIds(a, b),
};

export function shownTimers(timers: ReadonlyMap<string, Timer>, view: View): Timer[] {
  const words = view.search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const isWanted = ({ name, state }: Timer): boolean => {
    if (view.state !== 'all' && view.state !== state) return false;
    const text = name.toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  };
  return [...timers.values()].filter(isWanted).sort(ORDERS[view.sort]);
}

/** Selects one more timer, or one less; the next range begins there. */
export function toggled(selection: Selection, timerId: string): Selection {
  const timerIds = new Set(selection.timerIds);
  if (!timerIds.delete(timerId)) timerIds.add(timerId);
  return { timerIds, anchor: timerId };
}

/** Selects all from where the last click was, in the order shown. */
export function extendedTo(
  selection: Selection,
  timerId: string,
  shown: readonly Timer[],
): Selection {
  const to = shown.findIndex(({ id }) => id === timerId);
  const from = shown.findIndex(({ id }) => id === selection.anchor);
  if (to < 0 || from < 0) return toggled(selection, timerId);
  const range = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
  return {
    timerIds: new Set([...selection.timerIds, ...range.map(({ id }) => id)]),
    anchor: selection.anchor,
  };
}

export function allOf(shown: readonly Timer[]): Selection {
  return { timerIds: new Set(shown.map(({ id }) => id)), anchor: shown[0]?.id };
}

export const NOTHING_SELECTED: Selection = { timerIds: new Set(), anchor: undefined };

/** Keeps of a selection what may stay. */
export function selectOnly(selection: Selection, isKept: (id: string) => boolean): Selection {
  const kept = [...selection.timerIds].filter(isKept);
  if (kept.length === selection.timerIds.size) return selection;
  return { ...selection, timerIds: new Set(kept) };
}

/** Ids begin with the time, so their order is that of creation. */
function compareIds(a: Timer, b: Timer): number {
  return a.id < b.id ? -1 : Number(a.id > b.id);
}

/** What runs ends first; what stands still has no end. */
function endOf(timer: Timer): number {
  return timer.deadline_ms ?? Number.MAX_SAFE_INTEGER;
}
