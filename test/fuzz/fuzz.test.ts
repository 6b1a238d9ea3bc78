/**
 * Inputs of every kind against the whole service: whatever is sent, every answer is one that the documents
 * describe, nothing fails, and nothing changes without permission. `FUZZ_INPUTS` says how many inputs of
 * each kind; the usual number keeps the test short.
 */
import { Agent, request as send } from 'node:http';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEntry } from '../../src/journal/journal.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { endWithTest } from '../support/endings.js';
import { OPCODES, RawClient } from '../support/raw-client.js';
import { TestService } from '../support/service.js';
import { type FrameInput, frames, type RequestInput, requestsFor, withTimers } from './inputs.js';
import { OpenApi } from './open-api.js';

const INPUTS = Number(process.env.FUZZ_INPUTS ?? 3000);
/** Requests that are under way at the same time. */
const TOGETHER = 30;
const LONGEST_MS = 30_000 + INPUTS * 10;

const agent = new Agent({ keepAlive: true, maxSockets: TOGETHER });
endWithTest('clients', () => agent.destroy());

interface Reply {
  readonly status: number;
  readonly mediaType: string;
  /** Nothing of a stream that does not end by itself. */
  readonly body: string;
}

function ask(
  service: TestService,
  { operation, asker, target, headers, body }: RequestInput,
  timerIds: readonly string[],
  callers: Callers,
): Promise<Reply> {
  const options = {
    agent,
    method: operation.method,
    headers: { ...callers[asker], ...headers },
  };
  return new Promise((resolve, reject) => {
    const request = send(
      `${service.service.url}${withTimers(target, timerIds)}`,
      options,
      (response) => {
        const status = response.statusCode ?? 0;
        const mediaType = response.headers['content-type']?.split(';')[0] ?? '';
        if (mediaType !== 'text/event-stream') {
          text(response).then((whole) => resolve({ status, mediaType, body: whole }), reject);
          return;
        }
        response.destroy();
        resolve({ status, mediaType, body: '' });
      },
    );
    request.on('error', reject);
    request.end(withTimers(body, timerIds));
  });
}

/** The headers by which each kind of caller is known. */
type Callers = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A caller of each role and of none. The timers are the administrator's, and one is given to an instructor. */
async function callersOf(service: TestService, timerId: string): Promise<Callers> {
  const show = (token: string) => ({ Authorization: `Bearer ${token}` });
  const keyOf = async (definition: Parameters<TestService['createKey']>[0]) =>
    show((await service.createKey(definition)).key);
  const revoked = await service.createKey({ role: 'admin' });
  await service.request('DELETE', `/keys/${revoked.id}`);
  return {
    admin: await keyOf({ role: 'admin' }),
    instructor: await keyOf({ role: 'instructor' }),
    substitute: await keyOf({ role: 'instructor', timers: [timerId] }),
    observer: await keyOf({ role: 'observer' }),
    display: await keyOf({ role: 'display', timers: [timerId] }),
    revoked: show(revoked.key),
    nobody: {},
  };
}

/** Entries that their author had no right to. */
async function trespasses(service: TestService, givenId: string): Promise<RecordedEntry[]> {
  const owners = new Map<string, string>();
  const entries = await service.journal.read(0, Number.MAX_SAFE_INTEGER);
  return entries.filter(({ timerId, type, by: { role, credential } }) => {
    if (type === 'created') owners.set(timerId, credential);
    if (role === 'admin' || role === 'service') return false;
    return role !== 'instructor' || (owners.get(timerId) !== credential && timerId !== givenId);
  });
}

/** Timers in every state, some of them with a display, so that inputs meet something. */
async function populate(service: TestService): Promise<string[]> {
  const timers = await Promise.all(Array.from({ length: 8 }, () => service.create()));
  const ids = timers.map(({ id }) => id);
  const [, running = '', paused = '', stopped = ''] = ids;
  for (const id of [running, paused]) await service.act(id, 'start');
  await service.act(paused, 'pause');
  await service.act(stopped, 'stop');
  return ids;
}

/** This timer, unless it is gone or has ended: then a new one, or another where there is no room for one. */
async function presentOr(service: TestService, timerId: string): Promise<string> {
  const { registry } = service.service;
  const found = registry.lookUp(timerId);
  if (found.ok && found.timer.record.completedAtMs === null) return timerId;
  const { status, body } = await service.request('POST', '/timers', { duration_seconds: 300 });
  if (status === 201) return timerSchema.parse(body).id;
  const [other] = registry.list('', 'RUNNING');
  return other?.record.id ?? timerId;
}

