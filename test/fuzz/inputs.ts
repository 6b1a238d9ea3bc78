/** Requests of every kind, made from what the service's OpenAPI document says it takes. */
import fc from 'fast-check';
import { z } from 'zod';
import type { JsonSchema, OpenApi, Operation } from './open-api.js';

export interface RequestInput {
  readonly operation: Operation;
  /** Which of the callers asks. */
  readonly asker: string;
  /** Address with its query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const shape = z.object({
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.any()).optional(),
  oneOf: z.array(z.any()).optional(),
  type: z.string().optional(),
  minimum: z.number().default(-1000),
  maximum: z.number().default(1_000_000),
  pattern: z.string().optional(),
  minLength: z.number().default(0),
  maxLength: z.number().default(40),
  items: z.any().optional(),
  maxItems: z.number().default(5),
  properties: z.record(z.string(), z.any()).default({}),
  required: z.array(z.string()).default([]),
});

/** Stands for the id of something that is there when the request is sent; what is gone is replaced by another. */
const stand = (name: string): string => `@${name}@`;
/** What stands for timers. */
export const TIMERS = Array.from({ length: 8 }, (_, index) => `timer${index}`);
const STANDS = TIMERS.map(stand);

/** Ids by what stands for them: timers, and the other parts of addresses by their names. */
export type Ids = Readonly<Record<string, string>>;

/** Puts ids in the places that stand for them, and lists in lists where so many are to be. */
export function withIds<T extends string | undefined>(text: T, ids: Ids) {
  return text
    ?.replace(/(?:@|%40)(\w+)(?:@|%40)/g, (whole, name) => ids[name] ?? whole)
    .replace(NESTED, (_, depth) => '['.repeat(Number(depth)) + ']'.repeat(Number(depth)));
}

/** Lists in lists, deeper than calls can be; written out they would be all that is to be seen of a failure. */
const NESTED = /@nested (\d+)@/;
const nested = fc
  .record({ depth: fc.integer({ min: 1000, max: 40_000 }), field: fc.constantFrom('', 'reason') })
  .map(({ depth, field }) => {
    const lists = `@nested ${depth}@`;
    return field === '' ? lists : `{"${field}":${lists}}`;
  });

/** Values that a schema describes, more or less: formats are left to chance. */
function described(api: OpenApi, reference: JsonSchema, depth = 0): fc.Arbitrary<unknown> {
  const schema = api.resolve(reference);
  if (typeof schema === 'boolean' || depth > 6) return fc.jsonValue({ maxDepth: 1 });
  const parsed = shape.parse(schema);
  const inner = (part: JsonSchema) => described(api, part, depth + 1);
  const alternatives = parsed.anyOf ?? parsed.oneOf;
  if (Object.hasOwn(schema, 'const')) return fc.constant(parsed.const);
  if (parsed.enum !== undefined) return fc.constantFrom(...parsed.enum);
  if (alternatives !== undefined) return fc.oneof(...alternatives.map(inner));
  switch (parsed.type) {
    case 'string': {
      const { minLength, maxLength, pattern } = parsed;
      if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
      const texts = fc.string({
        minLength,
        maxLength: Math.max(minLength, Math.min(maxLength, 600)),
      });
      return fc.oneof(texts, fc.constantFrom(...STANDS));
    }
    case 'integer':
    case 'number': {
      const { minimum, maximum } = parsed;
      const whole = fc.integer({ min: minimum, max: Math.min(maximum, 2 ** 31 - 1) });
      return fc.oneof({ weight: 15, arbitrary: whole }, { weight: 1, arbitrary: fc.double() });
    }
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(inner(parsed.items ?? true), { maxLength: Math.min(parsed.maxItems, 5) });
    case 'object': {
      const fields: Record<string, fc.Arbitrary<unknown>> = {};
      for (const [name, part] of Object.entries(parsed.properties)) fields[name] = inner(part);
      return fc.record(fields, { requiredKeys: parsed.required });
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** Mostly what is described, now and then with one field spoilt, now and then anything. */
function wild(api: OpenApi, schema: JsonSchema): fc.Arbitrary<unknown> {
  const good = described(api, schema);
  const spoilt = fc
    .tuple(good, fc.string(), fc.jsonValue({ maxDepth: 2 }), fc.nat())
    .map(([value, name, other, pick]) => spoil(value, name, other, pick));
  return fc.oneof(
    { weight: 16, arbitrary: good },
    { weight: 3, arbitrary: spoilt },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  );
}

function spoil(value: unknown, name: string, other: unknown, pick: number): unknown {
  if (Array.isArray(value)) return [...value, other];
  if (typeof value !== 'object' || value === null) return other;
  const names = [...Object.keys(value), name];
  return { ...value, [names[pick % names.length] ?? name]: other };
}

export const visible = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
});
const keys = fc.oneof(fc.constantFrom('a', 'b', 'c'), visible);
const conditions = fc.oneof(
  fc.nat(9).map((revision) => `"${revision}"`),
  fc.constant('*'),
  visible,
);
const anyHeader: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'Idempotency-Key': keys,
  'If-Match': conditions,
  Origin: fc.constantFrom('https://foreign.example', 'null', 'http://localhost:1'),
  'Last-Event-ID': fc.oneof(fc.nat().map(String), visible),
  Accept: visible,
};
const mediaTypes = fc.oneof(
  { weight: 20, arbitrary: fc.constant('application/json') },
  { weight: 1, arbitrary: fc.constantFrom('text/plain', 'application/json; charset=latin1', '') },
);

/** Requests for one operation; `askers` are the names of those who ask. */
export function requestsFor(
  api: OpenApi,
  operation: Operation,
  askers: readonly string[],
): fc.Arbitrary<RequestInput> {
  const { parameters, requestBody, path } = operation;
  const place = (name: string) =>
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom(...(name === 'timer_id' ? STANDS : [stand(name)]), 'unknown'),
      },
      { weight: 1, arbitrary: fc.string() },
    );
  const pathNames = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  const query = Object.fromEntries(
    parameters
      .filter((one) => one.in === 'query')
      .map(({ name, schema }) => [name, wild(api, schema)]),
  );
  const headers = Object.fromEntries(
    Object.entries(anyHeader).map(([name, arbitrary]) => [
      name,
      fc.option(arbitrary, { nil: undefined, freq: 3 }),
    ]),
  );
  const schema = requestBody?.content['application/json']?.schema;
  const body =
    schema === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          { weight: 60, arbitrary: wild(api, schema).map((value) => JSON.stringify(value)) },
          { weight: 5, arbitrary: fc.string() },
          { weight: 5, arbitrary: fc.constant(undefined) },
          { weight: 1, arbitrary: nested },
        );
  return fc
    .record({
      asker: fc.constantFrom(...askers),
      places: fc.tuple(...pathNames.map(place)),
      query: fc.record(query, { requiredKeys: [] }),
      headers: fc.record(headers),
      mediaType: mediaTypes,
      body,
    })
    .map(({ asker, places, query, headers, mediaType, body }) => ({
      operation,
      asker,
      target: targetOf(path, pathNames, places, query),
      headers: headersOf(headers, body === undefined ? undefined : mediaType),
      body,
    }));
}

