/**
 * The one table of everything that can go wrong for a caller: its code, the HTTP status it is answered
 * with (RFC 9457), the code a WebSocket is closed with, and its title. `docs/SPEC.md` lists the same.
 */
import { z } from 'zod';
import type { Refusal } from '../registry.js';
import { WIRE_STATES } from './timer.js';

interface ProblemKind {
  readonly title: string;
  /** The HTTP status, where a request can meet this problem. */
  readonly status?: number;
  /** The WebSocket close code, where a display can. */
  readonly closeCode?: number;
  /** The same request may succeed after this many seconds. */
  readonly retryAfterSeconds?: number;
}

export const PROBLEMS = {
  unreadable_request: { status: 400, title: 'The request is no HTTP that can be read' },
  bad_handshake: { status: 400, title: 'The handshake of the WebSocket is not valid' },
  impossible_action: { status: 400, title: 'The timer cannot do that in its state' },
  unauthenticated: {
    status: 401,
    title: 'A credential is needed, and none that is valid was shown',
  },
  forbidden: { status: 403, title: 'The credential does not allow this' },
  foreign_host: { status: 403, title: 'Without credentials the service answers this machine only' },
  unknown_timer: { status: 404, closeCode: 4004, title: 'Timer not found' },
  unknown_display: { status: 404, title: 'Display not found' },
  unknown_key: { status: 404, title: 'Key not found' },
  unknown_webhook: { status: 404, title: 'Webhook not found' },
  unknown_delivery: { status: 404, title: 'The delivery log has no such message' },
  unknown_route: { status: 404, title: 'No such address' },
  method_not_allowed: { status: 405, title: 'This address does not take this method' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  admin_key_needed: { status: 409, title: 'No administrator could look after the service' },
  wrong_revision: { status: 412, title: 'The timer is not at the revision that was named' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: {
    status: 415,
    title: 'The type or the encoding of the body is not known',
  },
  expectation_failed: { status: 417, title: 'The service does not do what is expected of it' },
  invalid_request: { status: 422, title: 'The request is not valid' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key belongs to another request' },
  upgrade_required: { status: 426, title: 'This address takes WebSocket connections' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  too_many_timers: { status: 429, retryAfterSeconds: 60, title: 'Too many timers' },
  too_many_displays: {
    status: 429,
    closeCode: 4029,
    retryAfterSeconds: 10,
    title: 'Too many displays follow this timer',
  },
  too_many_streams: {
    status: 429,
    retryAfterSeconds: 10,
    title: 'Too many event streams of consoles',
  },
  too_many_webhooks: { status: 429, retryAfterSeconds: 60, title: 'Too many webhooks' },
  too_many_secrets: {
    status: 429,
    retryAfterSeconds: 3600,
    title: 'Too many secrets of this webhook are still good',
  },
  foreign_origin: { status: 403, title: 'Pages of this origin may not do this' },
  internal_error: { status: 500, title: 'The service failed' },
  recovering: {
    status: 503,
    closeCode: 1013,
    retryAfterSeconds: 1,
    title: 'The service is starting',
  },
  shutting_down: {
    status: 503,
    closeCode: 1012,
    retryAfterSeconds: 5,
    title: 'The service is restarting',
  },
  timer_restarting: {
    status: 503,
    closeCode: 1013,
    retryAfterSeconds: 1,
    title: 'The timer is being restarted',
  },
  journal_unavailable: {
    status: 503,
    closeCode: 1013,
    retryAfterSeconds: 1,
    title: 'The journal is not available',
  },
  not_ready: {
    status: 503,
    retryAfterSeconds: 1,
    title: 'The service takes no changes now',
  },
  outcome_unknown: {
    status: 503,
    retryAfterSeconds: 5,
    title: 'Nobody can say now whether the change was recorded',
  },
  identity_provider_unavailable: {
    status: 503,
    retryAfterSeconds: 5,
    title: 'The identity provider does not answer',
  },
  timer_deleted: { closeCode: 4000, title: 'The timer was deleted' },
  timer_retired: { closeCode: 4001, title: 'The timer ended long ago' },
  credential_ended: { closeCode: 4401, title: 'The credential ended; come back with a new one' },
  too_slow: { closeCode: 4008, title: 'The display does not read what it is sent' },
  message_too_large: { closeCode: 1009, title: 'A message was too large' },
  rate_limited: { status: 429, retryAfterSeconds: 1, title: 'Too many requests' },
  too_many_connections: { status: 429, retryAfterSeconds: 10, title: 'Too many connections' },
  too_many_messages: {
    status: 429,
    closeCode: 4030,
    retryAfterSeconds: 1,
    title: 'Too many messages',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;
type WithStatus<C extends ProblemCode> = C extends ProblemCode
  ? (typeof PROBLEMS)[C] extends { status: number }
    ? C
    : never
  : never;
/** Problems that a request can be answered with. */
export type HttpProblemCode = WithStatus<ProblemCode>;
/** What is left of a limit only when something ends. */
type FullCode =
  | 'too_many_timers'
  | 'too_many_displays'
  | 'too_many_streams'
  | 'too_many_webhooks'
  | 'too_many_secrets'
  | 'too_many_connections';

export interface FieldError {
  /** Where in the request, such as `body.duration_seconds`. */
  readonly field: string;
  readonly message: string;
}

/** A part of the service without which it takes no changes. */
const missingPartSchema = z.object({
  part: z.enum(['timers', 'service', 'disk', 'connection', 'quorum', 'clock']),
  detail: z.string(),
});

interface ProblemDetails {
  readonly missing?: readonly z.output<typeof missingPartSchema>[];
  readonly errors?: readonly FieldError[] | undefined;
  /** What went wrong behind it, for the log. */
  readonly cause?: unknown;
}

/** What a request is refused with. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: HttpProblemCode;
  readonly errors: readonly FieldError[] | undefined;
  readonly #missing: ProblemDetails['missing'];

  constructor(code: HttpProblemCode, detail: string, about: ProblemDetails = {}) {
    super(detail, { cause: about.cause });
    this.code = code;
    this.errors = about.errors;
    this.#missing = about.missing;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  /** The headers of the answer. */
  get headers(): Readonly<Record<string, string>> {
    const { retryAfterSeconds }: ProblemKind = PROBLEMS[this.code];
    return {
      'Content-Type': PROBLEM_TYPE,
      ...(retryAfterSeconds !== undefined && { 'Retry-After': `${retryAfterSeconds}` }),
      ...(this.status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    };
  }

  /** The body of the answer. */
  toJSON(): z.output<typeof problemSchema> {
    return {
      type: `urn:synchronized-timer:problem:${this.code}`,
      title: PROBLEMS[this.code].title,
      status: this.status,
      detail: this.message,
      code: this.code,
      ...(this.errors === undefined ? {} : { errors: [...this.errors] }),
      ...(this.#missing === undefined ? {} : { missing: [...this.#missing] }),
    };
  }
}

/** How much of a limit is left. */
export interface Quota {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until all of it is there again. */
  readonly resetSeconds: number;
}

/** What the head of an answer says of a limit. */
export function quotaHeaders({ limit, remaining, resetSeconds }: Quota): Record<string, string> {
  return {
    'RateLimit-Limit': `${limit}`,
    'RateLimit-Remaining': `${Math.max(0, Math.floor(remaining))}`,
    'RateLimit-Reset': `${Math.ceil(resetSeconds)}`,
  };
}

/** The caller has reached a limit, and may try again later. */
export class LimitProblem extends Problem {
  readonly #quota: Quota;
  readonly #retryAfterSeconds: number | undefined;

  /** Without a time of its own it says what problems of its kind say. */
  constructor(code: HttpProblemCode, detail: string, quota: Quota, retryAfterSeconds?: number) {
    super(code, detail);
    this.#quota = quota;
    this.#retryAfterSeconds = retryAfterSeconds;
  }

  override get headers(): Readonly<Record<string, string>> {
    const seconds = this.#retryAfterSeconds;
    const own =
      seconds === undefined ? {} : { 'Retry-After': `${Math.max(1, Math.ceil(seconds))}` };
    return { ...super.headers, ...own, ...quotaHeaders(this.#quota) };
  }
}

/** Refuses one more of what there are as many of as may be. */
export function noRoom(code: FullCode, limit: number, detail: string): LimitProblem {
  const { retryAfterSeconds: resetSeconds } = PROBLEMS[code];
  return new LimitProblem(code, detail, { limit, remaining: 0, resetSeconds });
}

export const PROBLEM_TYPE = 'application/problem+json';

export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'Identifies the kind of problem.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What went wrong this time, and what to do.' }),
    code: z.string().meta({ description: 'The kind of problem in one word.' }),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Every field that is not valid.' }),
    missing: z.array(missingPartSchema).optional().meta({
      description: 'Of a service that is not ready, every part that is missing.',
    }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });

/** The problem a refused command is answered with. */
export function problemOf(refusal: Refusal, timerId: string): Problem {
  switch (refusal.reason) {
    case 'unknown_timer':
      return new Problem('unknown_timer', `Timer not found: ${timerId}`);
    case 'timer_exists':
      return new Problem('internal_error', `A timer ${timerId} exists already`);
    case 'impossible_action': {
      const { action, state, possible } = refusal;
      return new Problem(
        'impossible_action',
        `Cannot ${action} timer in state '${WIRE_STATES[state]}'. ` +
          `Valid actions: [${possible.join(', ')}]`,
      );
    }
    case 'wrong_revision':
      return new Problem(
        'wrong_revision',
        `Timer ${timerId} is at revision ${refusal.revision}; read it again and decide anew`,
      );
    case 'too_many_timers': {
      const { limit, of } = refusal;
      const whose = of === 'service' ? '' : ' of this credential';
      const detail = `There are ${limit} timers${whose} already, which is the limit; delete some or wait for their end`;
      return noRoom('too_many_timers', limit, detail);
    }
    case 'recovering':
      return new Problem(
        'recovering',
        'The timers are being read from the journal; try again soon',
      );
    case 'shutting_down':
      return new Problem('shutting_down', 'The service is shutting down; try again soon');
    case 'timer_restarting':
      return new Problem(
        'timer_restarting',
        `Timer ${timerId} failed and is coming back; try again soon`,
      );
    case 'journal_unavailable':
      return new Problem(
        'journal_unavailable',
        'The journal could not record the change, so nothing was changed; try again soon',
      );
    case 'outcome_unknown':
      return new Problem(
        'outcome_unknown',
        'The journal failed or went away while it was asked to record the change, which it may have done, or do ' +
          'when it is back; ask again under the same Idempotency-Key, or see what the timer shows then',
      );
  }
}
