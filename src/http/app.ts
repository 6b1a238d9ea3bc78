/** The Express application: what every request passes through, the routes, and the errors. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import cors from 'cors';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { default as SwaggerUi } from 'swagger-ui-express';
import type { Access } from '../access/access.js';
import type { Addresses } from '../access/address.js';
import type { Caller } from '../access/caller.js';
import type { Limits } from '../access/limits.js';
import { problemOfHost } from '../access/origins.js';
import type { Audit } from '../audit/export.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { DoubtError, JournalError } from '../journal/journal.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics/metrics.js';
import { answer } from '../protocol/answers.js';
import { asyncApiDocument } from '../protocol/asyncapi.js';
import {
  Problem,
  type ProblemCode,
  problemOf,
  type Quota,
  quotaHeaders,
} from '../protocol/problems.js';
import { publicAuthorOf } from '../protocol/record.js';
import { requestSchemas } from '../protocol/requests.js';
import { isoTime } from '../protocol/timer.js';
import type { MissingPart, Readiness } from '../readiness.js';
import type { Realtime } from '../realtime/realtime.js';
import type { Registry } from '../registry.js';
import type { Signer } from '../signing.js';
import type { Webhooks } from '../webhooks/webhooks.js';
import { credentialRoutes } from './credentials.js';
import { displayRoutes } from './displays.js';
import type { Handler } from './exchange.js';
import type { Idempotency } from './idempotency.js';
import { openApiDocument } from './openapi.js';
import { expressPath, type Operation, type Operations, operationsOf } from './operations.js';
import { servePages } from './pages.js';
import { timerIdOf } from './parse.js';
import { boundPipelines } from './pipelines.js';
import { recordRoutes } from './record.js';
import { documentationPolicy, securityHeaders } from './security.js';
import { timerRoutes } from './timers.js';
import { webhookRoutes } from './webhooks.js';

/** A bulk command of 10,000 ids takes about 300 KB. */
const LARGEST_BODY_BYTES = 512 * 1024;

const NOTHING: Buffer = Buffer.alloc(0);

const RATE_LIMIT_HEADERS = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];

const JOURNAL_ERROR = 'What was asked for could not be read or recorded; try again soon';
const DOUBT =
  'It is not known whether the change was recorded; ask again under the same Idempotency-Key, or see what is there';
const INTERNAL_ERROR = 'The service failed; its log says why';

/** The problem of a service that is not ready, by what is missing first. */
const UNREADY = {
  timers: 'recovering',
  service: 'shutting_down',
  disk: 'not_ready',
  connection: 'not_ready',
  quorum: 'not_ready',
  clock: 'not_ready',
} as const satisfies Record<MissingPart['part'], ProblemCode>;

export interface AppOptions {
  readonly config: Config;
  readonly registry: Registry;
  readonly access: Access;
  readonly limits: Limits;
  readonly signer: Signer;
  readonly idempotency: Idempotency;
  readonly audit: Audit;
  readonly realtime: Realtime;
  readonly webhooks: Webhooks;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** The folder of the built pages. */
  readonly webDirectory?: string | undefined;
}

export function createApp(options: AppOptions): Express {
  const { config, registry, access, limits, signer, idempotency, audit } = options;
  const { readiness, realtime, webhooks, metrics, clock, log, version, webDirectory } = options;
  const schemas = requestSchemas(config);
  const operations = operationsOf(schemas);
  const handlers: Record<keyof Operations, Handler> = {
    ...timerRoutes(registry, schemas, idempotency),
    ...recordRoutes({ registry, access, limits, idempotency, audit, signer, log }),
    ...credentialRoutes(registry, access, idempotency, clock, log),
    ...displayRoutes(realtime, schemas, limits),
    ...webhookRoutes(webhooks, schemas, idempotency, clock, log),
    ...serviceRoutes(registry, readiness, metrics, clock),
  };

  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  // What remains changes while the revision, which the ETag is, stays: nobody's copy is as good as an answer.
  Object.defineProperty(app.request, 'fresh', { value: false });
  app.set('query parser', 'simple');
  const exposedHeaders = ['ETag', 'Link', 'Location', 'Retry-After', ...RATE_LIMIT_HEADERS];
  const origin = config.corsOrigins.includes('*') ? '*' : config.corsOrigins;
  // First, so that pages can read refusals too; a preflight is answered only when nothing refuses it.
  app.use(cors({ origin, exposedHeaders, preflightContinue: true }));
  app.use((request, _, next) => {
    access.checkHost(request);
    next();
  });

  // Literal addresses come first, so that "bulk" is not taken for a timer's id.
  const all = Object.values(operations).sort(literalsFirst);
  for (const operation of all) {
    const { id, method, path } = operation;
    app[method](expressPath(path), serve(operation, handlers[id], access, limits, registry));
  }

  // An operation counts its requests when it knows whose they are; for all that comes now nobody need be known.
  app.use((request, response, next) => {
    tellQuota(response, limits.takeRequest(request));
    // Browsers wait for a body unless they are told that there is none.
    if (request.method === 'OPTIONS') response.status(204).set('Content-Length', '0').end();
    else next();
  });
  serveDocument(app, '/openapi.json', () => openApiDocument(operations, version));
  serveDocument(app, '/asyncapi.json', () => asyncApiDocument(schemas, version));
  // No validator: the page must not send the document to another host.
  const page = { swaggerUrl: '/openapi.json', swaggerOptions: { validatorUrl: null } };
  const files = documentationPage(({ serve }) =>
    express.Router().get('/{*file}', passManifest, serve),
  );
  app.use('/docs', documentationPolicy, files);
  app.get(
    '/docs',
    documentationPage((swaggerUi) => swaggerUi.setup(null, page)),
  );
  app.route('/docs').all(refuseMethod(['GET']));
  servePages(app, webDirectory);

  // A route's own `all` is one handler; that of the application is one for each method there is.
  for (const [path, methods] of methodsByPath(all)) {
    app.route(expressPath(path)).all(refuseMethod(methods));
  }
  app.route('/ws/:timer_id').all(() => {
    throw new Problem('upgrade_required', 'Connect to this address with a WebSocket');
  });
  app.use((request) => {
    throw new Problem('unknown_route', `There is nothing at ${request.path}; see /docs`);
  });
  app.use(answerProblem(log));
  return app;
}

