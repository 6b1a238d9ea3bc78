/** The API's own documents: that they are valid, complete, true of the running service, and readable offline. */
import { once } from 'node:events';
import { request as httpRequest, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { createContext, runInContext } from 'node:vm';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { Access } from '../../src/access/access.js';
import { Addresses } from '../../src/access/address.js';
import { Limits } from '../../src/access/limits.js';
import { Audit } from '../../src/audit/export.js';
import { Heads } from '../../src/audit/heads.js';
import { readConfig } from '../../src/config.js';
import { createApp } from '../../src/http/app.js';
import { Idempotency } from '../../src/http/idempotency.js';
import { expressPath, type Operation, operationsOf } from '../../src/http/operations.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog } from '../../src/log.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { NDJSON_TYPE } from '../../src/protocol/audit.js';
import { CONSOLE_MESSAGES, consoleMessageSchema } from '../../src/protocol/console.js';
import { keySchema } from '../../src/protocol/credentials.js';
import { CLIENT_MESSAGES, EVENT_MESSAGES, SERVER_MESSAGES } from '../../src/protocol/messages.js';
import { PROBLEMS, type problemSchema } from '../../src/protocol/problems.js';
import { requestSchemas } from '../../src/protocol/requests.js';
import { TIMER_STATES, timerSchema } from '../../src/protocol/timer.js';
import { WEBHOOK_EVENTS } from '../../src/protocol/webhooks.js';
import { Readiness } from '../../src/readiness.js';
import { Presence } from '../../src/realtime/presence.js';
import { Realtime } from '../../src/realtime/realtime.js';
import { Signer } from '../../src/signing.js';
import { Webhooks } from '../../src/webhooks/webhooks.js';
import { EventReader, headersOf, RefusedError } from '../support/event-reader.js';
import { eventually } from '../support/eventually.js';
import { NOBODY, SAMPLES, UNKNOWN_ID } from '../support/samples.js';
import { type Answer, problemIn, TestService } from '../support/service.js';

const SECOND = 1000;
/** What schemas call the document that they are part of. */
const DOCUMENT_ID = 'document';
/** More than a body may have, with the quotes around it. */
const TOO_LARGE = 'x'.repeat(512 * 1024);
const FILE_TYPES: Readonly<Record<string, unknown>> = {
  css: 'text/css',
  js: expect.stringMatching(/^(text|application)\/javascript$/),
  png: 'image/png',
};
/** How a route calls the methods that it refuses. */
const ANY_METHOD = '_all';
const MOST_STREAMS_PER_CREDENTIAL = 50;
/** Bytes that are no UTF-8, which a path cannot carry. */
const UNREADABLE_ID = '%E0%A4%A';

const OPERATIONS: readonly Operation[] = Object.values(
  operationsOf(requestSchemas(readConfig({}))),
);

type Json = Readonly<Record<string, unknown>>;
const jsonObject = z.record(z.string(), z.unknown());

const content = z
  .record(
    z.string().regex(/^(application\/((problem\+)?json|x-ndjson)|text\/(event-stream|plain))$/),
    z.strictObject({ schema: jsonObject }),
  )
  .default({});

/** As much of OpenAPI 3.1 as the service uses; a field it does not name is a mistake. */
const openApiSchema = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({
    title: z.string().min(1),
    version: z.string().min(1),
    description: z.string(),
    license: z.strictObject({ name: z.string().min(1), identifier: z.string() }),
  }),
  servers: z.array(z.strictObject({ url: z.string() })),
  tags: z.array(z.strictObject({ name: z.string().min(1), description: z.string() })),
  paths: z.record(
    z.string().startsWith('/'),
    z.partialRecord(
      z.enum(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']),
      z.strictObject({
        operationId: z.string().min(1),
        tags: z.array(z.string()),
        summary: z.string().min(1),
        security: z.array(z.partialRecord(z.enum(['bearer', 'link']), z.tuple([]))),
        parameters: z
          .array(
            z.strictObject({
              name: z.string().min(1),
              in: z.enum(['path', 'query', 'header', 'cookie']),
              required: z.boolean(),
              description: z.string(),
              schema: jsonObject,
            }),
          )
          .default([]),
        requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
        responses: z.record(
          z.string().regex(/^[1-5]\d\d$/),
          z.strictObject({
            description: z.string().min(1),
            headers: z
              .record(
                z.string(),
                z.strictObject({
                  description: z.string().min(1),
                  required: z.boolean(),
                  schema: jsonObject,
                }),
              )
              .default({}),
            content,
          }),
        ),
      }),
    ),
  ),
  webhooks: z.record(
    z.enum(WEBHOOK_EVENTS),
    z.strictObject({
      post: z.strictObject({
        operationId: z.string().min(1),
        tags: z.array(z.string()),
        summary: z.string().min(1),
        parameters: z.array(
          z.strictObject({
            name: z.string().startsWith('webhook-'),
            in: z.literal('header'),
            required: z.literal(true),
            description: z.string().min(1),
            schema: jsonObject,
          }),
        ),
        requestBody: z.strictObject({ required: z.literal(true), content }),
        responses: z.record(
          z.string().regex(/^[1-5](\d\d|XX)$/),
          z.strictObject({ description: z.string().min(1) }),
        ),
      }),
    }),
  ),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), jsonObject),
    securitySchemes: z.strictObject({
      bearer: z.strictObject({
        type: z.literal('http'),
        scheme: z.literal('bearer'),
        description: z.string(),
      }),
      link: z.strictObject({
        type: z.literal('apiKey'),
        in: z.literal('query'),
        name: z.literal('access_token'),
        description: z.string(),
      }),
    }),
  }),
});
type OpenApi = z.output<typeof openApiSchema>;

const querySchema = z.looseObject({ type: z.literal('object'), properties: jsonObject });
const messageReferences = z.array(z.strictObject({ $ref: z.string() }));

