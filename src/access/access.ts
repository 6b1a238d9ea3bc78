/** Who may do what: finds out who calls, and refuses what the caller may not. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.js';
import { type Config, SettingError } from '../config.js';
import type { Documents } from '../journal/documents.js';
import { Problem } from '../protocol/problems.js';
import type { TimerRecord } from '../registry.js';
import type { Addresses } from './address.js';
import { type ApiKey, ApiKeys, type KeyDefinition } from './api-keys.js';
import { ANONYMOUS, anonymous, type Caller, hasRight, type Right, reaches } from './caller.js';
import { credentialIn } from './credential.js';
import { isForeign, isLoopback, namesLoopback } from './origins.js';
import { Sessions } from './sessions.js';

export interface AccessOptions {
  readonly config: Pick<Config, 'host' | 'allowOpen' | 'corsOrigins' | 'dataDir'>;
  readonly documents: Documents;
  readonly addresses: Addresses;
  readonly clock: Clock;
}

/** What somebody asks for. */
export interface Asked {
  readonly right: Right;
  /** Whether a link must be enough to follow, so that the credential may be in the address. */
  readonly mayBeLink: boolean;
}

export class Access {
  readonly #options: AccessOptions;
  readonly #keys: ApiKeys;
  readonly #sessions: Sessions;

  private constructor(options: AccessOptions, keys: ApiKeys) {
    this.#options = options;
    this.#keys = keys;
    this.#sessions = new Sessions(options.clock);
  }

  /**
   * Reads the keys.
   * @throws {SettingError} if everybody in the network could do everything, and nobody said they may.
   */
  static async open(options: AccessOptions): Promise<Access> {
    const keys = await ApiKeys.open({ ...options, hasOtherCredentials: false });
    const access = new Access(options, keys);
    const { host, allowOpen, dataDir } = options.config;
    if (access.isOpen && !allowOpen && !isLoopback(host)) {
      const command = `synchronized-timer keys create --role admin --data-dir ${dataDir}`;
      throw new SettingError(
        `HOST is ${JSON.stringify(host)}, but there are no keys yet, so everybody could do everything; ` +
          `make one (${command}), or set ALLOW_OPEN=1`,
      );
    }
    return access;
  }

  /** Whether nobody needs a credential, because there are none. */
  get isOpen(): boolean {
    return this.#keys.isEmpty;
  }

  /**
   * Refuses those who ask for another host than this machine while the service is open on it only.
   * @throws {Problem} `foreign_host`
   */
  checkHost({ headers }: IncomingMessage): void {
    if (!this.isOpen || this.#options.config.allowOpen || namesLoopback(headers)) return;
    throw new Problem(
      'foreign_host',
      `The service has no keys, so it answers on this machine only, and not as ${headers.host}`,
    );
  }

  /**
   * Finds out who sends a request, and whether their role may.
   * @throws {Problem} if not.
   */
  async admit(request: IncomingMessage, { right, mayBeLink }: Asked): Promise<Caller> {
    const address = this.#options.addresses.of(request);
    if (right === 'public') return anonymous(address);
    const caller = await this.#identify(request, mayBeLink, address);
    if (!hasRight(caller, right)) {
      throw new Problem('forbidden', `The role ${caller.role} does not allow this`);
    }
    if (caller.credential === ANONYMOUS) this.#checkOrigin(request, right);
    return caller;
  }

  /**
   * Lets a caller deal with one timer.
   * @throws {Problem} `forbidden` if it may not.
   */
  permit(caller: Caller, timer: Pick<TimerRecord, 'id' | 'ownerId'>): void {
    if (reaches(caller, timer)) return;
    throw new Problem('forbidden', `The credential is not for timer ${timer.id}`);
  }

  /** Calls back when a caller's credential ends; gives the function that makes it not. */
  watch(caller: Caller, onEnd: () => void): () => void {
    return this.#sessions.watch(caller, onEnd);
  }

  listKeys(): ApiKey[] {
    return this.#keys.list();
  }

  /** Makes a key. With the first one the service is open no more, for those who are there as well. */
  async createKey(
    definition: KeyDefinition,
    caller: Caller,
  ): Promise<{ readonly key: ApiKey; readonly text: string }> {
    const created = await this.#keys.create(definition, caller.credential);
    this.#sessions.end(ANONYMOUS);
    return created;
  }

  /** Ends a key, and every connection that came with it. */
  async revokeKey(keyId: string): Promise<void> {
    await this.#keys.revoke(keyId);
    this.#sessions.end(credentialOf(keyId));
  }

  /** Whoever shows a credential is who it says, also where none is needed. */
  async #identify(
    request: IncomingMessage,
    mayBeLink: boolean,
    address: string | null,
  ): Promise<Caller> {
    const credential = credentialIn(request, mayBeLink);
    if (credential === undefined) {
      if (this.isOpen) return anonymous(address);
      throw new Problem('unauthenticated', 'Show a key or a token: Authorization: Bearer <token>');
    }
    const key = this.#keys.find(credential);
    if (key === undefined) {
      throw new Problem('unauthenticated', 'The credential is not known, or has ended');
    }
    const { id, role, label, timers, expiresAtMs } = key;
    return { credential: credentialOf(id), role, label, address, timers, expiresAtMs };
  }

  /** Any page can make a browser send a request to this machine, where an open service needs no more. */
  #checkOrigin({ headers }: IncomingMessage, right: Right): void {
    if (right !== 'control' && right !== 'manage') return;
    if (!isForeign(headers, this.#options.config.corsOrigins)) return;
    throw new Problem(
      'foreign_origin',
      `While the service has no keys, ${headers.origin} changes nothing unless CORS_ORIGINS names it`,
    );
  }
}

/** What stands for a key on record. */
function credentialOf(keyId: string): string {
  return `key:${keyId}`;
}
