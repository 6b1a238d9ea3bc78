/** The schemas of displays against those of the service: a display understands all it can be told. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseServerMessage } from '../../src/client/messages.js';
import { SERVER_MESSAGES, type ServerMessage } from '../../src/protocol/messages.js';

/** Compiles only while everything the service can say is something a display reads. */
type Understood = NonNullable<ReturnType<typeof parseServerMessage>>;
const understand = (message: ServerMessage): Understood['type'] => message.type;

/** Random values that a schema of the service takes, from the JSON Schema of it. */
const jsonSchema = z.looseObject({
  type: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  minimum: z.number().optional(),
  maxLength: z.number().optional(),
  get properties() {
    return z.record(z.string(), jsonSchema).optional();
  },
  get items() {
    return jsonSchema.optional();
  },
  get anyOf() {
    return z.array(jsonSchema).optional();
  },
});

function valuesOf(schema: z.output<typeof jsonSchema>): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valuesOf));
  switch (schema.type) {
    case 'object':
      return fc.record(
        Object.fromEntries(
          Object.entries(schema.properties ?? {}).map(([name, value]) => [name, valuesOf(value)]),
        ),
      );
    case 'array':
      return fc.array(schema.items === undefined ? fc.anything() : valuesOf(schema.items), {
        maxLength: 3,
      });
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0 });
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, noNaN: true, noDefaultInfinity: true });
    case 'string':
      return schema.format === 'date-time'
        ? fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
        : fc.string({ maxLength: schema.maxLength ?? 20 });
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue();
  }
}

describe('a display understands', () => {
  it.each(Object.entries(SERVER_MESSAGES))('%s, whatever is in it', (type, schema) => {
    const generated = z.toJSONSchema(schema, { unrepresentable: 'any', reused: 'inline' });
    const inlined = inline(jsonSchema.parse(JSON.parse(JSON.stringify(generated))), generated);
    fc.assert(
      fc.property(valuesOf(inlined), (value) => {
        const message = parseServerMessage(JSON.stringify(value));
        expect(message?.type).toBe(type);
      }),
      { numRuns: 50 },
    );
  });

  it('nothing that is not a message, without failing', () => {
    for (const text of ['', '[]', '{}', 'null', '{"type":"timer_tick"}', '{"type":"news"}']) {
      expect(parseServerMessage(text)).toBeUndefined();
    }
    expect(understand({ type: 'pong' })).toBe('pong');
  });
});

const referring = z.object({ $ref: z.string() });

/** Puts definitions in the place of references to them. */
function inline(
  schema: z.output<typeof jsonSchema>,
  root: { readonly $defs?: unknown },
): z.output<typeof jsonSchema> {
  const reference = referring.safeParse(schema);
  if (reference.success) {
    const name = reference.data.$ref.split('/').at(-1) ?? '';
    const definitions = z.record(z.string(), z.unknown()).parse(root.$defs);
    return inline(jsonSchema.parse(definitions[name]), root);
  }
  const { properties, items, anyOf } = schema;
  return {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, value]) => [name, inline(value, root)]),
      ),
    }),
    ...(items && { items: inline(items, root) }),
    ...(anyOf && { anyOf: anyOf.map((option) => inline(option, root)) }),
  };
}