/** As much of AsyncAPI 3.0 as the service uses; a field it does not name is a mistake. */
const asyncApiSchema = z.strictObject({
  asyncapi: z.literal('3.0.0'),
  info: z.strictObject({
    title: z.string().min(1),
    version: z.string().min(1),
    description: z.string(),
    license: z.strictObject({ name: z.string() }),
  }),
  defaultContentType: z.literal('application/json'),
  channels: z.record(
    z.string(),
    z.strictObject({
      address: z.string().startsWith('/'),
      description: z.string(),
      parameters: z.record(z.string(), z.strictObject({ description: z.string() })),
      bindings: z
        .strictObject({
          ws: z.strictObject({
            method: z.literal('GET'),
            query: querySchema,
            bindingVersion: z.literal('0.1.0'),
          }),
        })
        .optional(),
      messages: z.record(z.string(), z.strictObject({ $ref: z.string() })),
    }),
  ),
  operations: z.record(
    z.string(),
    z.strictObject({
      action: z.enum(['send', 'receive']),
      summary: z.string(),
      channel: z.strictObject({ $ref: z.string() }),
      messages: messageReferences,
      bindings: z
        .strictObject({
          http: z.strictObject({
            method: z.literal('GET'),
            query: querySchema,
            bindingVersion: z.literal('0.3.0'),
          }),
        })
        .optional(),
    }),
  ),
  components: z.strictObject({
    messages: z.record(
      z.string(),
      z.strictObject({
        name: z.string(),
        title: z.string(),
        summary: z.string().min(1),
        contentType: z.literal('application/json'),
        payload: jsonObject,
      }),
    ),
    schemas: z.record(z.string(), jsonObject),
  }),
});
type AsyncApi = z.output<typeof asyncApiSchema>;

/** Every status that an operation documents for a request that cannot be met. */
const DOCUMENTED_REFUSALS = OPERATIONS.flatMap((operation) => {
  const statuses = operation.problems.map((code): number => PROBLEMS[code].status);
  return [...new Set(statuses)]
    .filter((status) => status < 500)
    .map((status) => ({ id: operation.id, operation, status }));
});

type Provocation = (service: TestService, operation: Operation, timerId: string) => Promise<Answer>;

/** How a caller brings about each status of a problem, given a timer that is created and the only one. */
const PROVOCATIONS: Readonly<Record<number, Provocation>> = {
  400: (service, operation, timerId) =>
    ask(service, operation, timerId, { body: { action: 'resume' } }),
  401: async (service, operation, timerId) => {
    await service.protect();
    return ask(service, operation, timerId, { token: null, keyId: UNKNOWN_ID });
  },
  403: (service, operation, timerId) =>
    ask(service, operation, timerId, { host: 'rebound.example', keyId: UNKNOWN_ID }),
  404: (service, operation) => ask(service, operation, UNKNOWN_ID),
  409: async (service, operation, timerId) => {
    if (operation.id === 'createKey') {
      return ask(service, operation, timerId, { body: { role: 'observer' } });
    }
    return ask(service, operation, timerId, { keyId: await lastKeyOf(service) });
  },
  412: (service, operation, timerId) => ask(service, operation, timerId, { ifMatch: '"7"' }),
  413: (service, operation, timerId) => ask(service, operation, timerId, { body: TOO_LARGE }),
  415: (service, operation, timerId) =>
    ask(service, operation, timerId, { mediaType: 'application/json; charset=latin1' }),
  422: (service, operation, timerId) => {
    if (operation.body !== undefined) {
      const body = { duration_seconds: '60', expires_in_seconds: 0, payload_sha256: '60' };
      return ask(service, operation, timerId, { body });
    }
    return operation.query === undefined
      ? ask(service, operation, UNREADABLE_ID)
      : ask(service, operation, timerId, {
          query: '?limit=0&ticks=no&reason_category=weather&from=yesterday',
        });
  },
  429: async (service, operation, timerId) => {
    const exhaust = EXHAUSTIONS[operation.id];
    if (exhaust !== undefined) return exhaust(service, operation, timerId);
    const address = '203.0.113.7';
    for (let asked = 0; asked < 5; asked += 1) {
      await exchange(`${service.service.url}/livez`, { headers: { 'X-Forwarded-For': address } });
    }
    return ask(service, operation, timerId, { address, token: null });
  },
};

/** How a caller uses up what there is of something, where it takes more than the limit on timers. */
const EXHAUSTIONS: Readonly<Record<string, Provocation>> = {
  followTimer: async (service, operation, timerId) => {
    await service.display(timerId);
    return ask(service, operation, timerId);
  },
  acknowledge: async (service, operation, timerId) => {
    const displayId = await displayOf(service, timerId);
    for (let said = 0; said < 50; said += 1) await ask(service, operation, timerId, { displayId });
    return ask(service, operation, timerId, { displayId });
  },
  createWebhook: async (service, operation, timerId) => {
    for (let count = 0; count < 100; count += 1) await ask(service, operation, timerId);
    return ask(service, operation, timerId);
  },
  watchDisplays: exhaustStreams,
  watchAll: exhaustStreams,
};

async function exhaustStreams(
  service: TestService,
  operation: Operation,
  timerId: string,
): Promise<Answer> {
  await service.protect();
  for (let count = 0; count < MOST_STREAMS_PER_CREDENTIAL; count += 1) {
    const url = `${service.service.url}/events`;
    await EventReader.open(url, consoleMessageSchema, service.authorization);
  }
  return ask(service, operation, timerId);
}

/** The only key there is, which is shown from now on. */
async function lastKeyOf(service: TestService): Promise<string> {
  await service.protect();
  const { body } = await service.request('GET', '/keys');
  return z.array(keySchema).length(1).parse(body)[0]?.id ?? '';
}

/** A key that can be revoked, unless the test is about one that is not there. */
async function keyFor(service: TestService, timerId: string): Promise<string> {
  if (!isKnown(timerId)) return timerId;
  await service.protect();
  return (await service.createKey({ role: 'observer' })).id;
}

