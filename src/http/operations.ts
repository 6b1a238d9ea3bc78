/**
 * Every HTTP operation: its address and what it takes and gives. Routes are mounted from this table
 * and OpenAPI is generated from it, so that neither can know an operation the other does not.
 */
import { z } from 'zod';
import type { Right } from '../access/caller.js';
import {
  auditLineSchema,
  auditQuerySchema,
  NDJSON_TYPE,
  publicKeysSchema,
  signedHeadsSchema,
} from '../protocol/audit.js';
import { consoleMessageSchema } from '../protocol/console.js';
import {
  createKeySchema,
  createTokenSchema,
  keyIdSchema,
  keySchema,
  newKeySchema,
  tokenSchema,
} from '../protocol/credentials.js';
import { acknowledgementSchema, displayIdSchema, displaysSchema } from '../protocol/displays.js';
import { displayEventSchema } from '../protocol/messages.js';
import type { HttpProblemCode } from '../protocol/problems.js';
import { receiptRequestSchema, receiptSchema } from '../protocol/receipts.js';
import { callerSchema, historySchema } from '../protocol/record.js';
import {
  bulkResultSchema,
  healthSchema,
  metricsSchema,
  probeSchema,
  type RequestSchemas,
  timeSchema,
} from '../protocol/requests.js';
import { timerSchema } from '../protocol/timer.js';
import {
  attemptSchema,
  attemptsSchema,
  createWebhookSchema,
  webhookSchema,
  webhooksSchema,
  webhookWithSecretSchema,
} from '../protocol/webhooks.js';

export interface Operation {
  readonly id: string;
  readonly method: 'get' | 'post' | 'delete';
  /** In OpenAPI's form, with `{timer_id}`. */
  readonly path: string;
  readonly tag: 'timers' | 'bulk' | 'displays' | 'record' | 'webhooks' | 'access' | 'service';
  readonly summary: string;
  /** What the caller needs; for a timer in the address, it must be one the caller reaches. */
  readonly right: Right;
  /** Said of what is no GET, and of which nothing stays all the same once whoever asks is gone. */
  readonly leavesNothing?: true;
  readonly query?: z.ZodObject;
  /** Request headers with a meaning of their own. */
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Where a body may be smaller than others. */
  readonly largestBodyBytes?: number;
  readonly success: {
    readonly status: number;
    readonly description: string;
    readonly body?: z.ZodType;
    /** True for a stream of server-sent events, each with such a body as its data. */
    readonly isStream?: boolean;
    /** Where the body is no JSON text; the schema is that of each of its lines. */
    readonly mediaType?: string;
    /** Headers that are always there, and what they say. */
    readonly headers?: Readonly<Record<string, string>>;
    /** Headers that are there now and then. */
    readonly optionalHeaders?: Readonly<Record<string, string>>;
  };
  readonly problems: readonly HttpProblemCode[];
}

/** What can happen to every request, and to every one that needs a credential, and a certain one. */
const EVERYWHERE = ['internal_error', 'foreign_host', 'rate_limited'] as const;
const GUARDED = [...EVERYWHERE, 'unauthenticated', 'identity_provider_unavailable'] as const;
const RESTRICTED = [...GUARDED, 'forbidden'] as const;
const FAILURES = [...RESTRICTED, 'recovering'] as const;
const REFUSALS = [
  ...FAILURES,
  'foreign_origin',
  'shutting_down',
  'journal_unavailable',
  'outcome_unknown',
  'timer_restarting',
] as const;
const BODY_PROBLEMS = ['invalid_request', 'body_too_large', 'unsupported_media_type'] as const;
/** Of an address that names a timer. */
const TIMER_PROBLEMS = ['unknown_timer', 'timer_restarting', 'journal_unavailable'] as const;
/** Of changes that can be asked for again under an Idempotency-Key. */
const CHANGE_PROBLEMS = ['invalid_request', 'idempotency_key_reused'] as const;
const CONDITION_PROBLEMS = ['wrong_revision'] as const;

