/** What is promised of changes while the engine is away, or the clock of a node is wrong; on real servers. */
import { beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { connectTimer } from '../../src/client/node.js';
import { systemClock } from '../../src/clock.js';
import { readConfig } from '../../src/config.js';
import {
  DoubtError,
  type Entry,
  type Journal,
  type JournalAnswer,
  JournalError,
} from '../../src/journal/journal.js';
import type { NatsJournal } from '../../src/journal/nats.js';
import { createLog } from '../../src/log.js';
import { problemSchema } from '../../src/protocol/problems.js';
import { historySchema } from '../../src/protocol/record.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { type Service, startService } from '../../src/service.js';
import { AlteredClock } from '../support/altered-clock.js';
import { TestDisplay } from '../support/display.js';
import { endWithTest } from '../support/endings.js';
import { created, started } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { readableLog } from '../support/log-lines.js';
import {
  AnswerProxy,
  denying,
  hasNatsServer,
  NatsServer,
  newStream,
  openNats,
} from '../support/nats.js';
import { need } from '../support/tools.js';

const isThere = hasNatsServer();
beforeEach((context) => need(context, 'nats-server', isThere));

const running = new Set<Service>();
endWithTest('services', async () => {
  for (const service of running) await service.stop();
  running.clear();
});

/** A service that goes by the real clock, as the engine does. */
async function serve(journal: Journal, log = createLog('silent')): Promise<Service> {
  const service = await startService({
    config: readConfig({ PORT: '0' }),
    clock: systemClock,
    journal,
    log,
    version: '0.0.0',
    onFailure: () => {},
  });
  running.add(service);
  await service.ready;
  return service;
}

async function ask(service: Service, method: string, path: string, body?: object) {
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  return { status: response.status, headers: response.headers, body: answer };
}

async function create(service: Service, seconds: number): Promise<string> {
  const definition = { duration_seconds: seconds, auto_start: true };
  const { body } = await ask(service, 'POST', '/timers', definition);
  return timerSchema.parse(body).id;
}

/** The parts that the service says are missing. */
async function missingParts(service: Service): Promise<string[]> {
  const { status, body } = await ask(service, 'GET', '/readyz');
  if (status === 200) return [];
  expect(status).toBe(503);
  const { missing = [], detail } = problemSchema.parse(body);
  for (const part of missing) expect(detail).toContain(part.detail);
  return missing.map(({ part }) => part);
}

function untilMissing(service: Service, ...parts: string[]): Promise<void> {
  const asItIs = async () => expect(await missingParts(service)).toEqual(parts);
  return eventually(asItIs, { timeout: 20_000, interval: 50 });
}

/** What the engine has shown before counts no more; nothing that a clock of ours could hasten. */
const stale = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

interface Told {
  /** `done`, or the problem. */
  readonly code: string;
  readonly isRecorded: boolean;
}

/** Somebody who extends a timer again and again, each time for a reason of its own. */
class Writer {
  readonly #service: Service;
  readonly #timerId: string;
  readonly #told: { code: string; reason: string }[] = [];
  #isStopped = false;
  #work: Promise<void> = Promise.resolve();

  private constructor(service: Service, timerId: string) {
    this.#service = service;
    this.#timerId = timerId;
  }

  static async start(service: Service): Promise<Writer> {
    const writer = new Writer(service, await create(service, 300));
    await writer.#extend();
    writer.#work = writer.#goOn();
    return writer;
  }

  /** What was answered each time, and whether it is on record. */
  async stop(): Promise<readonly Told[]> {
    this.#isStopped = true;
    await this.#work;
    const { body } = await ask(this.#service, 'GET', `/timers/${this.#timerId}/history`);
    const recorded = historySchema.parse(body).map(({ reason }) => reason?.text);
    return this.#told.map(({ code, reason }) => ({ code, isRecorded: recorded.includes(reason) }));
  }

  async #goOn(): Promise<void> {
    while (!this.#isStopped) await this.#extend();
  }

  async #extend(): Promise<void> {
    const text = `reason ${this.#told.length}`;
    const reason = { category: 'other', text };
    const path = `/timers/${this.#timerId}/control`;
    const asked = { action: 'extend', extend_seconds: 1, reason };
    const { status, body } = await ask(this.#service, 'POST', path, asked);
    const code = status === 200 ? 'done' : problemSchema.parse(body).code;
    this.#told.push({ code, reason: text });
    // Whoever was refused does not ask again at once.
    if (code !== 'done') await stale();
  }
}

/**
 * Has a change sent right before the engine stops answering. It is sent only within 25 ms after a sign of the
 * engine, so on a busy machine it may come too late and be refused; then it is tried again.
 */
async function sentBefore(
  journal: NatsJournal,
  proxy: AnswerProxy,
  hold: () => void,
  change: Entry,
): Promise<{ readonly appended: Promise<readonly JournalAnswer[]> }> {
  for (let round = 1; ; round += 1) {
    await eventually(() => journal.append([created(`sign${round}`)]));
    hold();
    let isRefused = false;
    const appended = journal.append([change]);
    appended.catch(() => {
      isRefused = true;
    });
    await eventually(() => expect(journal.engine.lacks).toHaveLength(1));
    await new Promise((resume) => setImmediate(resume));
    if (!isRefused) return { appended };
    proxy.release();
  }
}

describe('while the engine is away', () => {
  it('J1, J2, T4: displays count on, changes are refused for good, and the end is recorded once it is back', async () => {
    const server = await NatsServer.start();
    const { log, lines } = readableLog();
    const service = await serve(await openNats(server), log);
    const id = await create(service, 3);
    const display = await TestDisplay.connect(`${service.url.replace('http', 'ws')}/ws/${id}`);
    expect(await missingParts(service)).toEqual([]);
    await server.kill();
    await untilMissing(service, 'connection');
    const refused = await ask(service, 'POST', `/timers/${id}/control`, { action: 'pause' });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(problemSchema.parse(refused.body).code).toBe('journal_unavailable');
    while ((await display.next('timer_tick')).remaining_seconds > 0);
    await server.restart();
    await untilMissing(service);
    const isOver = async () => {
      const { body } = await ask(service, 'GET', `/timers/${id}`);
      expect(timerSchema.parse(body).state).toBe('expired');
    };
    await eventually(isOver, { timeout: 10_000, interval: 50 });
    const { body } = await ask(service, 'GET', `/timers/${id}/history`);
    const [creation, end, ...others] = historySchema.parse(body);
    expect([creation?.type, end?.type, others]).toEqual(['created', 'expired', []]);
    expect(Date.parse(end?.at ?? '')).toBe(Date.parse(creation?.at ?? '') + 3000);
    const told = () => expect(lines.join('')).toMatch(/is not connected[\s\S]*what was missing/);
    await eventually(told, { timeout: 10_000 });
  });

  it('J5: a node that cannot hear of a timer does not say that there is none', async () => {
    const server = await NatsServer.start();
    const stream = newStream();
    const proxy = await AnswerProxy.start(server);
    const creator = await serve(await openNats(server, { stream }));
    const journal = await openNats(server, { stream, access: { servers: [proxy.url] } });
    const cutOff = await serve(journal);
    const known = await create(cutOff, 300);
    const displayUrl = (id: string): string => `${cutOff.url.replace('http', 'ws')}/ws/${id}`;
    for (const isNoticed of [false, true]) {
      proxy.hold();
      if (isNoticed) await untilMissing(cutOff, 'quorum');
      const id = await create(creator, 300);
      const answers = await Promise.all([
        ask(cutOff, 'GET', `/timers/${id}`),
        ask(cutOff, 'GET', `/timers/${id}/events`),
        ask(cutOff, 'POST', `/timers/${id}/control`, { action: 'pause' }),
        ask(cutOff, 'DELETE', `/timers/${id}`),
      ]);
      for (const { status, headers, body } of answers) {
        expect([status, headers.get('retry-after')]).toEqual([503, '1']);
        expect(problemSchema.parse(body).code).toBe('journal_unavailable');
      }
      const bulk = await ask(cutOff, 'POST', '/timers/bulk/pause', [id]);
      const status = 'failed (journal_unavailable)';
      expect(bulk.body).toEqual([{ timer_id: id, success: false, status }]);
      const refused = new TestDisplay(new WebSocket(displayUrl(id)));
      expect((await refused.closed).code).toBe(1013);
      // What it knows, it shows.
      expect((await ask(cutOff, 'GET', `/timers/${known}`)).status).toBe(200);
      const display = connectTimer({ server: cutOff.url, timer: id });
      const isRefused = () => expect(display.connection).toBe('waiting');
      await eventually(isRefused, { timeout: 10_000 });
      proxy.release();
      const isLive = () => expect(display.connection).toBe('live');
      await eventually(isLive, { timeout: 20_000 });
      display.close();
      expect((await ask(cutOff, 'GET', `/timers/${id}`)).status).toBe(200);
      await untilMissing(cutOff);
    }
    expect((await ask(cutOff, 'GET', '/timers/timer_none')).status).toBe(404);
  });

  it('J5: an engine that does not show that it records is not believed that nothing is newer', async () => {
    const stream = newStream();
    const server = await NatsServer.start(denying(`$JS.API.STREAM.MSG.GET.${stream}`));
    const journal = await openNats(server, { stream });
    // It says which entry is the last one, as a leader does for a while that has lost its quorum.
    expect(await journal.entriesOfRequest('x.')).toEqual([]);
    await expect(journal.caughtUp()).rejects.toThrow(/records nothing/);
  });

  it('T5: a node that starts without a quorum says what to do', async () => {
    const { servers: cluster } = await NatsServer.startCluster();
    await Promise.all([cluster[1]?.kill(), cluster[2]?.kill()]);
    const clock = new AlteredClock({ speed: 20 });
    const opening = openNats(cluster[0], { clock });
    await expect(opening).rejects.toThrow(/More than half .* start those that are missing/);
    await expect(opening).rejects.toBeInstanceOf(JournalError);
  });

  it('J1: a change is not even sent to an engine that has stopped answering', async () => {
    const server = await NatsServer.start();
    const proxy = await AnswerProxy.start(server);
    const journal = await openNats(server, { access: { servers: [proxy.url] } });
    await journal.append([created('a')]);
    await stale();
    proxy.hold();
    const refusal = await journal.append([started('a', 2)]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(JournalError);
    expect(refusal).not.toBeInstanceOf(DoubtError);
    expect(journal.engine.lacks).toMatchObject([{ part: 'quorum' }]);
    const { documents } = journal;
    const kept = { name: 'x', text: '{}' };
    const questions = [
      () => journal.history('a'),
      () => journal.read(0, 1),
      () => journal.positionBefore(0),
      () => documents.put('keys', kept, null),
      () => documents.get('keys', 'x', 0),
    ];
    // What the engine does not answer is never taken for a fault of the service.
    for (const ask of questions) await expect(ask()).rejects.toBeInstanceOf(JournalError);
    proxy.release();
    await eventually(() => journal.append([created('b')]), { timeout: 10_000 });
    expect(journal.engine.lacks).toEqual([]);
    const recorded = await journal.read(0, 10);
    expect(recorded.map(({ timerId, type }) => `${timerId} ${type}`)).toEqual([
      'a created',
      'b created',
    ]);
  });

  it('J1, T3: a change that was sent is answered when the engine is back, and recorded once', async () => {
    const server = await NatsServer.start();
    const proxy = await AnswerProxy.start(server);
    const journal = await openNats(server, { access: { servers: [proxy.url] } });
    await journal.append([created('a')]);
    const hold = (): void => proxy.hold();
    const { appended } = await sentBefore(journal, proxy, hold, started('a', 2));
    proxy.release();
    expect(await appended).toEqual(['committed']);
    expect(await journal.history('a')).toHaveLength(2);
  });

  it('J1: a change that was sent and came too late is answered as what it is', async () => {
    const server = await NatsServer.start();
    const stream = newStream();
    const proxy = await AnswerProxy.start(server);
    const other = await openNats(server, { stream });
    const journal = await openNats(server, { stream, access: { servers: [proxy.url] } });
    await journal.append([created('a')]);
    const hold = (): void => proxy.holdAll();
    const { appended } = await sentBefore(journal, proxy, hold, started('a', 2));
    await eventually(() => other.append([started('a', 2)]));
    proxy.release();
    expect(await appended).toEqual(['conflict']);
    expect(await other.history('a')).toHaveLength(2);
  });

  it('J1: a change that was sent to an engine that stays away is said to be in doubt', async () => {
    const server = await NatsServer.start();
    const proxy = await AnswerProxy.start(server);
    const clock = new AlteredClock({ speed: 10 });
    const journal = await openNats(server, { access: { servers: [proxy.url] }, clock });
    await eventually(() => journal.append([created('a')]));
    const sent = started('a', 2);
    let round = 0;
    // As above, but it is in doubt sooner than the engine is known to be away.
    const doubt = await eventually(async () => {
      proxy.release();
      round += 1;
      await journal.append([created(`sign${round}`)]);
      proxy.hold();
      const error = await journal.append([sent]).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(DoubtError);
      return error;
    });
    expect(doubt).toMatchObject({ entries: [sent], message: expect.stringMatching(/did not say/) });
    proxy.release();
    await eventually(() => journal.append([created('b')]), { timeout: 10_000 });
    expect(await journal.append([started('a', 2)])).toEqual(['conflict']);
  });

  it('J1, J2: a service without a quorum refuses changes for good, and goes on when there is one', async () => {
    const { servers: cluster } = await NatsServer.startCluster();
    const access = { servers: cluster.map(({ url }) => url) };
    const open = () => openNats(cluster[0], { access, replicas: 3 });
    const journal = await eventually(open, { timeout: 15_000, interval: 100 });
    const service = await serve(journal);
    const id = await create(service, 300);
    const writers = await Promise.all(Array.from({ length: 5 }, () => Writer.start(service)));
    await Promise.all([cluster[1]?.kill(), cluster[2]?.kill()]);
    await eventually(
      async () => expect((await missingParts(service)).length).toBeGreaterThan(0),
      15_000,
    );
    const refused = await ask(service, 'POST', `/timers/${id}/control`, { action: 'pause' });
    expect(problemSchema.parse(refused.body).code).toBe('journal_unavailable');
    await Promise.all([cluster[1]?.restart(), cluster[2]?.restart()]);
    await untilMissing(service);
    const extension = { action: 'extend', extend_seconds: 5 };
    // Another server may lead the stream a moment later, and then one more change be refused.
    await eventually(async () => {
      const extended = await ask(service, 'POST', `/timers/${id}/control`, extension);
      expect(extended.body).toMatchObject({ state: 'running' });
    });
    const outcomes = await Promise.all(writers.map((writer) => writer.stop()));
    const told = outcomes.flat();
    expect(told.filter(({ code }) => code === 'done').length).toBeGreaterThan(0);
    expect(told.filter(({ code }) => code === 'journal_unavailable').length).toBeGreaterThan(0);
    for (const { code, isRecorded } of told) {
      if (code !== 'outcome_unknown') expect([code, isRecorded]).toEqual([code, code === 'done']);
    }
  });
});

/** What a cluster cannot do before it has elected leaders for it, while it records entries already. */
const WITHOUT = `no_auth_user: node
  authorization {
    users: [{
      user: node, password: node
      permissions { publish { deny: ["$JS.API.CONSUMER.>", "$KV.>"] } }
    }]
  }`;

describe('while the engine records entries, but keeps no documents and has nobody bring entries', () => {
  it('J2, T3: changes are made, told to every node, and read again', async () => {
    const server = await NatsServer.start(WITHOUT);
    const stream = newStream();
    const nodes = [await openNats(server, { stream }), await openNats(server, { stream })];
    const heard = nodes.map((): string[] => []);
    for (const [index, node] of nodes.entries()) {
      node.subscribe(({ entries }) => heard[index]?.push(...entries.map(({ type }) => type)));
    }
    const [one, other] = nodes;
    expect(await eventually(() => one?.append([created('a')]))).toEqual(['committed']);
    expect(await eventually(() => one?.append([started('a', 2)]))).toEqual(['committed']);
    expect(await eventually(() => other?.append([started('a', 2)]))).toEqual(['conflict']);
    const all = ['created', 'started'];
    await eventually(() => expect(heard).toEqual([all, all]));
    for (const node of nodes) {
      expect((await node.history('a')).map(({ type }) => type)).toEqual(all);
      expect((await node.read(0, 10)).map(({ type }) => type)).toEqual(all);
    }
  });

  it('J1, J2: none is made without a quorum of the entries', async () => {
    const { servers: cluster } = await NatsServer.startCluster(WITHOUT);
    const access = { servers: cluster.map(({ url }) => url) };
    const open = () => openNats(cluster[0], { access, replicas: 3 });
    const journal = await eventually(open, { timeout: 15_000, interval: 100 });
    await eventually(() => journal.append([created('a')]));
    await Promise.all([cluster[1]?.kill(), cluster[2]?.kill()]);
    await eventually(() => expect(journal.engine.lacks).not.toEqual([]));
    const refusal = await journal.append([created('b')]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(JournalError);
    expect(refusal).not.toBeInstanceOf(DoubtError);
    await Promise.all([cluster[1]?.restart(), cluster[2]?.restart()]);
    await eventually(() => journal.append([created('c')]), { timeout: 40_000 });
    expect((await journal.read(0, 10)).map(({ timerId }) => timerId)).toEqual(['a', 'c']);
  });
});

describe('a node whose clock is off', () => {
  it.each([400, -400])('J3: by %i ms records nothing and is not ready', async (aheadMs) => {
    const server = await NatsServer.start();
    const journal = await openNats(server, { clock: new AlteredClock({ aheadMs }) });
    const { offsetMs, errorBoundMs } = journal.engine.clockOffset ?? {
      offsetMs: 0,
      errorBoundMs: 0,
    };
    expect(Math.abs(offsetMs - aheadMs)).toBeLessThanOrEqual(errorBoundMs);
    expect(journal.engine.lacks).toMatchObject([
      { part: 'clock', detail: expect.stringContaining(aheadMs > 0 ? 'ms ahead' : 'ms behind') },
    ]);
    await expect(journal.append([created('a')])).rejects.toThrow(/The clock of this node/);
    const service = await serve(journal);
    expect(await missingParts(service)).toEqual(['clock']);
    expect(await journal.read(0, 10)).toEqual([]);
  });

  it('J3: by less than that is told of in the log and in metrics', async () => {
    const server = await NatsServer.start();
    const { log, lines } = readableLog();
    const clock = new AlteredClock({ aheadMs: 150 });
    const service = await serve(await openNats(server, { clock }), log);
    await create(service, 10);
    expect(await missingParts(service)).toEqual([]);
    expect(lines.join('\n')).toMatch(/"offsetMs":1\d\d.*the clock of this node is not that/);
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const [, seconds = ''] = /^timer_clock_offset_seconds (\S+)$/m.exec(text) ?? [];
    const [, bound = ''] = /^timer_clock_offset_error_bound_seconds (\S+)$/m.exec(text) ?? [];
    expect(Math.abs(Number(seconds) - 0.15)).toBeLessThanOrEqual(Number(bound));
  });
});
