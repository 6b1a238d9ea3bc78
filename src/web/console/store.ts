/**
 * All that the console knows, and the only place where it changes. What the service tells and what the
 * person does arrive as events; each is folded into a new state, which the components show.
 */
import type { Timer } from '../../client/messages.js';
import { addToFeed, type FeedEntry } from './feed.js';
import type { Caller, DisplaySummary, Overview, Update } from './messages.js';
import type { Reason } from './reason.js';
import { type Selection, selectOnly, shownTimers, type View } from './selection.js';

export type Connection =
  | { readonly phase: 'connecting' }
  | { readonly phase: 'loading' }
  | { readonly phase: 'live' }
  /** Somebody must sign in; `words` say why what was shown before was not taken. */
  | { readonly phase: 'locked'; readonly words: string | undefined }
  /** `sinceMs` is an instant of the server; unknown if there never was a contact. */
  | { readonly phase: 'offline'; readonly sinceMs: number | undefined };

export interface Notice {
  readonly kind: 'done' | 'failed';
  readonly text: string;
}

/** Something long that is under way. */
export interface Progress {
  readonly text: string;
  readonly done: number;
  readonly total: number;
}

/** What was heard while the list is loaded: it is newer than the page that comes later. */
interface Load {
  readonly seen: ReadonlySet<string>;
  readonly gone: ReadonlySet<string>;
}

export interface ConsoleState {
  readonly connection: Connection;
  /** Who the service takes this page for; undefined before it has said so. */
  readonly caller: Caller | undefined;
  /** Why the person does what they do next, as far as they said. */
  readonly reason: Reason | undefined;
  readonly timers: ReadonlyMap<string, Timer>;
  readonly displays: ReadonlyMap<string, DisplaySummary>;
  /** Newest first. */
  readonly feed: readonly FeedEntry[];
  readonly view: View;
  readonly selection: Selection;
  /** Why the last action on a timer failed, by the timer's id. */
  readonly problems: ReadonlyMap<string, string>;
  /** Timers whose command is under way. */
  readonly busy: ReadonlySet<string>;
  readonly notice: Notice | undefined;
  readonly progress: Progress | undefined;
  /** Whether the list has been loaded once, so that an empty one means that there are no timers. */
  readonly isLoaded: boolean;
  /** Timers that one command of the service takes: only these have one common instant. */
  readonly largestBulk: number;
  /** How long a stream of the service is silent at the most. */
  readonly keepaliveSeconds: number;
  readonly load: Load | undefined;
}

export type ConsoleEvent =
  | { readonly type: 'connecting' }
  | { readonly type: 'offline'; readonly sinceMs: number | undefined }
  | { readonly type: 'locked'; readonly words: string | undefined }
  | { readonly type: 'identified'; readonly caller: Caller }
  | Pick<Overview, 'type' | 'keepalive_seconds' | 'max_bulk_timers' | 'displays'>
  | { readonly type: 'page_loaded'; readonly timers: readonly Timer[] }
  | { readonly type: 'list_loaded' }
  | Pick<Update, 'type' | 'changes' | 'timers' | 'removed' | 'displays'>
  /** The answers to own commands, which may be faster than the stream. */
  | { readonly type: 'answered'; readonly timers: readonly Timer[] }
  | { readonly type: 'removed'; readonly timerIds: readonly string[] }
  | { readonly type: 'acting'; readonly timerIds: readonly string[] }
  | {
      readonly type: 'acted';
      readonly timerIds: readonly string[];
      readonly problems: ReadonlyMap<string, string>;
    }
  | { readonly type: 'reasoned'; readonly reason: Reason | undefined }
  | { readonly type: 'problem_dismissed'; readonly timerId: string }
  | { readonly type: 'noticed'; readonly notice: Notice | undefined }
  | { readonly type: 'progressed'; readonly progress: Progress | undefined }
  | { readonly type: 'viewed'; readonly view: Partial<View> }
  | { readonly type: 'selected'; readonly selection: Selection };

const INITIAL_STATE: ConsoleState = {
  connection: { phase: 'connecting' },
  caller: undefined,
  reason: undefined,
  timers: new Map(),
  displays: new Map(),
  feed: [],
  view: { search: '', state: 'all', sort: 'name' },
  selection: { timerIds: new Set(), anchor: undefined },
  problems: new Map(),
  busy: new Set(),
  notice: undefined,
  progress: undefined,
  isLoaded: false,
  largestBulk: 1000,
  keepaliveSeconds: 30,
  load: undefined,
};

export function fold(state: ConsoleState, event: ConsoleEvent): ConsoleState {
  switch (event.type) {
    case 'connecting':
      // Whoever is typing a key must not lose the form to an attempt to connect without it.
      return isLocked(state) ? state : { ...state, connection: { phase: 'connecting' } };
    case 'offline':
      return offline(state, event.sinceMs);
    case 'locked':
      return { ...state, connection: { phase: 'locked', words: event.words }, load: undefined };
    case 'identified':
      return identified(state, event.caller);
    case 'overview':
      return {
        ...state,
        connection: { phase: 'loading' },
        largestBulk: event.max_bulk_timers,
        keepaliveSeconds: event.keepalive_seconds,
        displays: new Map(event.displays.map((summary) => [summary.timer_id, summary])),
        load: { seen: new Set(), gone: new Set() },
      };
    case 'page_loaded':
      return withPage(state, event.timers);
    case 'list_loaded':
      return listLoaded(state);
    case 'update':
      return updated(state, event);
    case 'answered':
      return withTimers(state, event.timers);
    case 'removed':
      return without(state, event.timerIds);
    case 'acting':
      return { ...state, busy: new Set([...state.busy, ...event.timerIds]) };
    case 'acted':
      return acted(state, event.timerIds, event.problems);
    case 'reasoned':
      return { ...state, reason: event.reason };
    case 'problem_dismissed':
      return { ...state, problems: omit(state.problems, [event.timerId]) };
    case 'noticed':
      return { ...state, notice: event.notice };
    case 'progressed':
      return { ...state, progress: event.progress };
    case 'viewed':
      return viewed(state, event.view);
    case 'selected':
      return { ...state, selection: event.selection };
  }
}

