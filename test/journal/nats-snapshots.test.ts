/** Snapshots of the journal in NATS, on a real server: nodes that begin with one know what they would know without. */
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type ObjectStore, Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Entry, Journal, TimerRecord } from '../../src/journal/journal.js';
import { KeptHashes } from '../../src/journal/nats-hashes.js';
import { endWithFile } from '../support/endings.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { readableLog } from '../support/log-lines.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { need } from '../support/tools.js';
import { expectChained, journalContract } from './contract.js';

const isThere = hasNatsServer();
const TIMERS = 120;
/** A node makes a snapshot of so little only when it stops, or when the test says so. */
const SELDOM = 1000;

beforeEach((context) => need(context, 'nats-server', isThere));

/** Timers in every state, of which one asked for its entries by name. */
function someEntries(from: number): Entry[] {
  return Array.from({ length: TIMERS }, (_, offset): Entry[] => {
    const id = `t${from + offset}`;
    const first = { ...created(id), requestId: `r${offset}.x` };
    const second = started(id, 2, START_MS + 1000);
    switch (offset % 4) {
      case 0:
        return [first];
      case 1:
        return [first, second];
      case 2:
        return [first, second, entry(id, 3, { type: 'expired', data: {} }, START_MS + 61_000)];
      default:
        return [first, entry(id, 2, { type: 'deleted', data: {} }, START_MS + 2000)];
    }
  }).flat();
}

async function replayed(journal: Journal, endedBeforeMs = 0): Promise<TimerRecord[]> {
  const found: TimerRecord[] = [];
  for await (const { records } of journal.replay(endedBeforeMs)) found.push(...records);
  return found;
}

/** All that can be asked of a journal. */
async function allOf(journal: Journal) {
  const entries = await journal.read(0, Number.MAX_SAFE_INTEGER);
  const ids = [...new Set(entries.map(({ timerId }) => timerId))];
  return {
    entries,
    records: await replayed(journal),
    recent: await replayed(journal, START_MS + 61_000),
    histories: await Promise.all(ids.slice(0, 8).map((id) => journal.history(id))),
    pages: [await journal.read(150, 7), await journal.read(157, 60), await journal.read(3, 1)],
    ofRequest: await journal.entriesOfRequest('r7.'),
    ofRequests: await journal.entriesOfRequest('r1'),
    before: await journal.positionBefore(START_MS + 1500),
  };
}

