/** Reads lines of an export: whether each is as the service wrote it, whatever stands around it. */

import { z } from 'zod';
import { hashOf, lineOf } from '../journal/chain.js';
import { type AuditEntry, auditEntrySchema, type Head, headSchema } from '../protocol/audit.js';
import { type ReceiptClaims, receiptClaimsSchema } from '../protocol/receipts.js';
import type { SignatureType, Verify } from '../signing.js';
import { sha256Of } from './head-chain.js';

export type Line =
  /** An entry that fits its own hash. */
  | { readonly kind: 'entry'; readonly number: number; readonly entry: AuditEntry }
  /** A head whose signature is right, as far as there are keys to check it. */
  | {
      readonly kind: 'head';
      readonly number: number;
      readonly head: Head;
      /** Of the text of its JWS, by which the next head names it. */
      readonly sha256: string;
    }
  | BrokenLine;

export interface BrokenLine {
  readonly kind: 'broken';
  readonly number: number;
  readonly isHead: boolean;
  /** What it says of itself, which may be what was changed. */
  readonly timerId: string | null;
  readonly revision: number | null;
  readonly why: string;
  /** What can be read of it, though it does not fit its hash. */
  readonly entry: AuditEntry | undefined;
}

const headLineSchema = z.strictObject({ head: z.string() });
const namedSchema = z.object({
  timer_id: z.string().nullable().catch(null),
  revision: z.number().nullable().catch(null),
});

/** Takes the bytes of a line apart. Without what verifies signatures, heads are believed. */
export async function readLine(
  bytes: Uint8Array,
  number: number,
  verify: Verify | undefined,
): Promise<Line> {
  const text = textOf(bytes);
  if (text === undefined) return broken(number, Buffer.from(bytes).toString(), 'it is no text');
  const value = parseJson(text);
  const entry = auditEntrySchema.safeParse(value);
  if (entry.success) return entryLine(text, number, entry.data);
  const head = headLineSchema.safeParse(value);
  if (head.success && JSON.stringify(head.data) === text) {
    return headLine(text, number, head.data.head, verify);
  }
  return broken(number, text, 'it cannot be read as the service writes it', value);
}

function entryLine(text: string, number: number, entry: AuditEntry): Line {
  if (hashOf(entry) !== entry.hash) {
    return { ...broken(number, '', 'it does not fit its own hash', entry), entry };
  }
  if (lineOf(entry, entry.hash) !== text) {
    return broken(number, '', 'it is not written as the service writes it', entry);
  }
  return { kind: 'entry', number, entry };
}

async function headLine(
  text: string,
  number: number,
  jws: string,
  verify: Verify | undefined,
): Promise<Line> {
  const head = await headOf(jws, verify);
  return head === undefined
    ? broken(number, text, 'it bears no valid signature')
    : { kind: 'head', number, head, sha256: sha256Of(jws) };
}

/** The claims of a signed head; nothing if the signature is wrong, or is not that of a head. */
export function headOf(jws: string, verify: Verify | undefined): Promise<Head | undefined> {
  return claimsOf(jws, 'timer-head+jwt', headSchema, verify);
}

/** The same of a receipt. */
export function receiptOf(
  jws: string,
  verify: Verify | undefined,
): Promise<ReceiptClaims | undefined> {
  return claimsOf(jws, 'timer-receipt+jwt', receiptClaimsSchema, verify);
}

async function claimsOf<T>(
  jws: string,
  type: SignatureType,
  schema: z.ZodType<T>,
  verify: Verify | undefined,
): Promise<T | undefined> {
  const [, payload = ''] = jws.split('.');
  try {
    // Digits that say nothing can be changed without a trace in what they encode.
    if (jws.split('.').some((part) => canonicalDigits(part) !== part)) return undefined;
    const claims: unknown =
      verify === undefined
        ? JSON.parse(Buffer.from(payload, 'base64url').toString())
        : await verify(type, jws);
    return schema.parse(claims);
  } catch {
    return undefined;
  }
}

function canonicalDigits(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString('base64url');
}

function broken(number: number, text: string, why: string, value?: unknown): BrokenLine {
  const named = namedSchema.safeParse(value);
  const { timer_id = null, revision = null } = named.success ? named.data : {};
  // Where one of the marks of a head was hit, the other is still there.
  const hasMark = text.startsWith('{"head":') || text.includes('.eyJ');
  const isHead = hasMark && !text.includes('"previous_hash":');
  return { kind: 'broken', number, isHead, timerId: timer_id, revision, why, entry: undefined };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
