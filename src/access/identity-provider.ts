/**
 * The keys of an identity provider (OpenID Connect), found by its discovery document. They are fetched when the
 * first token comes, so that a provider that is down keeps no service from starting.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { Problem } from '../protocol/problems.js';

const LONGEST_ANSWER_MS = 5000;
/** A key that the provider has taken away is not found any more after this. */
const KEYS_KEPT_MS = 5 * 60 * 1000;
/** After a failure the provider is left alone this long, however many tokens come. */
const PAUSE_MS = 5000;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

export interface IdentityProviderOptions {
  readonly issuer: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class IdentityProvider {
  readonly #options: IdentityProviderOptions;
  #keys: RemoteKeys | undefined;
  #keysUntilMs = Number.NEGATIVE_INFINITY;
  #discovering: Promise<RemoteKeys> | undefined;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: IdentityProviderOptions) {
    this.#options = options;
  }

  /**
   * Finds the key that a token was signed with. Rejects if there is none.
   * @throws {Problem} `identity_provider_unavailable` if the provider cannot say.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const { clock, log } = this.#options;
    if (clock.now() < this.#pausedUntilMs) throw unavailable(undefined);
    try {
      const keys = await this.#freshKeys();
      return await keys(header, token);
    } catch (err) {
      if (isOfToken(err)) throw err;
      this.#pausedUntilMs = clock.now() + PAUSE_MS;
      log.warn({ err }, 'the identity provider does not answer as it should');
      throw unavailable(err);
    }
  };

  async #freshKeys(): Promise<RemoteKeys> {
    const { clock } = this.#options;
    if (this.#keys !== undefined && clock.now() < this.#keysUntilMs) return this.#keys;
    if (this.#keys === undefined) this.#keys = await this.#discoverOnce();
    else await this.#keys.reload();
    this.#keysUntilMs = clock.now() + KEYS_KEPT_MS;
    return this.#keys;
  }

  #discoverOnce(): Promise<RemoteKeys> {
    this.#discovering ??= this.#discover().finally(() => {
      this.#discovering = undefined;
    });
    return this.#discovering;
  }

  async #discover(): Promise<RemoteKeys> {
    const { issuer } = this.#options;
    const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(LONGEST_ANSWER_MS),
      redirect: 'error',
    });
    if (!response.ok) throw new TypeError(`Discovery was answered with ${response.status}`);
    const document = discoverySchema.parse(await response.json());
    if (document.issuer !== issuer) throw new TypeError(`It calls itself ${document.issuer}`);
    // How old the keys may become is measured on the clock of the service, above.
    const age = { cacheMaxAge: Number.POSITIVE_INFINITY };
    const url = new URL(document.jwks_uri);
    return createRemoteJWKSet(url, { ...age, timeoutDuration: LONGEST_ANSWER_MS });
  }
}

/** Whether the token is to blame: the provider answered, and has no such key. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

function unavailable(cause: unknown): Problem {
  const detail = 'The identity provider cannot be asked about the token now; try again soon';
  return new Problem('identity_provider_unavailable', detail, { cause });
}
