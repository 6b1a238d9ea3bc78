/** The service's own OpenAPI document, read as far as is needed to ask by it and to check answers by it. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';

const schemaSchema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
const contentSchema = z.record(z.string(), z.object({ schema: schemaSchema }));
const operationSchema = z.object({
  operationId: z.string(),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        required: z.boolean(),
        schema: schemaSchema,
      }),
    )
    .default([]),
  requestBody: z.object({ content: contentSchema }).optional(),
  responses: z.record(z.string(), z.object({ content: contentSchema.default({}) })),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), schemaSchema) }),
});

export type JsonSchema = z.output<typeof schemaSchema>;
export type Operation = z.output<typeof operationSchema> & {
  readonly method: string;
  readonly path: string;
};

const DOCUMENT = 'document';
const REFERENCE = /^#\/components\/schemas\/(.+)$/;

export class OpenApi {
  readonly operations: readonly Operation[];
  readonly #schemas: Readonly<Record<string, JsonSchema>>;
  readonly #ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(json: unknown) {
    const { paths, components } = documentSchema.parse(json);
    this.#schemas = components.schemas;
    this.#ajv.addSchema({ components }, DOCUMENT);
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        ...operation,
        path,
        method: method.toUpperCase(),
      })),
    );
  }

  /** A schema itself, where it is only referred to. */
  resolve(schema: JsonSchema): JsonSchema {
    const reference = typeof schema === 'object' ? schema.$ref : undefined;
    if (typeof reference !== 'string') return schema;
    const found = this.#schemas[REFERENCE.exec(reference)?.[1] ?? ''];
    if (found === undefined) throw new Error(`${reference} leads nowhere`);
    return this.resolve(found);
  }

  /** What is wrong with an answer by the document; nothing if it is as documented. */
  complaint(operation: Operation, status: number, mediaType: string, text: string): string {
    const response = operation.responses[status];
    if (response === undefined) return `status ${status} is not documented`;
    const documented = Object.keys(response.content);
    if (documented.length === 0) return text === '' ? '' : 'a body where none is documented';
    const content = response.content[mediaType];
    if (content === undefined) return `${mediaType} instead of ${documented.join(' or ')}`;
    if (!/[/+]json$/.test(mediaType)) return '';
    const key = `${operation.operationId} ${status} ${mediaType}`;
    const validate = this.#validators.get(key) ?? this.#compile(key, content.schema);
    return validate(JSON.parse(text)) ? '' : this.#ajv.errorsText(validate.errors);
  }

  #compile(key: string, schema: JsonSchema): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/', `"${DOCUMENT}#/`);
    const validate = this.#ajv.compile(schemaSchema.parse(JSON.parse(text)));
    this.#validators.set(key, validate);
    return validate;
  }
}
