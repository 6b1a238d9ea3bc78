/** What requests may carry. Bounds that are settings come from the configuration. */
import { z } from 'zod';
import { ACTIONS } from '../../machines/command.js';
import { REASON_CATEGORIES } from '../../machines/entry.js';
import type { Config } from '../config.js';
import { labelSchema } from './displays.js';
import { recordable } from './text.js';
import { timerStateSchema } from './timer.js';

const LONGEST_NAME = 200;
const MOST_THRESHOLDS = 20;
const LONGEST_ID = 100;
const LONGEST_REASON = 500;
const DEFAULT_PAGE_SIZE = 1000;
const DELIVERIES_PAGE_SIZE = 100;

/** A number as it stands in a query. */
const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'Invalid input: expected a whole number')
  .transform(Number);

const reasonCategory = z
  .enum(REASON_CATEGORIES)
  .meta({ id: 'ReasonCategory', description: 'What kind of reason there was.' });
const reasonText = recordable(z.string().min(1).max(LONGEST_REASON)).meta({
  description: 'The reason in words.',
  examples: ['Fire alarm'],
});

const reasonSchema = z
  .object({ category: reasonCategory, text: reasonText.nullish() })
  .meta({ id: 'Reason', description: 'Why it is done; it goes on record.' });
export type ReasonBody = z.output<typeof reasonSchema>;

const timerId = z.string().min(1).max(LONGEST_ID);
const reason = reasonSchema.optional();
const plain = ACTIONS.filter((action) => action !== 'extend');

const list = z.object({
  state: timerStateSchema.optional().meta({ description: 'Only timers in this state.' }),
  limit: wholeNumber
    .pipe(z.int().min(1).max(1000))
    .default(DEFAULT_PAGE_SIZE)
    .meta({ description: 'Most timers in one answer.' }),
  after: z
    .string()
    .max(LONGEST_ID)
    .default('')
    .meta({ description: 'The id after which the page begins; see the Link header.' }),
});

const deletion = z
  .object({
    reason_category: reasonCategory.optional(),
    reason_text: reasonText.optional().meta({
      description: 'The reason in words, beside its category.',
    }),
  })
  .refine(
    ({ reason_category, reason_text }) =>
      reason_text === undefined || reason_category !== undefined,
    { path: ['reason_category'], error: 'Required: what kind of reason reason_text is' },
  );

const deliveries = z.object({
  limit: wholeNumber
    .pipe(z.int().min(1).max(1000))
    .default(DELIVERIES_PAGE_SIZE)
    .meta({ description: 'Most attempts in one answer.' }),
});

/** What a display says in its address, whichever way it comes. */
export const followSchema = z.object({
  ticks: z
    .enum(['true', 'false'])
    .default('true')
    .meta({ description: 'false: everything but ticks, for displays that count themselves.' }),
  label: labelSchema.optional(),
});

const followEvents = followSchema.extend({
  last_event_id: wholeNumber.optional().meta({
    description:
      'The id of the last event that was received: the changes after it are told first. ' +
      'The header Last-Event-ID, if it is there, wins.',
  }),
});

/** The schemas of all that a request may carry. Those that know no setting are made once. */
export function requestSchemas(config: Config) {
  const { maxDurationSeconds, maxExtensionSeconds, maxBulkTimers } = config;
  const extendSeconds = z
    .int()
    .min(1)
    .max(maxExtensionSeconds)
    .meta({ description: 'Seconds to add.', examples: [300] });
  const timerIds = z.array(timerId).max(maxBulkTimers);

  const create = z
    .object({
      duration_seconds: z
        .int()
        .min(1)
        .max(maxDurationSeconds)
        .meta({ description: 'How long the timer runs.', examples: [300] }),
      name: recordable(z.string().min(1).max(LONGEST_NAME)).default('Timer'),
      warning_thresholds: z
        .array(z.int().min(1).max(maxDurationSeconds))
        .max(MOST_THRESHOLDS)
        .default([...config.defaultWarningThresholds])
        .meta({ description: 'Seconds before the end at which displays are warned.' }),
      auto_start: z
        .boolean()
        .default(false)
        .meta({ description: 'Start at the instant of creation.' }),
    })
    .meta({ id: 'CreateTimer' });

  const control = z
    .discriminatedUnion('action', [
      z.object({ action: z.literal('extend'), extend_seconds: extendSeconds, reason }),
      z.object({ action: z.enum(plain), extend_seconds: extendSeconds.nullish(), reason }),
    ])
    .meta({ id: 'ControlTimer' });

  const bulk = z
    .union([
      timerIds.transform((timer_ids) => ({ timer_ids, reason: undefined })),
      z.object({ timer_ids: timerIds, reason }),
    ])
    .meta({ id: 'BulkTimers', description: 'Ids of timers: the list itself, or as timer_ids.' });

  const bulkExtend = z
    .union([
      timerIds.transform((timer_ids) => ({ timer_ids, seconds: undefined, reason: undefined })),
      z.object({ timer_ids: timerIds, seconds: extendSeconds.optional(), reason }),
    ])
    .meta({
      id: 'BulkExtend',
      description: 'Ids of timers, and the seconds if the query has none.',
    });

  const bulkExtendQuery = z.object({
    seconds: wholeNumber
      .pipe(extendSeconds)
      .optional()
      .meta({ description: 'Seconds to add, if the body has none.' }),
  });

  return {
    create,
    control,
    deletion,
    deliveries,
    bulk,
    bulkExtend,
    bulkExtendQuery,
    list,
    follow: followSchema,
    followEvents,
  };
}

export type RequestSchemas = ReturnType<typeof requestSchemas>;

export const bulkResultSchema = z
  .array(
    z.object({
      timer_id: z.string(),
      success: z.boolean(),
      status: z.string().meta({ description: 'What was done, or why nothing was.' }),
    }),
  )
  .meta({ id: 'BulkResults', description: 'In the order asked.' });

export const timeSchema = z
  .object({
    server_received_ms: z.int().meta({ description: 'When the request was received.' }),
    server_sent_ms: z.int().meta({ description: 'When the answer was sent.' }),
  })
  .meta({ id: 'Time', description: "In epoch ms of the service's clock." });

export const healthSchema = z
  .object({
    status: z.literal('healthy'),
    timers_active: z.int().meta({ description: 'Timers that are neither expired nor completed.' }),
  })
  .meta({ id: 'Health' });

export const metricsSchema = z.string().meta({ id: 'Metrics' });

export const probeSchema = z.object({ status: z.string() }).meta({ id: 'Probe' });