async function openApiOf(service: TestService): Promise<OpenApi> {
  return new OpenApi((await service.request('GET', '/openapi.json')).body);
}

describe('T12, A1: whatever is asked over HTTP', () => {
  it(
    'is answered as the OpenAPI document says, never with a failure, and changes nothing without permission',
    async () => {
      // Time stands still, so no limit on how often something may be done would ever be lifted.
      const settings = { MAX_TIMERS: '100', MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: '0' };
      const service = await TestService.start({ settings });
      // The first key that is made shuts everybody else out, so it is made before.
      await service.protect();
      const api = await openApiOf(service);
      let timerIds = await populate(service);
      const display = await service.display(timerIds[1] ?? '');
      const known = {
        display_id: display.displayId,
        key_id: (await service.createKey({ role: 'observer' })).id,
        webhook_id: await webhookIdOf(service),
      };
      const [givenId = ''] = timerIds;
      const callers = await callersOf(service, givenId);
      // Most of what is asked is asked by those who may.
      const askers = [
        ...Object.keys(callers),
        'admin',
        'admin',
        'admin',
        'instructor',
        'instructor',
      ];
      const requests = fc.oneof(
        ...api.operations.map((operation) => requestsFor(api, operation, known, askers)),
      );
      const batches = fc.array(requests, { minLength: TOGETHER, maxLength: TOGETHER });
      await fc.assert(
        fc.asyncProperty(batches, async (batch) => {
          const replies = await Promise.all(
            batch.map((input) => ask(service, input, timerIds, callers)),
          );
          const complaints = replies.flatMap(({ status, mediaType, body }, index) => {
            const input = batch[index];
            if (input === undefined) return [];
            const complaint =
              status >= 500
                ? `${status}: ${body}`
                : api.complaint(input.operation, status, mediaType, body);
            return complaint === ''
              ? []
              : [{ complaint, ...input, operation: input.operation.operationId }];
          });
          expect(complaints).toEqual([]);
          timerIds = await Promise.all(timerIds.map((id) => presentOr(service, id)));
        }),
        { numRuns: Math.ceil(INPUTS / TOGETHER), endOnFailure: true },
      );
      expect(await trespasses(service, givenId)).toEqual([]);
      expect((await service.request('GET', '/livez')).status).toBe(200);
    },
    LONGEST_MS,
  );
});

describe('T1: whatever a display sends', () => {
  it(
    'changes no timer, and stops nobody else',
    async () => {
      const service = await TestService.start();
      const timerIds = await populate(service);
      const before = await service.journal.read(0, 1000);
      const bystander = await service.display(timerIds[1] ?? '', '?ticks=false');
      const conversations = fc.record({
        timerId: fc.constantFrom(...timerIds),
        said: fc.array(frames, { minLength: TOGETHER, maxLength: TOGETHER }),
      });
      await fc.assert(
        fc.asyncProperty(conversations, async ({ timerId, said }) => {
          const client = await RawClient.open(service, `/ws/${timerId}`);
          expect(client.status).toBe(101);
          for (const input of said) say(client, input);
          if (!client.serverSide.destroyed) await client.heard().catch(() => {});
          client.socket.end();
          await client.closed;
        }),
        { numRuns: Math.ceil(INPUTS / TOGETHER), endOnFailure: true },
      );
      bystander.webSocket.send(JSON.stringify({ type: 'ping' }));
      expect(await bystander.next('pong')).toEqual({ type: 'pong' });
      expect(await service.journal.read(0, 1000)).toEqual(before);
    },
    LONGEST_MS,
  );
});

/** A webhook to an address where nobody listens. */
async function webhookIdOf(service: TestService): Promise<string> {
  const { body } = await service.request('POST', '/webhooks', { url: 'http://127.0.0.1:9/' });
  return z.object({ id: z.string() }).parse(body).id;
}

function say(client: RawClient, input: FrameInput): void {
  if (client.socket.destroyed) return;
  switch (input.kind) {
    case 'text':
      client.sendFrame(OPCODES.text, input.text);
      break;
    case 'frame':
      client.sendFrame(input.opcode, Buffer.from(input.payload), input);
      break;
    case 'bytes':
      client.socket.write(input.bytes);
      break;
  }
}