/** The way of every request: who calls, whether they may, what they say, and only then what they want. */
function serve(
  operation: Operation,
  handler: Handler,
  access: Access,
  limits: Limits,
  registry: Registry,
): RequestHandler {
  const { right, method, path, body, success, largestBodyBytes = LARGEST_BODY_BYTES } = operation;
  const isChange = method !== 'get' && path.includes('{timer_id}');
  const { leavesNothing = method === 'get' } = operation;
  const asked = { right, mayBeLink: success.isStream === true, leavesNothing };
  const read = bodyReader(largestBodyBytes);
  return async (request, response) => {
    const caller = await limits.identify(
      request,
      (beforeVerifying) => access.identify(request, asked, beforeVerifying),
      (quota) => tellQuota(response, quota),
    );
    access.authorize(caller, request, asked);
    if (path.includes('{timer_id}')) await requireHeard(timerIdOf(request));
    const confirm = (): void => {
      if (right !== 'public') access.confirm(caller);
      permitTimer(timerIdOf(request), caller);
    };
    confirm();
    let bytes = NOTHING;
    if (body !== undefined) {
      requireJson(request);
      bytes = await read(request, response);
      // The body takes as long as its sender likes, and much may end meanwhile.
      confirm();
    }
    await handler({ request, response, caller, bytes, confirm });
  };

  /** That there is no such timer is said only where that is known. */
  async function requireHeard(timerId: string): Promise<void> {
    const lookUp = await registry.hear([timerId]);
    const found = lookUp(timerId);
    if (found.ok || found.refusal.reason !== 'journal_unavailable') return;
    const detail = `Whether there is a timer ${timerId} cannot be found out now; try again soon`;
    throw new Problem('journal_unavailable', detail);
  }

  /** A change of a timer of which nobody can say whose it is waits until somebody can. */
  function permitTimer(timerId: string, caller: Caller): void {
    const found = registry.lookUp(timerId);
    if (found.ok) access.permit(caller, found.timer.record);
    else if (isChange && found.refusal.reason !== 'unknown_timer') {
      throw problemOf(found.refusal, timerId);
    }
  }
}

/** Of several limits an answer tells the one that is closest. */
function tellQuota(response: Response, quota: Quota | undefined): void {
  if (quota === undefined) return;
  const told = response.get('RateLimit-Remaining');
  if (told === undefined || quota.remaining < Number(told)) response.set(quotaHeaders(quota));
}

/** A body of another type would be ignored, and then its fields be called missing. */
function requireJson(request: Request): void {
  if (request.get('Content-Length') === '0' || request.is('application/json') !== false) return;
  const detail = 'A body is JSON here; send it with "Content-Type: application/json"';
  throw new Problem('unsupported_media_type', detail);
}

/** Parses bodies into `request.body`, and gives the bytes that each of them had. */
function bodyReader(limit: number): (request: Request, response: Response) => Promise<Buffer> {
  const came = new WeakMap<IncomingMessage, Buffer>();
  const verify = (request: IncomingMessage, _: ServerResponse, bytes: Buffer): void => {
    came.set(request, bytes);
  };
  const parser = express.json({ limit, strict: false, verify });
  return (request, response) =>
    new Promise((resolve, reject) => {
      parser(request, response, (error: unknown) => {
        if (error !== undefined) return reject(error);
        const bytes = came.get(request) ?? NOTHING;
        // The parser takes nothing for an object without fields.
        if (bytes.length === 0) request.body = undefined;
        resolve(bytes);
      });
    });
}

