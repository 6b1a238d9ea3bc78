/** The routes that create, show, control and delete timers. */
import type { RequestHandler, Response } from 'express';
import type { z } from 'zod';
import { Problem, problemOf } from '../protocol/problems.js';
import type { bulkResultSchema, RequestSchemas } from '../protocol/requests.js';
import { timerResource, WIRE_STATES, type WireTimerState } from '../protocol/timer.js';
import type { Action, Command, CommandResult, Registry, TimerStatus } from '../registry.js';
import { parse, timerIdOf } from './parse.js';

/** Who causes a change, as long as callers have no names. */
const ANYONE = 'anyone';

type BulkResults = z.output<typeof bulkResultSchema>;

const DONE = {
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
} as const satisfies Record<Exclude<Action, 'extend'>, string>;

export function timerRoutes(registry: Registry, schemas: RequestSchemas) {
  const createTimer: RequestHandler = async (request, response) => {
    const body = parse(schemas.create, request.body, 'body');
    const definition = {
      name: body.name,
      durationMs: body.duration_seconds * 1000,
      warningThresholdsMs: body.warning_thresholds.map((seconds) => seconds * 1000),
      autoStart: body.auto_start,
    };
    const timer = changed(await registry.create(definition, ANYONE), '');
    response.status(201).location(`/timers/${timer.record.id}`).json(timerResource(timer));
  };

  const listTimers: RequestHandler = (request, response) => {
    if (registry.absence !== undefined) throw problemOf(registry.absence, '');
    const { state, limit, after } = parse(schemas.list, request.query, 'query');
    const wanted = state === undefined ? undefined : STATES[state];
    const page: TimerStatus[] = [];
    let hasMore = false;
    for (const timer of registry.list(after, wanted)) {
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

  const getTimer: RequestHandler = (request, response) => {
    const timerId = timerIdOf(request);
    const found = registry.lookUp(timerId);
    if (!found.ok) throw problemOf(found.refusal, timerId);
    response.json(timerResource(found.timer));
  };

  const deleteTimer: RequestHandler = async (request, response) => {
    const timerId = timerIdOf(request);
    const result = await registry.execute({ type: 'delete', timerId }, ANYONE);
    if (!result.ok) throw problemOf(result.refusal, timerId);
    response.status(204).end();
  };

  const controlTimer: RequestHandler = async (request, response) => {
    const timerId = timerIdOf(request);
    const body = parse(schemas.control, request.body, 'body');
    const command: Command =
      body.action === 'extend'
        ? { type: 'extend', timerId, addedMs: body.extend_seconds * 1000 }
        : { type: body.action, timerId };
    response.json(timerResource(changed(await registry.execute(command, ANYONE), timerId)));
  };

  const bulk =
    (action: Exclude<Action, 'extend'>): RequestHandler =>
    async (request, response) => {
      const timerIds = parse(schemas.bulk, request.body, 'body');
      const commands = timerIds.map((timerId): Command => ({ type: action, timerId }));
      await respondToAll(response, commands, DONE[action]);
    };

  const bulkExtend: RequestHandler = async (request, response) => {
    const body = parse(schemas.bulkExtend, request.body, 'body');
    const query = parse(schemas.bulkExtendQuery, request.query, 'query');
    const seconds = body.seconds ?? query.seconds;
    if (seconds === undefined) {
      const errors = [{ field: 'query.seconds', message: 'Required: how many seconds to add' }];
      throw new Problem('invalid_request', 'Say how many seconds to add: ?seconds=300', errors);
    }
    const commands = body.timer_ids.map((timerId): Command => {
      return { type: 'extend', timerId, addedMs: seconds * 1000 };
    });
    await respondToAll(response, commands, `extended by ${seconds}s`);
  };

  async function respondToAll(
    response: Response,
    commands: Command[],
    done: string,
  ): Promise<void> {
    const results = await registry.executeAll(commands, ANYONE);
    const refusedOutright = results.find(
      (result) => !result.ok && isOfService(result.refusal.reason),
    );
    if (refusedOutright?.ok === false && results.every((result) => !result.ok)) {
      throw problemOf(refusedOutright.refusal, '');
    }
    const body: BulkResults = results.map((result, index) => ({
      timer_id: commands[index]?.timerId ?? '',
      success: result.ok,
      status: result.ok ? done : failureOf(result),
    }));
    response.json(body);
  }

  return {
    createTimer,
    listTimers,
    getTimer,
    deleteTimer,
    controlTimer,
    bulkStart: bulk('start'),
    bulkPause: bulk('pause'),
    bulkResume: bulk('resume'),
    bulkExtend,
    bulkStop: bulk('stop'),
  };
}

const STATES = {
  created: 'CREATED',
  running: 'RUNNING',
  paused: 'PAUSED',
  expired: 'EXPIRED',
  completed: 'COMPLETED',
} as const satisfies Record<WireTimerState, TimerStatus['state']>;

function changed(result: CommandResult, timerId: string): TimerStatus {
  if (!result.ok) throw problemOf(result.refusal, timerId);
  if (result.timer === undefined) throw problemOf({ reason: 'unknown_timer' }, timerId);
  return result.timer;
}

/** Whether a refusal is about the service as a whole rather than about one timer. */
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
    case 'too_many_timers':
    case 'recovering':
    case 'shutting_down':
    case 'timer_restarting':
    case 'journal_unavailable':
      return `failed (${refusal.reason})`;
  }
}