/** Connects a display, and gives its id; where none can connect, an id that nobody has. */
async function displayOf(service: TestService, timerId: string): Promise<string> {
  const url = `${service.service.url}/timers/${timerId}/events`;
  try {
    const reader = await EventReader.open(url, EVENT_MESSAGES.connected, service.authorization);
    return (await reader.next()).display_id;
  } catch (error) {
    if (error instanceof RefusedError) return 'display_unknown';
    throw error;
  }
}

const attemptsSchema = z.array(z.looseObject({ message_id: z.string() }));

/** Creates a webhook, and gives its id. */
async function webhookIn(service: TestService): Promise<string> {
  const { body } = await service.request('POST', '/webhooks', { url: NOBODY });
  return z.looseObject({ id: z.string() }).parse(body).id;
}

/** Has a webhook try to send a message, and gives the id of that. */
async function messageOf(service: TestService, webhookId: string): Promise<string> {
  await service.create();
  return eventually(async () => {
    const { body } = await service.request('GET', `/webhooks/${webhookId}/deliveries`);
    const [attempt] = attemptsSchema.parse(body);
    if (attempt === undefined) throw new Error('Nothing was sent yet');
    return attempt.message_id;
  });
}

describe('the OpenAPI document is valid and complete', () => {
  it('is OpenAPI 3.1 whose references all lead somewhere', async () => {
    const service = await TestService.start();
    const { document } = await openApis.of(service);
    expect(danglingReferences(document)).toEqual([]);
    const declaredTags = document.tags.map(({ name }) => name);
    for (const { path, tags, parameters, responses } of describedOperations(document)) {
      expect(declaredTags).toEqual(expect.arrayContaining(tags));
      const inPath = parameters.filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every(({ required }) => required)).toBe(true);
      expect(duplicatesIn(parameters.map((parameter) => parameter.name))).toEqual([]);
      expect(Object.keys(responses)).toContainEqual(expect.stringMatching(/^2/));
    }
  });

  it('A1: says of every operation what may be shown to be let in', async () => {
    const service = await TestService.start();
    const { document } = await openApis.of(service);
    const shown = describedOperations(document).map(({ operationId, security }) => {
      return [operationId, security.flatMap((scheme) => Object.keys(scheme)).join(' ')];
    });
    const expected = OPERATIONS.map(({ id, right, success }) => {
      const ways = success.isStream === true ? 'bearer link' : 'bearer';
      return [id, right === 'public' ? '' : ways];
    });
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(expected));
  });

  it('has only valid JSON Schemas, which accept their own examples and defaults', async () => {
    const service = await TestService.start();
    const { document, schemas } = await openApis.of(service);
    const all = describedOperations(document).flatMap(({ parameters, requestBody, responses }) => [
      ...parameters,
      ...Object.values(requestBody?.content ?? {}),
      ...Object.values(responses).flatMap(({ headers, content }) => [
        ...Object.values(headers),
        ...Object.values(content),
      ]),
    ]);
    expect(all.length).toBeGreaterThan(OPERATIONS.length);
    const named = Object.values(document.components.schemas);
    for (const schema of [...named, ...all.map(({ schema }) => schema)].flatMap(partsOf)) {
      const errorsIn = schemas.compile(schema);
      const { examples = [], default: usual } = samplesSchema.parse(schema);
      for (const sample of usual === undefined ? examples : [...examples, usual]) {
        expect(errorsIn(sample)).toEqual([]);
      }
    }
  });

  it('describes every route that is mounted, and no other', async () => {
    const service = await TestService.start();
    const { document } = await openApis.of(service);
    const described = describedOperations(document);
    const listed = OPERATIONS.map(({ id, method, path }) => `${id}: ${method} ${path}`);
    expect(
      described.map(({ operationId, method, path }) => `${operationId}: ${method} ${path}`).sort(),
    ).toEqual(listed.sort());
    expect(duplicatesIn(described.map(({ operationId }) => operationId))).toEqual([]);
    const routes = described.map(({ method, path }) => `${method} ${expressPath(path)}`);
    expect((await mountedRoutes(service)).sort()).toEqual(
      [...routes, 'get /openapi.json', 'get /asyncapi.json', 'get /docs'].sort(),
    );
  });

  it('names no refusal that no caller can meet', () => {
    const unmet = DOCUMENTED_REFUSALS.filter(({ status }) => !(status in PROVOCATIONS));
    expect(unmet.map(({ id, status }) => `${id} ${status}`)).toEqual([]);
  });
});

describe('every operation answers as it is documented', () => {
  it.each(OPERATIONS)('$id succeeds, with no field that is not documented', async (operation) => {
    const service = await TestService.start();
    const { id } = await service.create();
    const answer = await ask(service, operation, id);
    expect(answer.status).toBe(operation.success.status);
    await expectDocumented(service, operation.id, answer);
  });

  it.each(TIMER_STATES)(
    'shows a timer that is %s, with no field that is not documented',
    async (state) => {
      const service = await TestService.start();
      const { id } = await service.create({ duration_seconds: 10 });
      if (state !== 'created') await service.act(id, 'start');
      if (state === 'paused') await service.act(id, 'pause');
      if (state === 'completed') await service.act(id, 'stop');
      if (state === 'expired') await service.advance(10 * SECOND);
      const answer = await service.request('GET', `/timers/${id}`);
      expect(answer.body).toMatchObject({ id, state });
      await expectDocumented(service, 'getTimer', answer);
    },
  );

  it('leads with Location to the new timer, and with Link through the pages of a list', async () => {
    const service = await TestService.start();
    const created = await service.request('POST', '/timers', { duration_seconds: 60 });
    const location = created.headers.get('location') ?? '';
    expect((await service.request('GET', location)).body).toEqual(created.body);
    // Only timers of different instants have an order.
    await service.advance(1);
    const second = await service.create();
    const firstPage = await service.request('GET', '/timers?limit=1');
    expect(firstPage.body).toMatchObject([{ duration_seconds: 60 }]);
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(firstPage.headers.get('link') ?? '') ?? [];
    const lastPage = await service.request('GET', next);
    expect(lastPage.body).toEqual([second]);
    expect(lastPage.headers.get('link')).toBeNull();
  });

  it('answers 503 until the journal is read, says when to try again, and then succeeds', async () => {
    const needing = OPERATIONS.filter(({ problems }) => problems.includes('recovering'));
    expect(needing.length).toBeGreaterThan(0);
    const journal = new HeldJournal();
    const service = await TestService.start({
      journal,
      onListening: async (recovering) => {
        for (const operation of needing) {
          const answer = await ask(recovering, operation, UNKNOWN_ID);
          expect(expectProblem(answer, 503).code).toBe('recovering');
          expect(answer.headers.get('retry-after')).toBe('1');
          await expectDocumented(recovering, operation.id, answer);
        }
        journal.release();
      },
    });
    for (const operation of needing) {
      expect((await ask(service, operation, UNKNOWN_ID)).status).toBeLessThan(500);
    }
  });
});

