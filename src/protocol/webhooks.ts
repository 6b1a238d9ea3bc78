/** Webhooks as they cross the wire: the messages that receivers are sent, and the API that looks after them. */
import { z } from 'zod';
import type { EntryType } from '../../machines/entry.js';
import { authorSchema, recordedReasonSchema } from './record.js';
import { timerSchema } from './timer.js';

const MOST_TIMERS = 1000;
const LONGEST_URL = 2000;

const ENTRY_EVENTS = [
  'timer.created',
  'timer.started',
  'timer.paused',
  'timer.resumed',
  'timer.extended',
  'timer.stopped',
  'timer.expired',
  'timer.deleted',
] as const satisfies `timer.${EntryType}`[];

export const WEBHOOK_EVENTS = [...ENTRY_EVENTS, 'timer.warning'] as const;
export const webhookEventSchema = z.enum(WEBHOOK_EVENTS).meta({ id: 'WebhookEvent' });
export type WebhookEvent = z.output<typeof webhookEventSchema>;

const happenedAt = z.iso
  .datetime()
  .meta({ description: 'When it happened; for an expiry, the deadline itself.' });
/** Who follows a timer is no part of what happened to it, so a message says the same whenever it is sent. */
const timer = timerSchema
  .omit({ connected_clients: true })
  .meta({ id: 'WebhookTimer', description: 'The timer right after what happened.' });

const entryMessageSchema = z
  .object({
    type: z.enum(ENTRY_EVENTS),
    timestamp: happenedAt,
    data: z.object({
      timer,
      entry: z.object({
        revision: z.int().min(1),
        at_ms: z.int().meta({ description: 'When it took effect, in epoch ms.' }),
        recorded_at_ms: z.int().meta({ description: 'When it was recorded, in epoch ms.' }),
        added_seconds: z.int().optional().meta({ description: 'What an extension added.' }),
        by: authorSchema,
        reason: recordedReasonSchema.nullable(),
      }),
    }),
  })
  .meta({ id: 'WebhookChange', description: 'An entry of the journal.' });

const warningMessageSchema = z
  .object({
    type: z.literal('timer.warning'),
    timestamp: happenedAt,
    data: z.object({
      timer,
      warning: z.object({
        threshold_seconds: z.int().meta({ description: 'Seconds before the end.' }),
        at_ms: z.int().meta({ description: 'When the clock passed it, in epoch ms.' }),
      }),
    }),
  })
  .meta({ id: 'WebhookWarning', description: 'The running clock of a timer passed a threshold.' });

/** What a receiver is sent, by the kind of event. */
export function webhookMessageSchema(event: WebhookEvent) {
  return event === 'timer.warning' ? warningMessageSchema : entryMessageSchema;
}
export const webhookMessagesSchema = z.discriminatedUnion('type', [
  entryMessageSchema,
  warningMessageSchema,
]);
export type WebhookMessage = z.output<typeof webhookMessagesSchema>;

/** What goes with each message, as Standard Webhooks has it. */
export const webhookHeadersSchema = z.object({
  'webhook-id': z
    .string()
    .meta({ description: 'Identifies the message: the same whenever it is sent again.' }),
  'webhook-timestamp': z.string().meta({ description: 'When it was sent, in epoch seconds.' }),
  'webhook-signature': z.string().meta({
    description:
      'Signatures of id, timestamp and body, separated by spaces; see Standard Webhooks.',
  }),
});

export const createWebhookSchema = z
  .object({
    url: z
      .url()
      .max(LONGEST_URL)
      .meta({ description: 'Where to send.', examples: ['https://quiz.example/hooks/timers'] }),
    events: z
      .array(webhookEventSchema)
      .min(1)
      .default([...WEBHOOK_EVENTS])
      .meta({ description: 'What to send; everything if it is not said.' }),
    timers: z
      .array(z.string().min(1).max(100))
      .min(1)
      .max(MOST_TIMERS)
      .nullish()
      .meta({ description: 'Ids of the timers it is about; all if it is not said.' }),
  })
  .meta({ id: 'CreateWebhook' });
export type CreateWebhook = z.output<typeof createWebhookSchema>;

export const webhookSchema = z
  .object({
    id: z.string().meta({ examples: ['webhook_0mjx3k2p9a1b2c3d4e5f6'] }),
    url: z.string(),
    events: z.array(webhookEventSchema),
    timers: z.array(z.string()).nullable().meta({ description: 'null: all timers.' }),
    created_at: z.iso.datetime(),
    created_by: z.string().meta({ description: 'The credential that created it.' }),
    disabled: z
      .object({ at: z.iso.datetime(), why: z.string() })
      .nullable()
      .meta({ description: 'Since when and why nothing is sent; null while it is.' }),
  })
  .meta({ id: 'Webhook' });
export type WebhookResource = z.output<typeof webhookSchema>;

export const webhookWithSecretSchema = webhookSchema
  .extend({
    secret: z.string().meta({ description: 'What messages are signed with; shown only now.' }),
  })
  .meta({ id: 'WebhookWithSecret' });
export type WebhookWithSecret = z.output<typeof webhookWithSecretSchema>;

export const webhooksSchema = z.array(webhookSchema);

export const attemptSchema = z
  .object({
    message_id: z.string().meta({ description: 'The webhook-id that was sent.' }),
    type: webhookEventSchema,
    timer_id: z.string(),
    revision: z.int().min(1),
    threshold_seconds: z.int().nullable().meta({ description: 'Of a warning.' }),
    attempt: z.int().min(1).meta({
      description: 'Counts from 1, anew when the webhook was enabled; a redelivery does not count.',
    }),
    at: z.iso.datetime(),
    duration_ms: z.int().min(0),
    success: z.boolean(),
    status: z.int().nullable().meta({ description: 'The HTTP status that was answered, if any.' }),
    error: z.string().nullable().meta({ description: 'Why it failed.' }),
  })
  .meta({ id: 'WebhookAttempt', description: 'One time that a message was sent.' });
export type Attempt = z.output<typeof attemptSchema>;
export const attemptsSchema = z.array(attemptSchema);
