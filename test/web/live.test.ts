/** The console comes back by itself, and never mixes what two connections told. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Timer } from '../../src/client/messages.js';
import { Api } from '../../src/web/console/api.js';
import { LiveConnection } from '../../src/web/console/live.js';
import { ConsoleStore } from '../../src/web/console/store.js';

const NOW_MS = 1_768_471_205_120;

const timer: Timer = {
  id: 'timer_1',
  name: 'Exam',
  state: 'created',
  duration_seconds: 300,
  remaining_seconds: 300,
  elapsed_seconds: 0,
  warning_thresholds: [],
  connected_clients: 0,
  created_at: '2026-01-15T10:00:00.000Z',
  started_at: null,
  completed_at: null,
  remaining_ms: 300_000,
  deadline_ms: null,
  server_time_ms: NOW_MS,
  revision: 1,
};

/** An event stream without a network. */
class FakeStream {
  static readonly opened: FakeStream[] = [];
  readonly path: string;
  readonly #signal: AbortSignal;
  readonly #onMessage: (text: string) => void;
  /** Ends it as the service or the network does. */
  readonly break: () => void;
  readonly ended: Promise<void>;

  constructor(path: string, signal: AbortSignal, onMessage: (text: string) => void) {
    this.path = path;
    this.#signal = signal;
    this.#onMessage = onMessage;
    const { promise, resolve } = deferred();
    this.ended = promise;
    this.break = resolve;
    FakeStream.opened.push(this);
  }

  get isClosed(): boolean {
    return this.#signal.aborted;
  }

  tell(message: unknown): void {
    this.say(JSON.stringify(message));
  }