function targetOf(
  path: string,
  names: readonly string[],
  places: readonly string[],
  query: Readonly<Record<string, unknown>>,
): string {
  const filled = names.reduce(
    (text, name, index) => text.replace(`{${name}}`, () => encoded(places[index] ?? '')),
    path,
  );
  const fields = Object.entries(query).map(([name, value]) => `${name}=${encoded(textOf(value))}`);
  return fields.length === 0 ? filled : `${filled}?${fields.join('&')}`;
}

/** An empty part of an address would be another address. */
function encoded(text: string): string {
  return !/\p{Surrogate}/u.test(text) && text !== '' && !/^\.+$/.test(text)
    ? encodeURIComponent(text)
    : '%00';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function headersOf(
  headers: Readonly<Record<string, unknown>>,
  mediaType: string | undefined,
): Record<string, string> {
  const given = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value]] : [],
  );
  return {
    ...Object.fromEntries(given),
    ...(mediaType === undefined ? {} : { 'Content-Type': mediaType }),
  };
}

/** What a display may send: messages that are nearly right, texts, and frames of every kind. */
export type FrameInput =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'frame';
      readonly opcode: number;
      readonly isFinal: boolean;
      readonly isMasked: boolean;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

const messageTypes = [
  'ping',
  'sync',
  'acknowledge',
  'pause',
  'start',
  'stop',
  'extend',
  'delete',
  'expired',
];
const clientMessages = fc.record(
  {
    type: fc.oneof(fc.constantFrom(...messageTypes), fc.string()),
    client_time: fc.jsonValue(),
    revision: fc.oneof(fc.nat(5), fc.jsonValue()),
    error_bound_ms: fc.oneof(fc.double(), fc.constant(null)),
    label: fc.oneof(fc.string(), fc.jsonValue()),
    timer_id: fc.string(),
    action: fc.constantFrom(...messageTypes),
  },
  { requiredKeys: [] },
);

export const frames: fc.Arbitrary<FrameInput> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc
      .oneof(
        clientMessages.map((value) => JSON.stringify(value)),
        fc.json(),
        fc.string(),
      )
      .map((text) => ({
        kind: 'text' as const,
        text,
      })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      opcode: fc.nat(15),
      isFinal: fc.boolean(),
      isMasked: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 200 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('bytes' as const),
      bytes: fc.uint8Array({ maxLength: 100 }),
    }),
  },
);
