/** What is said of credentials: API keys, and tokens of displays. */
import { z } from 'zod';
import type { ApiKey } from '../access/api-keys.js';
import { CALLER_ROLES, givenTimersSchema } from '../access/caller.js';
import { labelSchema } from './displays.js';
import { recordable } from './text.js';
import { instant, isoTime } from './timer.js';

const DAY_SECONDS = 24 * 60 * 60;
/** An exam and the hours before it. */
const USUAL_TOKEN_SECONDS = DAY_SECONDS / 2;
const LONGEST_KEY_SECONDS = 10 * 365 * DAY_SECONDS;

const roleSchema = z
  .enum(CALLER_ROLES)
  .meta({ id: 'Role', description: 'What the holder may do at all.' });
const holderSchema = recordable(labelSchema)
  .nullable()
  .meta({ description: 'What people call the holder.', examples: ['Ms Meyer'] });

export const createKeySchema = z
  .object({
    role: roleSchema,
    label: holderSchema.default(null),
    timers: givenTimersSchema.default([]),
    expires_in_seconds: z
      .int()
      .min(1)
      .max(LONGEST_KEY_SECONDS)
      .nullable()
      .default(null)
      .meta({
        description: 'How long it is valid; null: until it is revoked.',
        examples: [86_400],
      }),
  })
  .meta({ id: 'CreateKey' });

export const keyIdSchema = z
  .string()
  .meta({ description: 'Identifies a key, without being one.', examples: ['4f2a91c07b3e'] });

const keyFields = {
  id: keyIdSchema,
  role: roleSchema,
  label: holderSchema,
  timers: givenTimersSchema,
  created_at: instant('When it was made.'),
  created_by: z.string().meta({ description: 'The credential it was made with.' }),
  expires_at: instant('When it ends; null: not by itself.').nullable(),
};

export const keySchema = z
  .object(keyFields)
  .meta({ id: 'Key', description: 'What is known of a key. The key itself is not.' });

export const newKeySchema = z
  .object({ ...keyFields, key: z.string().meta({ description: 'The key, told this once.' }) })
  .meta({ id: 'NewKey' });

export const createTokenSchema = z
  .object({
    label: recordable(labelSchema)
      .nullable()
      .default(null)
      .meta({
        description: 'What the display is called, whatever it says.',
        examples: ['Seat 14'],
      }),
    expires_in_seconds: z
      .int()
      .min(1)
      .max(DAY_SECONDS)
      .default(USUAL_TOKEN_SECONDS)
      .meta({ description: 'How long it is valid.' }),
  })
  .meta({ id: 'CreateToken' });

export const tokenSchema = z
  .object({
    token: z.string().meta({ description: 'The token, told this once.' }),
    timer_id: z.string(),
    label: labelSchema.nullable(),
    expires_at: instant('When it ends.'),
  })
  .meta({ id: 'Token', description: 'Lets a display follow one timer.' });

export type KeyResource = z.output<typeof keySchema>;
export type NewKey = z.output<typeof newKeySchema>;

export function keyResource(key: ApiKey): KeyResource {
  return {
    id: key.id,
    role: key.role,
    label: key.label,
    timers: key.timers,
    created_at: isoTime(key.createdAtMs),
    created_by: key.createdBy,
    expires_at: key.expiresAtMs === null ? null : isoTime(key.expiresAtMs),
  };
}