/** The first moment without the service counts, not the last attempt to reach it. */
function offline(state: ConsoleState, sinceMs: number | undefined): ConsoleState {
  if (state.connection.phase === 'offline' || isLocked(state)) return state;
  return { ...state, connection: { phase: 'offline', sinceMs }, load: undefined };
}

function isLocked({ connection }: ConsoleState): boolean {
  return connection.phase === 'locked';
}

function identified(state: ConsoleState, caller: Caller): ConsoleState {
  const connection = isLocked(state) ? ({ phase: 'connecting' } as const) : state.connection;
  return { ...state, connection, caller };
}

function withPage(state: ConsoleState, timers: readonly Timer[]): ConsoleState {
  const { load } = state;
  if (load === undefined) return state;
  const present = timers.filter(({ id }) => !load.gone.has(id));
  return withTimers(state, present);
}

/** What was on no page and has not been heard of since is gone. */
function listLoaded(state: ConsoleState): ConsoleState {
  const { load } = state;
  if (load === undefined) return state;
  const absent = [...state.timers.keys()].filter((id) => !load.seen.has(id));
  const present = without(state, absent);
  return { ...present, connection: { phase: 'live' }, isLoaded: true, load: undefined };
}

function updated(
  state: ConsoleState,
  { timers, removed, displays, changes }: Extract<ConsoleEvent, { type: 'update' }>,
): ConsoleState {
  const next = without(withTimers(state, timers), removed);
  return {
    ...next,
    displays: displays.length === 0 ? next.displays : withDisplays(next.displays, displays),
    feed: changes.length === 0 ? next.feed : addToFeed(next.feed, changes),
  };
}

/** A resource that is older than the one that is known changes nothing. */
function withTimers(state: ConsoleState, timers: readonly Timer[]): ConsoleState {
  if (timers.length === 0) return state;
  const known = new Map(state.timers);
  for (const timer of timers) {
    const before = known.get(timer.id);
    if (before === undefined || before.revision <= timer.revision) known.set(timer.id, timer);
  }
  const { load } = state;
  const seen = timers.map(({ id }) => id);
  return {
    ...state,
    timers: known,
    load: load && { ...load, seen: new Set([...load.seen, ...seen]) },
  };
}

function without(state: ConsoleState, timerIds: readonly string[]): ConsoleState {
  if (timerIds.length === 0) return state;
  const { load, selection } = state;
  const gone = new Set(timerIds);
  return {
    ...state,
    timers: omit(state.timers, timerIds),
    displays: omit(state.displays, timerIds),
    problems: omit(state.problems, timerIds),
    selection: selectOnly(selection, (id) => !gone.has(id)),
    load: load && { ...load, gone: new Set([...load.gone, ...gone]) },
  };
}

function withDisplays(
  known: ReadonlyMap<string, DisplaySummary>,
  displays: readonly DisplaySummary[],
): ReadonlyMap<string, DisplaySummary> {
  const next = new Map(known);
  for (const summary of displays) {
    if (summary.connected === 0) next.delete(summary.timer_id);
    else next.set(summary.timer_id, summary);
  }
  return next;
}

function acted(
  state: ConsoleState,
  timerIds: readonly string[],
  problems: ReadonlyMap<string, string>,
): ConsoleState {
  const busy = new Set(state.busy);
  for (const id of timerIds) busy.delete(id);
  const others = omit(state.problems, timerIds);
  return { ...state, busy, problems: new Map([...others, ...problems]) };
}

/** A timer that a new view does not show is no longer selected. */
function viewed(state: ConsoleState, change: Partial<View>): ConsoleState {
  const view = { ...state.view, ...change };
  const shown = new Set(shownTimers(state.timers, view).map(({ id }) => id));
  return { ...state, view, selection: selectOnly(state.selection, (id) => shown.has(id)) };
}

function omit<V>(map: ReadonlyMap<string, V>, keys: readonly string[]): ReadonlyMap<string, V> {
  const next = new Map(map);
  for (const key of keys) next.delete(key);
  return next;
}

export class ConsoleStore {
  #state = INITIAL_STATE;
  readonly #listeners = new Set<() => void>();
  #shown: { timers: unknown; view: View; list: readonly Timer[] } | undefined;

  get state(): ConsoleState {
    return this.#state;
  }

  /** The timers that are to be shown, in order; made anew only when something in it changed. */
  get shown(): readonly Timer[] {
    const { timers, view } = this.#state;
    if (this.#shown?.timers !== timers || this.#shown.view !== view) {
      this.#shown = { timers, view, list: shownTimers(timers, view) };
    }
    return this.#shown.list;
  }

  /** The selected timers among those shown: nobody acts on what they do not see. */
  get selected(): readonly Timer[] {
    const { timerIds } = this.#state.selection;
    return timerIds.size === 0 ? [] : this.shown.filter(({ id }) => timerIds.has(id));
  }

  dispatch(event: ConsoleEvent): void {
    const before = this.#state;
    this.#state = fold(before, event);
    if (this.#state === before) return;
    for (const listener of this.#listeners) listener();
  }

  /** Calls back after every change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
