/** The record as it is exported: entries with their hashes, and the signed heads that vouch for them. */
import { z } from 'zod';
import { REASON_CATEGORIES, ROLES } from '../../machines/entry.js';
import type { HashedEntry } from '../journal/chain.js';

/** One JSON text on each line. */
export const NDJSON_TYPE = 'application/x-ndjson';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const wholeMs = z.int().min(0);
const nothing = z.strictObject({});
const signed = z.string().meta({ description: 'The claims of the head, signed: a JWS.' });

const common = {
  position: z.int().min(1).meta({ description: 'Its place in the journal, from 1.' }),
  previous_hash: hash.meta({ description: 'The hash of the entry before; zeros for the first.' }),
  hash: hash.meta({ description: 'SHA-256 of the canonical JSON of all other fields.' }),
  timer_id: z.string(),
  revision: z.int().min(1),
  at_ms: wholeMs.meta({ description: 'When it took effect, in epoch ms.' }),
  recorded_at_ms: wholeMs.meta({ description: 'When it was recorded, in epoch ms.' }),
  by: z.strictObject({
    credential: z.string(),
    role: z.enum(ROLES),
    label: z.string().nullable(),
    address: z.string().nullable(),
  }),
  reason: z
    .strictObject({ category: z.enum(REASON_CATEGORIES), text: z.string().nullable() })
    .nullable(),
  request_id: z.string().nullable(),
};

/** A field that is not named here has no place in an entry. */
export const auditEntrySchema = z
  .discriminatedUnion('type', [
    z.strictObject({
      ...common,
      type: z.literal('created'),
      data: z.strictObject({
        auto_start: z.boolean(),
        duration_ms: wholeMs,
        name: z.string(),
        warning_thresholds_ms: z.array(wholeMs),
      }),
    }),
    z.strictObject({
      ...common,
      type: z.literal('extended'),
      data: z.strictObject({ added_ms: wholeMs }),
    }),
    z.strictObject({
      ...common,
      type: z.enum(['started', 'paused', 'resumed', 'stopped', 'expired', 'deleted']),
      data: nothing,
    }),
  ])
  .meta({ id: 'AuditEntry', description: 'An entry of the journal, with its hash.' });

export type AuditEntry = z.output<typeof auditEntrySchema> & HashedEntry;

const auditHeadSchema = z
  .strictObject({ head: signed })
  .meta({ id: 'AuditHead', description: 'A signed head, behind the entry that it speaks of.' });

export const auditLineSchema = z
  .union([auditEntrySchema, auditHeadSchema])
  .meta({ id: 'AuditLine', description: 'One line of the export.' });

/** What is signed at the end of each day: which entry was the last, and with it all before. */
const headFields = {
  position: z
    .int()
    .min(0)
    .meta({ description: 'The place of the last entry; 0 if there is none.' }),
  hash: hash.meta({ description: 'Its hash, which covers every entry before it.' }),
  signed_at_ms: wholeMs.meta({ description: 'When it was signed, in epoch ms.' }),
};

/** What ties the head of a day to the one before it, so that one that is missing shows. */
const headLink = {
  number: z.int().min(1).meta({ description: '1 for the first head, then one more each time.' }),
  previous_head_sha256: hash.meta({
    description: 'SHA-256 of the head before, as the text of its JWS; zeros for the first.',
  }),
};

export const dayHeadSchema = z.object({
  kind: z.literal('day'),
  date: z.iso.date().meta({ description: 'The day in UTC.' }),
  ...headLink,
  ...headFields,
});

/** The last line of an export, so that it shows when lines before it are missing. */
const exportHeadSchema = z.object({
  kind: z.literal('export'),
  /** The place of the first entry that belongs to the export. */
  first_position: z.int().min(1),
  /** The instant before which its entries were recorded; without it, the export goes to the end. */
  to_ms: wholeMs.nullable(),
  ...headFields,
});

export const headSchema = z.discriminatedUnion('kind', [dayHeadSchema, exportHeadSchema]);
export type DayHead = z.output<typeof dayHeadSchema>;
export type ExportHead = z.output<typeof exportHeadSchema>;
export type Head = DayHead | ExportHead;

export const signedHeadsSchema = z
  .array(
    z.object({
      date: z.string().meta({ description: 'The day in UTC.', examples: ['2026-01-15'] }),
      ...headLink,
      ...headFields,
      head: signed,
    }),
  )
  .meta({ id: 'SignedHeads', description: 'One for each day that had entries, oldest first.' });
export type SignedHead = z.output<typeof signedHeadsSchema>[number];

export const publicKeysSchema = z
  .object({
    keys: z.array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string(),
        alg: z.literal('EdDSA'),
        use: z.literal('sig'),
      }),
    ),
  })
  .meta({ id: 'PublicKeys', description: 'A JSON Web Key Set (RFC 7517).' });

/** Epoch ms, or an instant as ISO 8601 writes it; a date alone is its midnight in UTC. */
const instant = z
  .string()
  .regex(
    /^(\d{1,15}|\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?)$/,
    'Invalid input: expected epoch ms, or an instant such as 2026-01-15T10:00:00Z',
  )
  .transform((text) => (/^\d+$/.test(text) ? Number(text) : Date.parse(text)))
  .pipe(wholeMs);

export const auditQuerySchema = z.object({
  from: instant.optional().meta({ description: 'Only entries recorded at this instant or later.' }),
  to: instant.optional().meta({ description: 'Only entries recorded before this instant.' }),
});
