/** Streams that entries were taken out of, on a real server: every node agrees on where they begin. */
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.js';
import {
  BEGINNING_DOCUMENT,
  type Documents,
  type Entry,
  type Journal,
  JournalError,
  type Milestone,
} from '../../src/journal/journal.js';
import type { NatsJournal } from '../../src/journal/nats.js';
import { Beginnings } from '../../src/journal/nats-beginning.js';
import { type Head, StreamIndex } from '../../src/journal/nats-index.js';
import { Snapshots } from '../../src/journal/nats-snapshots.js';
import { endWithFile } from '../support/endings.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { readableLog } from '../support/log-lines.js';
import {
  denying,
  hasNatsServer,
  NatsServer,
  newStream,
  openNats,
  subjectOfDocument,
} from '../support/nats.js';
import { need } from '../support/tools.js';
import { shortened } from './contract.js';

const isThere = hasNatsServer();

/** Of the next document that is put nobody hears whether it was. */
function loseNextAnswer(documents: Documents): void {
  const { replace } = documents;
  const losing: Documents['replace'] = async (...asked) => {
    Object.assign(documents, { replace });
    await replace.call(documents, ...asked);
    throw new JournalError('NATS cannot be asked: timeout');
  };
  Object.assign(documents, { replace: losing });
}

beforeEach((context) => need(context, 'nats-server', isThere));

