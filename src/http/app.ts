/** The Express application: what every request passes through, the routes, and the errors. */
import cors from 'cors';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import swaggerUi from 'swagger-ui-express';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import { asyncApiDocument } from '../protocol/asyncapi.js';
import { PROBLEM_TYPE, Problem, problemOf } from '../protocol/problems.js';
import { requestSchemas } from '../protocol/requests.js';
import type { Registry } from '../registry.js';
import { openApiDocument } from './openapi.js';
import { expressPath, type Operation, type Operations, operationsOf } from './operations.js';
import { timerRoutes } from './timers.js';

/** A bulk command of 10,000 ids takes about 300 KB. */
const LARGEST_BODY_BYTES = 512 * 1024;

export interface AppOptions {
  readonly config: Config;
  readonly registry: Registry;
  readonly log: Log;
  readonly version: string;
}

export function createApp({ config, registry, log, version }: AppOptions): Express {
  const schemas = requestSchemas(config);
  const operations = operationsOf(schemas);
  const handlers: Record<keyof Operations, RequestHandler> = {
    ...timerRoutes(registry, schemas),
    ...serviceRoutes(registry),
  };

  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  const exposedHeaders = ['Link', 'Location', 'Retry-After'];
  app.use(
    cors({ origin: config.corsOrigins.includes('*') ? '*' : config.corsOrigins, exposedHeaders }),
  );
  app.use(express.json({ limit: LARGEST_BODY_BYTES, strict: false }));

  const openApi = openApiDocument(operations, version);
  app.get('/openapi.json', (_, response) => void response.json(openApi));
  const asyncApi = asyncApiDocument(schemas, version);
  app.get('/asyncapi.json', (_, response) => void response.json(asyncApi));
  // No validator: the page must not send the document to another host.
  const page = { swaggerUrl: '/openapi.json', swaggerOptions: { validatorUrl: null } };
  app.use('/docs', swaggerUi.serve, swaggerUi.setup(null, page));

  // Literal addresses come first, so that "bulk" is not taken for a timer's id.
  const all = Object.values(operations).sort(literalsFirst);
  for (const { id, method, path } of all) app[method](expressPath(path), handlers[id]);
  for (const [path, methods] of methodsByPath(all)) {
    app.all(expressPath(path), refuseMethod(methods));
  }
  app.all('/ws/:timer_id', () => {
    throw new Problem('upgrade_required', 'Connect to this address with a WebSocket');
  });
  app.use((request) => {
    throw new Problem('unknown_route', `There is nothing at ${request.path}; see /docs`);
  });
  app.use(answerProblem(log));
  return app;
}

function serviceRoutes(registry: Registry) {
  const health: RequestHandler = (_, response) => {
    response.json({ status: 'healthy', timers_active: registry.unfinishedTimers });
  };
  const livez: RequestHandler = (_, response) => {
    response.json({ status: 'alive' });
  };
  const readyz: RequestHandler = (_, response) => {
    const { phase } = registry;
    if (phase === 'recovering') throw problemOf({ reason: 'recovering' }, '');
    if (phase !== 'serving') throw problemOf({ reason: 'shutting_down' }, '');
    response.json({ status: 'ready' });
  };
  return { health, livez, readyz };
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
  const allowed = methods.join(', ');
  return (request, response) => {
    response.set('Allow', allowed);
    throw new Problem(
      'method_not_allowed',
      `${request.method} is not possible here; use ${allowed}`,
    );
  };
}

/** Answers every error as a problem; only our own mistakes are a 500, and those are logged. */
function answerProblem(log: Log): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = error instanceof Problem ? error : clientProblem(error);
    if (problem === undefined) {
      log.error({ err: error, method: request.method, path: request.path }, 'a request failed');
    }
    const answer = problem ?? new Problem('internal_error', 'The service failed; the log says why');
    const { retryAfterSeconds } = answer;
    if (retryAfterSeconds !== undefined) response.set('Retry-After', `${retryAfterSeconds}`);
    // Bytes, because Express adds a charset to text, which this media type does not have.
    const body = Buffer.from(JSON.stringify(answer));
    response.status(answer.status).set('Content-Type', PROBLEM_TYPE).end(body);
  };
}

/** What Express, its body parser and its file server throw for a request that is wrong. */
function clientProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const status = 'status' in error ? Number(error.status) : undefined;
  if (status === 413) {
    return new Problem('body_too_large', `A body has at most ${LARGEST_BODY_BYTES} bytes`);
  }
  if (status === 415) {
    return new Problem('unsupported_media_type', `The body cannot be read: ${error.message}`);
  }
  const isInvalidUrl = 'code' in error && error.code === 'ERR_INVALID_URL';
  const isOfClient = status !== undefined && status >= 400 && status < 500;
  if (!isInvalidUrl && !isOfClient) return undefined;
  return new Problem('invalid_request', `The request cannot be read: ${error.message}`);
}
