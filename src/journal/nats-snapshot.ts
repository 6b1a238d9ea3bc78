/**
 * A snapshot as it is written: what an index knows at one place, as lines of JSON. It is written and read in
 * pieces, so that nothing else waits for long. Pure.
 */
import { z } from 'zod';
import { type Milestone, NO_HASH } from './chain.js';
import { JournalError, recordSchema } from './journal.js';
import type { Head, IndexState, RequestTrace } from './nats-index.js';

/** Another release may write something else; what one does not know it does not read. */
const FORMAT = 1;
/** So many heads, milestones or requests of one line take a few milliseconds. */
const ITEMS_OF_A_LINE = 500;

const HASH_DIGITS = NO_HASH.length;

/** A place, or the sequence of a message. */
const position = z.number().int().min(0);
const instant = z.number().int().min(0);

type Line =
  | { readonly format: typeof FORMAT; readonly sequence: number }
  | { readonly heads: readonly Head[] }
  | { readonly requests: readonly RequestTrace[] }
  | { readonly milestones: readonly Milestone[] }
  | { readonly voids: readonly number[] }
  | { readonly isWhole: true };

export const headSchema = z.object({
  timerId: z.string(),
  revision: z.number().int().min(1),
  firstPosition: position,
  position,
  sequence: position,
  endedAtMs: instant.nullable(),
  record: recordSchema.nullable(),
}) satisfies z.ZodType<Head>;

const lineSchema = z.union([
  z.object({ heads: z.array(headSchema) }),
  z.object({
    requests: z.array(
      z.object({ prefix: z.string(), positions: z.array(position), lastRecordedAtMs: instant }),
    ),
  }),
  z.object({ milestones: z.array(z.object({ position, hash: z.string().length(HASH_DIGITS) })) }),
  z.object({ voids: z.array(position) }),
  z.object({ format: z.literal(FORMAT), sequence: position }),
  z.object({ isWhole: z.literal(true) }),
]) satisfies z.ZodType<Line>;

export function* linesOfSnapshot(state: IndexState): Generator<string> {
  const { sequence, heads, requests, milestones, voids } = state;
  yield lineOf({ format: FORMAT, sequence });
  for (const some of parts(heads)) yield lineOf({ heads: some });
  for (const some of parts(requests)) yield lineOf({ requests: some });
  for (const some of parts(milestones)) yield lineOf({ milestones: some });
  for (const some of parts(voids)) yield lineOf({ voids: some });
  yield lineOf({ isWhole: true });
}

/** @throws {JournalError} if it is no snapshot that this release knows, or not a whole one. */
export async function readSnapshot(texts: AsyncIterable<string>): Promise<IndexState> {
  const heads: Head[] = [];
  const requests: RequestTrace[] = [];
  const milestones: Milestone[] = [];
  const voids: number[] = [];
  let sequence = 0;
  let isWhole = false;
  for await (const text of linesIn(texts)) {
    const result = lineSchema.safeParse(parseJson(text));
    if (!result.success) throw new JournalError('it is not written as this release writes it');
    const line = result.data;
    if ('heads' in line) heads.push(...line.heads);
    if ('requests' in line) requests.push(...line.requests);
    if ('milestones' in line) milestones.push(...line.milestones);
    if ('voids' in line) voids.push(...line.voids);
    if ('sequence' in line) sequence = line.sequence;
    if ('isWhole' in line) isWhole = true;
  }
  if (!isWhole || milestones.length === 0) throw new JournalError('it has no end');
  return { sequence, heads, requests, milestones, voids };
}

function lineOf(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

function* parts<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += ITEMS_OF_A_LINE) {
    yield items.slice(from, from + ITEMS_OF_A_LINE);
  }
}

async function* linesIn(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const text of texts) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