  say(text: string): void {
    this.#onMessage(text);
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const INSTRUCTOR = {
  credential: 'key:4f2a91c07b3e',
  role: 'instructor',
  label: 'Ms Meyer',
  expires_at: null,
};

/** Gives lists when the test says so. */
class FakeApi extends Api {
  caller = INSTRUCTOR;
  readonly #lists: { resolve: (timers: Timer[]) => void; reject: (error: Error) => void }[] = [];

  override async me() {
    return this.caller;
  }

  override follow(path: string, signal: AbortSignal, onMessage: (text: string) => void) {
    return new FakeStream(path, signal, onMessage).ended;
  }

  override async *list(): AsyncGenerator<Timer[]> {
    yield await new Promise<Timer[]>((resolve, reject) => this.#lists.push({ resolve, reject }));
  }

  async answer(...timers: Timer[]): Promise<void> {
    this.#lists.shift()?.resolve(timers);
    await vi.advanceTimersByTimeAsync(0);
  }

  async fail(): Promise<void> {
    this.#lists.shift()?.reject(new Error('gone'));
    await vi.advanceTimersByTimeAsync(0);
  }
}

const OVERVIEW = {
  type: 'overview',
  server_time_ms: NOW_MS,
  keepalive_seconds: 30,
  max_bulk_timers: 200,
  displays: [],
};
const newest = (): FakeStream => {
  const stream = FakeStream.opened.at(-1);
  if (stream === undefined) throw new Error('No stream was opened');
  return stream;
};

/** Lets time pass until so many streams were opened. */
async function untilOpened(count: number): Promise<void> {
  for (let seconds = 0; FakeStream.opened.length < count; seconds += 1) {
    if (seconds > 30) throw new Error('No stream is opened');
    await vi.advanceTimersByTimeAsync(1000);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  FakeStream.opened.length = 0;
  vi.useRealTimers();
});

async function connect(caller = INSTRUCTOR) {
  const store = new ConsoleStore();
  const api = new FakeApi();
  api.caller = caller;
  const clock = { now: () => NOW_MS, check: vi.fn(), synchronize: vi.fn(), stop: vi.fn() };
  const live = new LiveConnection({ store, api, clock });
  live.connect();
  await vi.advanceTimersByTimeAsync(0);
  return { store, api, clock, live };
}

describe('the connection', () => {
  it('opens the stream before it loads the list, and is live after both', async () => {
    const { store, api, clock } = await connect();
    expect(newest().path).toBe('/events');
    expect(store.state.connection.phase).toBe('connecting');
    newest().tell(OVERVIEW);
    await vi.advanceTimersByTimeAsync(0);
    expect(store.state.connection.phase).toBe('loading');
    expect(clock.check).toHaveBeenCalledWith(NOW_MS);
    await api.answer(timer);
    expect(store.state.connection.phase).toBe('live');
    expect([...store.state.timers.keys()]).toEqual(['timer_1']);
    expect(store.state.largestBulk).toBe(200);
  });

  it('comes back after a break, and loads the list anew', async () => {
    const { store, api } = await connect();
    newest().tell(OVERVIEW);
    await api.answer(timer);
    const broken = newest();
    broken.break();
    await vi.advanceTimersByTimeAsync(0);
    expect(broken.isClosed).toBe(true);
    expect(store.state.connection).toEqual({ phase: 'offline', sinceMs: NOW_MS });
    await vi.advanceTimersByTimeAsync(2000);
    expect(newest()).not.toBe(broken);
    newest().tell(OVERVIEW);
    await api.answer();
    expect(store.state.connection.phase).toBe('live');
    expect(store.state.timers.size).toBe(0);
  });

  it('waits longer each time, and begins anew after a success', async () => {
    const { api } = await connect();
    for (let attempt = 0; attempt < 5; attempt += 1) {
      newest().break();
      await vi.advanceTimersByTimeAsync(0);
      await untilOpened(attempt + 2);
    }
    const before = FakeStream.opened.length;
    newest().break();
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(FakeStream.opened).toHaveLength(before);
    await untilOpened(before + 1);
    newest().tell(OVERVIEW);
    await api.answer();
    newest().break();
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(2000);
    expect(FakeStream.opened).toHaveLength(before + 2);
  });

  it('counts a list that cannot be loaded as a break', async () => {
    const { store, api } = await connect();
    newest().tell(OVERVIEW);
    await api.fail();
    expect(store.state.connection.phase).toBe('offline');
    expect(newest().isClosed).toBe(true);
  });

  it('does not listen to a stream or a list that it gave up', async () => {
    const { store, api, live } = await connect();
    const first = newest();
    first.tell(OVERVIEW);
    await vi.advanceTimersByTimeAsync(0);
    live.connect();
    first.tell({ ...OVERVIEW, type: 'update', changes: [], timers: [timer], removed: [] });
    await api.answer(timer);
    expect(store.state.timers.size).toBe(0);
    expect(store.state.connection.phase).not.toBe('live');
  });

  it('goes on after a message that it does not know', async () => {
    const { store, api } = await connect();
    newest().say('nonsense');
    newest().tell({ type: 'of the future', server_time_ms: 1 });
    newest().tell(OVERVIEW);
    await api.answer(timer);
    expect(store.state.connection.phase).toBe('live');
  });

  it('D4: notices a stream that the network swallows, and comes back', async () => {
    const { store, api } = await connect();
    newest().tell(OVERVIEW);
    await api.answer(timer);
    const silent = newest();
    await vi.advanceTimersByTimeAsync(60_000);
    silent.tell({ type: 'keepalive', server_time_ms: NOW_MS });
    await vi.advanceTimersByTimeAsync(64_000);
    expect([silent.isClosed, store.state.connection.phase]).toEqual([false, 'live']);
    await vi.advanceTimersByTimeAsync(2000);
    expect([silent.isClosed, store.state.connection.phase]).toEqual([true, 'offline']);
    await vi.advanceTimersByTimeAsync(2000);
    expect(newest()).not.toBe(silent);
  });

  it('D4: is as patient as the keepalive time of the service asks for', async () => {
    const { api } = await connect();
    newest().tell({ ...OVERVIEW, keepalive_seconds: 3600 });
    await api.answer(timer);
    await vi.advanceTimersByTimeAsync(7_200_000);
    expect(FakeStream.opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(FakeStream.opened).toHaveLength(2);
  });

  it('D4: gives up a stream on which nothing was ever heard', async () => {
    const { store } = await connect();
    await vi.advanceTimersByTimeAsync(16_000);
    expect(store.state.connection.phase).toBe('offline');
    expect(newest().isClosed).toBe(true);
  });

  it('hears no silence of a stream that it closed', async () => {
    const { store, api, live } = await connect();
    newest().tell(OVERVIEW);
    await api.answer(timer);
    live.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(store.state.connection.phase).toBe('live');
  });

  it('is given up once when nothing is heard, and tries again', async () => {
    const { store, live } = await connect();
    live.lose();
    live.lose();
    expect(store.state.connection.phase).toBe('offline');
    await vi.advanceTimersByTimeAsync(2000);
    expect(FakeStream.opened).toHaveLength(2);
  });
});