describe('T12: bad input gets a clear error, changes nothing and is never a 500', () => {
  const provoked = DOCUMENTED_REFUSALS.filter(({ status }) => status in PROVOCATIONS);

  it.each(provoked)('$id answers $status as it is documented', async ({ operation, status }) => {
    const limit = status === 429 ? '1' : '2';
    const settings = {
      MAX_TIMERS: limit,
      MAX_CLIENTS_PER_TIMER: limit,
      // An address that has asked too much is one behind a proxy, where nobody is who needs no key.
      ALLOW_OPEN: status === 429 ? '1' : '0',
      TRUST_PROXY: '1',
      MAX_REQUESTS_PER_SECOND_PER_ADDRESS: '1',
    };
    const service = await TestService.start({ settings });
    const { id } = await service.create();
    const before = await timersWithoutDisplays(service);
    const answer = await PROVOCATIONS[status]?.(service, operation, id);
    if (answer === undefined) throw new Error(`Nothing provokes ${status}`);
    expectProblem(answer, status);
    await expectDocumented(service, operation.id, answer);
    expect(await timersWithoutDisplays(service)).toEqual(before);
    expect(await service.journal.history(id)).toHaveLength(1);
  });

  it.each(OPERATIONS.filter(({ path }) => path.includes('{timer_id}')))(
    '$id documents what it answers to an id that cannot be read',
    async (operation) => {
      const service = await TestService.start();
      const answer = await ask(service, operation, UNREADABLE_ID);
      expectProblem(answer, answer.status);
      expect(answer.status).toBeLessThan(500);
      await expectDocumented(service, operation.id, answer);
    },
  );

  it.each([...new Set(OPERATIONS.map(({ path }) => path))])(
    'answers 405 to every method that %s does not take, and names those it takes',
    async (path) => {
      const service = await TestService.start();
      const { id } = await service.create();
      const taken = OPERATIONS.filter((operation) => operation.path === path).map(methodOf);
      const all = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
      for (const method of all.filter((candidate) => !taken.includes(candidate))) {
        const answer = await service.request(method, path.replace('{timer_id}', id));
        expect(expectProblem(answer, 405).detail).toContain(method);
        const allowed = answer.headers.get('allow')?.split(', ');
        expect(allowed).toEqual(expect.arrayContaining(taken));
        expect(allowed).not.toContain(method);
      }
      expect(await service.get(id)).toMatchObject({ state: 'created', revision: 1 });
    },
  );

  it('answers 404 where nothing is, and 426 where only a WebSocket can connect', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    expectProblem(await service.request('GET', '/nothing'), 404);
    expectProblem(await service.request('POST', '/timers/bulk/explode', [id]), 404);
    expectProblem(await service.request('GET', `/ws/${id}`), 426);
  });
});

