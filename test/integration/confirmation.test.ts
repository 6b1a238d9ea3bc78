/** Who may do what is decided at the moment of the change, however long the request took to come. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Journal } from '../../src/journal/journal.js';
import { HeldJournal } from '../support/held-journal.js';
import { problemIn, TestService } from '../support/service.js';
import { SlowRequest } from '../support/slow-request.js';

const SECOND = 1000;

const EXTENSION = { action: 'extend', extend_seconds: 60 };
const BODIES: Readonly<Record<string, unknown>> = { control: EXTENSION, tokens: {}, receipts: {} };

/** A protected service with a timer of its administrator. */
async function protectedService(journal?: Journal) {
  const service = await TestService.start(journal === undefined ? {} : { journal });
  await service.protect();
  return { service, admin: service.token, timer: await service.create() };
}

describe('a request that takes long to come', () => {
  it.each(Object.keys(BODIES))(
    'A1: gets nothing of a timer of others by having begun before the start was done: %s',
    async (operation) => {
      const journal = new HeldJournal();
      const { service, timer } = await protectedService(journal);
      const { key } = await service.createKey({ role: 'instructor' });
      await service.stop();
      const release = journal.hold();
      const begun: SlowRequest[] = [];
      const restarted = await TestService.start({
        journal,
        onListening: async (listening) => {
          listening.token = key;
          begun.push(await SlowRequest.begin(listening, `/timers/${timer.id}/${operation}`));
          release();
        },
      });
      expect(restarted.service.registry.phase).toBe('serving');
      const answers = await Promise.all(begun.map((slow) => slow.finish(BODIES[operation])));
      expect(answers.map((answer) => problemIn(answer).code)).toEqual(['recovering']);
      expect(await journal.history(timer.id)).toHaveLength(1);
    },
  );

  it('A1: changes nothing with a key that was revoked meanwhile', async () => {
    const { service, admin, timer } = await protectedService();
    const { id, key } = await service.createKey({ role: 'admin' });
    service.token = key;
    const begun = await Promise.all(
      [`/timers/${timer.id}/control`, '/timers', '/timers/bulk/start'].map((path) =>
        SlowRequest.begin(service, path),
      ),
    );
    service.token = admin;
    await service.request('DELETE', `/keys/${id}`);
    const bodies = [EXTENSION, { duration_seconds: 60 }, [timer.id]];
    for (const [index, slow] of begun.entries()) {
      expect(problemIn(await slow.finish(bodies[index])).code).toBe('unauthenticated');
    }
    expect(await service.journal.read(0, 10)).toHaveLength(1);
  });

  it('A1: changes nothing with a key that has expired meanwhile', async () => {
    const { service, timer } = await protectedService();
    const definition = { role: 'admin', expires_in_seconds: 60 } as const;
    service.token = (await service.createKey(definition)).key;
    const path = `/timers/${timer.id}/control`;
    const [early, late] = [
      await SlowRequest.begin(service, path),
      await SlowRequest.begin(service, path),
    ];
    await service.advance(60 * SECOND - 1);
    expect((await early.finish(EXTENSION)).status).toBe(200);
    await service.advance(1);
    expect(problemIn(await late.finish(EXTENSION)).code).toBe('unauthenticated');
    expect(await service.journal.history(timer.id)).toHaveLength(2);
  });

  it('A2: changes nothing without a key once there is one', async () => {
    const service = await TestService.start();
    const slow = await SlowRequest.begin(service, '/timers');
    await service.protect();
    const answer = await slow.finish({ duration_seconds: 60 });
    expect(problemIn(answer).code).toBe('unauthenticated');
    expect(await service.journal.read(0, 10)).toEqual([]);
  });

  it('A1, A5: changes nothing with a key that was revoked while its Idempotency-Key was looked up', async () => {
    const journal = new HeldJournal();
    const { service, admin, timer } = await protectedService(journal);
    const { id, key } = await service.createKey({ role: 'admin' });
    const release = journal.hold();
    const deletion = fetch(`${service.service.url}/timers/${timer.id}`, {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${key}`, 'Idempotency-Key': 'once' },
    });
    await expect.poll(() => journal.lookups).toBe(1);
    service.token = admin;
    await service.request('DELETE', `/keys/${id}`);
    release();
    const refusal = z.looseObject({ code: z.string() }).parse(await (await deletion).json());
    expect(refusal.code).toBe('unauthenticated');
    expect(await journal.history(timer.id)).toHaveLength(1);
  });
});
