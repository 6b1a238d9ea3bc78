/** What the console knows is the sum of what it was told, in whichever order that came. */
import { describe, expect, it } from 'vitest';
import type { Timer } from '../../src/client/messages.js';
import type { Change } from '../../src/web/console/messages.js';
import { extendedTo, NOTHING_SELECTED, toggled } from '../../src/web/console/selection.js';
import { type ConsoleEvent, ConsoleStore } from '../../src/web/console/store.js';

function timer(id: string, changes: Partial<Timer> = {}): Timer {
  return {
    id,
    name: `Exam ${id}`,
    state: 'created',
    duration_seconds: 300,
    remaining_seconds: 300,
    elapsed_seconds: 0,
    warning_thresholds: [60, 30],
    connected_clients: 0,
    created_at: '2026-01-15T10:00:00.000Z',
    started_at: null,
    completed_at: null,
    remaining_ms: 300_000,
    deadline_ms: null,
    server_time_ms: 1_768_471_200_000,
    revision: 1,
    ...changes,
  };
}

function author(credential: string): Change['by'] {
  return { credential, role: 'instructor', label: null };
}

function change(id: string, changes: Partial<Change> = {}): Change {
  const at_ms = 1_768_471_200_000;
  const name = `Exam ${id}`;
  return {
    timer_id: id,
    name,
    change: 'started',
    at_ms,
    revision: 2,
    by: author('anonymous'),
    reason: null,
    ...changes,
  };
}

function update(
  changes: Partial<Extract<ConsoleEvent, { type: 'update' }>>,
): Extract<ConsoleEvent, { type: 'update' }> {
  return { type: 'update', changes: [], timers: [], removed: [], displays: [], ...changes };
}

function storeAfter(...events: ConsoleEvent[]): ConsoleStore {
  const store = new ConsoleStore();
  for (const event of events) store.dispatch(event);
  return store;
}

/** A store that has loaded these timers. */
function loaded(...timers: Timer[]): ConsoleStore {
  return storeAfter(
    { type: 'overview', keepalive_seconds: 30, max_bulk_timers: 1000, displays: [] },
    { type: 'page_loaded', timers },
    { type: 'list_loaded' },
  );
}

const idsShown = (store: ConsoleStore): string[] => store.shown.map(({ id }) => id);

describe('loading', () => {
  it('is live when the list is there, and knows then whether there are timers', () => {
    const store = storeAfter({
      type: 'overview',
      keepalive_seconds: 30,
      max_bulk_timers: 1000,
      displays: [],
    });
    expect(store.state).toMatchObject({ connection: { phase: 'loading' }, isLoaded: false });
    store.dispatch({ type: 'list_loaded' });
    expect(store.state).toMatchObject({ connection: { phase: 'live' }, isLoaded: true });
  });

  it('prefers what the stream told over an older page', () => {
    const store = storeAfter(
      { type: 'overview', keepalive_seconds: 30, max_bulk_timers: 1000, displays: [] },
      update({ timers: [timer('a', { state: 'running', revision: 2 })] }),
      { type: 'page_loaded', timers: [timer('a'), timer('b')] },
      { type: 'list_loaded' },
    );
    expect(store.state.timers.get('a')).toMatchObject({ state: 'running', revision: 2 });
    expect(idsShown(store)).toEqual(['a', 'b']);
  });

  it('does not bring back what was deleted while the list was on its way', () => {
    const store = storeAfter(
      { type: 'overview', keepalive_seconds: 30, max_bulk_timers: 1000, displays: [] },
      update({ removed: ['a'] }),
      { type: 'page_loaded', timers: [timer('a'), timer('b')] },
      { type: 'list_loaded' },
    );
    expect(idsShown(store)).toEqual(['b']);
  });

  it('forgets after a gap what is not there any more, and keeps what is new', () => {
    const store = loaded(timer('a'), timer('b'));
    store.dispatch({ type: 'offline', sinceMs: 5 });
    expect(idsShown(store)).toEqual(['a', 'b']);
    store.dispatch({
      type: 'overview',
      keepalive_seconds: 30,
      max_bulk_timers: 1000,
      displays: [],
    });
    store.dispatch({ type: 'page_loaded', timers: [timer('b')] });
    store.dispatch(update({ timers: [timer('c')] }));
    store.dispatch({ type: 'list_loaded' });
    expect(idsShown(store)).toEqual(['b', 'c']);
  });

  it('ignores a page of an attempt that was given up', () => {
    const store = storeAfter(
      { type: 'overview', keepalive_seconds: 30, max_bulk_timers: 1000, displays: [] },
      { type: 'offline', sinceMs: 5 },
      { type: 'page_loaded', timers: [timer('a')] },
      { type: 'list_loaded' },
    );
    expect(idsShown(store)).toEqual([]);
    expect(store.state.isLoaded).toBe(false);
  });

  it('says since when it is offline, however often it tried', () => {
    const store = loaded();
    store.dispatch({ type: 'offline', sinceMs: 5 });
    store.dispatch({ type: 'offline', sinceMs: 9 });
    expect(store.state.connection).toEqual({ phase: 'offline', sinceMs: 5 });
  });
});

