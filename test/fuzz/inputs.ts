/** Requests of every kind, made from what the service's OpenAPI document says it takes. */
import fc from 'fast-check';
import { z } from 'zod';
import { NOBODY } from '../support/samples.js';
import type { JsonSchema, OpenApi, Operation } from './open-api.js';
import { forgeries, guises, headerTexts, jsonValues, texts, textsWithin } from './texts.js';

export interface RequestInput {
  readonly operation: Operation;
  /** Which of those who may ask does so, counted round. */
  readonly asker: number;
  /** Address with its query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly encoding: (typeof ENCODINGS)[number];
}

/** How bodies become bytes; as Latin-1, what is no ASCII is no UTF-8. */
const ENCODINGS = ['utf8', 'latin1', 'utf16le'] as const;

const shape = z.object({
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.any()).optional(),
  oneOf: z.array(z.any()).optional(),
  type: z.string().optional(),
  minimum: z.number().default(-1000),
  maximum: z.number().default(1_000_000),
  pattern: z.string().optional(),
  format: z.string().optional(),
  maxLength: z.number().optional(),
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

/** Puts ids in the places that stand for them, and as much as is to be where much is to be. */
export function withIds<T extends string | undefined>(text: T, ids: Ids) {
  return text
    ?.replace(/(?:@|%40)(\w+)(?:@|%40)/g, (whole, name) => ids[name] ?? whole)
    .replace(NESTED, (_, depth) => '['.repeat(Number(depth)) + ']'.repeat(Number(depth)))
    .replace(LONG, (_, length) => 'x'.repeat(Number(length)));
}

/** Lists in lists, deeper than calls can be; written out they would be all that is to be seen of a failure. */
const NESTED = /@nested (\d+)@/;
const nested = fc.integer({ min: 1000, max: 40_000 }).map((depth) => `@nested ${depth}@`);

/** Around the bounds of whole bodies. */
const LONG = /@long (\d+)@/;
const long = fc
  .constantFrom(4060, 4094, 4095, 70_000, 524_286, 524_287, 600_000)
  .map((length) => `"@long ${length}@"`);

const inFields = fc
  .record({ field: fc.constantFrom('', 'reason', 'label', 'name'), value: fc.oneof(nested, long) })
  .map(({ field, value }) => (field === '' ? value : `{"${field}":${value}}`));

/** Bodies that are JSON, or nearly so, of a kind that no value is written as. */
const oddBodies = fc.constantFrom(
  ...[
    '',
    ' ',
    'null',
    '-',
    '[1,]',
    '"\\ud800"',
    '\0',
    '\ufeff{"duration_seconds":60}',
    '{}\0',
    '1e-999',
  ],
  ...['{"duration_seconds":1e999}', '{"duration_seconds":60,"duration_seconds":0}'],
  ...['{"__proto__":{"duration_seconds":60}}', '{"constructor":{"prototype":{"role":"admin"}}}'],
  ...['{"duration_seconds":60.0000000000000000001}', '{"role":"admin","__proto__":null}'],
);

/** Where nobody listens, or what is no address that a webhook may have. */
const addresses = fc.oneof(
  texts.map((text) => NOBODY + encoded(text)),
  fc.constantFrom(
    'http://',
    'file:///etc/passwd',
    'http://127.0.0.1:99999/',
    'http://a b/',
    'javascript:0',
  ),
  texts,
);

/** Values that a schema describes, more or less: other formats are left to chance. */
function described(api: OpenApi, reference: JsonSchema, depth = 0): fc.Arbitrary<unknown> {
  const schema = api.resolve(reference);
  if (typeof schema === 'boolean' || depth > 6) return jsonValues(1);
  const parsed = shape.parse(schema);
  const inner = (part: JsonSchema) => described(api, part, depth + 1);
  const alternatives = parsed.anyOf ?? parsed.oneOf;
  if (Object.hasOwn(schema, 'const')) return fc.constant(parsed.const);
  if (parsed.enum !== undefined) return fc.constantFrom(...parsed.enum);
  if (alternatives !== undefined) return fc.oneof(...alternatives.map(inner));
  switch (parsed.type) {
    case 'string': {
      const { format, maxLength, pattern } = parsed;
      if (format === 'uri') return addresses;
      if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
      return fc.oneof(textsWithin(maxLength), fc.constantFrom(...STANDS));
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
      return jsonValues(2);
  }
}

/** Mostly what is described, now and then with one field spoilt, now and then anything. */
function wild(api: OpenApi, schema: JsonSchema): fc.Arbitrary<unknown> {
  const good = described(api, schema);
  const spoilt = fc
    .tuple(good, texts, jsonValues(2), fc.nat())
    .map(([value, name, other, pick]) => spoil(value, name, other, pick));
  return fc.oneof(
    { weight: 16, arbitrary: good },
    { weight: 3, arbitrary: spoilt },
    { weight: 1, arbitrary: jsonValues(4) },
  );
}

function spoil(value: unknown, name: string, other: unknown, pick: number): unknown {
  if (Array.isArray(value)) return [...value, other];
  if (typeof value !== 'object' || value === null) return other;
  const names = [...Object.keys(value), name];
  return { ...value, [names[pick % names.length] ?? name]: other };
}

const keys = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 6, arbitrary: fc.nat().map(String) },
  { weight: 1, arbitrary: fc.constantFrom('x'.repeat(255), 'x'.repeat(256), '', '"a"') },
  { weight: 1, arbitrary: headerTexts },
);
const revisions = fc.oneof(
  fc.nat(9).map((revision) => `"${revision}"`),
  fc.constant('*'),
);
const conditions = fc.oneof(
  { weight: 4, arbitrary: revisions },
  { weight: 1, arbitrary: fc.array(revisions, { maxLength: 4 }).map((all) => all.join(', ')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'W/"1"',
      '"',
      '""',
      '"1',
      '1',
      ',',
      '"1" "2"',
      `"${'9'.repeat(40)}"`,
    ),
  },
  { weight: 1, arbitrary: headerTexts },
);
const authorizations = fc.oneof(
  forgeries.map((token) => `Bearer ${token}`),
  fc
    .tuple(fc.constantFrom('bearer', 'Basic', 'Bearer\t', ''), forgeries)
    .map((two) => two.join(' ')),
  headerTexts,
);
const named = (name: string, values: fc.Arbitrary<string>): fc.Arbitrary<Ids> =>
  values.map((value) => ({ [name]: value }));

/** Headers that mean something to the service, right or wrong. */
const anyHeader: fc.Arbitrary<Ids> = fc.oneof(
  { weight: 6, arbitrary: named('Idempotency-Key', keys) },
  { weight: 4, arbitrary: named('If-Match', conditions) },
  { weight: 2, arbitrary: guises },
  {
    weight: 2,
    arbitrary: named('Last-Event-ID', fc.oneof(fc.nat(9).map(String), headerTexts)),
  },
  { weight: 1, arbitrary: named('Authorization', authorizations) },
  {
    weight: 1,
    arbitrary: named(
      'Content-Encoding',
      fc.constantFrom('gzip', 'deflate', 'br', 'zstd', 'identity', 'x', ''),
    ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('Accept', 'Accept-Encoding', 'If-None-Match', 'Range'), headerTexts)
      .map(([name, value]) => ({ [name]: value })),
  },
);
const manyHeaders = fc
  .array(anyHeader, { maxLength: 3 })
  .map((all): Ids => Object.assign({}, ...all));

const mediaTypes = fc.oneof(
  { weight: 20, arbitrary: fc.constant('application/json') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'text/plain',
        'application/json; charset=latin1',
        'application/json; charset=utf-16le',
        '',
      ],
      ...['application/json;charset="utf-8', 'application/x+json', 'multipart/form-data', '/'],
    ),
  },
);
const encodings = fc.oneof(
  { weight: 20, arbitrary: fc.constant(ENCODINGS[0]) },
  { weight: 1, arbitrary: fc.constantFrom(...ENCODINGS) },
);

