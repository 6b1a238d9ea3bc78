/** What is on record about a change: who caused it, and why. */
import { z } from 'zod';
import { REASON_CATEGORIES, ROLES } from '../../machines/entry.js';
import type { Author, Entry } from '../registry.js';
import { timerStateSchema } from './timer.js';

export const ENTRY_TYPES = [
  'created',
  'started',
  'paused',
  'resumed',
  'extended',
  'stopped',
  'expired',
  'deleted',
] as const satisfies readonly Entry['type'][];

export const authorSchema = z
  .object({
    credential: z.string().meta({ description: 'Identifies the credential that was shown.' }),
    role: z.enum(ROLES),
    label: z.string().nullable().meta({ description: 'What people call its holder.' }),
  })
  .meta({ id: 'Author', description: 'Who caused a change.' });

export const callerSchema = authorSchema
  .extend({
    expires_at: z.iso.datetime().nullable().meta({
      description: 'When the credential ends; null if it does not by itself.',
    }),
  })
  .meta({ id: 'Caller', description: 'Who the service takes the caller for.' });

export const recordedReasonSchema = z
  .object({ category: z.enum(REASON_CATEGORIES), text: z.string().nullable() })
  .meta({ id: 'RecordedReason', description: 'Why it was done, as far as that was said.' });

/** Where a change came from is for the record only, not for everybody who looks after timers. */
export function publicAuthorOf({ credential, role, label }: Author): z.output<typeof authorSchema> {
  return { credential, role, label };
}

const standingSchema = z
  .object({
    state: timerStateSchema,
    duration_seconds: z.int(),
    remaining_ms: z.int().min(0),
    deadline: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Standing', description: 'How a timer stood at the instant of a change.' });

export const historySchema = z
  .array(
    z.object({
      revision: z.int().min(1),
      type: z.enum(ENTRY_TYPES),
      summary: z.string().meta({
        description: 'What happened in words.',
        examples: ['Extended by 5 min by Ms Kim (environment: Fire alarm)'],
      }),
      by: authorSchema.extend({
        address: z.string().nullable().optional().meta({
          description: 'Where it came from; only for those who may see the whole record.',
        }),
      }),
      reason: recordedReasonSchema.nullable(),
      at: z.iso.datetime().meta({ description: 'When it took effect.' }),
      recorded_at: z.iso.datetime(),
      before: standingSchema.nullable().meta({ description: 'null for the creation.' }),
      after: standingSchema.nullable().meta({ description: 'null for the deletion.' }),
      position: z.int().min(1).meta({ description: 'Its place in the journal.' }),
      hash: z.string().meta({ description: 'As it is in the export of the record.' }),
    }),
  )
  .meta({ id: 'History', description: 'Oldest first.' });
export type HistoryItem = z.output<typeof historySchema>[number];