const ETag = 'The revision, in quotes: what If-Match takes.';

const idempotencyKey = {
  'Idempotency-Key': z
    .string()
    .optional()
    .meta({
      description:
        'Names the request, so that it is carried out once: asked again within 24 hours, it is answered as ' +
        'the first time.',
      examples: ['3f1c9a52-8f0e-4c52-9a7e-0d4c1a5b6e7f'],
    }),
};
const CHANGE_HEADERS = z.object(idempotencyKey);
const CONDITIONAL_HEADERS = z.object({
  ...idempotencyKey,
  'If-Match': z
    .string()
    .optional()
    .meta({
      description:
        'The change is made only if the timer is at this revision, or one of these, as ETag gave it.',
      examples: ['"3"'],
    }),
});

/** As much as a display may say in one message over WebSocket. */
const LARGEST_ACKNOWLEDGEMENT_BYTES = 4096;

/** What stands in addresses. */
export const pathSchemas: Readonly<Record<string, z.ZodType>> = {
  timer_id: z
    .string()
    .meta({ description: 'Identifies a timer.', examples: ['timer_0mjx3k2p9a1b2c3d4e5f6'] }),
  display_id: displayIdSchema,
  key_id: keyIdSchema,
  webhook_id: z
    .string()
    .meta({ description: 'Identifies a webhook.', examples: ['webhook_0mjx3k2p9a1b2c3d4e5f6'] }),
  message_id: z.string().meta({ description: 'The webhook-id of a message.' }),
};

