/** Receipts: what the service signs about a timer at one instant, to be checked without it. */
import { z } from 'zod';
import { stateOf } from '../../machines/record.js';
import type { Link } from '../journal/chain.js';
import type { Author, TimerStatus } from '../registry.js';
import { exactFields, exactly, timerStateSchema, WIRE_STATES } from './timer.js';

const payloadHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'Invalid input: expected the 64 hexadecimal digits of a SHA-256')
  .toLowerCase()
  .meta({ description: 'SHA-256 of what was handed in, in hexadecimal digits.' });

export const receiptRequestSchema = z
  .object({ payload_sha256: payloadHash.nullish() })
  .meta({ id: 'ReceiptRequest' });

const claims = {
  timer_id: z.string(),
  state: timerStateSchema,
  ...exactFields,
  completed_at_ms: z
    .int()
    .nullable()
    .meta({ description: 'When it was stopped, or its deadline if it expired, in epoch ms.' }),
  late_by_ms: z
    .int()
    .min(0)
    .meta({ description: 'Milliseconds since the end or the deadline; 0 while there is time.' }),
  payload_sha256: z.string().nullable(),
  position: z
    .int()
    .min(1)
    .meta({ description: 'The place in the journal of the last entry of the timer.' }),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .meta({ description: 'The hash of that entry, which covers every entry before it.' }),
  credential: z.string().meta({ description: 'Identifies the credential that asked.' }),
  label: z.string().nullable().meta({ description: 'What people call its holder.' }),
};

/** What is signed; whoever checks a receipt finds these in it. */
export const receiptClaimsSchema = z.object(claims);
export type ReceiptClaims = z.output<typeof receiptClaimsSchema>;

export const receiptSchema = z
  .object({
    receipt: z.string().meta({ description: 'The other fields, signed: a JWS.' }),
    ...claims,
  })
  .meta({ id: 'Receipt', description: 'How a timer stood at one instant of the service.' });

export function receiptClaimsOf(
  { record, atMs }: TimerStatus,
  { position, hash }: Pick<Link, 'position' | 'hash'>,
  payloadSha256: string | null,
  { credential, label }: Author,
): ReceiptClaims {
  // A deadline that passed a moment ago may not be on record yet, but it has passed.
  const endMs = record.completedAtMs ?? record.deadlineMs ?? atMs;
  return {
    timer_id: record.id,
    state: WIRE_STATES[stateOf(record)],
    ...exactly(record, atMs),
    completed_at_ms: record.completedAtMs,
    late_by_ms: Math.max(0, atMs - endMs),
    payload_sha256: payloadSha256,
    position,
    hash,
    credential,
    label,
  };
}
