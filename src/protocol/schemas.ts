/** JSON Schemas of the zod schemas, for the API documents: those that have an id become references. */
import { z } from 'zod';

export interface ReferencedSchemas {
  /** The JSON Schema to put in place of a zod schema. */
  reference(schema: z.ZodType): unknown;
  /** Every schema that was referenced so far, by id. */
  definitions(): Record<string, unknown>;
}

const withDefinitions = z.looseObject({
  $schema: z.string().optional(),
  $defs: z.record(z.string(), z.unknown()).default({}),
});

/** `prefix` is where the document keeps its schemas, such as `#/components/schemas/`. */
export function referencedSchemas(prefix: string): ReferencedSchemas {
  const found = new Map<string, unknown>();
  // Every operation has the same problems, and most have the same timer.
  const references = new Map<z.ZodType, unknown>();
  return {
    reference(schema) {
      const known = references.get(schema);
      if (known !== undefined) return known;
      // What is accepted is described: a field with a default need not be sent.
      const generated = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
      const text = JSON.stringify(generated).replaceAll('"#/$defs/', `"${prefix}`);
      const { $schema: _, $defs, ...reference } = withDefinitions.parse(JSON.parse(text));
      for (const [id, definition] of Object.entries($defs)) found.set(id, definition);
      references.set(schema, reference);
      return reference;
    },
    definitions: () => Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
