/**
 * The service as a process: settings, the real clock, the journal, signals. Whoever starts it, `main.ts` or
 * the command line, starts the same.
 */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { systemClock, type Timeout, watchWallClock } from './clock.js';
import { type Config, readConfig, SETTINGS, SettingError } from './config.js';
import { startInspection } from './inspection.js';
import { type Journal, JournalError } from './journal/journal.js';
import { MemoryJournal } from './journal/memory.js';
import { SqliteJournal } from './journal/sqlite.js';
import { createLog, type Log } from './log.js';
import { type Service, startService } from './service.js';
import { packageVersion } from './version.js';

/** A shutdown that takes longer than this is broken off. */
const LONGEST_SHUTDOWN_MS = 9000;
/** A check of the journal that takes longer than this is told of, so that no start is silent for long. */
const LONG_CHECK_MS = 1000;
const BYTES_PER_MB = 1e6;

/** The journal that the settings name. */
export async function openJournal(
  config: Config,
  log: Log,
  signal: AbortSignal,
  onCrash: (error: Error) => void,
): Promise<Journal> {
  switch (config.journal) {
    case 'memory':
      return new MemoryJournal();
    case 'sqlite':
      return openSqlite(config.dataDir, log, signal, onCrash);
    default:
      return openNats(config, config.journal, log, onCrash);
  }
}

async function openNats(
  config: Config,
  servers: readonly string[],
  log: Log,
  onCrash: (error: Error) => void,
): Promise<Journal> {
  // A service that is on its own starts faster without it.
  const { NatsJournal } = await import('./journal/nats.js');
  return NatsJournal.open({
    access: {
      servers,
      credentials: config.natsCreds,
      nkeySeed: config.natsNkeySeed,
      ca: config.natsCa,
      certificate: config.natsCert,
      key: config.natsKey,
    },
    stream: config.natsStream,
    replicas: config.natsReplicas,
    maxClockSkewMs: config.maxClockSkewMs,
    clock: systemClock,
    log,
    retainFinishedMs: config.retainFinishedSeconds * 1000,
    onCrash,
  });
}

async function openSqlite(
  directory: string,
  log: Log,
  signal: AbortSignal,
  onCrash: (error: Error) => void,
): Promise<Journal> {
  let notice: Timeout;
  const onCheck = (path: string, bytes: number): void => {
    const message = `checking the journal ${path}, ${Math.ceil(bytes / BYTES_PER_MB)} MB`;
    notice = systemClock.setTimeout(() => log.info({ path, bytes }, message), LONG_CHECK_MS);
  };
  try {
    return await SqliteJournal.open({ directory, clock: systemClock, onCheck, signal, onCrash });
  } finally {
    systemClock.clearTimeout(notice);
  }
}

/**
 * Ends the process in the middle of everything, as a crash would, which the journal is made for. To exit would be to wait
 * for the thread of the journal, and that may wait for a disk that never answers.
 */
function endAtOnce(): never {
  process.kill(process.pid, 'SIGKILL');
  // The first process of a container is spared its own signals.
  process.abort();
}

/**
 * A service that is asked to stop before it has started breaks off what takes long, and finishes what does
 * not: a process that ends while the thread of the journal opens the file would end in a crash.
 */
function stopOnSignals(starting: Promise<Service>, giveUp: AbortController, log: Log): void {
  let isStopping = false;
  async function stop(signal: NodeJS.Signals): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, 'shutting down');
    systemClock.setTimeout(() => {
      log.fatal('shutting down took too long and was broken off');
      endAtOnce();
    }, LONGEST_SHUTDOWN_MS);
    giveUp.abort();
    try {
      const service = await starting.catch(() => undefined);
      await service?.stop();
    } catch (err) {
      log.fatal({ err }, 'shutting down failed');
      endAtOnce();
    }
    log.info('stopped');
    process.exit(0);
  }
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}

async function start(
  config: Config,
  log: Log,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<Service> {
  return startService({
    config,
    clock: systemClock,
    journal: await openJournal(config, log, signal, onFailure),
    log,
    version: packageVersion(),
    webDirectory: fileURLToPath(new URL('../web', import.meta.url)),
    onFailure,
    measuresProcess: true,
    inspect: config.inspect ? await startInspection(log) : undefined,
  });
}

/**
 * Runs until a signal ends the process; settles when the service takes commands, or never will because the
 * signal came first.
 * @throws {SettingError} when a setting is wrong, or is no good on this machine.
 */
export async function runService(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const config = readConfig(environment);
  const log = createLog(config.logLevel);
  const onFailure = (err: unknown): void => {
    log.fatal({ err }, 'the service failed; the process ends, and its restart recovers');
    endAtOnce();
  };
  const giveUp = new AbortController();
  const starting = start(config, log, giveUp.signal, onFailure);
  stopOnSignals(starting, giveUp, log);
  const service = await starting.catch((error: unknown) => {
    if (!giveUp.signal.aborted) throw unusableSetting(error, config) ?? error;
  });
  if (service === undefined) return;
  watchWallClock((stepMs) => {
    log.warn({ stepMs }, 'the wall clock of the machine was stepped; no deadline moves');
  });
  const startedMs = systemClock.now();
  await service.ready;
  const recoveryMs = systemClock.now() - startedMs;
  log.info(
    { url: service.url, journal: service.journal, recoveryMs },
    `listening on ${service.url}, journal: ${service.journal}`,
  );
}

const listenErrorSchema = z.object({
  message: z.string(),
  code: z.string(),
  syscall: z.enum(['getaddrinfo', 'listen']),
  hostname: z.string().optional(),
});

/** The setting that keeps the service from listening, if it is one. */
export function unusableSetting(
  error: unknown,
  { host, port }: Pick<Config, 'host' | 'port'>,
): SettingError | undefined {
  const { data: failure } = listenErrorSchema.safeParse(error);
  if (failure === undefined || failure.code === 'EADDRINUSE') return undefined;
  const { message, code, syscall, hostname } = failure;
  if (syscall === 'getaddrinfo' && hostname !== host) return undefined;
  return new SettingError(
    code === 'EACCES'
      ? `PORT is "${port}", which this user may not listen on (${message}); it takes ${SETTINGS.PORT.takes}, ` +
          'for most users one from 1024 on, or 0'
      : `HOST is "${host}", which is no address of this machine (${message}); it takes ${SETTINGS.HOST.takes} of this machine`,
  );
}

/** What a person can mend is told in one line; everything else with all that is known. */
export function explainFailure(error: unknown): string {
  if (error instanceof SettingError || error instanceof JournalError) return error.message;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return `${error.message}. Another process listens there; set PORT to another one.`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
