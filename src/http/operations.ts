/**
 * Every HTTP operation: its address and what it takes and gives. Routes are mounted from this table
 * and OpenAPI is generated from it, so that neither can know an operation the other does not.
 */
import { z } from 'zod';
import { consoleMessageSchema } from '../protocol/console.js';
import { acknowledgementSchema, displayIdSchema, displaysSchema } from '../protocol/displays.js';
import { displayEventSchema } from '../protocol/messages.js';
import type { HttpProblemCode } from '../protocol/problems.js';
import {
  bulkResultSchema,
  healthSchema,
  probeSchema,
  type RequestSchemas,
  timeSchema,
} from '../protocol/requests.js';
import { timerSchema } from '../protocol/timer.js';

export interface Operation {
  readonly id: string;
  readonly method: 'get' | 'post' | 'delete';
  /** In OpenAPI's form, with `{timer_id}`. */
  readonly path: string;
  readonly tag: 'timers' | 'bulk' | 'displays' | 'service';
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Where a body may be smaller than others. */
  readonly largestBodyBytes?: number;
  readonly success: {
    readonly status: number;
    readonly description: string;
    readonly body?: z.ZodType;
    /** True for a stream of server-sent events, each with such a body as its data. */
    readonly isStream?: boolean;
    readonly headers?: Readonly<Record<string, string>>;
  };
  readonly problems: readonly HttpProblemCode[];
}

const FAILURES = ['internal_error', 'recovering'] as const;
const REFUSALS = [...FAILURES, 'shutting_down', 'journal_unavailable', 'timer_restarting'] as const;
const BODY_PROBLEMS = ['invalid_request', 'body_too_large', 'unsupported_media_type'] as const;

/** As much as a display may say in one message over WebSocket. */
const LARGEST_ACKNOWLEDGEMENT_BYTES = 4096;

/** What stands in addresses. */
export const pathSchemas: Readonly<Record<string, z.ZodType>> = {
  timer_id: z
    .string()
    .meta({ description: 'Identifies a timer.', examples: ['timer_0mjx3k2p9a1b2c3d4e5f6'] }),
  display_id: displayIdSchema,
};

export function operationsOf(schemas: RequestSchemas) {
  return {
    createTimer: {
      id: 'createTimer',
      method: 'post',
      path: '/timers',
      tag: 'timers',
      summary: 'Create a timer',
      body: schemas.create,
      success: {
        status: 201,
        description: 'The new timer.',
        body: timerSchema,
        headers: { Location: 'The address of the timer.' },
      },
      problems: [...BODY_PROBLEMS, 'too_many_timers', ...REFUSALS],
    },
    listTimers: {
      id: 'listTimers',
      method: 'get',
      path: '/timers',
      tag: 'timers',
      summary: 'List timers, oldest first',
      query: schemas.list,
      success: {
        status: 200,
        description: 'One page of timers.',
        body: z.array(timerSchema),
        headers: { Link: 'The address of the next page, as rel="next", if there is one.' },
      },
      problems: ['invalid_request', ...FAILURES],
    },
    getTimer: {
      id: 'getTimer',
      method: 'get',
      path: '/timers/{timer_id}',
      tag: 'timers',
      summary: 'Get a timer as it is now',
      success: { status: 200, description: 'The timer.', body: timerSchema },
      problems: ['unknown_timer', 'invalid_request', 'timer_restarting', ...FAILURES],
    },
    deleteTimer: {
      id: 'deleteTimer',
      method: 'delete',
      path: '/timers/{timer_id}',
      tag: 'timers',
      summary: 'Delete a timer',
      success: { status: 204, description: 'The timer is gone.' },
      problems: ['unknown_timer', 'invalid_request', ...REFUSALS],
    },
    controlTimer: {
      id: 'controlTimer',
      method: 'post',
      path: '/timers/{timer_id}/control',
      tag: 'timers',
      summary: 'Start, pause, resume, extend or stop a timer',
      body: schemas.control,
      success: { status: 200, description: 'The timer after the change.', body: timerSchema },
      problems: ['impossible_action', 'unknown_timer', ...BODY_PROBLEMS, ...REFUSALS],
    },
    ...bulkOperations(schemas),
    ...displayOperations(schemas),
    health: {
      id: 'health',
      method: 'get',
      path: '/health',
      tag: 'service',
      summary: 'Whether the service is healthy, and how many timers are active',
      success: { status: 200, description: 'It is.', body: healthSchema },
      problems: ['internal_error'],
    },
    livez: {
      id: 'livez',
      method: 'get',
      path: '/livez',
      tag: 'service',
      summary: 'Whether the process lives',
      success: { status: 200, description: 'It does.', body: probeSchema },
      problems: ['internal_error'],
    },
    readyz: {
      id: 'readyz',
      method: 'get',
      path: '/readyz',
      tag: 'service',
      summary: 'Whether the service takes commands: after recovery, and until shutdown begins',
      success: { status: 200, description: 'It does.', body: probeSchema },
      problems: [...FAILURES, 'shutting_down'],
    },
    time: {
      id: 'time',
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
      problems: ['internal_error'],
    },
  } as const satisfies Record<string, Operation>;
}

export type Operations = ReturnType<typeof operationsOf>;

function bulkOperations(schemas: RequestSchemas) {
  const common = {
    method: 'post',
    tag: 'bulk',
    body: schemas.bulk,
    success: { status: 200, description: 'What was done with each timer.', body: bulkResultSchema },
    problems: [...BODY_PROBLEMS, ...REFUSALS],
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
  const streamProblems = [...FAILURES, 'shutting_down', 'foreign_origin'] as const;
  return {
    followTimer: {
      id: 'followTimer',
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
      problems: [
        'unknown_timer',
        'invalid_request',
        'too_many_displays',
        'timer_restarting',
        'journal_unavailable',
        ...streamProblems,
      ],
    },
    showDisplays: {
      id: 'showDisplays',
      method: 'get',
      path: '/timers/{timer_id}/displays',
      tag: 'displays',
      summary: 'Who follows a timer, and what they show',
      success: { status: 200, description: 'All displays.', body: displaysSchema },
      problems: ['unknown_timer', 'invalid_request', 'timer_restarting', ...FAILURES],
    },
    watchDisplays: {
      id: 'watchDisplays',
      method: 'get',
      path: '/timers/{timer_id}/displays/events',
      tag: 'displays',
      summary: 'Who follows a timer, whenever that changes, at most 4 times a second',
      success: { ...stream, description: 'All displays, each time.', body: displaysSchema },
      problems: [
        'unknown_timer',
        'invalid_request',
        'too_many_streams',
        'timer_restarting',
        ...streamProblems,
      ],
    },
    acknowledge: {
      id: 'acknowledge',
      method: 'post',
      path: '/timers/{timer_id}/displays/{display_id}/acknowledgement',
      tag: 'displays',
      summary: 'Say what a display shows, which changes no timer',
      body: acknowledgementSchema,
      largestBodyBytes: LARGEST_ACKNOWLEDGEMENT_BYTES,
      success: { status: 204, description: 'It is noted.' },
      problems: [
        'unknown_timer',
        'unknown_display',
        ...BODY_PROBLEMS,
        'too_many_messages',
        'timer_restarting',
        ...FAILURES,
      ],
    },
    watchAll: {
      id: 'watchAll',
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

/** An OpenAPI path in Express's form. */
export function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}
