/** The routes that create, show, control and delete timers. */
import type { Request } from 'express';
import { z } from 'zod';
import { recordOf, stateOf } from '../../machines/record.js';
import { authorOf, type Caller, reaches } from '../access/caller.js';
import { Problem, problemOf } from '../protocol/problems.js';
import type { bulkResultSchema, ReasonBody, RequestSchemas } from '../protocol/requests.js';
import { timerResource, WIRE_STATES, type WireTimerState } from '../protocol/timer.js';
import type {
  Action,
  Cause,
  Command,
  CommandResult,
  Entry,
  LookUp,
  Refusal,
  Registry,
  TimerStatus,
} from '../registry.js';
import type { Answer, Handler } from './exchange.js';
import type { Idempotency, RecordedChange, RecordedCreation } from './idempotency.js';
import { parse, timerIdOf } from './parse.js';

type BulkResult = z.output<typeof bulkResultSchema>[number];

const DONE = {
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
} as const satisfies Record<Exclude<Action, 'extend'>, string>;

/** What a bulk command asks of each of its timers. */
interface BulkRequest {
  readonly timerIds: readonly string[];
  readonly reason: ReasonBody | undefined;
  readonly commandFor: (timerId: string) => Command;
  /** What is said of a timer that did it. */
  readonly done: string;
}

