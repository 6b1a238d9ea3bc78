/** The journal in NATS, on real servers: one that stands alone, and a cluster of three. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createUser } from '@nats-io/nkeys';
import { connect } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordOf } from '../../machines/record.js';
import type { Entry, Journal, TimerRecord } from '../../src/journal/journal.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { readableLog } from '../support/log-lines.js';
import { AnswerProxy, hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { createNatsOperator } from '../support/nats-operator.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { temporaryFolder } from '../support/sqlite.js';
import { canRun, need } from '../support/tools.js';
import { expectChained, journalContract } from './contract.js';

const isThere = hasNatsServer();

/** What a journal delivers from now on. */
function deliveredBy(journal: Journal): Entry[] {
  const delivered: Entry[] = [];
  journal.subscribe(({ entries }) => delivered.push(...entries));
  return delivered;
}

async function replayedBy(journal: Journal): Promise<TimerRecord[]> {
  const replayed: TimerRecord[] = [];
  for await (const { records } of journal.replay(0)) replayed.push(...records);
  return replayed;
}

/** Appends one entry as soon as the engine is there again, and gives what became of it. */
function appendAgain(journal: Journal, proposed: Entry): Promise<readonly string[]> {
  return eventually(() => journal.append([proposed]), { timeout: 15_000, interval: 50 });
}

beforeEach((context) => need(context, 'nats-server', isThere));

