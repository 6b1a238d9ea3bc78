/** Documents that several nodes share: on a real server of NATS, and on a cluster of three. */
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Document } from '../../src/journal/journal.js';
import type { NatsJournal } from '../../src/journal/nats.js';
import { START_MS } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import {
  AnswerProxy,
  hasNatsServer,
  NatsServer,
  newStream,
  openNats,
  subjectOfDocument,
} from '../support/nats.js';
import { need } from '../support/tools.js';

const isThere = hasNatsServer();
const PATIENCE = { timeout: 15_000, interval: 50 };

beforeEach((context) => need(context, 'nats-server', isThere));

/** What those who follow a drawer of a node are told, each time. */
async function toldBy({ documents }: NatsJournal): Promise<(readonly Document[])[]> {
  const told: (readonly Document[])[] = [];
  await documents.follow('keys', (all) => told.push(all));
  return told;
}

describe('documents in NATS', () => {
  it('A1: are told to every node that follows them, also what changed while it heard nothing', async () => {
    const server = await NatsServer.start();
    const stream = newStream();
    const [one, other] = [await openNats(server, { stream }), await openNats(server, { stream })];
    const told = await toldBy(other);
    await one.documents.put('keys', { name: 'a', text: '1' }, null);
    await one.documents.put('keys', { name: 'b', text: '2' }, null);
    await eventually(() => expect(told.at(-1)).toHaveLength(2));
    await one.documents.remove('keys', 'a');
    await eventually(() => expect(told.at(-1)).toEqual([{ name: 'b', text: '2' }]));
    // Whoever listened is forgotten by a server that ends.
    await server.kill();
    await server.restart();
    await eventually(() => one.documents.remove('keys', 'b'), PATIENCE);
    await eventually(() => expect(told.at(-1)).toEqual([]), PATIENCE);
    await one.documents.put('keys', { name: 'c', text: '3' }, null);
    await eventually(() => expect(told.at(-1)).toEqual([{ name: 'c', text: '3' }]), PATIENCE);
  });

  it('A5: are replaced by one of the nodes that try at the same moment, also where they have copies', async () => {
    const { servers } = await NatsServer.startCluster();
    const stream = newStream();
    const nodes = await Promise.all(servers.map((server) => openNats(server, { stream })));
    const names = Array.from({ length: 100 }, (_, index) => `${index}`);
    for (const name of names) {
      const outcomes = await Promise.all(
        nodes.map(({ documents }, which) => {
          const condition = { before: undefined, nowMs: START_MS };
          return documents.replace('leases', { name, text: `${which}` }, null, condition);
        }),
      );
      expect(outcomes.filter((isDone) => isDone)).toHaveLength(1);
      const kept = await nodes[0]?.documents.get('leases', name, START_MS);
      expect(kept).toBe(`${outcomes.indexOf(true)}`);
    }
  });

  it('A5: of conditional writes that were all taken the last one stays, and only who wrote that is told so', async () => {
    const { servers } = await NatsServer.startCluster();
    const [first] = servers;
    if (first === undefined) throw new Error('There are three servers');
    const proxy = await AnswerProxy.start(first);
    const stream = newStream();
    const access = { servers: [proxy.url] };
    const { documents } = await eventually(() => openNats(first, { stream, access }), PATIENCE);
    const rival = await connect({ servers: first.url });
    const text = JSON.stringify({ text: 'rival', expiresAtMs: null });
    const outcomes: boolean[] = [];
    for (let round = 0; round < 10; round += 1) {
      const document = { name: `${round}`, text: 'ours' };
      const subject = subjectOfDocument(stream, { drawer: 'leases', name: document.name });
      // The answer to ours is held until another one is behind it, which a leader may take at the same moment.
      const overtaking = new Promise<void>((resolve, reject) => {
        const callback = (): void => {
          proxy.hold();
          const written = jetstream(rival).publish(subject, text);
          written.then(() => resolve(), reject).finally(() => proxy.release());
        };
        rival.subscribe(subject, { max: 1, callback });
      });
      await rival.flush();
      const condition = { before: undefined, nowMs: START_MS };
      outcomes.push(await documents.replace('leases', document, null, condition));
      await overtaking;
      expect(await documents.get('leases', document.name, START_MS)).toBe('rival');
    }
    await rival.close();
    expect(outcomes).toContain(false);
  });
});
