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
/** A key that is not among those of a moment ago is one that the provider does not have. */
const KEYS_SURE_MS = 30 * 1000;
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
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #fetching: Promise<RemoteKeys> | undefined;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: IdentityProviderOptions) {
    this.#options = options;
  }

  /**
   * Finds the key that a token was signed with. Rejects if there is none.
   * @throws {Problem} `identity_provider_unavailable` if the provider cannot say.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      const keys = await this.#freshKeys();
      return await keys(header, token).catch(async (error: unknown) => {
        if (!(error instanceof errors.JWKSNoMatchingKey) || this.#isYoungerThan(KEYS_SURE_MS)) {
          throw error;
        }
        // Whoever shows a key that nobody knows has a fetch made, on which nobody else's token depends.
        return (await this.#fetchOnce())(header, token);
      });
    } catch (error) {
      throw isOfToken(error) || error instanceof Problem ? error : this.#failed(error);
    }
  };

  async #freshKeys(): Promise<RemoteKeys> {
    if (this.#keys !== undefined && this.#isYoungerThan(KEYS_KEPT_MS)) return this.#keys;
    return this.#fetchOnce();
  }

  #isYoungerThan(ageMs: number): boolean {
    return this.#options.clock.now() < this.#fetchedAtMs + ageMs;
  }

  #fetchOnce(): Promise<RemoteKeys> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<RemoteKeys> {
    const { clock } = this.#options;
    if (clock.now() < this.#pausedUntilMs) throw unavailable(undefined);
    try {
      this.#keys ??= await this.#discover();
      await this.#keys.reload();
      this.#fetchedAtMs = clock.now();
      return this.#keys;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Notes that the provider does not do as it should, and is to be left alone for a while. */
  #failed(err: unknown): Problem {
    const { clock, log } = this.#options;
    if (clock.now() >= this.#pausedUntilMs) {
      this.#pausedUntilMs = clock.now() + PAUSE_MS;
      log.warn({ err }, 'the identity provider does not answer as it should');
    }
    return unavailable(err);
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
    // When the keys are fetched is decided above, on the clock of the service.
    const never = Number.POSITIVE_INFINITY;
    return createRemoteJWKSet(new URL(document.jwks_uri), {
      cacheMaxAge: never,
      cooldownDuration: never,
      timeoutDuration: LONGEST_ANSWER_MS,
    });
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