export function operationsOf(schemas: RequestSchemas) {
  return {
    createTimer: {
      id: 'createTimer',
      right: 'control',
      method: 'post',
      path: '/timers',
      tag: 'timers',
      summary: 'Create a timer',
      headers: CHANGE_HEADERS,
      body: schemas.create,
      success: {
        status: 201,
        description: 'The new timer.',
        body: timerSchema,
        headers: { Location: 'The address of the timer.', ETag },
      },
      problems: [...BODY_PROBLEMS, ...CHANGE_PROBLEMS, 'too_many_timers', ...REFUSALS],
    },
    listTimers: {
      id: 'listTimers',
      right: 'read',
      method: 'get',
      path: '/timers',
      tag: 'timers',
      summary: 'List timers, oldest first',
      query: schemas.list,
      success: {
        status: 200,
        description: 'One page of timers.',
        body: z.array(timerSchema),
        optionalHeaders: { Link: 'The address of the next page, as rel="next", if there is one.' },
      },
      problems: ['invalid_request', ...FAILURES],
    },
    getTimer: {
      id: 'getTimer',
      right: 'follow',
      method: 'get',
      path: '/timers/{timer_id}',
      tag: 'timers',
      summary: 'Get a timer as it is now',
      success: {
        status: 200,
        description: 'The timer.',
        body: timerSchema,
        headers: { ETag },
      },
      problems: [...TIMER_PROBLEMS, 'invalid_request', ...FAILURES],
    },
    deleteTimer: {
      id: 'deleteTimer',
      right: 'control',
      method: 'delete',
      path: '/timers/{timer_id}',
      tag: 'timers',
      summary: 'Delete a timer',
      success: { status: 204, description: 'The timer is gone.' },
      query: schemas.deletion,
      headers: CONDITIONAL_HEADERS,
      problems: [...CHANGE_PROBLEMS, ...CONDITION_PROBLEMS, 'unknown_timer', ...REFUSALS],
    },
    controlTimer: {
      id: 'controlTimer',
      right: 'control',
      method: 'post',
      path: '/timers/{timer_id}/control',
      tag: 'timers',
      summary: 'Start, pause, resume, extend or stop a timer',
      headers: CONDITIONAL_HEADERS,
      body: schemas.control,
      success: {
        status: 200,
        description: 'The timer after the change.',
        body: timerSchema,
        headers: { ETag },
      },
      problems: [
        'impossible_action',
        'unknown_timer',
        ...BODY_PROBLEMS,
        ...CHANGE_PROBLEMS,
        ...CONDITION_PROBLEMS,
        ...REFUSALS,
      ],
    },
    ...bulkOperations(schemas),
    ...displayOperations(schemas),
    ...recordOperations(),
    ...credentialOperations,
    me: {
      id: 'me',
      right: 'any',
      method: 'get',
      path: '/me',
      tag: 'service',
      summary: 'Who the credential of this request is for',
      success: {
        status: 200,
        description: 'Its holder, as changes are recorded of them.',
        body: callerSchema,
        headers: { 'Cache-Control': 'Not to be kept.' },
      },
      problems: GUARDED,
    },
    ...webhookOperations(schemas),
    health: {
      id: 'health',
      right: 'any',
      method: 'get',
      path: '/health',
      tag: 'service',
      summary: 'Whether the service is healthy, and how many timers are active',
      success: { status: 200, description: 'It is.', body: healthSchema },
      problems: GUARDED,
    },
    livez: {
      id: 'livez',
      right: 'public',
      method: 'get',
      path: '/livez',
      tag: 'service',
      summary: 'Whether the process lives',
      success: { status: 200, description: 'It does.', body: probeSchema },
      problems: EVERYWHERE,
    },
    readyz: {
      id: 'readyz',
      right: 'public',
      method: 'get',
      path: '/readyz',
      tag: 'service',
      summary:
        'Whether the service takes commands: after recovery, until shutdown begins, and while the journal records',
      success: { status: 200, description: 'It does.', body: probeSchema },
      problems: [...EVERYWHERE, 'recovering', 'shutting_down', 'not_ready'],
    },
    time: {
      id: 'time',
      right: 'any',
      method: 'get',
      path: '/time',
      tag: 'service',
      summary: "The service's clock, for displays that do not follow over WebSocket",
      success: {
        status: 200,
        description: 'When the request came and when the answer left.',
        body: timeSchema,
        headers: { 'Cache-Control': 'Not to be kept.' },
      },
      problems: GUARDED,
    },
    showMetrics: {
      id: 'showMetrics',
      right: 'audit',
      method: 'get',
      path: '/metrics',
      tag: 'service',
      summary: 'Figures of the service, as Prometheus reads them',
      success: {
        status: 200,
        description: 'In the text format of Prometheus.',
        mediaType: 'text/plain',
        body: metricsSchema,
        headers: { 'Cache-Control': 'Not to be kept.' },
      },
      problems: RESTRICTED,
    },
  } as const satisfies Record<string, Operation>;
}

export type Operations = ReturnType<typeof operationsOf>;

const KEY_PROBLEMS = [
  ...RESTRICTED,
  'foreign_origin',
  'journal_unavailable',
  'outcome_unknown',
] as const;

