/** The real service on real sockets, with a clock that tests move. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import type { shardMachine } from '../../machines/shard.machine.js';
import { readConfig } from '../../src/config.js';
import type { Journal } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog, type Log } from '../../src/log.js';
import { type createKeySchema, newKeySchema } from '../../src/protocol/credentials.js';
import { problemSchema } from '../../src/protocol/problems.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import { type Service, startService } from '../../src/service.js';
import { TestDisplay } from './display.js';
import { endWithTest } from './endings.js';
import { BY_TEST } from './entries.js';
import { settled } from './registry.js';
import { SimulatedClock } from './simulated-clock.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface TestServiceOptions {
  readonly settings?: Readonly<Record<string, string>>;
  readonly journal?: Journal;
  readonly clock?: SimulatedClock;
  readonly log?: Log;
  readonly shardLogic?: typeof shardMachine;
  /** Where the pages are; without it there are none. */
  readonly webDirectory?: string;
  /** Called when the service listens, which is before it is ready. */
  readonly onListening?: (service: TestService) => Promise<void>;
}

const running = new Set<TestService>();
endWithTest('services', async () => {
  for (const service of running) await service.stop();
});

export class TestService {
  readonly clock: SimulatedClock;
  readonly service: Service;
  readonly journal: Journal;
  /** Those that are not the usual ones. */
  readonly settings: Readonly<Record<string, string>>;
  /** The key or token that requests show from now on. */
  token: string | undefined;
  readonly #agent = new Agent({ keepAlive: true });
  #stopping: Promise<void> | undefined;

  private constructor(
    service: Service,
    clock: SimulatedClock,
    journal: Journal,
    settings: Readonly<Record<string, string>>,
  ) {
    this.service = service;
    this.clock = clock;
    this.journal = journal;
    this.settings = settings;
  }

  /** Starts a service that is stopped after the test. */
  static async start(options: TestServiceOptions = {}): Promise<TestService> {
    const { settings = {}, clock = new SimulatedClock(), shardLogic, webDirectory } = options;
    const { journal = new MemoryJournal(), log = createLog('silent') } = options;
    // Displays answer pings in real time, which simulated time outruns, so there are few by default.
    // Receivers of webhooks are on this machine.
    const usual = { PORT: '0', KEEPALIVE_SECONDS: '3600', WEBHOOK_ALLOW_PRIVATE: '1' };
    const config = readConfig({ ...usual, ...settings });
    const shards = shardLogic === undefined ? {} : { shardLogic };
    const service = await startService({
      config,
      clock,
      journal,
      log,
      version: '0.0.0',
      webDirectory,
      onFailure: () => {},
      ...shards,
    });
    const tested = new TestService(service, clock, journal, settings);
    running.add(tested);
    await options.onListening?.(tested);
    await service.ready;
    return tested;
  }

  /** Asks over a connection that stays open, which costs a third of what `fetch` does. */
  request(method: string, path: string, body?: unknown): Promise<Answer> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      ...this.authorization,
      ...(sent !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(sent),
      }),
    };
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent };
      const request = httpRequest(`${this.service.url}${path}`, options, (response) => {
        answerOf(response).then(resolve, reject);
      });
      request.once('error', reject);
      request.end(sent);
    });
  }

  /** The header that shows the credential, if there is one to show. */
  get authorization(): Readonly<Record<string, string>> {
    return this.token === undefined ? {} : { Authorization: `Bearer ${this.token}` };
  }

  /** Makes a key, which protects the service if it is the first. */
  async createKey(
    definition: z.input<typeof createKeySchema>,
  ): Promise<z.output<typeof newKeySchema>> {
    const answer = await this.request('POST', '/keys', definition);
    return newKeySchema.parse(answer.body);
  }

  /** Makes a key of an administrator and shows it from now on. */
  async protect(): Promise<void> {
    this.token = (await this.createKey({ role: 'admin' })).key;
  }

  async create(definition: Readonly<Record<string, unknown>> = {}): Promise<TimerResource> {
    const answer = await this.request('POST', '/timers', { duration_seconds: 300, ...definition });
    return timerSchema.parse(answer.body);
  }

  /** Creates a timer without a request, which is for thousands of them. */
  async createQuickly(): Promise<string> {
    const name = 'Timer';
    const definition = { name, durationMs: 300_000, warningThresholdsMs: [], autoStart: false };
    const { registry } = this.service;
    const timerId = registry.newTimerId();
    const result = await registry.create(definition, BY_TEST, timerId);
    if (!result.ok) throw new Error(result.refusal.reason);
    return timerId;
  }

  async get(timerId: string): Promise<TimerResource> {
    return timerSchema.parse((await this.request('GET', `/timers/${timerId}`)).body);
  }

  control(timerId: string, action: string, extendSeconds?: number): Promise<Answer> {
    const extension = extendSeconds === undefined ? {} : { extend_seconds: extendSeconds };
    return this.request('POST', `/timers/${timerId}/control`, { action, ...extension });
  }

  /** Does an action that must succeed, and gives the timer after it. */
  async act(timerId: string, action: string, extendSeconds?: number): Promise<TimerResource> {
    const answer = await this.control(timerId, action, extendSeconds);
    if (answer.status !== 200) throw new Error(problemSchema.parse(answer.body).detail);
    return timerSchema.parse(answer.body);
  }

  display(timerId: string, query = ''): Promise<TestDisplay> {
    return TestDisplay.connect(this.displayUrl(timerId, query), this.authorization);
  }

  displayUrl(timerId: string, query = ''): string {
    return `${this.service.url.replace('http', 'ws')}/ws/${timerId}${query}`;
  }

  /** Lets time pass; whatever becomes due is recorded and told before time goes on. */
  advance(byMs: number): Promise<void> {
    return this.clock.advance(byMs, () => this.settle());
  }

  /** Waits until no command is in hand. */
  settle(): Promise<void> {
    return settled(this.service.registry);
  }

  /** Asks the service to stop while time stands still, so that nothing that it waits for is cut short. */
  beginToStop(): Promise<void> {
    this.#stopping ??= this.service.stop();
    return this.#stopping;
  }

  async stop(): Promise<void> {
    if (!running.delete(this)) return;
    let isStopped = false;
    const stopping = this.beginToStop().finally(() => {
      isStopped = true;
    });
    void this.clock.advance(10_000);
    // What does not end by itself is cut short by the clock, in steps that are begun one after the other.
    while (!isStopped) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (!isStopped) await this.clock.advance(1000);
    }
    await stopping;
    this.#agent.destroy();
  }
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headersDistinct } = response;
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  const content = await text(response);
  const body: unknown = content === '' ? undefined : JSON.parse(content);
  return { status, headers, body };
}

/** A problem body, checked. */
export function problemIn(answer: Answer): z.output<typeof problemSchema> {
  if (answer.headers.get('content-type') !== 'application/problem+json') {
    throw new Error(`not a problem: ${answer.status} ${answer.headers.get('content-type')}`);
  }
  return problemSchema.parse(answer.body);
}
