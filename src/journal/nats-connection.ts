/**
 * The way to the engine: how it is reached, and the stream that holds the entries, which is made if it is
 * not there. Reads the files of credentials.
 */
import { readFileSync } from 'node:fs';
import {
  type ConsumerMessages,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  type TlsOptions,
} from '@nats-io/transport-node';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { JournalError } from './journal.js';

const CONNECT_TIMEOUT_MS = 5000;
const RECONNECT_WAIT_MS = 250;
const PING_INTERVAL_MS = 5000;
const MOST_REPLICAS = 3;
/** A server on its own was asked for replicas. */
const REPLICAS_NOT_SUPPORTED = 10074;
/** The cluster has no leader, or not enough servers are there yet. */
const NOT_YET_AVAILABLE: readonly number[] = [10005, 10008, 10009];
/** Two nodes made the same thing at the same moment, which servers do not always take for the same. */
const SUBJECTS_OVERLAP = 10065;
/** A cluster that has just been started gets so long until its leaders are elected. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 250;

export interface NatsAccess {
  /**
   * Such as `nats://host:4222`; one of them suffices to find the others of its cluster. If one begins with
   * `tls:`, no connection that is not encrypted is taken.
   */
  readonly servers: readonly string[];
  /** Paths of files; empty where there is none. */
  readonly credentials: string;
  readonly nkeySeed: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** @throws {JournalError} if no server can be reached, or none lets us in. */
export async function connectTo(access: NatsAccess, name: string): Promise<NatsConnection> {
  const { servers } = access;
  const tls = tlsOf(access);
  const authenticator = authenticatorsOf(access);
  try {
    return await connect({
      servers: servers.map((server) => server.replace(/^\w+:\/\//, '')),
      name,
      timeout: CONNECT_TIMEOUT_MS,
      // It comes back by itself, however long it was away.
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      pingInterval: PING_INTERVAL_MS,
      ignoreAuthErrorAbort: true,
      ...(tls === undefined ? {} : { tls }),
      ...(authenticator.length === 0 ? {} : { authenticator }),
    });
  } catch (error) {
    throw new JournalError(
      `NATS at ${servers.join(', ')} cannot be used: ${wordsOf(error)}. ` +
        'Start it, or set JOURNAL and the settings that begin with NATS_ to what it takes.',
      { cause: error },
    );
  }
}

function tlsOf({ servers, ca, certificate, key }: NatsAccess): TlsOptions | undefined {
  const requiresTls = servers.some((server) => server.startsWith('tls:'));
  if (!requiresTls && ca + certificate + key === '') return undefined;
  return {
    ...(ca === '' ? {} : { ca: contentOf(ca, 'NATS_CA') }),
    ...(certificate === '' ? {} : { cert: contentOf(certificate, 'NATS_CERT') }),
    ...(key === '' ? {} : { key: contentOf(key, 'NATS_KEY') }),
  };
}

function authenticatorsOf({ credentials, nkeySeed }: NatsAccess): Authenticator[] {
  const textOf = (path: string, setting: string): string => contentOf(path, setting).trim();
  const bytes = new TextEncoder();
  const authenticators: Authenticator[] = [];
  if (credentials !== '') {
    // The last line of the file counts only with its end, which an editor may have left out.
    const text = `${textOf(credentials, 'NATS_CREDS')}\n`;
    authenticators.push(credsAuthenticator(bytes.encode(text)));
  }
  if (nkeySeed !== '') {
    authenticators.push(nkeyAuthenticator(bytes.encode(textOf(nkeySeed, 'NATS_NKEY_SEED'))));
  }
  return authenticators;
}

function contentOf(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new JournalError(`${setting} cannot be read: ${wordsOf(error)}`, { cause: error });
  }
}

/**
 * The stream of that name, which is made if it is not there.
 * @throws {JournalError} if it is the stream of something else, or forgets what a journal must keep.
 */
export async function openStream(
  manager: JetStreamManager,
  name: string,
  replicas: number | undefined,
): Promise<StreamInfo> {
  try {
    const there = await manager.streams.info(name);
    requireJournal(there);
    return there;
  } catch (error) {
    if (error instanceof JournalError) throw error;
    if (!(error instanceof Error) || error.name !== 'StreamNotFoundError') throw refusal(error);
  }
  try {
    return await addStream(manager, name, replicas ?? MOST_REPLICAS);
  } catch (error) {
    const isAlone = error instanceof JetStreamApiError && error.code === REPLICAS_NOT_SUPPORTED;
    if (!isAlone || replicas !== undefined) throw refusal(error);
    return addStream(manager, name, 1);
  }
}

/** Two nodes that make it at the same moment ask for the same, which is no contradiction. */
function addStream(manager: JetStreamManager, name: string, replicas: number): Promise<StreamInfo> {
  return manager.streams.add({
    name,
    subjects: [`${name}.*`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // A stream that is full takes no more; it never drops what it has.
    discard: DiscardPolicy.New,
    // Nothing can be taken out from its midst; its beginning can, once it was exported.
    deny_delete: true,
    num_replicas: replicas,
  });
}

/**
 * Tells of streams that were made with fewer copies than are wanted now: they are used as they are, and nobody would
 * notice before a server is lost.
 */
export function tellOfFewCopies(
  streams: readonly StreamInfo[],
  replicas: number | undefined,
  log: Log,
): void {
  for (const { config, cluster } of streams) {
    const { name, num_replicas: copies } = config;
    const isInCluster = (cluster?.name ?? '') !== '';
    const wanted = replicas ?? (isInCluster ? MOST_REPLICAS : 1);
    if (copies >= wanted) continue;
    log.warn(
      { stream: name, copies, wanted },
      `a stream in NATS has fewer copies than NATS_REPLICAS says and goes with the servers that have them; make more: nats stream edit ${name} --replicas ${wanted}`,
    );
  }
}

/** Asks until a cluster that may just have been started can answer. */
export async function patiently<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  const giveUpMs = clock.preciseMs() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || clock.preciseMs() > giveUpMs) throw error;
      await new Promise<void>((resume) => clock.setTimeout(resume, PAUSE_MS));
    }
  }
}

