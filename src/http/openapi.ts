/** The OpenAPI 3.1 document, generated from the table of operations and the zod schemas. */
import { z } from 'zod';
import { QUERY_PARAMETER } from '../access/credential.js';
import { EVENT_STREAM_TYPE } from '../protocol/events.js';
import {
  type HttpProblemCode,
  PROBLEM_TYPE,
  PROBLEMS,
  Problem,
  problemSchema,
} from '../protocol/problems.js';
import { referencedSchemas } from '../protocol/schemas.js';
import {
  WEBHOOK_EVENTS,
  webhookHeadersSchema,
  webhookMessageSchema,
} from '../protocol/webhooks.js';
import { type Operation, type Operations, pathSchemas } from './operations.js';

type Json = Record<string, unknown>;

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A key, or a token.' },
  link: {
    type: 'apiKey',
    in: 'query',
    name: QUERY_PARAMETER,
    description: 'The same, where a link must be enough; proxies may write it down.',
  },
};

const PROBLEM_HEADERS = {
  'Retry-After': 'The seconds after which the same may succeed.',
  'WWW-Authenticate': 'What is to be shown: `Bearer`.',
};

export function openApiDocument(operations: Operations, version: string): Json {
  const { reference, definitions } = referencedSchemas('#/components/schemas/');
  const paths: Record<string, Json> = {};
  for (const operation of Object.values<Operation>(operations)) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: describe(operation, reference),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Synchronized Timer Service',
      version,
      description:
        'The server owns the time: timers are created and controlled here, and displays follow them ' +
        'over WebSocket at /ws/{timer_id} (see /asyncapi.json) or over server-sent events.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'timers', description: 'One timer at a time.' },
      { name: 'bulk', description: 'Many timers at one instant.' },
      { name: 'displays', description: 'Those who follow timers, and those who look after them.' },
      { name: 'record', description: 'What happened, and the proofs of it.' },
      { name: 'access', description: 'Who may what.' },
      { name: 'webhooks', description: 'Receivers that are told what happens to timers.' },
      { name: 'service', description: 'The service itself.' },
    ],
    paths,
    webhooks: describeWebhooks(reference),
    components: { schemas: definitions(), securitySchemes: SECURITY_SCHEMES },
  };
}

/** What receivers are sent, which is the other way round: the service asks, and they answer. */
function describeWebhooks(reference: (schema: z.ZodType) => unknown): Json {
  const parameters = parametersOf(webhookHeadersSchema.shape, 'header', reference);
  return Object.fromEntries(
    WEBHOOK_EVENTS.map((event) => {
      const content = jsonContent(reference(webhookMessageSchema(event)));
      const post = {
        operationId: event,
        tags: ['webhooks'],
        summary: 'Told to receivers that want it, until they answer 2xx',
        parameters: parameters.map((parameter) => ({ ...parameter, required: true })),
        requestBody: { required: true, content },
        responses: {
          '2XX': { description: 'It was received.' },
          410: { description: 'The receiver wants nothing any more.' },
        },
      };
      return [event, { post }];
    }),
  );
}

function describe(operation: Operation, reference: (schema: z.ZodType) => unknown): Json {
  const { id, tag, summary, query, headers, body, success, problems, path } = operation;
  const parameters = [
    ...parametersOf(pathFields(path), 'path', reference),
    ...parametersOf(query?.shape ?? {}, 'query', reference),
    ...parametersOf(headers?.shape ?? {}, 'header', reference),
  ];
  return {
    operationId: id,
    tags: [tag],
    summary,
    security: securityOf(operation),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: jsonContent(reference(body)) } }),
    responses: {
      [success.status]: {
        description: success.description,
        ...headersOf(success.headers, success.optionalHeaders),
        ...(success.body === undefined
          ? {}
          : { content: { [mediaTypeOf(success)]: { schema: reference(success.body) } } }),
      },
      ...problemResponses(problems, reference(problemSchema)),
    },
  };
}

/** Whichever of these is shown will do; a service without credentials asks for none. */
function securityOf({ right, success }: Operation): Json[] {
  if (right === 'public') return [];
  return [{ bearer: [] }, ...(success.isStream === true ? [{ link: [] }] : [])];
}

/** What stands in braces in an address. */
function pathFields(path: string): Record<string, unknown> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  return Object.fromEntries(names.map((name) => [name, pathSchemas[name]]));
}

function parametersOf(
  fields: Readonly<Record<string, unknown>>,
  place: 'path' | 'query' | 'header',
  reference: (schema: z.ZodType) => unknown,
): Json[] {
  return Object.entries(fields).map(([name, field]) => {
    const type = z.instanceof(z.ZodType).parse(field);
    return {
      name,
      in: place,
      required: place === 'path',
      description: type.meta()?.description ?? '',
      schema: reference(type),
    };
  });
}

type Descriptions = Readonly<Record<string, string>>;

/** The headers of an answer, if it has any with a meaning of their own. */
function headersOf(always: Descriptions = {}, sometimes: Descriptions = {}): Json {
  const described = (headers: Descriptions, required: boolean) =>
    Object.entries(headers).map(([name, description]) => {
      return [name, { description, required, schema: { type: 'string' } }];
    });
  const all = [...described(always, true), ...described(sometimes, false)];
  return all.length === 0 ? {} : { headers: Object.fromEntries(all) };
}

function jsonContent(schema: unknown): Json {
  return { 'application/json': { schema } };
}

/** The schema of a stream is that of the data of each of its events. */
function mediaTypeOf({ isStream = false, mediaType = 'application/json' }: Operation['success']) {
  return isStream ? EVENT_STREAM_TYPE : mediaType;
}

/** Problems of the same status share one response. */
function problemResponses(codes: readonly HttpProblemCode[], schema: unknown): Json {
  const byStatus = new Map<number, HttpProblemCode[]>();
  for (const code of new Set(codes)) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, sharing]) => {
      const description = sharing.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' ');
      const headers = headersOf(problemHeaders(sharing));
      return [status, { description, ...headers, content: { [PROBLEM_TYPE]: { schema } } }];
    }),
  );
}

/** The headers that every one of these problems is answered with. */
function problemHeaders(codes: readonly HttpProblemCode[]): Descriptions {
  const told = codes.map((code) => new Problem(code, '').headers);
  return Object.fromEntries(
    Object.entries(PROBLEM_HEADERS).filter(([name]) => told.every((headers) => name in headers)),
  );
}