describe('the documentation page works without any other host', () => {
  it('is served with every script, stylesheet and icon it asks for', async () => {
    const service = await TestService.start();
    const page = await fetchText(`${service.service.url}/docs/`);
    expect(page).toMatchObject({ status: 200, type: 'text/html' });
    // Names of XML vocabularies look like addresses, but nothing is loaded from them.
    expect(page.text.replace(/ xmlns(:\w+)?="[^"]*"/g, '')).not.toMatch(/https?:/);
    const references = [...page.text.matchAll(/<[^>]*\s(?:src|href)=["']([^"']+)["']/g)];
    expect(references.length).toBeGreaterThan(3);
    for (const [, reference = ''] of references) {
      const file = await fetchText(new URL(reference, page.url).href);
      expect(file.url).toContain(`${service.service.url}/docs/`);
      // Below the page, an address without a file is answered by the page itself.
      const extension = reference.split('.').at(-1) ?? '';
      expect(file).toMatchObject({ status: 200, type: FILE_TYPES[extension] });
    }
  });

  it('shows the document of the service, and has it judged by no other host', async () => {
    const service = await TestService.start();
    const options = await swaggerOptions(`${service.service.url}/docs/`);
    expect(options).toMatchObject({ url: '/openapi.json', validatorUrl: null });
  });

  it.each(['/docs/package.json', '/docs/more/package.json', '/docs/nothing.js', '/docs/nothing/'])(
    'T12: has nothing at %s, and says so as everywhere else',
    async (path) => {
      const service = await TestService.start();
      expect(expectProblem(await service.request('GET', path), 404).detail).toContain(path);
    },
  );

  it('T12: takes no other methods than GET and HEAD', async () => {
    const service = await TestService.start();
    for (const path of ['/docs', '/docs/', '/openapi.json', '/asyncapi.json']) {
      const answer = await service.request('POST', path);
      expectProblem(answer, 405);
      expect(answer.headers.get('allow')).toBe('GET, HEAD');
    }
    expectProblem(await service.request('POST', '/docs/swagger-ui-init.js'), 404);
  });

  it('is found without the slash at the end too', async () => {
    const service = await TestService.start();
    const page = await fetchText(`${service.service.url}/docs`);
    expect(page).toMatchObject({ status: 200, type: 'text/html' });
    expect(page.url).toBe(`${service.service.url}/docs/`);
  });
});

describe('the AsyncAPI document is valid, complete and true', () => {
  it('is AsyncAPI 3.0.0 whose references all lead somewhere', async () => {
    const service = await TestService.start();
    const { document, schemas } = await asyncApis.of(service);
    expect(danglingReferences(document)).toEqual([]);
    for (const [name, { address, parameters, messages }] of Object.entries(document.channels)) {
      expect(Object.keys(parameters).map((parameter) => `{${parameter}}`)).toEqual(
        address.match(/\{\w+\}/g) ?? [],
      );
      const prefix = `#/channels/${name}/messages/`;
      const used = Object.values(document.operations).flatMap((operation) => operation.messages);
      const usedHere = used.map(({ $ref }) => $ref).filter((path) => path.startsWith(prefix));
      expect(usedHere.sort()).toEqual(
        Object.keys(messages)
          .map((message) => prefix + message)
          .sort(),
      );
    }
    const queries = [
      ...Object.values(document.channels).map(({ bindings }) => bindings?.ws.query),
      ...Object.values(document.operations).map(({ bindings }) => bindings?.http.query),
    ].filter((query) => query !== undefined);
    expect(queries).toHaveLength(2);
    for (const query of queries) {
      expect(schemas.compile(query)({ ticks: 'false', label: 'Seat 14' })).toEqual([]);
    }
    for (const schema of Object.values(document.components.schemas)) schemas.compile(schema);
  });

  it('has every message of the service as sent, and every message of a display as received', async () => {
    const service = await TestService.start();
    const { document } = await asyncApis.of(service);
    const told = (name: string) =>
      document.operations[name]?.messages.map(({ $ref }) => $ref.split('/').at(-1)).sort();
    const consoleNames = Object.keys(CONSOLE_MESSAGES).map((type) => `console_${type}`);
    expect(told('follow')).toEqual(Object.keys(SERVER_MESSAGES).sort());
    expect(told('ask')).toEqual(Object.keys(CLIENT_MESSAGES).sort());
    expect(told('followEvents')).toEqual([...Object.keys(EVENT_MESSAGES), 'stream_ended'].sort());
    expect(told('watchDisplays')).toEqual(['displays', 'stream_ended']);
    expect(told('watchAll')).toEqual([...consoleNames, 'stream_ended'].sort());
    const names = Object.keys({ ...SERVER_MESSAGES, ...CLIENT_MESSAGES });
    expect(Object.keys(document.components.messages).sort()).toEqual(
      [...names, 'displays', 'stream_ended', ...consoleNames].sort(),
    );
  });

  it('describes every message of a session exactly', async () => {
    const service = await TestService.start({ settings: { KEEPALIVE_SECONDS: '30' } });
    const { id } = await service.create({ duration_seconds: 10, warning_thresholds: [8] });
    const other = await service.create({ duration_seconds: 1 });
    const display = await service.display(id);
    const otherDisplay = await service.display(other.id);
    await service.act(id, 'start');
    await service.advance(3 * SECOND);
    await service.act(id, 'pause');
    await service.advance(30 * SECOND);
    await service.act(id, 'resume');
    await service.act(id, 'extend', 60);
    for (const message of [
      { type: 'ping' },
      { type: 'sync' },
      { type: 'sync', client_time: 1 },
      { type: 'set', remaining_seconds: 0 },
    ]) {
      display.say(message);
    }
    await display.news();
    await service.act(id, 'stop');
    await service.request('DELETE', `/timers/${id}`);
    expect(await display.closed).toMatchObject({ code: PROBLEMS.timer_deleted.closeCode });
    await service.act(other.id, 'start');
    await service.advance(SECOND);
    await otherDisplay.news();

    const messages = [...display.messages, ...otherDisplay.messages];
    const types = new Set<string>(messages.map(({ type }) => type));
    expect([...types].sort()).toEqual(Object.keys(SERVER_MESSAGES).sort());
    const asyncApi = await asyncApis.of(service);
    for (const message of messages) expectMessage(asyncApi, message);
  });

  it('describes messages of a display that the service understands', async () => {
    const service = await TestService.start();
    const asyncApi = await asyncApis.of(service);
    const { id } = await service.create();
    const display = await service.display(id);
    const answered = [
      { message: { type: 'ping' }, answer: 'pong' },
      { message: { type: 'sync' }, answer: 'sync_response' },
      { message: { type: 'sync', client_time: [1, 'two', null] }, answer: 'sync_response' },
    ] as const;
    for (const { message, answer } of answered) {
      expectMessage(asyncApi, message);
      display.say(message);
      await display.next(answer);
    }
    const unanswered = [
      { type: 'acknowledge', revision: 1, error_bound_ms: 12.5 },
      { type: 'acknowledge', revision: 1, error_bound_ms: null, label: 'Seat 14' },
    ] as const;
    for (const message of unanswered) {
      expectMessage(asyncApi, message);
      display.say(message);
    }
    expect(await display.news()).toEqual([]);
    const types = new Set([...answered.map(({ message }) => message), ...unanswered].map(typeOf));
    expect([...types].sort()).toEqual(Object.keys(CLIENT_MESSAGES).sort());
  });
});

describe('pages of other origins may use the service as far as CORS_ORIGINS says', () => {
  const EXAM = 'https://exam.example';
  const ADMIN = 'https://admin.example:8443';
  const FOREIGN = 'https://foreign.example';
  const listed = { CORS_ORIGINS: `${EXAM}, ${ADMIN}` };

  it('lets any page ask, in advance and at once, when CORS_ORIGINS is *', async () => {
    const service = await TestService.start({ settings: { CORS_ORIGINS: '*' } });
    for (const method of ['GET', 'POST', 'DELETE']) {
      const advance = await preflight(service, FOREIGN, method);
      expect(advance).toMatchObject({ status: 204, allowedOrigin: '*' });
      expect(advance.allowedMethods).toContain(method);
      expect(advance.allowedHeaders).toContain('content-type');
    }
    expect(allowedOrigin(await askFrom(service, FOREIGN, '/timers'))).toBe('*');
  });

  it('names the page that asks when CORS_ORIGINS has its origin, and caches keep pages apart', async () => {
    const service = await TestService.start({ settings: listed });
    for (const origin of [EXAM, ADMIN]) {
      expect(await preflight(service, origin, 'POST')).toMatchObject({
        status: 204,
        allowedOrigin: origin,
      });
      const answer = await askFrom(service, origin, '/timers');
      expect(allowedOrigin(answer)).toBe(origin);
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  it('lets no other page ask when CORS_ORIGINS is a list', async () => {
    const service = await TestService.start({ settings: listed });
    for (const origin of [FOREIGN, 'null', `${EXAM}.foreign.example`, 'http://exam.example']) {
      expect(await preflight(service, origin, 'POST')).toMatchObject({ allowedOrigin: null });
      expect(allowedOrigin(await askFrom(service, origin, '/timers'))).toBeNull();
    }
  });

  it.each(['*', EXAM])(
    'shows pages the headers of an answer when CORS_ORIGINS is %s',
    async (origins) => {
      const service = await TestService.start({ settings: { CORS_ORIGINS: origins } });
      for (const path of ['/timers', `/timers/${UNKNOWN_ID}`]) {
        const answer = await askFrom(service, EXAM, path);
        expect(allowedOrigin(answer)).not.toBeNull();
        const exposed = answer.headers.get('access-control-expose-headers')?.split(/, ?/);
        expect(exposed).toEqual(expect.arrayContaining(['Link', 'Location', 'Retry-After']));
      }
    },
  );

  it('refuses displays of other pages with 403 when CORS_ORIGINS is a list', async () => {
    const service = await TestService.start({ settings: listed });
    const { id } = await service.create();
    for (const origin of [FOREIGN, 'null']) {
      const refusal = await connectFrom(origin, service.displayUrl(id));
      if (refusal === undefined) throw new Error(`${origin} was let in`);
      expect(expectProblem(refusal, 403).code).toBe('foreign_origin');
      expect(problemIn(refusal).detail).toContain(origin);
    }
    expect(await connectFrom(EXAM, service.displayUrl(id))).toBeUndefined();
    // The service's own pages, such as the console, are not foreign.
    expect(await connectFrom(service.service.url, service.displayUrl(id))).toBeUndefined();
    // Programs that are no pages send no origin.
    expect(await connectFrom(undefined, service.displayUrl(id))).toBeUndefined();
    expect((await service.get(id)).revision).toBe(1);
  });

  it('lets displays of any page follow when CORS_ORIGINS is *', async () => {
    const service = await TestService.start({ settings: { CORS_ORIGINS: '*' } });
    const { id } = await service.create();
    expect(await connectFrom(FOREIGN, service.displayUrl(id))).toBeUndefined();
  });
});

const typeOf = ({ type }: { readonly type: string }): string => type;

/** All timers, but for the displays that a test may have had to connect. */
async function timersWithoutDisplays(service: TestService): Promise<unknown[]> {
  const { body } = await service.request('GET', '/timers');
  return z.array(timerSchema.omit({ connected_clients: true })).parse(body);
}

function methodOf({ method }: Operation): string {
  return method.toUpperCase();
}

interface Asking {
  readonly query?: string;
  readonly body?: unknown;
  readonly mediaType?: string;
  readonly ifMatch?: string;
  readonly displayId?: string;
  readonly keyId?: string;
  readonly host?: string;
  /** The credential to show; null for none. */
  readonly token?: null;
  readonly address?: string;
}

/** Asks for an operation by its sample, of which any part may be another. */
async function ask(
  service: TestService,
  operation: Operation,
  timerId: string,
  other: Asking = {},
): Promise<Answer> {
  const sample = SAMPLES[operation.id];
  if (sample === undefined) throw new Error(`There is no sample of ${operation.id}`);
  const { query = sample.query ?? '', mediaType = 'application/json', host, ifMatch } = other;
  const { body = sample.body?.(timerId) } = other;
  const isOfDisplay = operation.path.includes('{display_id}');
  const displayId = other.displayId ?? (isOfDisplay ? await displayOf(service, timerId) : '');
  const isOfKey = operation.path.includes('{key_id}');
  const keyId = other.keyId ?? (isOfKey ? await keyFor(service, timerId) : '');
  // A refusal does not depend on the message, and a message takes a timer more.
  const isOfMessage = operation.path.includes('{message_id}') && Object.keys(other).length === 0;
  const isOfWebhook = operation.path.includes('{webhook_id}') && isKnown(timerId);
  const webhookId = isOfWebhook ? await webhookIn(service) : timerId;
  const messageId = isOfMessage && isKnown(timerId) ? await messageOf(service, webhookId) : timerId;
  const path = operation.path
    .replace('{timer_id}', timerId)
    .replace('{display_id}', displayId)
    .replace('{key_id}', keyId)
    .replace('{webhook_id}', webhookId)
    .replace('{message_id}', messageId);
  const url = `${service.service.url}${path}${query}`;
  const headers = {
    ...(body === undefined ? {} : { 'Content-Type': mediaType }),
    ...(host === undefined ? {} : { Host: host }),
    ...(other.token === null ? {} : service.authorization),
    ...(ifMatch === undefined ? {} : { 'If-Match': ifMatch }),
    ...(other.address === undefined ? {} : { 'X-Forwarded-For': other.address }),
  };
  if (operation.success.isStream === true) return firstEvent(url, headers);
  return exchange(url, {
    method: methodOf(operation),
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends what no `fetch` would: any host, and any origin. */
async function exchange(
  url: string,
  { method = 'GET', headers = {}, body = '' }: Sent = {},
): Promise<Answer> {
  const request = httpRequest(url, { method, headers, agent: false });
  request.end(body);
  const [response] = z
    .tuple([z.instanceof(IncomingMessage)])
    .parse(await once(request, 'response'));
  const received = await text(response);
  const isOfLines = response.headers['content-type']?.startsWith(NDJSON_TYPE) === true;
  const isText = response.headers['content-type']?.startsWith('text/plain') === true;
  const [first = ''] = isOfLines ? received.split('\n') : [received];
  return {
    status: response.statusCode ?? 0,
    headers: headersOf(response),
    body: first === '' ? undefined : isText ? first : JSON.parse(first),
  };
}

/** Whether an id is that of a timer; one that is not is nobody's. */
function isKnown(timerId: string): boolean {
  return timerId !== UNKNOWN_ID && timerId !== UNREADABLE_ID;
}

/** The first event of a stream, which stands for the body of the answer. */
async function firstEvent(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  try {
    const reader = await EventReader.open(url, z.unknown(), headers);
    const answer = { status: 200, headers: reader.headers, body: await reader.next() };
    reader.leave();
    return answer;
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
}

/** Checks that an answer is a problem that tells its own status, and gives it. */
function expectProblem(answer: Answer, status: number): z.output<typeof problemSchema> {
  const problem = problemIn(answer);
  expect(problem).toMatchObject({ status, detail: expect.stringMatching(/\S/) });
  expect(answer.status).toBe(status);
  return problem;
}

interface Described<D> {
  readonly document: D;
  readonly schemas: StrictSchemas;
}

/** Asks services for documents of a kind. Those of the same settings have the same one, which is read once. */
class Documents<D extends { readonly components: Json }> {
  readonly #path: string;
  readonly #schema: z.ZodType<D>;
  readonly #read = new Map<string, Described<D>>();

  constructor(path: string, schema: z.ZodType<D>) {
    this.#path = path;
    this.#schema = schema;
  }

  async of(service: TestService): Promise<Described<D>> {
    const settings = JSON.stringify(service.settings);
    const known = this.#read.get(settings);
    if (known !== undefined) return known;
    const document = this.#schema.parse((await service.request('GET', this.#path)).body);
    const described = { document, schemas: new StrictSchemas(document) };
    this.#read.set(settings, described);
    return described;
  }
}

const openApis = new Documents('/openapi.json', openApiSchema);
const asyncApis = new Documents('/asyncapi.json', asyncApiSchema);

function describedOperations({ paths }: OpenApi) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
}

/** Checks an answer against what the document says of its status: media type, headers, every field. */
async function expectDocumented(service: TestService, id: string, answer: Answer): Promise<void> {
  const { document, schemas } = await openApis.of(service);
  const operation = describedOperations(document).find(({ operationId }) => operationId === id);
  const { responses = {} } = operation ?? {};
  expect(Object.keys(responses)).toContain(`${answer.status}`);
  const { content = {}, headers = {} } = responses[answer.status] ?? {};
  const expected = Object.keys(headers).filter((name) => headers[name]?.required);
  expect(expected.filter((name) => !answer.headers.has(name))).toEqual([]);
  const [[mediaType, media] = []] = Object.entries(content);
  expect(answer.headers.get('content-type')?.split(';')[0]).toBe(mediaType);
  if (media === undefined) expect(answer.body).toBeUndefined();
  else expect(schemas.compile(media.schema)(answer.body)).toEqual([]);
}

function expectMessage(
  { document, schemas }: Described<AsyncApi>,
  message: { readonly type: string },
): void {
  const payload = document.components.messages[message.type]?.payload;
  if (payload === undefined) throw new Error(`${message.type} is not in the document`);
  expect(schemas.compile(payload)(message)).toEqual([]);
}

/** The schemas of a document, each so that it takes no field that it does not name. */
class StrictSchemas {
  // The pattern that stands beside this format in every schema says the same, and more strictly.
  readonly #ajv = new Ajv2020({
    strict: true,
    allErrors: true,
    formats: { 'date-time': true, uri: true },
  });

  /** By the text of the schema: most answers refer to the same few, and to compile one takes long. */
  readonly #validators = new Map<string, ValidateFunction>();

  constructor({ components }: { readonly components: Json }) {
    this.#ajv.addKeyword('components');
    this.#ajv.addSchema(closed({ components }), DOCUMENT_ID);
  }

  /** Gives what tells everything that is wrong with a value. Throws if the schema is not valid. */
  compile(schema: Json): (value: unknown) => string[] {
    const text = JSON.stringify(schema);
    const validate = this.#validators.get(text) ?? this.#ajv.compile(closed(schema));
    this.#validators.set(text, validate);
    return (value) => {
      if (validate(value)) return [];
      return (validate.errors ?? []).map(({ instancePath, message, params }) => {
        return `${instancePath}: ${message} ${JSON.stringify(params)} in ${JSON.stringify(value)}`;
      });
    };
  }
}

/** The same schema, with fields refused that it does not name, and references into the document. */
function closed(schema: Json): Json {
  const parts = Object.entries(schema).map(([key, value]) => {
    return [key, key === '$ref' ? `${DOCUMENT_ID}${value}` : closedValue(value)];
  });
  const isOpenObject = schema.type === 'object' && !('additionalProperties' in schema);
  return {
    ...Object.fromEntries(parts),
    ...(isOpenObject ? { additionalProperties: false } : {}),
  };
}

function closedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closedValue);
  const object = jsonObject.safeParse(value);
  return object.success ? closed(object.data) : value;
}

const samplesSchema = z.looseObject({
  examples: z.array(z.unknown()).optional(),
  default: z.unknown().optional(),
});

const compositeSchema = z.looseObject({
  properties: z.record(z.string(), jsonObject).default({}),
  items: jsonObject.optional(),
  anyOf: z.array(jsonObject).default([]),
  oneOf: z.array(jsonObject).default([]),
});

/** A schema and every schema inside it. */
function partsOf(schema: Json): Json[] {
  const { properties, items, anyOf, oneOf } = compositeSchema.parse(schema);
  const parts = [...Object.values(properties), ...anyOf, ...oneOf, ...(items ? [items] : [])];
  return [schema, ...parts.flatMap(partsOf)];
}

/** References that lead nowhere in their own document. */
function danglingReferences(document: unknown): string[] {
  const references: string[] = [];
  JSON.stringify(document, (key, value: unknown) => {
    if (key === '$ref') references.push(String(value));
    return value;
  });
  expect(references.length).toBeGreaterThan(0);
  return references.filter((reference) => targetOf(document, reference) === undefined);
}

function targetOf(document: unknown, reference: string): unknown {
  const [root, ...path] = reference.split('/');
  if (root !== '#') return undefined;
  return path.reduce<unknown>((node, part) => {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    return jsonObject.safeParse(node).data?.[name];
  }, document);
}

function duplicatesIn(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

const layerSchema = z.object({
  route: z.object({ path: z.string(), methods: z.record(z.string(), z.literal(true)) }).optional(),
});

/** Method and path of every route. Those that take every method are left out: they only refuse. */
async function mountedRoutes({ clock, journal, service }: TestService): Promise<string[]> {
  const { registry } = service;
  const { documents } = journal;
  const config = readConfig({});
  const addresses = new Addresses(config.trustProxy);
  const log = createLog('silent');
  const metrics = new Metrics({ ofProcess: false });
  const signer = await Signer.open(documents, '');
  const access = await Access.open({ config, documents, addresses, signer, clock, log });
  const limits = new Limits({ config, clock, addresses });
  const parts = { config, registry, access, limits, measures: metrics, clock, log };
  const heads = new Heads({ ...parts, journal, signer });
  const app = createApp({
    ...parts,
    metrics,
    readiness: new Readiness(registry, undefined),
    signer,
    idempotency: new Idempotency({ registry, documents, clock, log }),
    audit: new Audit({ journal, heads, signer, clock }),
    realtime: new Realtime({ ...parts, presence: new Presence({ bus: undefined, clock }) }),
    webhooks: await Webhooks.open({ ...parts, journal, version: '0.0.0' }),
    version: '0.0.0',
  });
  return app.router.stack.flatMap((layer) => {
    const { path, methods = {} } = layerSchema.parse(layer).route ?? {};
    const [method = ANY_METHOD] = Object.keys(methods);
    return method === ANY_METHOD ? [] : [`${method} ${path}`];
  });
}

/** A journal that is not read before the test says so. */
class HeldJournal extends MemoryJournal {
  release: () => void = () => {};
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  override async *replay(endedBeforeMs: number) {
    await this.#released;
    yield* super.replay(endedBeforeMs);
  }
}

interface Page {
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
  /** Where it was found in the end. */
  readonly url: string;
}

async function fetchText(url: string): Promise<Page> {
  const response = await fetch(url);
  return {
    status: response.status,
    type: response.headers.get('content-type')?.split(';')[0],
    text: await response.text(),
    url: response.url,
  };
}

/** Runs the page's own script as a browser would, and gives what it asks Swagger UI to show. */
async function swaggerOptions(url: string): Promise<unknown> {
  const script = await fetchText(new URL('swagger-ui-init.js', url).href);
  expect(script.text).not.toMatch(/https?:/);
  const SwaggerUIBundle = Object.assign(vi.fn(), { presets: {}, plugins: {} });
  const window: { location: unknown; onload?: unknown } = {
    location: { search: '', origin: 'https://timers.example' },
  };
  const browser = createContext({ window, SwaggerUIBundle, SwaggerUIStandalonePreset: {} });
  runInContext(script.text, browser);
  runInContext('window.onload()', browser);
  expect(SwaggerUIBundle).toHaveBeenCalledOnce();
  return SwaggerUIBundle.mock.calls[0]?.[0];
}

function askFrom(service: TestService, origin: string, path: string): Promise<Answer> {
  return exchange(`${service.service.url}${path}`, { headers: { Origin: origin } });
}

function allowedOrigin({ headers }: Answer): string | null {
  return headers.get('access-control-allow-origin');
}

async function preflight(service: TestService, origin: string, method: string) {
  const answer = await exchange(`${service.service.url}/timers`, {
    method: 'OPTIONS',
    headers: {
      Origin: origin,
      'Access-Control-Request-Method': method,
      'Access-Control-Request-Headers': 'content-type',
    },
  });
  return {
    status: answer.status,
    allowedOrigin: allowedOrigin(answer),
    allowedMethods: answer.headers.get('access-control-allow-methods'),
    allowedHeaders: answer.headers.get('access-control-allow-headers'),
  };
}

/** Connects a display from a page of an origin: nothing if it is let in, and else the refusal. */
async function connectFrom(origin: string | undefined, url: string): Promise<Answer | undefined> {
  const webSocket = new WebSocket(url, origin === undefined ? {} : { origin });
  const refused = new Promise<IncomingMessage>((resolve) => {
    webSocket.on('unexpected-response', (_, response) => resolve(response));
  });
  const opened = once(webSocket, 'open').then(() => undefined);
  const response = await Promise.race([refused, opened]);
  if (response === undefined) {
    webSocket.close();
    await once(webSocket, 'close');
    return undefined;
  }
  const headers = new Headers({ 'content-type': response.headers['content-type'] ?? '' });
  return { status: response.statusCode ?? 0, headers, body: JSON.parse(await text(response)) };
}
