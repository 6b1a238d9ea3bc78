/** What is said of API keys and of tokens. */
import { z } from 'zod';
import { CALLER_ROLES, givenTimersSchema } from '../access/caller.js';
import { labelSchema } from './displays.js';
import { instant } from './timer.js';

const LONGEST_KEY_SECONDS = 10 * 365 * 24 * 60 * 60;

const roleSchema = z
  .enum(CALLER_ROLES)
  .meta({ id: 'Role', description: 'What the holder may do at all.' });
const holderSchema = labelSchema
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