const credentialOperations = {
  createKey: {
    id: 'createKey',
    right: 'manage',
    method: 'post',
    path: '/keys',
    tag: 'access',
    summary: 'Make a key; with the first one, everybody needs one',
    headers: CHANGE_HEADERS,
    body: createKeySchema,
    success: {
      status: 201,
      description: 'The key, which is told this once.',
      body: newKeySchema,
      headers: { 'Cache-Control': 'Not to be kept.' },
    },
    problems: [...BODY_PROBLEMS, ...CHANGE_PROBLEMS, 'admin_key_needed', ...KEY_PROBLEMS],
  },
  listKeys: {
    id: 'listKeys',
    right: 'manage',
    method: 'get',
    path: '/keys',
    tag: 'access',
    summary: 'List keys, oldest first',
    success: { status: 200, description: 'All keys.', body: z.array(keySchema) },
    problems: RESTRICTED,
  },
  revokeKey: {
    id: 'revokeKey',
    right: 'manage',
    method: 'delete',
    path: '/keys/{key_id}',
    tag: 'access',
    summary: 'Revoke a key, which ends the connections that came with it',
    headers: CHANGE_HEADERS,
    success: { status: 204, description: 'It is revoked.' },
    problems: ['unknown_key', ...CHANGE_PROBLEMS, 'admin_key_needed', ...KEY_PROBLEMS],
  },
  createToken: {
    id: 'createToken',
    right: 'control',
    method: 'post',
    path: '/timers/{timer_id}/tokens',
    tag: 'access',
    summary: 'Make a token that lets a display follow this timer for a while',
    headers: CHANGE_HEADERS,
    body: createTokenSchema,
    success: {
      status: 201,
      description: 'The token, which is told this once.',
      body: tokenSchema,
      headers: { 'Cache-Control': 'Not to be kept.' },
    },
    problems: [
      ...CHANGE_PROBLEMS,
      ...BODY_PROBLEMS,
      ...TIMER_PROBLEMS,
      'shutting_down',
      'foreign_origin',
      ...FAILURES,
    ],
  },
} as const satisfies Record<string, Operation>;

function bulkOperations(schemas: RequestSchemas) {
  const common = {
    method: 'post',
    right: 'control',
    tag: 'bulk',
    headers: CHANGE_HEADERS,
    body: schemas.bulk,
    success: { status: 200, description: 'What was done with each timer.', body: bulkResultSchema },
    problems: [...BODY_PROBLEMS, ...CHANGE_PROBLEMS, ...REFUSALS],
  } as const;
  return {
    bulkStart: {
      ...common,
      id: 'bulkStart',
      path: '/timers/bulk/start',
      summary: 'Start timers at one instant; paused ones resume',
    },
    bulkPause: {
      ...common,
      id: 'bulkPause',
      path: '/timers/bulk/pause',
      summary: 'Pause timers at one instant',
    },
    bulkResume: {
      ...common,
      id: 'bulkResume',
      path: '/timers/bulk/resume',
      summary: 'Resume paused timers at one instant',
    },
    bulkExtend: {
      ...common,
      id: 'bulkExtend',
      path: '/timers/bulk/extend',
      summary: 'Add the same time to timers',
      query: schemas.bulkExtendQuery,
      body: schemas.bulkExtend,
    },
    bulkStop: {
      ...common,
      id: 'bulkStop',
      path: '/timers/bulk/stop',
      summary: 'Stop timers at one instant',
    },
  } as const satisfies Record<string, Operation>;
}

