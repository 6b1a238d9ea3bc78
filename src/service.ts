/**
 * The whole service as one value that can be started and stopped: journal, registry, HTTP, displays.
 * `run.ts` gives it the real clock and signals; tests give it a simulated one.
 */
import { createServer, type Server } from 'node:http';
import type { InspectionEvent, Observer } from 'xstate';
import type { shardMachine } from '../machines/shard.machine.js';
import { Access } from './access/access.js';
import { Addresses } from './access/address.js';
import { type LimitName, Limits } from './access/limits.js';
import { Audit } from './audit/export.js';
import { Heads } from './audit/heads.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import { createApp, listenerOf } from './http/app.js';
import { Idempotency } from './http/idempotency.js';
import { refuseUnreadable } from './http/refusals.js';
import type { Journal } from './journal/journal.js';
import { purgeRegularly } from './journal/purge.js';
import type { Log } from './log.js';
import { Metrics } from './metrics/metrics.js';
import { Readiness, watchEngine } from './readiness.js';
import { Presence } from './realtime/presence.js';
import { Realtime } from './realtime/realtime.js';
import { Registry } from './registry.js';
import { Signer } from './signing.js';
import { Webhooks } from './webhooks/webhooks.js';

const LARGEST_HEADERS_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 65_000;
/** How late, at the most, what takes too long to arrive is refused. */
const TIMEOUT_CHECK_MS = 1000;
/** Requests that were accepted get this long to be answered at shutdown. */
const LAST_ANSWERS_MS = 3000;

export interface ServiceOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly log: Log;
  readonly version: string;
  /** The folder of the built pages; without it there are none. */
  readonly webDirectory?: string | undefined;
  /** The service cannot go on; a process that ends and is started again recovers. */
  readonly onFailure: (error: unknown) => void;
  readonly inspect?: Observer<InspectionEvent> | undefined;
  readonly shardLogic?: typeof shardMachine;
  /** Whether metrics are of the whole process too, which is for one service in it. */
  readonly measuresProcess?: boolean;
}

export interface Service {
  /** Where it listens, such as `http://127.0.0.1:8003`. */
  readonly url: string;
  /** What and where the journal is. */
  readonly journal: string;
  readonly registry: Registry;
  readonly webhooks: Webhooks;
  /** Settles when the service takes commands; rejects when it never will. */
  readonly ready: Promise<void>;
  /** Stops being ready, finishes what was accepted, says farewell to displays, closes the journal. */
  stop(): Promise<void>;
}

/** Starts to listen at once; `ready` tells when recovery is done. Rejects if it cannot listen. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, clock, journal, log, version, onFailure, inspect, shardLogic } = options;
  const { webDirectory, measuresProcess: ofProcess = false } = options;
  const metrics = new Metrics({ ofProcess });
  const { documents } = journal;
  const addresses = new Addresses(config.trustProxy);
  const signer = await Signer.open(documents, config.signingKeys);
  const access = await Access.open({ config, documents, addresses, signer, clock, log });
  const presence = new Presence({ bus: journal.bus, clock });
  const registry = new Registry({
    clock,
    journal,
    log,
    maxTimers: config.maxTimers,
    maxTimersPerOwner: config.maxTimersPerCredential,
    measures: metrics,
    rankOf: (timerId) => presence.rankOf(timerId),
    connectedElsewhere: (timerId) => presence.connectedElsewhere(timerId),
    retainFinishedMs: config.retainFinishedSeconds * 1000,
    onFailure,
    inspect,
    ...(shardLogic === undefined ? {} : { shardLogic }),
  });
  // Whoever awaits `ready` hears of a failure; if nobody does, it is still no unhandled rejection.
  registry.recovered.catch(() => {});
  const heads = new Heads({ journal, signer, clock, log });
  const audit = new Audit({ journal, heads, signer, clock });
  const measures = metrics;
  const webhooks = await Webhooks.open({
    config,
    registry,
    journal,
    measures,
    clock,
    log,
    version,
  });
  const onLimited = (limit: LimitName): void => metrics.limited(limit);
  const onUnknownProxy = (address: string): void => {
    log.warn(
      { address },
      `requests that ${address} passes on are limited as those of one address, because TRUST_PROXY does not name ` +
        'it, or it names no client in X-Forwarded-For; set TRUST_PROXY, or have the proxy write that',
    );
  };
  const limits = new Limits({ config, clock, addresses, onLimited, onUnknownProxy });
  const realtime = new Realtime({
    registry,
    access,
    limits,
    measures,
    presence,
    clock,
    config,
    log,
  });
  metrics.observe({
    timersIn: (state) => registry.timersIn(state),
    clockOffset: () => journal.engine?.clockOffset,
    displays: () => realtime.figures(),
    webhooks: () => webhooks.figures(),
  });
  const idempotency = new Idempotency({ registry, documents, clock, log });
  const server = createServer(
    {
      maxHeaderSize: LARGEST_HEADERS_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      // Answered below, in words.
      requireHostHeader: false,
    },
    listenerOf(
      createApp({
        config,
        registry,
        access,
        limits,
        signer,
        idempotency,
        audit,
        realtime,
        webhooks,
        readiness: new Readiness(registry, journal.engine),
        metrics,
        clock,
        log,
        version,
        webDirectory,
      }),
      addresses,
    ),
  );
  refuseUnreadable(server);
  realtime.acceptWebSockets(server);
  await listen(server, config.port, config.host);
  // What is already there is held against its heads once the exams go on, which comes first.
  registry.recovered.then(
    () => {
      heads.start();
      webhooks.start();
    },
    () => {},
  );
  const { engine } = journal;
  const stopWatching = engine === undefined ? () => {} : watchEngine(engine, clock, log);
  const stopPurging = purgeRegularly(documents, clock, log);

  async function stop(): Promise<void> {
    stopPurging();
    stopWatching();
    await registry.drain();
    await Promise.all([realtime.close(), webhooks.stop()]);
    await closeServer(server, clock);
    await Promise.all([heads.stop(), idempotency.settled()]);
    await journal.close();
  }

  return {
    url: urlOf(server, config.host),
    journal: journal.description,
    registry,
    webhooks,
    ready: registry.recovered,
    stop,
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeServer(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const deadline = clock.setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS);
    server.close(() => {
      clock.clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
