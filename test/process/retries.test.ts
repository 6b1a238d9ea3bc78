/** The real process, killed while changes are under way that are then asked for again. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bulkResultSchema } from '../../src/protocol/requests.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { type Reply, ServiceProcess } from '../support/process.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const ROUNDS = 6;
const TIMERS = 40;
const SECONDS = 60;

interface Sent {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly key: string;
}

function send(service: ServiceProcess, { method, path, body, key }: Sent): Promise<Reply> {
  return service.request(method, path, body, { 'Idempotency-Key': key });
}

async function create(service: ServiceProcess): Promise<string> {
  const { text } = await service.request('POST', '/timers', { duration_seconds: 3600 });
  return timerSchema.parse(JSON.parse(text)).id;
}

/** Of some timers each is extended, of others all at once, others are deleted, and new ones are made. */
function changesOf(timerIds: readonly string[], round: number): Sent[] {
  const quarter = timerIds.length / 4;
  const together = timerIds.slice(quarter, 2 * quarter);
  const body = { action: 'extend', extend_seconds: SECONDS };
  const single = timerIds.map((id): Sent => {
    return { method: 'POST', path: `/timers/${id}/control`, body, key: `extend-${id}` };
  });
  return [
    ...single.slice(0, quarter),
    ...together.map((_, index): Sent => {
      const ids = together.slice(index, index + 1);
      const bulk = { timer_ids: ids, seconds: SECONDS };
      return { method: 'POST', path: '/timers/bulk/extend', body: bulk, key: `bulk-${ids[0]}` };
    }),
    ...timerIds.slice(2 * quarter, 3 * quarter).map((id): Sent => {
      return { method: 'DELETE', path: `/timers/${id}`, key: `delete-${id}` };
    }),
    ...timerIds.slice(3 * quarter).map((_, index): Sent => {
      const definition = { duration_seconds: 3600, name: `new-${round}-${index}` };
      return { method: 'POST', path: '/timers', body: definition, key: `new-${round}-${index}` };
    }),
  ];
}

/** Sends all at once, and kills the process when so many are answered; gives what was. */
async function crashInTheMiddle(
  service: ServiceProcess,
  changes: readonly Sent[],
  killAfter: number,
): Promise<Map<string, Reply>> {
  const answered = new Map<string, Reply>();
  await Promise.all(
    changes.map(async (sent) => {
      const reply = await send(service, sent).catch(() => undefined);
      if (reply === undefined || service.child.killed) return;
      answered.set(sent.key, reply);
      if (answered.size === killAfter) service.child.kill('SIGKILL');
    }),
  );
  await service.kill();
  return answered;
}

const names = z.array(timerSchema).transform((timers) => timers.map(({ name }) => name));

describe('A5: after SIGKILL in the middle of changes with keys', () => {
  it(`all are asked for again and made once, ${ROUNDS} times on one disk`, {
    timeout: 240_000,
  }, async () => {
    const directory = temporaryFolder();
    const start = () => ServiceProcess.start({ DATA_DIR: directory, LOG_LEVEL: 'info' });
    const made: { timerIds: string[]; changes: Sent[] }[] = [];
    let service = await start();
    for (let round = 0; round < ROUNDS; round += 1) {
      const fresh = service;
      const timerIds = await Promise.all(Array.from({ length: TIMERS }, () => create(fresh)));
      const changes = changesOf(timerIds, round);
      const before = await crashInTheMiddle(service, changes, 1 + 5 * round);
      service = await start();
      for (const sent of changes) {
        const reply = await send(service, sent);
        expect([200, 201, 204]).toContain(reply.status);
        const answer = before.get(sent.key);
        if (answer !== undefined) expect(reply.text).toBe(answer.text);
        if (sent.key.startsWith('bulk')) {
          expect(bulkResultSchema.parse(JSON.parse(reply.text))).toMatchObject([
            { success: true, status: `extended by ${SECONDS}s` },
          ]);
        }
      }
      made.push({ timerIds, changes });
    }
    const list = await service.request('GET', '/timers');
    const created = names.parse(JSON.parse(list.text)).filter((name) => name.startsWith('new-'));
    await service.terminate();
    const wanted = made.flatMap(({ changes }) => changes.filter(({ path }) => path === '/timers'));
    expect(created.sort()).toEqual(wanted.map(({ key }) => key).sort());
    const journal = await openSqlite(directory);
    for (const { timerIds } of made) {
      for (const [index, timerId] of timerIds.entries()) {
        const types = (await journal.history(timerId)).map(({ type }) => type);
        const change =
          index < TIMERS / 2 ? ['extended'] : index < (3 * TIMERS) / 4 ? ['deleted'] : [];
        expect(types).toEqual(['created', ...change]);
      }
    }
  });
});
