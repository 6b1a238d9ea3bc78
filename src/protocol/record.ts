/** What is on record about a change: who caused it, and why. */
import { z } from 'zod';
import { REASON_CATEGORIES, ROLES } from '../../machines/entry.js';
import type { Author } from '../registry.js';

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