function serviceRoutes(registry: Registry, readiness: Readiness, metrics: Metrics, clock: Clock) {
  const me: Handler = ({ response, caller }) => {
    const { expiresAtMs } = caller;
    response.set('Cache-Control', 'no-store');
    response.json({
      ...publicAuthorOf(caller),
      expires_at: expiresAtMs === null ? null : isoTime(expiresAtMs),
    });
  };
  const health: Handler = ({ response }) => {
    response.json({ status: 'healthy', timers_active: registry.unfinishedTimers });
  };
  const livez: Handler = ({ response }) => {
    response.json({ status: 'alive' });
  };
  const readyz: Handler = ({ response }) => {
    const missing = readiness.missing();
    const [first] = missing;
    if (first !== undefined) {
      const detail = missing.map((part) => part.detail).join(' ');
      throw new Problem(UNREADY[first.part], detail, { missing });
    }
    response.json({ status: 'ready' });
  };
  const time: Handler = ({ response }) => {
    const receivedMs = clock.now();
    response.set('Cache-Control', 'no-store');
    response.json({ server_received_ms: receivedMs, server_sent_ms: clock.now() });
  };
  const showMetrics: Handler = async ({ response }) => {
    response.set({ 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' });
    response.end(await metrics.text());
  };
  return { me, health, livez, readyz, time, showMetrics };
}

/** A document is generated when it is first asked for. */
function serveDocument(app: Express, path: string, generate: () => object): void {
  let document: object | undefined;
  app.get(path, (_, response) => {
    document ??= generate();
    response.json(document);
  });
  app.route(path).all(refuseMethod(['GET']));
}

/** Swagger UI answers that its manifest is not there, in a form of its own. */
const passManifest: RequestHandler = (request, _, next) => {
  next(request.path.endsWith('/package.json') ? 'router' : undefined);
};

/** What serves the page is loaded when it is first asked for; the service starts faster without it. */
function documentationPage(
  handlerOf: (swaggerUi: typeof SwaggerUi) => RequestHandler,
): RequestHandler {
  let handler: Promise<RequestHandler> | undefined;
  return async (request, response, next) => {
    handler ??= import('swagger-ui-express').then((loaded) => handlerOf(loaded.default));
    (await handler)(request, response, next);
  };
}

function literalsFirst(a: Operation, b: Operation): number {
  return Number(a.path.includes('{')) - Number(b.path.includes('{'));
}

function methodsByPath(operations: readonly Operation[]): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { path, method } of operations) {
    methods.set(path, [...(methods.get(path) ?? []), method.toUpperCase()]);
  }
  return methods;
}

function refuseMethod(methods: readonly string[]): RequestHandler {
  const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return (request, response) => {
    response.set('Allow', allowed.join(', '));
    const detail = `${request.method} is not possible here; use ${methods.join(', ')}`;
    throw new Problem('method_not_allowed', detail);
  };
}

/** Answers every error as a problem; only our own mistakes are a 500, and those are logged. */
function answerProblem(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const expected = error instanceof Problem ? error : clientProblem(error);
    // Whoever asks too much has to connect anew to ask again.
    if (expected?.code === 'rate_limited') response.set('Connection', 'close');
    if (expected !== undefined) return answer(response, expected);
    log.error({ err: error, method: request.method, path: request.path }, 'a request failed');
    answer(response, failureProblem(error));
  };
}

function failureProblem(error: unknown): Problem {
  if (error instanceof DoubtError) return new Problem('outcome_unknown', DOUBT);
  if (error instanceof JournalError) return new Problem('journal_unavailable', JOURNAL_ERROR);
  return new Problem('internal_error', INTERNAL_ERROR);
}

/** Express answers an address that it cannot read in a form of its own, so it never sees one. */
export function listenerOf(app: Express, addresses: Addresses): RequestListener {
  const harden = securityHeaders(addresses);
  return boundPipelines((request, response) => {
    harden(request, response);
    const problem = problemOfHost(request);
    if (problem !== undefined) {
      response.setHeader('Connection', 'close');
      answer(response, problem);
    } else if (URL.canParse(request.url ?? '', 'http://service')) app(request, response);
    else answer(response, new Problem('invalid_request', 'The address cannot be read'));
  });
}

/** What Express, its body parser and its file server throw for a request that is wrong. */
function clientProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const status = 'status' in error ? Number(error.status) : undefined;
  if (status === 413) {
    const limit = 'limit' in error ? error.limit : LARGEST_BODY_BYTES;
    return new Problem('body_too_large', `A body has at most ${limit} bytes here`);
  }
  if (status === 415) {
    return new Problem('unsupported_media_type', `The body cannot be read: ${error.message}`);
  }
  const isInvalidUrl = 'code' in error && error.code === 'ERR_INVALID_URL';
  const isOfClient = status !== undefined && status >= 400 && status < 500;
  if (!isInvalidUrl && !isOfClient) return undefined;
  return new Problem('invalid_request', `The request cannot be read: ${error.message}`);
}