describe('updates', () => {
  it('fold answers and messages by revision, in either order', () => {
    const store = loaded(timer('a'));
    store.dispatch({ type: 'answered', timers: [timer('a', { state: 'paused', revision: 3 })] });
    store.dispatch(update({ timers: [timer('a', { state: 'running', revision: 2 })] }));
    expect(store.state.timers.get('a')).toMatchObject({ state: 'paused', revision: 3 });
  });

  it('know who follows a timer, until the last one has left', () => {
    const store = loaded(timer('a'));
    const summary = { timer_id: 'a', connected: 2, current: 1, worst_error_bound_ms: 12.5 };
    store.dispatch(update({ displays: [summary] }));
    expect(store.state.displays.get('a')).toEqual(summary);
    store.dispatch(update({ displays: [{ ...summary, connected: 0, current: 0 }] }));
    expect(store.state.displays.has('a')).toBe(false);
  });

  it('take a deleted timer out of everything', () => {
    const store = loaded(timer('a'), timer('b'));
    store.dispatch({ type: 'selected', selection: toggled(NOTHING_SELECTED, 'a') });
    store.dispatch({ type: 'acted', timerIds: ['a'], problems: new Map([['a', 'no']]) });
    store.dispatch(update({ removed: ['a'] }));
    expect(idsShown(store)).toEqual(['b']);
    expect(store.selected).toEqual([]);
    expect(store.state.problems.size).toBe(0);
  });

  it('tell listeners once for each change, and not when nothing changed', () => {
    const store = loaded();
    let calls = 0;
    const unsubscribe = store.subscribe(() => {
      calls += 1;
    });
    store.dispatch({ type: 'offline', sinceMs: 5 });
    store.dispatch({ type: 'offline', sinceMs: 6 });
    expect(calls).toBe(1);
    unsubscribe();
    store.dispatch({ type: 'connecting' });
    expect(calls).toBe(1);
  });
});

describe('the feed', () => {
  it('has the newest first and takes what belongs together as one', () => {
    const store = loaded();
    const sixty = Array.from({ length: 60 }, (_, index) => change(`${index + 1}`));
    store.dispatch(update({ changes: sixty.slice(0, 40) }));
    store.dispatch(update({ changes: sixty.slice(40) }));
    store.dispatch(update({ changes: [change('7', { change: 'paused', revision: 3 })] }));
    expect(store.state.feed).toMatchObject([
      { change: 'paused', count: 1, names: ['Exam 7'] },
      { change: 'started', count: 60, names: ['Exam 1', 'Exam 2', 'Exam 3', 'Exam 4'] },
    ]);
  });

  it('keeps apart what differs in kind, author, amount or time', () => {
    const store = loaded();
    const at_ms = 1_768_471_200_000;
    const extended = change('1', { change: 'extended', added_seconds: 60 });
    store.dispatch(
      update({
        changes: [
          extended,
          { ...extended, added_seconds: 300 },
          { ...extended, added_seconds: 300, by: author('Ms Kim') },
          { ...extended, added_seconds: 300, by: author('Ms Kim'), at_ms: at_ms + 60_000 },
        ],
      }),
    );
    expect(store.state.feed).toHaveLength(4);
  });

  it('A7: says who did it and why, and nobody where nobody is known', () => {
    const store = loaded();
    const by = { credential: 'key:4f2a91c07b3e', role: 'instructor', label: 'Ms Meyer' };
    const paused = change('1', { change: 'paused' });
    const alarm = { category: 'environment', text: 'Fire alarm' };
    store.dispatch(
      update({
        changes: [
          paused,
          { ...paused, by: author('service') },
          { ...paused, by: author('user:meyer') },
          { ...paused, by },
          { ...paused, by, reason: alarm },
          { ...paused, by, reason: { category: 'staff', text: null } },
          { ...paused, timer_id: '2', by, reason: { category: 'staff', text: null } },
        ],
      }),
    );
    const told = store.state.feed.map(({ by, reason, count }) => [by, reason, count]);
    expect(told.reverse()).toEqual([
      [undefined, undefined, 2],
      ['user:meyer', undefined, 1],
      ['Ms Meyer', undefined, 1],
      ['Ms Meyer', 'Environment: Fire alarm', 1],
      ['Ms Meyer', 'Staff', 2],
    ]);
  });

  it('does not grow for ever', () => {
    const store = loaded();
    const day = Array.from({ length: 1000 }, (_, index) =>
      change('1', { at_ms: index * 10_000, revision: index }),
    );
    store.dispatch(update({ changes: day }));
    expect(store.state.feed).toHaveLength(200);
    expect(store.state.feed[0]?.atMs).toBe(9_990_000);
  });
});

