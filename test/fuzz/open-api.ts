/** The service's own OpenAPI document, read as far as is needed to ask by it and to check answers by it. */
import type { IncomingHttpHeaders } from 'node:http';
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
  responses: z.record(
    z.string(),
    z.object({
      headers: z.record(z.string(), z.object({ required: z.boolean() })).default({}),
      content: contentSchema.default({}),
    }),
  ),
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

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a stream that does not end by itself, its first events. */
  readonly body: string;
}

/** A line of what Prometheus reads: a comment, or a sample with its value. */
const METRIC =
  /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^{}]*\})? (-?[\d.]+(e[+-]?\d+)?|[+-]Inf|Na[Nn]))$/;
const LINES = 'application/x-ndjson';
const DOCUMENT = 'document';
const REFERENCE = /^#\/components\/schemas\/(.+)$/;

export class OpenApi {
  readonly operations: readonly Operation[];
  readonly #schemas: Readonly<Record<string, JsonSchema>>;
  readonly #ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });
  readonly #validators = new Map<string, ValidateFunction>();
  /** The record is asked for again and again, each time with all that was in it before. */
  readonly #knownLines = new Set<string>();

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
  complaint(operation: Operation, { status, headers, body }: Reply): string {
    const response = operation.responses[status];
    if (response === undefined) return `status ${status} is not documented`;
    for (const [name, { required }] of Object.entries(response.headers)) {
      if (required && headers[name.toLowerCase()] === undefined) return `${name} is missing`;
    }
    const documented = Object.keys(response.content);
    if (documented.length === 0) return body === '' ? '' : 'a body where none is documented';
    const mediaType = headers['content-type']?.split(';')[0] ?? '';
    const content = response.content[mediaType];
    if (content === undefined) return `${mediaType} instead of ${documented.join(' or ')}`;
    const validate = this.#validatorOf(content.schema);
    for (const json of jsonIn(mediaType, body)) {
      if (this.#knownLines.has(json)) continue;
      if (!validate(JSON.parse(json))) return this.#ajv.errorsText(validate.errors);
      if (mediaType === LINES) this.#knownLines.add(json);
    }
    return '';
  }

  /** One for all answers of the same schema; to make one takes long. */
  #validatorOf(schema: JsonSchema): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/', `"${DOCUMENT}#/`);
    const known = this.#validators.get(text);
    if (known !== undefined) return known;
    const validate = this.#ajv.compile(schemaSchema.parse(JSON.parse(text)));
    this.#validators.set(text, validate);
    return validate;
  }
}

/**
 * What the schema of a media type is of, as JSON: the whole body, or each line or event of it.
 * @throws {Error} if the body is not of its type.
 */
function jsonIn(mediaType: string, body: string): string[] {
  switch (mediaType) {
    case LINES:
      return partsOf(body, '\n');
    case 'text/event-stream':
      return partsOf(body, '\n\n').flatMap(dataIn);
    case 'text/plain':
      for (const line of partsOf(body, '\n')) {
        if (line !== '' && !METRIC.test(line)) throw new Error(`no figure: ${line}`);
      }
      return [JSON.stringify(body)];
    default:
      return [body];
  }
}

/** The parts of a body, each of which has the same end. */
function partsOf(body: string, end: string): string[] {
  const parts = body.split(end);
  if (parts.pop() !== '') throw new Error('the last part is not whole');
  return parts;
}

/** The data of an event, of which the last one of a stream is not one that the schema speaks of. */
function dataIn(event: string): string[] {
  const [, name, data] = /^(?:(event: ended|id: \d+)\n)?data: (.+)$/.exec(event) ?? [];
  if (data === undefined) throw new Error(`no event: ${event}`);
  return name === 'event: ended' ? [] : [data];
}
