/** Who may do what: finds out who calls, and refuses what the caller may not. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.js';
import { type Config, SettingError } from '../config.js';
import type { Documents } from '../journal/documents.js';
import type { Log } from '../log.js';
import { Problem } from '../protocol/problems.js';
import type { TimerRecord } from '../registry.js';
import type { Signer } from '../signing.js';
import { type Addresses, isForwarded, isLocal } from './address.js';
import { type ApiKey, ApiKeys, isKey, type KeyDefinition, type KeySeed } from './api-keys.js';
import { ANONYMOUS, anonymous, type Caller, hasRight, type Right, reaches } from './caller.js';
import { credentialIn } from './credential.js';
import { Failures } from './failures.js';
import { isForeign, isLoopback, namesLoopback, namesService, problemOfHost } from './origins.js';
import { Sessions } from './sessions.js';
import { type Holder, Tokens, type TokensOptions } from './tokens.js';

const KEY_CREDENTIAL = 'key:';

export interface AccessOptions {
  readonly config: Pick<Config, 'host' | 'allowOpen' | 'corsOrigins' | 'dataDir' | 'journal'> &
    TokensOptions['config'];
  readonly documents: Documents;
  readonly addresses: Addresses;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

/** What somebody asks for. */
export interface Asked {
  readonly right: Right;
  /** Whether a link must be enough to follow, so that the credential may be in the address. */
  readonly mayBeLink: boolean;
  /** Whether nothing stays of it once whoever asks is gone. */
  readonly leavesNothing: boolean;
}

export class Access {
  readonly #options: AccessOptions;
  readonly #keys: ApiKeys;
  readonly #tokens: Tokens;
  readonly #sessions: Sessions;
  readonly #failures: Failures;

  private constructor(options: AccessOptions, keys: ApiKeys, tokens: Tokens, sessions: Sessions) {
    this.#options = options;
    this.#keys = keys;
    this.#tokens = tokens;
    this.#sessions = sessions;
    this.#failures = new Failures(options.clock, options.log);
  }

  /**
   * Reads the keys.
   * @throws {SettingError} if a setting leads nowhere, or everybody in the network could do everything and
   * nobody said they may.
   */
  static async open(options: AccessOptions): Promise<Access> {
    const tokens = await Tokens.open(options);
    const sessions = new Sessions(options.clock);
    const hasOtherCredentials = tokens.isConfigured;
    const onChange = ({ isEmpty }: ApiKeys, revokedIds: readonly string[]): void => {
      for (const id of revokedIds) sessions.end(credentialOf(id));
      if (!isEmpty) sessions.end(ANONYMOUS);
    };
    const keys = await ApiKeys.open({ ...options, hasOtherCredentials, onChange });
    const access = new Access(options, keys, tokens, sessions);
    const { host, allowOpen, dataDir, journal } = options.config;
    if (access.isOpen && !allowOpen && !isLoopback(host)) {
      const command = 'synchronized-timer keys create --role admin';
      const how =
        journal === 'sqlite'
          ? `${command} --data-dir ${dataDir}`
          : `${command}, while a node runs with HOST=127.0.0.1`;
      throw new SettingError(
        `HOST is ${JSON.stringify(host)}, but there are no keys yet, so everybody could do everything; ` +
          `make one (${how}), or set ALLOW_OPEN=1`,
      );
    }
    return access;
  }

  /** Whether nobody needs a credential, because there are none. */
  get isOpen(): boolean {
    return this.#keys.isEmpty && !this.#tokens.isConfigured;
  }