function displayOperations(schemas: RequestSchemas) {
  const stream = { status: 200, isStream: true } as const;
  const streamProblems = [
    ...FAILURES,
    'shutting_down',
    'foreign_origin',
    'too_many_connections',
  ] as const;
  return {
    followTimer: {
      id: 'followTimer',
      right: 'follow',
      method: 'get',
      path: '/timers/{timer_id}/events',
      tag: 'displays',
      summary: 'Follow a timer over server-sent events',
      query: schemas.followEvents,
      success: {
        ...stream,
        description: 'The messages of the WebSocket; the id of each is the revision it speaks of.',
        body: displayEventSchema,
      },
      problems: [...TIMER_PROBLEMS, 'invalid_request', 'too_many_displays', ...streamProblems],
    },
    showDisplays: {
      id: 'showDisplays',
      right: 'read',
      method: 'get',
      path: '/timers/{timer_id}/displays',
      tag: 'displays',
      summary: 'Who follows a timer, and what they show',
      success: { status: 200, description: 'All displays.', body: displaysSchema },
      problems: [...TIMER_PROBLEMS, 'invalid_request', ...FAILURES],
    },
    watchDisplays: {
      id: 'watchDisplays',
      right: 'read',
      method: 'get',
      path: '/timers/{timer_id}/displays/events',
      tag: 'displays',
      summary: 'Who follows a timer, whenever that changes, at most 4 times a second',
      success: { ...stream, description: 'All displays, each time.', body: displaysSchema },
      problems: [...TIMER_PROBLEMS, 'invalid_request', 'too_many_streams', ...streamProblems],
    },
    acknowledge: {
      id: 'acknowledge',
      right: 'follow',
      leavesNothing: true,
      method: 'post',
      path: '/timers/{timer_id}/displays/{display_id}/acknowledgement',
      tag: 'displays',
      summary: 'Say what a display shows, with the credential it came with; it changes no timer',
      body: acknowledgementSchema,
      largestBodyBytes: LARGEST_ACKNOWLEDGEMENT_BYTES,
      success: { status: 204, description: 'It is noted.' },
      problems: [
        ...TIMER_PROBLEMS,
        'unknown_display',
        ...BODY_PROBLEMS,
        'too_many_messages',
        ...FAILURES,
      ],
    },
    watchAll: {
      id: 'watchAll',
      right: 'read',
      method: 'get',
      path: '/events',
      tag: 'displays',
      summary: 'Watch all timers and all displays, at most 10 messages a second',
      success: {
        ...stream,
        description: 'An overview, then updates.',
        body: consoleMessageSchema,
      },
      problems: ['too_many_streams', ...streamProblems],
    },
  } as const satisfies Record<string, Operation>;
}

function recordOperations() {
  const problems = ['journal_unavailable', 'shutting_down', ...FAILURES] as const;
  return {
    getHistory: {
      id: 'getHistory',
      right: 'read',
      method: 'get',
      path: '/timers/{timer_id}/history',
      tag: 'record',
      summary: 'Everything that ever happened to a timer, also after it was deleted',
      success: { status: 200, description: 'Its entries, oldest first.', body: historySchema },
      problems: ['unknown_timer', 'invalid_request', ...problems],
    },
    createReceipt: {
      id: 'createReceipt',
      // It changes no timer, so those who only show one may have it.
      right: 'follow',
      method: 'post',
      path: '/timers/{timer_id}/receipts',
      tag: 'record',
      summary: 'Have it signed how a timer stands now',
      headers: CHANGE_HEADERS,
      body: receiptRequestSchema,
      success: {
        status: 201,
        description: 'What is signed, and the signature.',
        body: receiptSchema,
        headers: { 'Cache-Control': 'Not to be kept.' },
      },
      problems: [
        ...TIMER_PROBLEMS,
        ...BODY_PROBLEMS,
        ...CHANGE_PROBLEMS,
        'foreign_origin',
        ...FAILURES,
      ],
    },
    exportAudit: {
      id: 'exportAudit',
      right: 'audit',
      method: 'get',
      path: '/audit',
      tag: 'record',
      summary: 'Export the record: every entry with its hash, and the signed heads among them',
      query: auditQuerySchema,
      success: {
        status: 200,
        description: 'One JSON text on each line; the last one is a head of the export itself.',
        mediaType: NDJSON_TYPE,
        body: auditLineSchema,
        headers: { 'Cache-Control': 'Not to be kept.' },
      },
      problems: ['invalid_request', ...problems],
    },
    listHeads: {
      id: 'listHeads',
      right: 'audit',
      method: 'get',
      path: '/audit/heads',
      tag: 'record',
      summary: 'The signed heads of the record, one for each day that had entries',
      success: { status: 200, description: 'All heads.', body: signedHeadsSchema },
      problems,
    },
    publicKeys: {
      id: 'publicKeys',
      right: 'public',
      method: 'get',
      path: '/.well-known/jwks.json',
      tag: 'record',
      summary: 'The public keys that receipts and heads are checked with',
      success: {
        status: 200,
        description: 'A JSON Web Key Set.',
        body: publicKeysSchema,
        headers: { 'Cache-Control': 'How long to keep it.' },
      },
      problems: EVERYWHERE,
    },
  } as const satisfies Record<string, Operation>;
}

