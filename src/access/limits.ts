/**
 * How much one credential and one address may ask: requests, failed authentications, connections that stay.
 * Counts in memory on the clock it is given; what is counted is bounded, however many addresses there are.
 */

import { hash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { Tally } from '../../machines/tally.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { LimitProblem, noRoom, Problem, type Quota } from '../protocol/problems.js';
import { type Addresses, type Incoming, membership, siteOf } from './address.js';
import { ANONYMOUS, type Caller, hasRight } from './caller.js';
import { shownIn } from './credential.js';
import { bucketFor, TokenBucket } from './token-bucket.js';

/** Those that were longest not heard of are forgotten; their buckets have most likely refilled. */
const MOST_KEPT = 50_000;
const A_MINUTE_SECONDS = 60;
/** An answer that is kept takes about 5 KB of the disk for a day, in SQLite. */
const KEPT_RECEIPTS = { atOnce: 250, perMinute: 10 };

/** What can be limited, as metrics call it. */
export const LIMITS = [
  'requests_per_address',
  'requests_per_credential',
  'verifications_per_address',
  'failed_authentications',
  'kept_receipts',
  'connections_per_address',
  'connections_per_credential',
  'messages',
] as const;
export type LimitName = (typeof LIMITS)[number];
/** Those that an answer tells of. */
type RequestLimit = Exclude<LimitName, 'messages'>;

type LimitSettings = Pick<
  Config,
  | 'maxRequestsPerSecondPerAddress'
  | 'maxRequestsPerSecondPerCredential'
  | 'maxFailedAuthenticationsPerMinute'
  | 'maxConnectionsPerAddress'
  | 'maxConnectionsPerCredential'
  | 'maxConnectionsPerDisplayCredential'
  | 'unlimitedAddresses'
>;

export interface LimitsOptions {
  readonly config: LimitSettings;
  readonly clock: Clock;
  readonly addresses: Addresses;
  /** Somebody was refused because of a limit. */
  readonly onLimited?: (limit: LimitName) => void;
  /** An address is that of a proxy, and nobody knows whom it asks for. Called once. */
  readonly onUnknownProxy?: (address: string) => void;
}

/** A socket, or an answer that is streamed. */
type Connection = Pick<Writable, 'destroyed' | 'once'>;

export class Limits {
  readonly #config: LimitSettings;
  readonly #addresses: Addresses;
  readonly #onLimited: (limit: LimitName) => void;
  #onUnknownProxy: (address: string) => void;
  readonly #isUnlimited: (address: string) => boolean;
  readonly #requestsOfAddresses: Buckets;
  readonly #requestsOfCredentials: Buckets;
  /** Apart from requests, which strangers without a credential can make as well. */
  readonly #verificationsOfAddresses: Buckets;
  readonly #keptReceipts: Buckets;
  readonly #failures: Buckets;
  /** By the hash of what was shown and is not valid, with the address. */
  readonly #wrong = new Recent<true>();
  readonly #connectionsOfAddresses = new Tally<string>();
  readonly #connectionsOfCredentials = new Tally<string>();

  constructor(options: LimitsOptions) {
    const { config, clock, addresses, onLimited = () => {}, onUnknownProxy = () => {} } = options;
    this.#onUnknownProxy = onUnknownProxy;
    this.#config = config;
    this.#addresses = addresses;
    this.#onLimited = onLimited;
    this.#isUnlimited = membership(config.unlimitedAddresses);
    const forAddress = () => bucketFor(clock, config.maxRequestsPerSecondPerAddress);
    this.#requestsOfAddresses = new Buckets(forAddress);
    this.#verificationsOfAddresses = new Buckets(forAddress);
    this.#requestsOfCredentials = new Buckets(() =>
      bucketFor(clock, config.maxRequestsPerSecondPerCredential),
    );
    this.#keptReceipts = new Buckets(
      () =>
        new TokenBucket(clock, KEPT_RECEIPTS.perMinute / A_MINUTE_SECONDS, KEPT_RECEIPTS.atOnce),
    );
    const perMinute = config.maxFailedAuthenticationsPerMinute;
    this.#failures = new Buckets(() =>
      perMinute === 0 ? undefined : new TokenBucket(clock, perMinute / A_MINUTE_SECONDS, perMinute),
    );
  }

  /**
   * Counts a request of an address, and gives what is left, where there is a limit.
   * @throws {LimitProblem} if there were too many.
   */
  takeRequest(request: Incoming): Quota | undefined {
    const bucket = this.#requestsOfAddresses.of(this.#siteOf(request));
    return this.#spend(bucket, 'requests_per_address');
  }

  /**
   * Counts a request of a credential, and gives what is left, where there is a limit.
   * @throws {LimitProblem} if there were too many.
   */
  takeRequestOf({ credential }: Caller): Quota | undefined {
    const bucket = this.#requestsOfCredentials.of(holderOf(credential));
    return this.#spend(bucket, 'requests_per_credential');
  }

  /**
   * Counts a receipt that is kept for those who ask for it again, if whoever asks may change nothing: nothing else
   * that they ask for is kept, so this is all that they could fill the disk with.
   * @throws {LimitProblem} if there were too many.
   */
  takeKeptReceipt(caller: Caller): void {
    if (hasRight(caller, 'control')) return;
    this.#spend(this.#keptReceipts.of(holderOf(caller.credential)), 'kept_receipts');
  }

  /**
   * Finds out who calls, and counts the request: one with a valid credential as that credential's, any other as its
   * address's, so that nobody is held up by strangers at their address. `check` calls back before it does what
   * costs, which is counted for the address by itself.
   * @throws {LimitProblem} if there were too many.
   */
  async identify(
    request: Incoming,
    check: (beforeVerifying: () => void) => Promise<Caller>,
    tell: (quota: Quota | undefined) => void = () => {},
  ): Promise<Caller> {
    const countAtAddress = (): void => tell(this.takeRequest(request));
    const countVerifying = (): void => {
      const bucket = this.#verificationsOfAddresses.of(this.#siteOf(request));
      tell(this.#spend(bucket, 'verifications_per_address'));
    };
    const caller = await check(countVerifying).catch((error: unknown) => {
      countAtAddress();
      if (error instanceof Problem && error.code === 'unauthenticated') this.#takeFailure(request);
      throw error;
    });
    if (caller.credential === ANONYMOUS) countAtAddress();
    else tell(this.takeRequestOf(caller));
    return caller;
  }

  /**
   * Counts a connection that stays, until it has closed.
   * @throws {LimitProblem} if there are too many.
   */
  connect(request: Incoming, { credential, role }: Caller, connection: Connection): void {
    const { maxConnectionsPerAddress, maxConnectionsPerCredential } = this.#config;
    const { maxConnectionsPerDisplayCredential } = this.#config;
    const site = this.#siteOf(request);
    const holder = holderOf(credential);
    if (isFull(this.#connectionsOfAddresses, site, maxConnectionsPerAddress)) {
      throw this.#full(maxConnectionsPerAddress, 'connections_per_address');
    }
    const limits = [
      maxConnectionsPerCredential,
      ...(role === 'display' ? [maxConnectionsPerDisplayCredential] : []),
    ];
    const reached = limits.find((limit) => isFull(this.#connectionsOfCredentials, holder, limit));
    if (reached !== undefined) throw this.#full(reached, 'connections_per_credential');
    hold(this.#connectionsOfAddresses, site, connection);
    hold(this.#connectionsOfCredentials, holder, connection);
  }

  /** Notes that a display said more than it may, and was closed. */
  noteFlood(): void {
    this.#onLimited('messages');
  }

  /**
   * Counts a credential that is not valid.
   * @throws {LimitProblem} if its address has shown too many.
   */
  #takeFailure(request: Incoming): void {
    const shown = shownIn(request);
    const failures = this.#failures.of(this.#siteOf(request));
    if (shown === undefined || failures === undefined) return;
    if (failures.left < 1) throw this.#exhausted(failures, 'failed_authentications');
    if (this.#isNewGuess(request, shown)) failures.take();
  }

  /**
   * Whether a credential was not known to be wrong. The same one again is no guess but a device that does not
   * know better.
   */
  #isNewGuess(request: Incoming, shown: string): boolean {
    const guess = hash('sha256', `${this.#addresses.of(request)} ${shown}`);
    const isNew = this.#wrong.get(guess) === undefined;
    this.#wrong.set(guess, true);
    return isNew;
  }

  /**
   * What the address of a request is counted as; nothing for one that is not counted. Behind a proxy of which
   * nobody knows whom it asks for everybody has its address, and would be unlimited with it.
   */
  #siteOf(request: Incoming): string | undefined {
    const found = this.#addresses.find(request);
    if (found === undefined) return undefined;
    const { address, isOfClient } = found;
    if (isOfClient && this.#isUnlimited(address)) return undefined;
    if (!isOfClient) {
      this.#onUnknownProxy(address);
      this.#onUnknownProxy = () => {};
    }
    return siteOf(address);
  }

  #spend(bucket: TokenBucket | undefined, limit: RequestLimit): Quota | undefined {
    if (bucket === undefined) return undefined;
    if (!bucket.take()) throw this.#exhausted(bucket, limit);
    return quotaOf(bucket);
  }

  #exhausted(bucket: TokenBucket, limit: RequestLimit): LimitProblem {
    this.#onLimited(limit);
    const detail = `${EXPLANATIONS[limit]}; try again later`;
    return new LimitProblem('rate_limited', detail, quotaOf(bucket), bucket.waitSeconds);
  }

  #full(limit: number, name: RequestLimit): LimitProblem {
    this.#onLimited(name);
    const detail = `${EXPLANATIONS[name]}; close some`;
    return noRoom('too_many_connections', limit, detail);
  }
}

const EXPLANATIONS: Readonly<Record<RequestLimit, string>> = {
  requests_per_address: 'There were too many requests from this address',
  requests_per_credential: 'There were too many requests with this credential',
  verifications_per_address: 'There were too many new tokens from this address',
  failed_authentications: 'This address has shown too many credentials that are not valid',
  kept_receipts: 'There were too many receipts with an Idempotency-Key for this credential',
  connections_per_address: 'This address has as many connections as one may have',
  connections_per_credential: 'This credential has as many connections as one may have',
};

function quotaOf(bucket: TokenBucket): Quota {
  const { size: limit, left: remaining, refillSeconds: resetSeconds } = bucket;
  return { limit, remaining, resetSeconds };
}

/** Without credentials everybody would share the limits of one. */
function holderOf(credential: string): string | undefined {
  return credential === ANONYMOUS ? undefined : credential;
}

function isFull(tally: Tally<string>, key: string | undefined, limit: number): boolean {
  return key !== undefined && limit > 0 && tally.of(key) >= limit;
}

/** Counts one more, until its connection has closed, which it may have while its credential was checked. */
function hold(tally: Tally<string>, key: string | undefined, connection: Connection): void {
  if (key === undefined || connection.destroyed) return;
  tally.add(key);
  connection.once('close', () => tally.remove(key));
}

/** One bucket for each that asks. */
class Buckets {
  readonly #make: () => TokenBucket | undefined;
  readonly #buckets = new Recent<TokenBucket>();

  constructor(make: () => TokenBucket | undefined) {
    this.#make = make;
  }

  of(key: string | undefined): TokenBucket | undefined {
    if (key === undefined) return undefined;
    const bucket = this.#buckets.get(key) ?? this.#make();
    if (bucket !== undefined) this.#buckets.set(key, bucket);
    return bucket;
  }
}

/**
 * What was used last. When the young are as many as half of what may be kept, they become the old, and what was
 * old is forgotten at once: taking single entries off the front of a map takes longer with each.
 */
class Recent<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < MOST_KEPT / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