/** What is put behind an address: nothing for the most part. */
const tails = fc.oneof(
  { weight: 12, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'limit=1&limit=2',
        '__proto__=1',
        'limit[]=1',
        'constructor[prototype]=1',
        '%',
        '%ff=%fe',
      ],
      ...['&&=', 'ticks=false&ticks=true', `x=${'x'.repeat(8000)}`, 'access_token=', 'label=%00'],
    ),
  },
  {
    weight: 1,
    arbitrary: forgeries.map((token) => `access_token=${encodeURIComponent(token)}`),
  },
);

/** Requests for one operation. */
export function requestsFor(api: OpenApi, operation: Operation): fc.Arbitrary<RequestInput> {
  const { parameters, requestBody, path } = operation;
  const place = (name: string) =>
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom(...(name === 'timer_id' ? STANDS : [stand(name)]), 'unknown'),
      },
      { weight: 1, arbitrary: texts },
    );
  const pathNames = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  const query = Object.fromEntries(
    parameters
      .filter((one) => one.in === 'query')
      .map(({ name, schema }) => [name, wild(api, schema)]),
  );
  const schema = requestBody?.content['application/json']?.schema;
  const body =
    schema === undefined
      ? fc.constant(undefined)
      : fc.oneof(
          { weight: 60, arbitrary: wild(api, schema).map((value) => JSON.stringify(value)) },
          { weight: 5, arbitrary: texts },
          { weight: 2, arbitrary: oddBodies },
          { weight: 5, arbitrary: fc.constant(undefined) },
          { weight: 1, arbitrary: inFields },
        );
  return fc
    .record({
      asker: fc.nat(99),
      places: fc.tuple(...pathNames.map(place)),
      query: fc.record(query, { requiredKeys: [] }),
      tail: tails,
      headers: manyHeaders,
      mediaType: mediaTypes,
      body,
      encoding: encodings,
    })
    .map(({ asker, places, query, tail, headers, mediaType, body, encoding }) => ({
      operation,
      asker,
      target: targetOf(path, pathNames, places, query, tail),
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': mediaType }) },
      body,
      encoding,
    }));
}

function targetOf(
  path: string,
  names: readonly string[],
  places: readonly string[],
  query: Readonly<Record<string, unknown>>,
  tail: string,
): string {
  const filled = names.reduce(
    (text, name, index) => text.replace(`{${name}}`, () => encoded(places[index] ?? '')),
    path,
  );
  const fields = Object.entries(query).map(([name, value]) => `${name}=${encoded(textOf(value))}`);
  if (tail !== '') fields.push(tail);
  return fields.length === 0 ? filled : `${filled}?${fields.join('&')}`;
}

/** An empty part of an address would be another address. Halves of characters are put as the bytes they would be. */
function encoded(text: string): string {
  if (text === '' || /^\.+$/.test(text)) return '%00';
  return text
    .split(/\p{Surrogate}/u)
    .map(encodeURIComponent)
    .join('%ED%A0%80');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
