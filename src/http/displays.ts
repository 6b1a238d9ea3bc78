/** The routes of those who follow timers, and of those who look after them. */
import { reaches } from '../access/caller.js';
import type { Limits } from '../access/limits.js';
import { acknowledgementSchema } from '../protocol/displays.js';
import { EVENT_STREAM_HEADERS } from '../protocol/events.js';
import type { RequestSchemas } from '../protocol/requests.js';
import type { Realtime } from '../realtime/realtime.js';
import type { Handler } from './exchange.js';
import { parameterOf, parse, timerIdOf } from './parse.js';

export function displayRoutes(realtime: Realtime, schemas: RequestSchemas, limits: Limits) {
  /** Express hands HEAD to the handlers of GET, but a stream without a body has nothing to stream. */
  function streaming(handler: Handler): Handler {
    return (exchange) => {
      const { request, response, caller } = exchange;
      if (request.method === 'HEAD') {
        response.set(EVENT_STREAM_HEADERS).end();
        return undefined;
      }
      // It may have closed while its credential was checked, and is not told of that a second time.
      if (response.destroyed) return undefined;
      limits.connect(request, caller, response);
      return handler(exchange);
    };
  }

  const followTimer = streaming(async ({ request, response, caller }) => {
    const lastEventId = request.get('Last-Event-ID') || undefined;
    const named = lastEventId === undefined ? {} : { last_event_id: lastEventId };
    const query = parse(schemas.followEvents, { ...request.query, ...named }, 'query');
    await realtime.follow(
      { request, response, caller },
      {
        timerId: timerIdOf(request),
        wantsTicks: query.ticks === 'true',
        label: query.label,
        lastRevision: query.last_event_id,
      },
    );
  });

  const watchDisplays = streaming(({ request, response, caller }) => {
    realtime.watchDisplays({ request, response, caller }, timerIdOf(request));
  });

  const watchAll = streaming(({ request, response, caller }) => {
    realtime.watchAll({ request, response, caller }, (record) => reaches(caller, record));
  });

  const showDisplays: Handler = async ({ request, response }) => {
    response.json(await realtime.displaysOf(timerIdOf(request)));
  };

  const acknowledge: Handler = async ({ request, response, caller }) => {
    const body = parse(acknowledgementSchema, request.body, 'body');
    const displayId = parameterOf(request, 'display_id');
    await realtime.acknowledge(timerIdOf(request), displayId, body, caller);
    response.status(204).end();
  };

  return { followTimer, watchDisplays, watchAll, showDisplays, acknowledge };
}
