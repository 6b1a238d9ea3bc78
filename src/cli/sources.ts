/** What commands read that is in a file or at an address: records, heads and keys. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { text as textFrom } from 'node:stream/consumers';
import { z } from 'zod';
import type { Verify } from '../signing.js';
import type { Api } from './api.js';
import type { InputStream } from './context.js';
import { UnreadableError } from './errors.js';

/** A line of an entry has about 1 KB; one that is longer than this is none. */
const LONGEST_LINE_BYTES = 1_000_000;
const LONGEST_ANSWER_MS = 30_000;
const NEWLINE = 0x0a;

const keysSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

export function isUrl(source: string): boolean {
  return /^https?:\/\//.test(source);
}

/** The bytes of a file, or of standard input for `-`. */
export async function* bytesOf(path: string, stdin: InputStream): AsyncGenerator<Uint8Array> {
  try {
    yield* path === '-' ? stdin : createReadStream(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Lines as they are, without what ends them; memory holds one at a time. */
export async function* linesIn(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of pieces) {
    let bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE)) {
      yield bytes.subarray(0, end);
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > LONGEST_LINE_BYTES) {
      yield bytes;
      bytes = new Uint8Array();
    }
    rest = bytes;
  }
  if (rest.length > 0) yield rest;
}

/** What a file or an address has, as JSON of a kind. */
export async function readJson<T>(source: string, what: string, schema: z.ZodType<T>): Promise<T> {
  const result = schema.safeParse(parseJson(await textOf(source)));
  if (result.success) return result.data;
  throw new UnreadableError(`${source} is no ${what}.`);
}

const receiptJson = z.union([
  z.string(),
  z.object({ receipt: z.string() }).transform(({ receipt }) => receipt),
]);
const receiptsJson = z.union([receiptJson.transform((one) => [one]), z.array(receiptJson)]);

/** Receipts as people keep them: one a line, or as they were answered, in JSON. */
export async function readReceipts(source: string, stdin: InputStream): Promise<string[]> {
  const text = source === '-' ? await textFrom(stdin) : await textOf(source);
  const whole = receiptsJson.safeParse(parseJson(text));
  const receipts = whole.success ? whole.data : linesOf(text).map(receiptIn);
  if (receipts.length > 0) return receipts;
  throw new UnreadableError(`${source} has no receipts.`);
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '');
}

function receiptIn(line: string): string {
  const result = receiptJson.safeParse(parseJson(line));
  return result.success ? result.data : line;
}

/** What checks signatures with the keys of a file or an address, or of the service where none is named. */
export async function verifierFrom(source: string | undefined, api: Api): Promise<Verify> {
  const keys =
    source === undefined
      ? await api.publicKeys()
      : await readJson(source, 'JSON Web Key Set', keysSchema);
  // The other commands check no signatures, and start faster without what does.
  const { verifierOf } = await import('../signing.js');
  return verifierOf(keys);
}

async function textOf(source: string): Promise<string> {
  try {
    if (!isUrl(source)) return await readFile(source, 'utf8');
    const response = await fetch(source, { signal: AbortSignal.timeout(LONGEST_ANSWER_MS) });
    if (response.ok) return await response.text();
    throw new Error(`it is answered with ${response.status}`);
  } catch (error) {
    throw unreadable(source, error);
  }
}

function unreadable(source: string, error: unknown): UnreadableError {
  const why = error instanceof Error ? error.message : String(error);
  return new UnreadableError(`Cannot read ${source}: ${why}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