describe('the journal in NATS', () => {
  let server: NatsServer;

  beforeAll(async () => {
    if (isThere) server = await NatsServer.start();
  });

  journalContract(() => openNats(server));

  it('delivers the one stream to every node, and all of them compute the same chain', async () => {
    const stream = newStream();
    const nodes = [await openNats(server, { stream }), await openNats(server, { stream })];
    const delivered = nodes.map(deliveredBy);
    const appends = nodes.flatMap((node, which) =>
      Array.from({ length: 50 }, (_, index) => node.append([created(`t${which}_${index}`)])),
    );
    await Promise.all(appends);
    await eventually(() => expect(delivered.map(({ length }) => length)).toEqual([100, 100]));
    expect(delivered[0]).toEqual(delivered[1]);
    const [ours, theirs] = await Promise.all(nodes.map((node) => node.read(0, 1000)));
    expect(ours).toEqual(theirs);
    expectChained(ours ?? []);
    const late = await openNats(server, { stream });
    expect(await late.read(0, 1000)).toEqual(ours);
  });

  it('lets one of several nodes win each revision, and delivers it before the others are answered', async () => {
    const stream = newStream();
    const nodes = await Promise.all([1, 2, 3].map(() => openNats(server, { stream })));
    await nodes[0]?.append([created('a')]);
    for (const node of nodes) {
      await eventually(async () => expect(await node.history('a')).toHaveLength(1));
    }
    const outcomes = nodes.map(async (node, index) => {
      const delivered = deliveredBy(node);
      const [answer] = await node.append([started('a', 2, START_MS + index)]);
      expect(delivered.at(-1)).toMatchObject({ timerId: 'a', revision: 2 });
      return answer;
    });
    const answers = await Promise.all(outcomes);
    expect(answers.toSorted()).toEqual(['committed', 'conflict', 'conflict']);
    expect(await nodes[0]?.history('a')).toHaveLength(2);
  });

  it('gives a replay as of its beginning, and delivers what is committed meanwhile', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    const other = await openNats(server, { stream });
    await node.append(Array.from({ length: 600 }, (_, index) => created(`t${index}`)));
    await eventually(async () => expect(await other.read(599, 1)).toHaveLength(1));
    const delivered = deliveredBy(other);
    const records: TimerRecord[] = [];
    for await (const batch of other.replay(0)) {
      records.push(...batch.records);
      if (batch.timersLeft === 0) continue;
      await node.append([started('t599', 2)]);
      await eventually(() => expect(delivered).toEqual([started('t599', 2)]));
    }
    expect(records.at(-1)).toEqual(recordOf([created('t599')]));
    expect(delivered).toEqual([started('t599', 2)]);
  });

  it('T5: listens anew after the last entry it has when the engine has forgotten it', async () => {
    const stream = newStream();
    const journal = await openNats(server, { stream });
    const delivered = deliveredBy(journal);
    await journal.append([created('a')]);
    const connection = await connect({ servers: server.url });
    const { consumers } = await jetstreamManager(connection);
    for await (const { name } of consumers.list(stream)) await consumers.delete(stream, name);
    await connection.close();
    expect(await journal.append([started('a', 2)])).toEqual(['committed']);
    await eventually(() => expect(delivered).toEqual([created('a'), started('a', 2)]), 10_000);
  });

  it('counts of all messages of one revision the first, whatever the engine lets in', async () => {
    const stream = newStream();
    const journal = await openNats(server, { stream });
    const delivered = deliveredBy(journal);
    await journal.append([created('a'), started('a', 2)]);
    const connection = await connect({ servers: server.url });
    const late = JSON.stringify(started('a', 2, START_MS + 1));
    // The journal is asked before it can have heard of the message that came before.
    await jetstream(connection).publish(`${stream}.a`, late);
    expect(await journal.append([entry('a', 3, { type: 'paused', data: {} })])).toEqual([
      'committed',
    ]);
    await jetstream(connection).publish(`${stream}.a`, late);
    await connection.close();
    await journal.append([created('b')]);
    const places = [1, 2, 3, 4];
    expect(delivered.map(({ timerId, revision }) => `${timerId}${revision}`)).toEqual([
      'a1',
      'a2',
      'a3',
      'b1',
    ]);
    const other = await openNats(server, { stream });
    for (const node of [journal, other]) {
      const recorded = await node.read(0, 10);
      expect(recorded).toMatchObject(delivered);
      expect(recorded.map(({ position }) => position)).toEqual(places);
      expectChained(recorded);
      expect(await node.read(2, 1)).toEqual(recorded.slice(2, 3));
      expect(await node.history('a')).toEqual(recorded.slice(0, 3));
      expect(await node.history('b')).toEqual(recorded.slice(3));
      expect(await node.positionBefore(START_MS + 10)).toBe(4);
    }
    expect(await replayedBy(other)).toEqual([
      recordOf(delivered.slice(0, 3)),
      recordOf([created('b')]),
    ]);
  });

  it('T3: tells of streams that have fewer copies than are asked for', async () => {
    const stream = newStream();
    const { log, messages } = readableLog();
    const open = (replicas: number | undefined) => openNats(server, { stream, replicas, log });
    for (const enough of [undefined, 1]) await (await open(enough)).close();
    expect(messages).toEqual([]);
    await open(3);
    const names = [stream, `KV_${stream}_documents`, `OBJ_${stream}_snapshots`];
    const advice = names.map((name) => `nats stream edit ${name} --replicas 3`);
    expect(messages).toEqual(advice.map((command) => expect.stringContaining(command)));
  });

  it('takes timers of any name', async () => {
    const journal = await openNats(server);
    const names = ['a.b', '*', '>', 'ä ö', '=a', `${'x'.repeat(200)}`];
    expect(await journal.append(names.map((name) => created(name)))).toEqual(
      names.map(() => 'committed'),
    );
    for (const name of names) expect(await journal.history(name)).toHaveLength(1);
  });

  it('keeps the documents of one node for all', async () => {
    const stream = newStream();
    const nodes = [await openNats(server, { stream }), await openNats(server, { stream })];
    await nodes[0]?.documents.put('keys', { name: 'ä/ö.*', text: '"x"' }, null);
    expect(await nodes[1]?.documents.get('keys', 'ä/ö.*', START_MS)).toBe('"x"');
    expect(await nodes[1]?.documents.list('keys')).toEqual([{ name: 'ä/ö.*', text: '"x"' }]);
    expect(await nodes[1]?.documents.list('other')).toEqual([]);
    await nodes[1]?.documents.put('keys', { name: '', text: '1' }, START_MS);
    await nodes[0]?.documents.purge(START_MS);
    expect(await nodes[0]?.documents.list('keys')).toHaveLength(1);
  });

  describe('runs the service', () => {
    it('T5: which recovers from it what was acknowledged', async () => {
      const stream = newStream();
      const clock = new SimulatedClock();
      const first = await TestService.start({ clock, journal: await openNats(server, { stream }) });
      const { id } = await first.create({ duration_seconds: 60 });
      await first.act(id, 'start');
      await clock.advance(10_000);
      await first.stop();
      await clock.advance(60_000);
      const second = await TestService.start({
        clock,
        journal: await openNats(server, { stream }),
      });
      const recovered = await second.get(id);
      expect(recovered).toMatchObject({ state: 'expired', remaining_seconds: 0, revision: 3 });
    });

    it('D5: on two nodes, which show the displays of each other', async () => {
      const stream = newStream();
      const clock = new SimulatedClock();
      const journals = [await openNats(server, { stream }), await openNats(server, { stream })];
      const [one, two] = await Promise.all(
        journals.map((journal) => TestService.start({ clock, journal })),
      );
      if (one === undefined || two === undefined) throw new Error('two services were started');
      const { id } = await one.create();
      await one.display(id, '?label=Seat%201');
      await eventually(async () => {
        await clock.advance(250);
        expect((await two.get(id)).connected_clients).toBe(1);
      });
      const { body } = await two.request('GET', `/timers/${id}/displays`);
      expect(body).toMatchObject({ connected: 1, displays: [{ label: 'Seat 1' }] });
    });

    it('T3: on two nodes, of which one is asked for what it has not heard of yet', async () => {
      const stream = newStream();
      const clock = new SimulatedClock();
      const proxy = await AnswerProxy.start(server);
      const access = { servers: [proxy.url] };
      const one = await TestService.start({ clock, journal: await openNats(server, { stream }) });
      const two = await TestService.start({
        clock,
        journal: await openNats(server, { stream, access }),
      });
      const createdUnheard = async (): Promise<string> => {
        proxy.hold();
        const { id } = await one.create();
        setTimeout(() => proxy.release(), 100);
        return id;
      };
      expect(await two.get(await createdUnheard())).toMatchObject({ state: 'created' });
      expect(await two.act(await createdUnheard(), 'start')).toMatchObject({ state: 'running' });
      const display = await two.display(await createdUnheard());
      await display.leave();
      const bulk = await two.request('POST', '/timers/bulk/start', [await createdUnheard()]);
      expect(bulk.body).toMatchObject([{ success: true }]);
      expect((await two.request('GET', '/timers/timer_nobody')).status).toBe(404);
    });

    it('A5: on two nodes, of which one is asked what a request changed that it has not heard of yet', async () => {
      const stream = newStream();
      const proxy = await AnswerProxy.start(server);
      const one = await openNats(server, { stream });
      const two = await openNats(server, { stream, access: { servers: [proxy.url] } });
      proxy.hold();
      await one.append([{ ...created('a'), requestId: 'name.print' }]);
      setTimeout(() => proxy.release(), 100);
      expect(await two.entriesOfRequest('name.')).toMatchObject([{ timerId: 'a', revision: 1 }]);
    });

    it('T4: on two nodes, which end a timer once', async () => {
      const stream = newStream();
      const clock = new SimulatedClock();
      const journals = [await openNats(server, { stream }), await openNats(server, { stream })];
      const [one, two] = await Promise.all(
        journals.map((journal) => TestService.start({ clock, journal })),
      );
      if (one === undefined || two === undefined) throw new Error('two services were started');
      const { id } = await one.create({ duration_seconds: 60 });
      await eventually(async () => expect(await two.get(id)).toMatchObject({ state: 'created' }));
      await two.act(id, 'start');
      await eventually(async () => expect(await one.get(id)).toMatchObject({ state: 'running' }));
      await clock.advance(60_000, async () => {
        await Promise.all([one.settle(), two.settle()]);
      });
      for (const service of [one, two]) {
        await eventually(async () =>
          expect(await service.get(id)).toMatchObject({ state: 'expired', revision: 3 }),
        );
      }
      expect((await journals[0]?.read(0, 10))?.map(({ type }) => type)).toEqual([
        'created',
        'started',
        'expired',
      ]);
    });
  });

  describe('refuses at start, in words,', () => {
    async function refusalOf(opening: Promise<unknown>): Promise<string> {
      return opening.then(
        () => 'none',
        (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : ''),
      );
    }

    it('an address where nobody is', async () => {
      const access = { servers: ['nats://127.0.0.1:1'] };
      expect(await refusalOf(openNats(server, { access }))).toMatch(
        /^JournalError: NATS at nats:\/\/127\.0\.0\.1:1 cannot be used: .*Start it, or set JOURNAL/,
      );
    });

    it('a server that does not encrypt, when it is asked to', async () => {
      const access = { servers: [server.url.replace('nats:', 'tls:')] };
      expect(await refusalOf(openNats(server, { access }))).toMatch(/does not support 'tls'/);
    });

    it('more replicas than there are servers', async () => {
      expect(await refusalOf(openNats(server, { replicas: 3 }))).toMatch(/NATS_REPLICAS/);
    });

    it('files of credentials that are not there', async () => {
      const access = { credentials: '/nowhere/user.creds' };
      expect(await refusalOf(openNats(server, { access }))).toMatch(/NATS_CREDS cannot be read/);
    });

    it('a stream of something else, and one that others wrote to', async () => {
      const connection = await connect({ servers: server.url });
      const manager = await jetstreamManager(connection);
      const [foreign, spoilt, gapped] = [newStream(), newStream(), newStream()];
      await manager.streams.add({
        name: foreign,
        subjects: [`${foreign}.*`],
        max_msgs_per_subject: 1,
      });
      const journal = await openNats(server, { stream: spoilt });
      await journal.append([created('a')]);
      await journal.close();
      await jetstream(connection).publish(`${spoilt}.a`, 'Dear diary');
      await (await openNats(server, { stream: gapped })).close();
      await jetstream(connection).publish(`${gapped}.a`, JSON.stringify(started('a', 2)));
      await connection.close();
      expect(await refusalOf(openNats(server, { stream: foreign }))).toMatch(/is no journal/);
      expect(await refusalOf(openNats(server, { stream: spoilt }))).toMatch(
        /message 2 of the stream is not readable/,
      );
      expect(await refusalOf(openNats(server, { stream: gapped }))).toMatch(/does not follow/);
    });
  });

  it('shows the NKey it was given, needs the rights that README names, and is refused without it', async () => {
    const user = createUser();
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, named = ''] = /with limited rights needs (.*?), with the name/s.exec(readme) ?? [];
    const rights = [...named.matchAll(/`([^`]+)`/g)].map(([, subject]) => `"${subject}"`).join();
    const guarded = await NatsServer.start(
      `authorization { users: [{ nkey: ${user.getPublicKey()}, permissions: { publish: [${rights}], subscribe: [${rights}] } }] }`,
    );
    const seed = join(temporaryFolder(), 'seed');
    writeFileSync(seed, `${new TextDecoder().decode(user.getSeed())}\n`);
    const options = { access: { nkeySeed: seed }, stream: 'timers', entriesBetweenSnapshots: 1 };
    const journal = await openNats(guarded, options);
    expect(await journal.append([created('a')])).toEqual(['committed']);
    expect(await journal.history('a')).toHaveLength(1);
    await journal.documents.put('keys', { name: 'x', text: '{}' }, null);
    expect(await journal.documents.list('keys')).toHaveLength(1);
    const heard: unknown[] = [];
    journal.bus.listen('topic', (message) => heard.push(message));
    await eventually(() => {
      journal.bus.tell('topic', 'news');
      expect(heard).toContain('news');
    });
    await journal.close();
    const { log, messages } = readableLog();
    const again = await openNats(guarded, { ...options, log });
    expect(await again.read(0, 10)).toHaveLength(1);
    expect(messages.join()).toContain('after a snapshot');
    await expect(openNats(guarded)).rejects.toThrow(/Authorization/i);
  });

  it('shows the credentials it was given to a server of their operator, and is refused with others', async () => {
    const { configuration, credentials } = createNatsOperator();
    const operated = await NatsServer.start(configuration);
    const [own, foreign] = ['own.creds', 'foreign.creds'].map((name) =>
      join(temporaryFolder(), name),
    );
    if (own === undefined || foreign === undefined) throw new Error('There are two files');
    writeFileSync(own, credentials);
    writeFileSync(foreign, createNatsOperator().credentials);
    const journal = await openNats(operated, { access: { credentials: own } });
    expect(await journal.append([created('a')])).toEqual(['committed']);
    const refused = openNats(operated, { access: { credentials: foreign } });
    await expect(refused).rejects.toThrow(/Authorization/i);
  });

  it('talks over TLS with a certificate of its own, to servers it can check only', async (context) => {
    need(context, 'openssl', canRun('openssl', 'version'));
    const folder = temporaryFolder();
    const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
    const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
    const making = `req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext ${names}`;
    spawnSync('openssl', [...making.split(' '), '-keyout', key, '-out', certificate]);
    const guarded = await NatsServer.start(
      `tls { cert_file: "${certificate}", key_file: "${key}", ca_file: "${certificate}", verify: true }`,
    );
    const access = { servers: [guarded.url.replace('nats:', 'tls:')], certificate, key };
    const journal = await openNats(guarded, { access: { ...access, ca: certificate } });
    expect(await journal.append([created('a')])).toEqual(['committed']);
    await expect(openNats(guarded, { access })).rejects.toThrow(/self-signed certificate/);
  });
});

describe('when the engine fails, the journal in NATS', () => {
  it('T5: keeps what was acknowledged when the server is killed, and goes on by itself', async () => {
    const server = await NatsServer.start();
    const journal = await openNats(server, { stream: 'kept' });
    const delivered = deliveredBy(journal);
    await journal.append([created('a')]);
    await server.kill();
    await expect(journal.append([created('lost')])).rejects.toThrow(/NATS/);
    await server.restart();
    expect(await appendAgain(journal, started('a', 2))).toEqual(['committed']);
    expect(delivered).toEqual([created('a'), started('a', 2)]);
    const other = await openNats(server, { stream: 'kept' });
    const recorded = await other.read(0, 10);
    expect(recorded).toMatchObject([created('a'), started('a', 2)]);
    expectChained(recorded);
  });
});

/** Lets nodes race for the second revision of 50 timers while others are written as well. */
async function expectOneWinnerEach(nodes: readonly Journal[]): Promise<void> {
  const ids = Array.from({ length: 50 }, (_, index) => `raced${index}`);
  const [first] = nodes;
  await first?.append(ids.map((id) => created(id)));
  for (const node of nodes) {
    await eventually(async () => expect(await node.history('raced49')).toHaveLength(1));
  }
  const races = nodes.map((node, index) =>
    node.append(ids.map((id) => started(id, 2, START_MS + index))),
  );
  const answers = await Promise.all(races);
  for (const index of ids.keys()) {
    const ofTimer = answers.map((ofNode) => ofNode[index]);
    expect(ofTimer.toSorted()).toEqual(['committed', 'conflict', 'conflict']);
  }
  const records = await Promise.all(nodes.map((node) => node.read(0, 200)));
  for (const record of records) {
    expect(record).toHaveLength(100);
    expect(record).toEqual(records[0]);
  }
}

describe('in a cluster of three servers, the journal in NATS', () => {
  it('T3, T5: records one of many, keeps three copies, and goes on when one server is lost', async () => {
    const { servers: cluster } = await NatsServer.startCluster();
    const stream = newStream();
    const servers = cluster.map(({ url }) => url);
    const open = () => openNats(cluster[0], { access: { servers }, stream });
    // Nobody waits for the cluster to have elected its leaders.
    const nodes = await Promise.all([1, 2, 3].map(open));
    const [journal = await open()] = nodes;
    const { log, messages } = readableLog();
    const rare = { access: { servers }, stream: newStream(), log };
    for (const replicas of [1, undefined]) await openNats(cluster[0], { ...rare, replicas });
    expect(messages).toHaveLength(3);
    const connection = await connect({ servers });
    const manager = await jetstreamManager(connection);
    const { config, cluster: copies } = await manager.streams.info(stream);
    expect(config.num_replicas).toBe(3);
    // Who leads is not lost: an election of another leader takes the engine five seconds or more.
    const leaders = [copies?.leader, await cluster[0]?.leader()];
    const lost = cluster.find(({ name }) => !leaders.includes(name));
    // One node listens by way of the server that is going to be lost.
    let other = journal;
    const isAtRisk = async (): Promise<boolean> => {
      const listeners = await manager.consumers.list(stream).next();
      return listeners.some((listener) => listener.cluster?.leader === lost?.name);
    };
    while (!(await isAtRisk())) other = await open();
    await connection.close();
    await expectOneWinnerEach(nodes);
    const delivered = deliveredBy(other);
    const entries = Array.from({ length: 200 }, (_, index) => created(`t${index}`));
    expect(await journal.append(entries)).toEqual(entries.map(() => 'committed'));
    await eventually(() => expect(delivered).toEqual(entries));
    await lost?.kill();
    expect(await appendAgain(journal, started('t0', 2))).toEqual(['committed']);
    await eventually(() => expect(delivered.at(-1)).toEqual(started('t0', 2)), 15_000);
    const recorded = await eventually(() => other.read(0, 1000), 15_000);
    expect(recorded).toHaveLength(301);
    expectChained(recorded);
  });
});