/** @throws {JournalError} for whatever the engine fails with, or does not answer. */
export async function asked<T>(asking: () => Promise<T>): Promise<T> {
  try {
    return await asking();
  } catch (error) {
    throw new JournalError(`NATS cannot be asked: ${wordsOf(error)}`, { cause: error });
  }
}

/** What stands in the way of our own stream for good is told as a `JournalError`. */
function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError && error.code === SUBJECTS_OVERLAP) return true;
  return isUnanswered(error);
}

function isUnanswered(error: unknown): boolean {
  const cause = error instanceof JournalError ? error.cause : error;
  if (cause instanceof JetStreamApiError) return NOT_YET_AVAILABLE.includes(cause.code);
  return cause instanceof Error && cause.name === 'TimeoutError';
}

/** Why the journal cannot be opened, in words that end with what is done about it. */
export function unopened(error: unknown): JournalError {
  if (isUnanswered(error)) {
    const cause = error instanceof JournalError ? error.cause : error;
    return new JournalError(
      `NATS cannot say what the journal holds: ${wordsOf(cause)}. More than half of the servers of its cluster must run ` +
        'and reach each other: start those that are missing, then this node again.',
      { cause },
    );
  }
  if (error instanceof JournalError) return error;
  const words = `The journal in NATS cannot be opened: ${wordsOf(error)}`;
  return new JournalError(words, { cause: error });
}

function requireJournal({ config, state }: StreamInfo): void {
  const keepsAll =
    config.retention === RetentionPolicy.Limits &&
    config.storage === StorageType.File &&
    config.discard === DiscardPolicy.New &&
    config.max_age === 0 &&
    config.max_msgs_per_subject === -1 &&
    (state.num_deleted ?? 0) === 0;
  const [subject, ...others] = config.subjects;
  if (keepsAll && subject === `${config.name}.*` && others.length === 0) return;
  throw new JournalError(
    `The stream ${config.name} is no journal, or something was taken out of it. ` +
      'Set NATS_STREAM to another name, or restore the stream from a backup.',
  );
}

/** @throws {JournalError} if messages are missing behind those that were taken out. */
export function requireWhole({ config, state }: StreamInfo, takenOutUpTo: number): void {
  if (state.first_seq <= takenOutUpTo + 1) return;
  throw new JournalError(
    `Something was taken out of the stream ${config.name}: its messages before ${state.first_seq} are missing. ` +
      'Restore the stream and the buckets beside it from a backup.',
  );
}

function refusal(error: unknown): JournalError {
  return new JournalError(
    `JetStream does not give us a stream: ${wordsOf(error)}. It must be enabled on the server and for ` +
      'our account, and have as many servers as NATS_REPLICAS says.',
    { cause: error },
  );
}

/**
 * Settles when nothing came for a while, not even a sign that nothing is there, when the engine has
 * forgotten that we listen, or when we stopped.
 */
export async function untilSilent(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) {
    if (type === 'heartbeats_missed' || type === 'consumer_deleted') return;
  }
}

/** Whether the engine refused a message because another one came first. */
export function isWrongLastSequence(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence
  );
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