describe('what is shown', () => {
  const timers = [
    timer('1', { name: 'Maths 10' }),
    timer('2', { name: 'Maths 2', state: 'running', deadline_ms: 2000 }),
    timer('3', { name: 'Physics', state: 'running', deadline_ms: 1000 }),
  ];

  it('is in the order of names, numbers in them by value', () => {
    expect(idsShown(loaded(...timers))).toEqual(['2', '1', '3']);
  });

  it.each([
    ['newest', ['3', '2', '1']],
    ['ending', ['3', '2', '1']],
  ] as const)('can be ordered by %s', (sort, expected) => {
    const store = loaded(...timers);
    store.dispatch({ type: 'viewed', view: { sort } });
    expect(idsShown(store)).toEqual(expected);
  });

  it('can be searched by words and filtered by state', () => {
    const store = loaded(...timers);
    store.dispatch({ type: 'viewed', view: { search: ' 1 maTHs' } });
    expect(idsShown(store)).toEqual(['1']);
    store.dispatch({ type: 'viewed', view: { search: '', state: 'running' } });
    expect(idsShown(store)).toEqual(['2', '3']);
  });

  it('is the same list as long as nothing in it changed', () => {
    const store = loaded(...timers);
    const before = store.shown;
    store.dispatch({ type: 'noticed', notice: { kind: 'done', text: 'Done' } });
    expect(store.shown).toBe(before);
  });
});

describe('the selection', () => {
  const timers = ['1', '2', '3', '4'].map((id) => timer(id));

  it('takes a range in the order shown, from the last click on', () => {
    const one = toggled(NOTHING_SELECTED, '4');
    expect([...extendedTo(one, '2', timers).timerIds].sort()).toEqual(['2', '3', '4']);
    expect([...extendedTo(NOTHING_SELECTED, '2', timers).timerIds]).toEqual(['2']);
  });

  it('is only of what is shown: after a new view, and when a timer leaves the view by itself', () => {
    const store = loaded(...timers);
    store.dispatch({ type: 'viewed', view: { state: 'created' } });
    const selection = extendedTo(toggled(NOTHING_SELECTED, '1'), '3', store.shown);
    store.dispatch({ type: 'selected', selection });
    store.dispatch({ type: 'viewed', view: { search: 'Exam 1' } });
    expect(store.selected.map(({ id }) => id)).toEqual(['1']);
    store.dispatch(update({ timers: [timer('1', { state: 'running', revision: 2 })] }));
    expect(store.selected).toEqual([]);
  });
});

describe('actions', () => {
  it('make timers busy, and leave what went wrong beside those it concerns', () => {
    const store = loaded(timer('a'), timer('b'));
    store.dispatch({ type: 'acting', timerIds: ['a', 'b'] });
    expect([...store.state.busy]).toEqual(['a', 'b']);
    const problems = new Map([['b', 'Could not pause: it is paused']]);
    store.dispatch({ type: 'acted', timerIds: ['a', 'b'], problems });
    expect(store.state.busy.size).toBe(0);
    expect(store.state.problems).toEqual(problems);
    store.dispatch({ type: 'acting', timerIds: ['b'] });
    store.dispatch({ type: 'acted', timerIds: ['b'], problems: new Map() });
    expect(store.state.problems.size).toBe(0);
  });
});