export function timerRoutes(registry: Registry, schemas: RequestSchemas, idempotency: Idempotency) {
  const createTimer: RecordedCreation<string> = {
    plan: () => registry.newTimerId(),
    planSchema: z.string(),
    make: async ({ request, caller }, requestId, timerId) => {
      const body = parse(schemas.create, request.body, 'body');
      const definition = {
        name: body.name,
        durationMs: body.duration_seconds * 1000,
        warningThresholdsMs: body.warning_thresholds.map((seconds) => seconds * 1000),
        autoStart: body.auto_start,
      };
      const cause = causeOf(caller, undefined, requestId);
      const result = await registry.create(definition, cause, timerId);
      const made = result.ok ? undefined : await creationBy(requestId, timerId, result.refusal);
      return creationOf(made ?? changed(result, timerId));
    },
    recover: async (_, entries) => creationOf(await timerAfter(entries)),
  };

  const controlTimer: RecordedChange = {
    make: async ({ request, caller }, requestId) => {
      const timerId = timerIdOf(request);
      const body = parse(schemas.control, request.body, 'body');
      const expectedRevisions = expectedRevisionsOf(request);
      const command: Command =
        body.action === 'extend'
          ? { type: 'extend', timerId, expectedRevisions, addedMs: body.extend_seconds * 1000 }
          : { type: body.action, timerId, expectedRevisions };
      const cause = causeOf(caller, body.reason, requestId);
      return answerOf(changed(await registry.execute(command, cause), timerId));
    },
    recover: async (_, entries) => answerOf(await timerAfter(entries)),
  };

  const deleteTimer: RecordedChange = {
    make: async ({ request, caller }, requestId) => {
      const timerId = timerIdOf(request);
      const query = parse(schemas.deletion, request.query, 'query');
      const expectedRevisions = expectedRevisionsOf(request);
      const reason = query.reason_category && {
        category: query.reason_category,
        text: query.reason_text,
      };
      const cause = causeOf(caller, reason, requestId);
      const command = { type: 'delete', timerId, expectedRevisions } as const;
      const result = await registry.execute(command, cause);
      if (!result.ok) throw problemOf(result.refusal, timerId);
      return { status: 204 };
    },
    recover: async () => ({ status: 204 }),
  };

  const listTimers: Handler = ({ request, response, caller }) => {
    if (registry.absence !== undefined) throw problemOf(registry.absence, '');
    const { state, limit, after } = parse(schemas.list, request.query, 'query');
    const wanted = state === undefined ? undefined : STATES[state];
    const page: TimerStatus[] = [];
    let hasMore = false;
    for (const timer of registry.list(after, wanted)) {
      if (!reaches(caller, timer.record)) continue;
      hasMore = page.length === limit;
      if (hasMore) break;
      page.push(timer);
    }
    const last = page.at(-1);
    if (hasMore && last !== undefined) {
      const next = new URLSearchParams({
        ...(state && { state }),
        limit: `${limit}`,
        after: last.record.id,
      });
      response.set('Link', `</timers?${next}>; rel="next"`);
    }
    response.json(page.map(timerResource));
  };

  const getTimer: Handler = ({ request, response }) => {
    const timerId = timerIdOf(request);
    const found = registry.lookUp(timerId);
    if (!found.ok) throw problemOf(found.refusal, timerId);
    const { headers, body } = answerOf(found.timer);
    response.set(headers).json(body);
  };

  const bulk = (action: Exclude<Action, 'extend'>): RecordedChange =>
    bulkChange((request) => {
      const { timer_ids, reason } = parse(schemas.bulk, request.body, 'body');
      return {
        timerIds: timer_ids,
        reason,
        commandFor: (timerId) => ({ type: action, timerId }),
        done: DONE[action],
      };
    });

  const bulkExtend = bulkChange((request) => {
    const body = parse(schemas.bulkExtend, request.body, 'body');
    const query = parse(schemas.bulkExtendQuery, request.query, 'query');
    const seconds = body.seconds ?? query.seconds;
    if (seconds === undefined) {
      const errors = [{ field: 'query.seconds', message: 'Required: how many seconds to add' }];
      throw new Problem('invalid_request', 'Say how many seconds to add: ?seconds=300', { errors });
    }
    return {
      timerIds: body.timer_ids,
      reason: body.reason,
      commandFor: (timerId) => ({ type: 'extend', timerId, addedMs: seconds * 1000 }),
      done: `extended by ${seconds}s`,
    };
  });

  function bulkChange(read: (request: Request) => BulkRequest): RecordedChange {
    return {
      make: async ({ request, caller }, requestId) => {
        refuseCondition(request);
        const asked = read(request);
        const cause = causeOf(caller, asked.reason, requestId);
        return { status: 200, body: await carryOut(asked, caller, cause) };
      },
      recover: async ({ request }, entries) => {
        const { timerIds, done } = read(request);
        const changedIds = new Set(entries.map(({ timerId }) => timerId));
        const body = timerIds.map((timerId): BulkResult => {
          const success = changedIds.has(timerId);
          return { timer_id: timerId, success, status: success ? done : 'failed (interrupted)' };
        });
        return { status: 200, body };
      },
    };
  }

  /** Only timers that the caller may change are asked; the others are answered for without. */
  async function carryOut(
    { timerIds, commandFor, done }: BulkRequest,
    caller: Caller,
    cause: Cause,
  ): Promise<BulkResult[]> {
    const lookUp = await registry.hear(timerIds);
    const hindrances = timerIds.map((timerId) => hindranceOf(caller, lookUp(timerId)));
    const asked = timerIds.filter((_, index) => hindrances[index] === undefined);
    const commands = asked.map(commandFor);
    const results = await registry.executeAll(commands, cause);
    refuseOutright(results);
    const outcomes = results.values();
    return timerIds.map((timerId, index): BulkResult => {
      const hindrance = hindrances[index];
      if (hindrance !== undefined) return { timer_id: timerId, success: false, status: hindrance };
      const result = outcomes.next().value;
      if (result === undefined) throw new RangeError('Every command that was asked has a result');
      return {
        timer_id: timerId,
        success: result.ok,
        status: result.ok ? done : failureOf(result),
      };
    });
  }

  /** What is said of a timer that is not asked: it is not the caller's, or nobody can say now whether it is. */
  function hindranceOf(caller: Caller, found: LookUp): string | undefined {
    if (found.ok) return reaches(caller, found.timer.record) ? undefined : 'failed (forbidden)';
    const isOpen = ['timer_restarting', 'journal_unavailable'].includes(found.refusal.reason);
    return isOpen ? failureOf(found) : undefined;
  }

  /** The timer that a request is refused for, if an attempt before made it for the same request. */
  async function creationBy(
    requestId: string | null,
    timerId: string,
    { reason }: Refusal,
  ): Promise<TimerStatus | undefined> {
    if (reason !== 'timer_exists' || requestId === null) return undefined;
    try {
      const [creation] = await registry.history(timerId);
      return creation?.requestId === requestId ? await timerAfter([creation]) : undefined;
    } catch {
      throw problemOf({ reason: 'outcome_unknown' }, timerId);
    }
  }

  /** A timer as it was right after the last of some entries. */
  async function timerAfter(entries: readonly Entry[]): Promise<TimerStatus> {
    const last = entries.at(-1);
    if (last === undefined) throw new RangeError('A change that was made has left an entry');
    const history = await registry.history(last.timerId);
    const record = recordOf(history.filter(({ revision }) => revision <= last.revision));
    return { record, state: stateOf(record), connectedClients: 0, atMs: last.recordedAtMs };
  }

  return {
    createTimer: idempotency.created(createTimer),
    listTimers,
    getTimer,
    deleteTimer: idempotency.recorded(deleteTimer),
    controlTimer: idempotency.recorded(controlTimer),
    bulkStart: idempotency.recorded(bulk('start')),
    bulkPause: idempotency.recorded(bulk('pause')),
    bulkResume: idempotency.recorded(bulk('resume')),
    bulkExtend: idempotency.recorded(bulkExtend),
    bulkStop: idempotency.recorded(bulk('stop')),
  };
}