describe('snapshots of the journal in NATS', () => {
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

  const storeOf = (stream: string): Promise<ObjectStore> =>
    new Objm(connection).open(`${stream}_snapshots`);

  async function namesIn(stream: string): Promise<string[]> {
    return (await (await storeOf(stream)).list()).map(({ name }) => name).sort();
  }

  /** Puts messages into a stream that a replicated one may take, which are no entries. */
  async function tooLate(stream: string, journal: Journal): Promise<void> {
    const delivered = new Promise((resolve) => journal.subscribe(resolve));
    const client = jetstream(connection);
    await client.publish(`${stream}.t1`, JSON.stringify(started('t1', 2, START_MS + 5)));
    await client.publish(`${stream}.t3`, JSON.stringify(created('t3')));
    await journal.append([created('last')]);
    await delivered;
  }

  /** A stream with a snapshot in its midst. */
  async function recorded(): Promise<string> {
    const stream = newStream();
    const first = await openNats(server, { stream, entriesBetweenSnapshots: SELDOM });
    await first.append(someEntries(0));
    await tooLate(stream, first);
    await first.close();
    const second = await openNats(server, { stream, entriesBetweenSnapshots: SELDOM * 1000 });
    await second.append(someEntries(TIMERS));
    await second.close();
    return stream;
  }

  /** Opens a stream and tells from which place on it was read. */
  async function opened(stream: string, options: Parameters<typeof openNats>[1] = {}) {
    const { log, messages } = readableLog();
    const journal = await openNats(server, { stream, log, ...options });
    const from = messages.map((message) => /from entry (\d+)/.exec(message)?.[1]).find(Boolean);
    return { journal, messages, from: Number(from ?? 1) };
  }

  async function destroySnapshots(stream: string): Promise<void> {
    await (await storeOf(stream)).destroy();
  }

  describe('made all the time', () => {
    journalContract(() => openNats(server, { entriesBetweenSnapshots: 2 }));
  });

  it('T5: a node that begins with one knows all that is known without it', async () => {
    const stream = await recorded();
    const { journal, from } = await opened(stream);
    expect(from).toBe(someEntries(0).length + 2);
    const known = await allOf(journal);
    expectChained(known.entries);
    await journal.close();
    await destroySnapshots(stream);
    const whole = await opened(stream);
    expect(whole.from).toBe(1);
    expect(known).toEqual(await allOf(whole.journal));
  });

  it('T5: a node that begins with one refuses what does not follow, and takes what does', async () => {
    const stream = await recorded();
    const { journal } = await opened(stream);
    expect(await journal.append([created('t0'), started('t1', 2)])).toEqual([
      'conflict',
      'conflict',
    ]);
    expect(await journal.append([started('t0', 2), created('new')])).toEqual([
      'committed',
      'committed',
    ]);
    const again = await opened(stream);
    expect(await again.journal.history('t0')).toMatchObject([
      { type: 'created' },
      started('t0', 2),
    ]);
    expectChained(await again.journal.read(0, SELDOM));
  });

  it('T5: takes timers that ended long ago from their entries when a snapshot has forgotten them', async () => {
    const stream = newStream();
    const clock = new SimulatedClock();
    const options = { stream, clock, entriesBetweenSnapshots: SELDOM };
    const first = await openNats(server, options);
    await first.append(someEntries(0));
    const before = await replayed(first);
    await clock.advance(2 * 3_600_000);
    await first.close();
    const { journal, from } = await opened(stream, { clock });
    expect(from).toBeGreaterThan(1);
    expect(await replayed(journal)).toEqual(before);
    expect(before.some(({ completedAtMs }) => completedAtMs !== null)).toBe(true);
  });

  it('does not use one that cannot be read, and reads more of the log', async () => {
    const stream = await recorded();
    const store = await storeOf(stream);
    const [good = ''] = await namesIn(stream);
    const bytes = await store.getBlob(good);
    if (bytes === null) throw new Error('there is no snapshot');
    await store.putBlob({ name: '0000000000000999-cut' }, bytes.subarray(0, bytes.length - 20));
    await store.putBlob({ name: '0000000000000998-noise' }, new TextEncoder().encode('Dear diary'));
    const { journal, messages, from } = await opened(stream);
    expect(from).toBe(someEntries(0).length + 2);
    expect(messages.filter((message) => message.includes('cannot be used'))).toHaveLength(2);
    await store.delete(good);
    const whole = await opened(stream);
    expect(whole.from).toBe(1);
    expect(await whole.journal.read(0, SELDOM)).toEqual(await journal.read(0, SELDOM));
    const { length } = await journal.read(0, SELDOM);
    const maker = await openNats(server, { stream, entriesBetweenSnapshots: 10 });
    await replayed(maker);
    await maker.close();
    expect(await namesIn(stream)).toEqual([expect.stringMatching(/-[\da-f]{8}-/)]);
    expect((await opened(stream)).from).toBeGreaterThan(length);
  });

  it('does not use one that says something else than the log', async () => {
    const stream = await recorded();
    const other = newStream();
    const journal = await openNats(server, { stream: other });
    await journal.append(someEntries(0).map((one) => ({ ...one, recordedAtMs: START_MS + 1 })));
    const [name = ''] = await namesIn(stream);
    const bytes = await (await storeOf(stream)).getBlob(name);
    await (await storeOf(other)).putBlob({ name }, bytes);
    const { from, messages } = await opened(other);
    expect(from).toBe(1);
    expect(messages).toContain('a snapshot cannot be used; more of the log is read');
  });

  it('does not wait for ever for one of which a piece is missing', async () => {
    const stream = await recorded();
    await manager.streams.purge(`OBJ_${stream}_snapshots`, {
      filter: `$O.${stream}_snapshots.C.>`,
    });
    const clock = new SimulatedClock();
    const opening = opened(stream, { clock });
    const { from } = await eventually(async () => {
      await clock.advance(5000);
      const late = new Promise<never>((_, reject) => setImmediate(() => reject(new Error('late'))));
      return Promise.race([opening, late]);
    }, 10_000);
    expect(from).toBe(1);
  });

  it('are made again and again by whichever node is first, and the last two are kept', async () => {
    const stream = newStream();
    const options = { stream, entriesBetweenSnapshots: 20 };
    const nodes = await Promise.all([1, 2, 3].map(() => openNats(server, options)));
    for (let round = 0; round < 5; round += 1) {
      await nodes[round % 3]?.append(someEntries(round * TIMERS));
      await eventually(async () => expect(await namesIn(stream)).not.toEqual([]));
    }
    await Promise.all(nodes.map((node) => node.close()));
    const names = await namesIn(stream);
    expect(names.length).toBeLessThanOrEqual(2);
    const { journal, from } = await opened(stream);
    expect(from).toBeGreaterThan(TIMERS * 4);
    expectChained(await journal.read(0, Number.MAX_SAFE_INTEGER));
  });
});

describe('the hashes that a node keeps', () => {
  it('R1: are those of the last entries and each hundredth before', () => {
    const hashes = new KeptHashes([{ position: 57, hash: 'h57' }]);
    for (let position = 58; position <= 25_000; position += 1) hashes.keepNext(`h${position}`);
    expect(hashes.last).toEqual({ position: 25_000, hash: 'h25000' });
    expect(hashes.at(15_001)).toBe('h15001');
    expect(hashes.at(14_999)).toBeUndefined();
    expect(hashes.upTo(14_999)).toEqual({ position: 14_900, hash: 'h14900' });
    expect(hashes.upTo(99)).toEqual({ position: 57, hash: 'h57' });
    const milestones = hashes.milestones();
    expect(milestones).toHaveLength(1 + 250 + 1);
    const again = new KeptHashes(milestones);
    expect(again.last).toEqual(hashes.last);
    expect(again.upTo(24_999)).toEqual({ position: 24_999, hash: 'h24999' });
    expect(again.upTo(24_950)).toEqual({ position: 24_900, hash: 'h24900' });
  });
});
