/** Nodes that share one log sign as one service: with one key, and each day once. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Heads } from '../../src/audit/heads.js';
import { Signer } from '../../src/signing.js';
import { created, START_MS } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { readableLog } from '../support/log-lines.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { need } from '../support/tools.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const isThere = hasNatsServer();
let server: NatsServer;

beforeEach((context) => need(context, 'nats-server', isThere));
beforeAll(async () => {
  if (isThere) server = await NatsServer.start();
});

describe('nodes that start at the same moment', () => {
  it('R4, R5: sign with one key, and each day once, all in one chain', async () => {
    const stream = newStream();
    const journals = await Promise.all([1, 2, 3].map(() => openNats(server, { stream })));
    for (const day of [0, 1, 3]) {
      await journals[0]?.append([created(`t${day}`, START_MS + day * DAY_MS)]);
    }
    for (const journal of journals) {
      await eventually(async () => expect(await journal.read(2, 1)).toHaveLength(1));
    }
    const signers = await Promise.all(journals.map(({ documents }) => Signer.open(documents, '')));
    for (const { publicKeys } of signers) expect(publicKeys).toEqual(signers[0]?.publicKeys);
    // Each signs at an instant of its own, so that none of their heads are the same.
    const nodes = journals.map((journal, which) => {
      const signer = signers[which];
      if (signer === undefined) throw new Error('There is a signer for each journal');
      const clock = new SimulatedClock(START_MS + 4 * DAY_MS + which);
      const log = readableLog();
      return { heads: new Heads({ journal, signer, clock, log: log.log }), log };
    });
    for (const { heads } of nodes) heads.start();
    const lists = await Promise.all(nodes.map(({ heads }) => heads.list()));
    expect(lists[0]?.map(({ date, number }) => [date, number])).toEqual([
      ['2026-01-15', 1],
      ['2026-01-16', 2],
      ['2026-01-18', 3],
    ]);
    for (const list of lists) expect(list).toEqual(lists[0]);
    for (const { heads } of nodes) {
      // A start checks that each head follows the one before it.
      heads.start();
      await heads.list();
      await heads.stop();
    }
    // No service ran at these midnights, which the log tells, and nothing else.
    for (const { log } of nodes) {
      expect(log.messages.filter((message) => !message.includes('past days'))).toEqual([]);
    }
  });
});