const STATES = {
  created: 'CREATED',
  running: 'RUNNING',
  paused: 'PAUSED',
  expired: 'EXPIRED',
  completed: 'COMPLETED',
} as const satisfies Record<WireTimerState, TimerStatus['state']>;

function causeOf(caller: Caller, reason: ReasonBody | undefined, requestId: string | null): Cause {
  return {
    by: authorOf(caller),
    reason: reason === undefined ? null : { category: reason.category, text: reason.text ?? null },
    requestId,
  };
}

function answerOf(timer: TimerStatus) {
  // What remains changes all the time, the revision does not: only the latter is a validator.
  const headers = { ETag: `"${timer.record.revision}"`, 'Cache-Control': 'no-store' };
  return { status: 200, headers, body: timerResource(timer) } satisfies Answer;
}

function creationOf(timer: TimerStatus): Answer {
  const { headers, body } = answerOf(timer);
  return { status: 201, headers: { ...headers, Location: `/timers/${timer.record.id}` }, body };
}

/** Timers of one bulk command are at revisions of their own, which no single condition could name. */
function refuseCondition(request: Request): void {
  if (request.get('If-Match') === undefined) return;
  throw new Problem(
    'invalid_request',
    'A bulk command takes no If-Match; change timers one by one',
  );
}

/** The first entity tag of a list (RFC 9110, section 8.8.3), of which elements may be empty. */
const ENTITY_TAG = /^[ \t,]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)/;
const REVISION_TAG = /^"([1-9]\d{0,14})"$/;

/**
 * The revisions that `If-Match` names (RFC 9110, section 13.1.1); nothing where any will do. Tags that are weak, or
 * none of this service's, match no revision.
 */
function expectedRevisionsOf(request: Request): number[] | undefined {
  const condition = request.get('If-Match');
  if (condition === undefined || condition.trim() === '*') return undefined;
  return tagsIn(condition).flatMap((tag) => {
    const [, revision] = REVISION_TAG.exec(tag) ?? [];
    return revision === undefined ? [] : [Number(revision)];
  });
}

function tagsIn(list: string): string[] {
  const tags: string[] = [];
  let rest = list;
  do {
    const [whole, tag] = ENTITY_TAG.exec(rest) ?? [];
    if (whole === undefined || tag === undefined) {
      const detail = 'If-Match takes tags in quotes, as ETag gave them, such as "3" or "3", "4"';
      throw new Problem('invalid_request', detail);
    }
    tags.push(tag);
    rest = rest.slice(whole.length);
  } while (rest !== '');
  return tags;
}

function changed(result: CommandResult, timerId: string): TimerStatus {
  if (!result.ok) throw problemOf(result.refusal, timerId);
  if (result.timer === undefined) throw problemOf({ reason: 'unknown_timer' }, timerId);
  return result.timer;
}

/** When nothing could be done because of the service as a whole, the whole request is refused. */
function refuseOutright(results: readonly CommandResult[]): void {
  const refusals = results.flatMap((result) => (result.ok ? [] : [result.refusal]));
  if (refusals.length < results.length) return;
  const inDoubt = refusals.find(({ reason }) => reason === 'outcome_unknown');
  const refusal = inDoubt ?? refusals.find(({ reason }) => isOfService(reason));
  if (refusal !== undefined) throw problemOf(refusal, '');
}

function isOfService(reason: string): boolean {
  return ['recovering', 'shutting_down', 'journal_unavailable'].includes(reason);
}

function failureOf(result: Extract<CommandResult, { ok: false }>): string {
  const { refusal } = result;
  switch (refusal.reason) {
    case 'unknown_timer':
      return 'not found';
    case 'impossible_action':
      return `failed (state: ${WIRE_STATES[refusal.state]})`;
    case 'timer_exists':
    case 'wrong_revision':
    case 'too_many_timers':
    case 'recovering':
    case 'shutting_down':
    case 'timer_restarting':
    case 'journal_unavailable':
    case 'outcome_unknown':
      return `failed (${refusal.reason})`;
  }
}