describe('R6: a stream that entries were taken out of', () => {
  let server: NatsServer;
  let connection: NatsConnection;
  let manager: JetStreamManager;

  beforeAll(async () => {
    if (!isThere) return;
    server = await NatsServer.start();
    connection = await connect({ servers: server.url });
    manager = await jetstreamManager(connection);
    endWithFile(() => connection.close());
  });

  it.each([
    ['with a snapshot from before', 2],
    ['without a snapshot', 1e9],
  ])('begins at the same place for all nodes, %s', async (_, entriesBetweenSnapshots) => {
    const stream = newStream();
    const node = await openNats(server, { stream, entriesBetweenSnapshots });
    const other = await openNats(server, { stream, entriesBetweenSnapshots });
    const { before, upTo } = await shortened(node);
    const rest = before.slice(upTo.position);
    await eventually(async () => expect(await other.read(0, 10)).toEqual(rest));
    const late = await openNats(server, { stream, entriesBetweenSnapshots });
    for (const [index, journal] of [node, other, late].entries()) {
      expect(await journal.beginning()).toEqual(upTo);
      expect(await journal.read(0, rest.length)).toEqual(rest);
      expect(await journal.history('a')).toEqual([]);
      expect(await journal.history('b')).toHaveLength(2);
      expect(await journal.append([started('b', 3), created(`new${index}`)])).toEqual([
        'conflict',
        'committed',
      ]);
    }
    expect((await manager.streams.info(stream)).state.first_seq).toBe(upTo.position + 1);
  });

  it('counts for nothing what came too late around the joint', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    await node.append([created('a'), entry('a', 2, { type: 'stopped', data: {} })]);
    const late = JSON.stringify(started('a', 2, START_MS + 5));
    await jetstream(connection).publish(`${stream}.a`, late);
    await node.append([created('b')]);
    const [, last, next] = await node.read(0, 10);
    if (last === undefined) throw new Error('three entries were recorded');
    await node.takeOut({ position: 2, hash: last.hash, endedBeforeMs: START_MS });
    const fresh = await openNats(server, { stream });
    for (const journal of [node, fresh]) {
      expect(await journal.read(0, 10)).toEqual([next]);
      expect(await journal.history('a')).toEqual([]);
    }
    expect(await fresh.append([started('b', 2)])).toEqual(['committed']);
  });

  it('keeps what went on behind the joint, also of whoever has not heard that yet', () => {
    const first = [created('a'), created('b'), entry('a', 2, { type: 'stopped', data: {} })];
    const all = new StreamIndex();
    for (const [at, one] of first.entries()) all.fold(one, at + 1);
    const late = new StreamIndex(all.capture());
    const { last } = all.hashes;
    const heads = [all.headOf('b')].flatMap((head) => head ?? []);
    const state = all.beginningAt(3, last, heads);
    late.takeOut(state);
    expect(late.revisionOf('a')).toBe(0);
    expect(late.fold(started('b', 2), 4)).toBe(true);
    expect(late.headOf('b')).toMatchObject({ revision: 2, firstPosition: 4 });
  });

  it('begins where it was put down, also if nobody came to take the entries out', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    const entries = [created('a'), entry('a', 2, { type: 'stopped', data: {} }), created('b')];
    for (const one of entries) await node.append([one]);
    const index = new StreamIndex();
    for (const [at, one] of entries.slice(0, 2).entries()) index.fold(one, at + 1);
    const beginning = { ...index.hashes.last, endedBeforeMs: START_MS };
    const state = index.beginningAt(2, index.hashes.last, []);
    await (await beginningsOf(stream, node)).write({ beginning, state });
    const fresh = await openNats(server, { stream });
    expect(await fresh.read(0, 10)).toMatchObject([{ timerId: 'b', position: 3 }]);
  });

  it('is refused when something else is missing', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    await shortened(node);
    await node.close();
    await manager.streams.purge(stream, { seq: 7 });
    await expect(openNats(server, { stream })).rejects.toThrow(/messages before 7 are missing/);
  });

  it('is none that was made so that nothing can be taken out', async () => {
    const stream = newStream();
    await manager.streams.add({
      name: stream,
      subjects: [`${stream}.*`],
      deny_delete: true,
      deny_purge: true,
      discard: (await manager.streams.info(await madeByUs())).config.discard,
    });
    const node = await openNats(server, { stream });
    await expect(shortened(node)).rejects.toThrow(/nothing can be taken out/);
    expect(await node.read(0, 10)).toHaveLength(7);
  });

  it('takes thousands of timers with entries on both sides of the joint, and asks for them once', async () => {
    const stream = await madeByUs();
    const ids = Array.from({ length: 2000 }, (_, index) => `t${index}`);
    await published(stream, [
      ...ids.flatMap((id) => [created(id), entry(id, 2, { type: 'stopped', data: {} })]),
      ...ids.map((id) => entry(id, 3, { type: 'deleted', data: {} })),
    ]);
    const node = await openNats(server, { stream });
    const position = 2 * ids.length;
    const [last] = await node.read(position - 1, 1);
    if (last === undefined) throw new Error('it was recorded');
    let consumers = 0;
    const made = `$JS.EVENT.ADVISORY.CONSUMER.CREATED.${stream}.*`;
    connection.subscribe(made, {
      callback: () => {
        consumers += 1;
      },
    });
    await node.takeOut({ position, hash: last.hash, endedBeforeMs: START_MS });
    await connection.flush();
    expect(consumers).toBe(1);
    expect((await manager.streams.info(stream)).state.first_seq).toBe(position + 1);
    const fresh = await openNats(server, { stream });
    for (const journal of [node, fresh]) {
      expect(await journal.read(0, 1)).toMatchObject([{ timerId: 't0', position: position + 1 }]);
      expect(await journal.history('t1999')).toMatchObject([{ revision: 3 }]);
    }
  });

  it('begins anew also when the engine does not say that it has purged', async () => {
    const guarded = await NatsServer.start(denying('$JS.API.STREAM.PURGE.>'));
    const stream = newStream();
    const { log, messages } = readableLog();
    const node = await openNats(guarded, { stream, log });
    const { before, upTo } = await shortened(node);
    expect(messages.join()).toContain('the next compaction purges them');
    const fresh = await openNats(guarded, { stream });
    for (const journal of [node, fresh]) {
      expect(await journal.beginning()).toEqual(upTo);
      expect(await journal.read(0, 10)).toEqual(before.slice(upTo.position));
    }
  });

  it('keeps all of its entries as long as its beginning is not put down', async () => {
    const stream = newStream();
    const guarded = await NatsServer.start(denying(subjectOfDocument(stream, BEGINNING_DOCUMENT)));
    const node = await openNats(guarded, { stream });
    await expect(shortened(node)).rejects.toBeInstanceOf(JournalError);
    expect((await node.beginning()).position).toBe(0);
    const fresh = await openNats(guarded, { stream });
    for (const journal of [node, fresh]) expect(await journal.read(0, 10)).toHaveLength(7);
  });

  it('begins with more timers astride than one document could hold', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    await node.append([created('a'), entry('a', 2, { type: 'stopped', data: {} })]);
    await node.append([created('b')]);
    const milestone = await milestoneAt(node, 2);
    const heads = Array.from({ length: 5000 }, (_, at) => headAt(`${at}`.padStart(200, 'x')));
    expect(JSON.stringify(heads).length).toBeGreaterThan(1024 * 1024);
    const beginning = { ...milestone, endedBeforeMs: START_MS };
    const state = new StreamIndex().beginningAt(2, milestone, heads);
    const beginnings = await beginningsOf(stream, node);
    await beginnings.write({ beginning, state });
    expect(await beginnings.read()).toEqual({ beginning, state });
    const later = started(heads[0]?.timerId ?? '', 3);
    await jetstream(connection).publish(`${stream}.${later.timerId}`, JSON.stringify(later));
    const fresh = await openNats(server, { stream, entriesBetweenSnapshots: 1 });
    expect(await fresh.read(0, 10)).toMatchObject([{ timerId: 'b' }, later]);
    // It is no snapshot that could go with those that are of no use.
    await fresh.append([created('c')]);
    await fresh.close();
    expect(await (await openNats(server, { stream })).beginning()).toEqual(beginning);
    expect(await beginnings.read()).toEqual({ beginning, state });
  });

  it('knows timers that have entries before one joint and behind the next, and nothing of older joints', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    const gone = (id: string, revision: number) =>
      entry(id, revision, { type: 'deleted', data: {} });
    for (const one of [created('a'), created('b'), gone('b', 2), created('c'), gone('a', 2)]) {
      await node.append([one]);
    }
    const recorded = await node.read(0, 10);
    for (const { position, hash } of [recorded[0], recorded[2]].flatMap((one) => one ?? [])) {
      await node.takeOut({ position, hash, endedBeforeMs: START_MS });
    }
    const fresh = await openNats(server, { stream });
    for (const journal of [node, fresh]) {
      expect(await journal.read(0, 10)).toEqual(recorded.slice(3));
      expect(await journal.history('a')).toEqual(recorded.slice(4));
    }
    const store = await new Objm(connection).open(`${stream}_snapshots`);
    const names = (await store.list()).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('beginning'))).toHaveLength(1);
  });

  it('is read as it was written when all of it was in the document', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    await node.append([created('a'), entry('a', 2, { type: 'stopped', data: {} })]);
    await node.append([created('b')]);
    const milestone = await milestoneAt(node, 2);
    const stored = { ...milestone, endedBeforeMs: 5, sequence: 2, heads: [headAt('c')], voids: [] };
    const { drawer, name } = BEGINNING_DOCUMENT;
    await node.documents.put(drawer, { name, text: JSON.stringify(stored) }, null);
    await jetstream(connection).publish(`${stream}.c`, JSON.stringify(started('c', 3)));
    const fresh = await openNats(server, { stream });
    expect(await fresh.beginning()).toEqual({ ...milestone, endedBeforeMs: 5 });
    expect(await fresh.read(0, 10)).toMatchObject([{ timerId: 'b', position: 3 }, { revision: 3 }]);
  });

  it('is not set back by a compaction that was planned before another one', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    await node.append([created('z')]);
    const earlier = { ...(await milestoneAt(node, 1)), endedBeforeMs: START_MS };
    const { upTo } = await shortened(node);
    const state = new StreamIndex().beginningAt(1, earlier, []);
    const beginnings = await beginningsOf(stream, node);
    const writing = beginnings.write({ beginning: earlier, state });
    await expect(writing).rejects.toThrow(/Another compaction was faster/);
    expect(await node.beginning()).toEqual(upTo);
  });

  it('is said to begin anew if that was put down, whatever became of the answer', async () => {
    const stream = newStream();
    const node = await openNats(server, { stream });
    loseNextAnswer(node.documents);
    const { upTo } = await shortened(node);
    expect((await manager.streams.info(stream)).state.first_seq).toBe(upTo.position + 1);
  });

  async function beginningsOf(stream: string, { documents }: NatsJournal): Promise<Beginnings> {
    const snapshots = await Snapshots.open(manager, `${stream}_snapshots`, 1, systemClock);
    return new Beginnings(documents, snapshots);
  }

  async function milestoneAt(journal: Journal, position: number): Promise<Milestone> {
    const [recorded] = await journal.read(position - 1, 1);
    if (recorded === undefined) throw new Error('it was recorded');
    return { position, hash: recorded.hash };
  }

  /** A timer that stands at revision 2, of which the stream has nothing any more. */
  function headAt(timerId: string): Head {
    const place = { firstPosition: 3, position: 2, sequence: 2 };
    return { timerId, revision: 2, ...place, endedAtMs: START_MS, record: null };
  }

  /** Writes entries as a node does that has no time to wait for answers. */
  async function published(stream: string, entries: readonly Entry[]): Promise<void> {
    for (const one of entries) connection.publish(`${stream}.${one.timerId}`, JSON.stringify(one));
    await connection.flush();
    await eventually(async () => {
      expect((await manager.streams.info(stream)).state.messages).toBe(entries.length);
    });
  }

  async function madeByUs(): Promise<string> {
    const stream = newStream();
    await (await openNats(server, { stream })).close();
    return stream;
  }
});