  /**
   * Refuses those who name no host, and, while the service is open on this machine only, those who ask for another
   * one, or through a proxy, which makes everybody be on this machine.
   * @throws {Problem} `unreadable_request` or `foreign_host`
   */
  checkHost(request: IncomingMessage): void {
    const problem = problemOfHost(request);
    if (problem !== undefined) throw problem;
    if (!this.isOpen || this.#options.config.allowOpen) return;
    const { headers } = request;
    if (isForwarded(request)) {
      throw new Problem(
        'foreign_host',
        'The service has no keys, so it answers on this machine only, and not through a proxy; ' +
          'make a key on this machine (synchronized-timer keys create --role admin), or set ALLOW_OPEN=1',
      );
    }
    if (namesLoopback(headers)) return;
    throw new Problem(
      'foreign_host',
      `The service has no keys, so it answers on this machine only, and not as ${headers.host}`,
    );
  }

  /**
   * Finds out who sends a request: whoever shows a credential is who it says, also where none is needed. Calls
   * back before it does what is not for everybody to have done as often as they like.
   * @throws {Problem} if that is nobody, and somebody is needed.
   */
  async identify(
    request: IncomingMessage,
    { right, mayBeLink }: Asked,
    beforeVerifying: () => void,
  ): Promise<Caller> {
    const address = this.#options.addresses.of(request);
    if (right === 'public') return anonymous(address);
    const credential = credentialIn(request, mayBeLink);
    if (credential === undefined) {
      if (this.isOpen) return anonymous(address);
      throw new Problem('unauthenticated', 'Show a key or a token: Authorization: Bearer <token>');
    }
    try {
      const holder = isKey(credential)
        ? this.#holderOf(credential)
        : await this.#tokens.check(credential, beforeVerifying);
      return { ...holder, address };
    } catch (error) {
      const isFailure = error instanceof Problem && error.code === 'unauthenticated';
      if (isFailure) this.#failures.add(address, error.message);
      throw error;
    }
  }

  /**
   * Lets a caller do what their role may.
   * @throws {Problem} if it may not.
   */
  authorize(caller: Caller, request: IncomingMessage, asked: Asked): void {
    if (!hasRight(caller, asked.right)) {
      throw new Problem('forbidden', `The role ${caller.role} does not allow this`);
    }
    if (caller.credential === ANONYMOUS) this.#checkOrigin(request, asked);
  }

  /**
   * Lets a caller deal with one timer.
   * @throws {Problem} `forbidden` if it may not.
   */
  permit(caller: Caller, timer: Pick<TimerRecord, 'id' | 'ownerId'>): void {
    if (reaches(caller, timer)) return;
    throw new Problem('forbidden', `The credential is not for timer ${timer.id}`);
  }

  /**
   * Refuses a caller whose credential has ended since they were admitted.
   * @throws {Problem} `unauthenticated` if it has.
   */
  confirm({ credential, expiresAtMs }: Caller): void {
    const hasExpired = expiresAtMs !== null && expiresAtMs <= this.#options.clock.now();
    if (!hasExpired && this.#isKnown(credential)) return;
    throw new Problem('unauthenticated', 'The credential ended before the request was whole');
  }

  /** Calls back when a caller's credential ends; gives the function that makes it not. */
  watch(caller: Caller, onEnd: () => void): () => void {
    return this.#sessions.watch(caller, onEnd);
  }

  listKeys(): ApiKey[] {
    return this.#keys.list();
  }

  hasKey(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  /**
   * Makes a key, if it was not made of this seed already. With the first one the service is open no more, for those who are there as well.
   * @throws {Problem} if it is the first one and asked for from elsewhere, nobody could look after the service
   * then, or it cannot be kept.
   */
  async createKey(
    definition: KeyDefinition,
    seed: KeySeed,
    caller: Caller,
    request: IncomingMessage,
  ): Promise<{ readonly key: ApiKey; readonly text: string }> {
    if (caller.credential === ANONYMOUS) this.#checkFirstKey(request);
    return this.#keys.create(definition, caller.credential, seed);
  }

  /** Ends a key, and every connection that came with it; gives the key that was. */
  revokeKey(keyId: string): Promise<ApiKey> {
    return this.#keys.revoke(keyId);
  }

  /** Makes a token for a display of one timer, which nobody can take back before it ends. */
  issueToken(timerId: string, label: string | null, expiresAtMs: number): Promise<string> {
    return this.#tokens.issue(timerId, label, expiresAtMs);
  }

  /** Tokens cannot be taken back, so that of one that was admitted there is nothing to be known. */
  #isKnown(credential: string): boolean {
    if (credential === ANONYMOUS) return this.isOpen;
    return !credential.startsWith(KEY_CREDENTIAL) || this.#keys.has(keyIdOf(credential));
  }

  #holderOf(text: string): Holder {
    const key = this.#keys.find(text);
    if (key === undefined) {
      throw new Problem('unauthenticated', 'The key is not known, or has ended');
    }
    const { id, role, label, timers, expiresAtMs } = key;
    return { credential: credentialOf(id), role, label, timers, expiresAtMs };
  }

  /** Whoever makes the first key has the service: it is for whoever has the machine, and not for the fastest. */
  #checkFirstKey(request: IncomingMessage): void {
    if (!this.isOpen) {
      throw new Problem('unauthenticated', 'There is a key by now, so show one');
    }
    if (isLocal(request)) return;
    throw new Problem(
      'forbidden',
      'The first key is made on the machine of the service, and not through a proxy: ' +
        'synchronized-timer keys create --role admin',
    );
  }

  /** Any page can make a browser send a request to this machine, where an open service needs no more. */
  #checkOrigin({ headers }: IncomingMessage, { right, leavesNothing }: Asked): void {
    if (leavesNothing && right !== 'control' && right !== 'manage') return;
    const { corsOrigins, host } = this.#options.config;
    const { origin } = headers;
    if (origin === undefined || corsOrigins.includes(origin)) return;
    if (!isForeign(headers, corsOrigins) && namesService(headers, host)) return;
    throw new Problem(
      'foreign_origin',
      `While the service has no keys, ${origin} has nothing changed, signed or kept unless CORS_ORIGINS names it`,
    );
  }
}

/** What stands for a key on record. */
function credentialOf(keyId: string): string {
  return `${KEY_CREDENTIAL}${keyId}`;
}

function keyIdOf(credential: string): string {
  return credential.slice(KEY_CREDENTIAL.length);
}
