/** Copies of the stream that differ: what does not fit what a node knows is asked of whoever leads the stream. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Entry, type Journal, JournalError } from '../../src/journal/journal.js';
import { EntryReader } from '../../src/journal/nats-entries.js';
import { StreamIndex } from '../../src/journal/nats-index.js';
import type { Message } from '../../src/journal/nats-reader.js';
import { createLog } from '../../src/log.js';
import { AlteringProxy } from '../support/altering-proxy.js';
import { created, entry, started } from '../support/entries.js';
import { readableLog } from '../support/log-lines.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { need } from '../support/tools.js';

const isThere = hasNatsServer();
const SELDOM = 1e9;

describe('T3: when copies of the stream differ', () => {
  let server: NatsServer;
  let stream: string;
  let proxy: AlteringProxy;

  beforeAll(async () => {
    if (isThere) server = await NatsServer.start();
  });
  beforeEach(async (context) => {
    need(context, 'nats-server', isThere);
    stream = newStream();
    proxy = await AlteringProxy.start(server);
  });

  /** A node that begins with a snapshot, if there is one, and what it logs. */
  async function nodeBehindProxy() {
    const { log, messages } = readableLog();
    const access = { servers: [proxy.url] };
    const journal = await openNats(server, { stream, access, log });
    return { journal, messages };
  }

  async function recorded(timers: number, entriesBetweenSnapshots = SELDOM): Promise<void> {
    const journal = await openNats(server, { stream, entriesBetweenSnapshots });
    for (let at = 0; at < timers; at += 1) await journal.append([created(`t${at}`)]);
    await journal.append([started('t3', 2)]);
    await journal.close();
  }

  const asked = async (journal: Journal) => ({
    history: await journal.history('t3'),
    page: await journal.read(2, 3),
  });

  it.each([
    ['lately', 10, SELDOM],
    ['before a snapshot, of which few hashes are kept,', 230, 200],
  ])(
    'reads what was recorded %s from the leader, and tells of the copy once',
    async (...[, timers, between]) => {
      await recorded(timers, between);
      const { journal, messages } = await nodeBehindProxy();
      const right = await asked(journal);
      for (const [from, to] of [
        ['Algebra', 'Algebrb'],
        ['"type":"started"', '"type":"stopped"'],
        ['"revision":', '"revizion":'],
        ['"timerId":"t3"', '"timerId":"t4"'],
      ] as const) {
        proxy.alter(from, to);
        expect(await asked(journal)).toEqual(right);
      }
      expect(
        messages.filter((message) => message.includes('differs from what its leader has')),
      ).toHaveLength(1);
      proxy.alter('Algebra', 'Algebrb', { isOfLeader: true });
      await expect(journal.history('t3')).rejects.toBeInstanceOf(JournalError);
      await expect(journal.read(2, 3)).rejects.toThrow(
        /What NATS has of entry \d+ is not what was/,
      );
    },
  );

  it.each([
    ['"type":"started"', '"type":"upended"'],
    ['"revision":2', '"revision":7'],
  ])('starts with what the leader has instead of %s', async (from, to) => {
    await recorded(10);
    const right = await asked(await openNats(server, { stream }));
    proxy.alter(from, to);
    const { journal, messages } = await nodeBehindProxy();
    expect(await asked(journal)).toEqual(right);
    expect(messages.join()).toContain('has another message than the leader of the stream');
    expect(await journal.append([entry('t3', 3, { type: 'paused', data: {} })])).toEqual([
      'committed',
    ]);
    await journal.close();
    proxy.alter(from, to, { isOfLeader: true });
    await expect(nodeBehindProxy()).rejects.toThrow(/The journal is damaged: message 11/);
  });
});

describe('T3: the entries of a timer', () => {
  const ENTRIES: readonly Entry[] = [created('a'), created('b'), started('a', 2), started('b', 2)];
  const ALL = ENTRIES.map(
    (one, at): Message => ({
      seq: at + 1,
      subject: one.timerId,
      data: new TextEncoder().encode(JSON.stringify(one)),
    }),
  );

  /** Reads of one copy, whatever the leader has. */
  function readerOf(copy: readonly Message[], ofLeader: readonly Message[]): EntryReader {
    const index = new StreamIndex();
    for (const [at, one] of ENTRIES.entries()) index.fold(one, at + 1);
    const reading = (messages: readonly Message[], isOfLeader: boolean) => ({
      messages: (async function* () {
        yield* messages;
      })(),
      server: 'n1',
      isOfLeader,
    });
    return new EntryReader({
      index,
      reader: {
        messages: async () => reading(copy, false),
        messagesOfLeader: () => reading(ofLeader, true),
      },
      subjectOf: (timerId) => timerId,
      subject: '*',
      requireConnection: () => {},
      log: createLog('silent'),
    });
  }

  const ofA = ALL.filter(({ subject }) => subject === 'a');
  const head = {
    ...{ timerId: 'a', revision: 2, firstPosition: 1, position: 3, sequence: 3 },
    ...{ endedAtMs: null, record: null },
  };

  it.each([
    ['lacks the first', ofA.slice(1)],
    ['lacks the last', ofA.slice(0, 1)],
    ['has another one at its place', [...ofA.slice(0, 1), ...ALL.slice(3)]],
    ['has none', []],
  ])('are those of the leader when a copy %s', async (_, copy) => {
    const arrived = await readerOf(copy, ofA).ofTimer(head);
    expect(arrived).toEqual([
      { entry: ENTRIES[0], position: 1 },
      { entry: ENTRIES[2], position: 3 },
    ]);
    await expect(readerOf(copy, copy).ofTimer(head)).rejects.toBeInstanceOf(JournalError);
  });

  it('are those of the leader when a copy lacks one in the midst of all', async () => {
    const copy = ALL.toSpliced(1, 1);
    expect(await readerOf(copy, ALL).linked(1, 3)).toMatchObject(ENTRIES.slice(0, 3));
    await expect(readerOf(copy, copy).linked(1, 3)).rejects.toBeInstanceOf(JournalError);
  });
});