function webhookOperations(schemas: RequestSchemas) {
  const common = { right: 'manage', tag: 'webhooks' } as const;
  const changeProblems = [
    ...CHANGE_PROBLEMS,
    ...RESTRICTED,
    'foreign_origin',
    'journal_unavailable',
    'outcome_unknown',
  ] as const;
  return {
    createWebhook: {
      ...common,
      id: 'createWebhook',
      method: 'post',
      path: '/webhooks',
      summary: 'Have a receiver told what happens to timers from now on',
      headers: CHANGE_HEADERS,
      body: createWebhookSchema,
      success: {
        status: 201,
        description: 'The webhook, with the secret that its messages are signed with.',
        body: webhookWithSecretSchema,
        headers: { Location: 'The address of the webhook.' },
      },
      problems: [...BODY_PROBLEMS, ...changeProblems, 'too_many_webhooks'],
    },
    listWebhooks: {
      ...common,
      id: 'listWebhooks',
      method: 'get',
      path: '/webhooks',
      summary: 'List webhooks, oldest first',
      success: { status: 200, description: 'All webhooks.', body: webhooksSchema },
      problems: RESTRICTED,
    },
    getWebhook: {
      ...common,
      id: 'getWebhook',
      method: 'get',
      path: '/webhooks/{webhook_id}',
      summary: 'Get a webhook',
      success: { status: 200, description: 'The webhook.', body: webhookSchema },
      problems: ['unknown_webhook', 'invalid_request', ...RESTRICTED],
    },
    deleteWebhook: {
      ...common,
      id: 'deleteWebhook',
      method: 'delete',
      path: '/webhooks/{webhook_id}',
      summary: 'Delete a webhook and its delivery log',
      headers: CHANGE_HEADERS,
      success: { status: 204, description: 'The webhook is gone.' },
      problems: ['unknown_webhook', ...changeProblems],
    },
    rotateWebhook: {
      ...common,
      id: 'rotateWebhook',
      method: 'post',
      path: '/webhooks/{webhook_id}/rotate',
      summary: 'Make a new secret; the one before it signs beside it for 24 hours',
      headers: CHANGE_HEADERS,
      success: {
        status: 200,
        description: 'The webhook, with its new secret.',
        body: webhookWithSecretSchema,
      },
      problems: ['unknown_webhook', 'too_many_secrets', ...changeProblems],
    },
    enableWebhook: {
      ...common,
      id: 'enableWebhook',
      method: 'post',
      path: '/webhooks/{webhook_id}/enable',
      summary: 'Deliver what waits, at once, of a webhook that was disabled or failed',
      headers: CHANGE_HEADERS,
      success: { status: 200, description: 'The webhook.', body: webhookSchema },
      problems: ['unknown_webhook', ...changeProblems],
    },
    listDeliveries: {
      ...common,
      id: 'listDeliveries',
      method: 'get',
      path: '/webhooks/{webhook_id}/deliveries',
      summary: 'The delivery log: the last attempts, newest first',
      query: schemas.deliveries,
      success: { status: 200, description: 'Attempts.', body: attemptsSchema },
      problems: ['unknown_webhook', 'invalid_request', ...RESTRICTED],
    },
    redeliver: {
      ...common,
      id: 'redeliver',
      method: 'post',
      path: '/webhooks/{webhook_id}/deliveries/{message_id}/redeliver',
      summary: 'Send a message of the delivery log once more, now',
      headers: CHANGE_HEADERS,
      success: { status: 200, description: 'What became of it.', body: attemptSchema },
      problems: ['unknown_webhook', 'unknown_delivery', ...changeProblems],
    },
  } as const satisfies Record<string, Operation>;
}

/** An OpenAPI path in Express's form. */
export function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}
