/**
 * Tokens (JWT, RFC 7519): those of displays, which the service signs itself; those of its operator, signed with a
 * secret or a key that settings name; and those of an identity provider. Each source has its own keys, and
 * signatures of its own kinds only.
 */
import { hash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import { type Config, SettingError } from '../config.js';
import type { Log } from '../log.js';
import { Problem } from '../protocol/problems.js';
import { recordable, repairedText } from '../protocol/text.js';
import { publicKeySchema, type Signer } from '../signing.js';
import {
  CALLER_ROLES,
  type Caller,
  type CallerRole,
  givenTimersSchema,
  type Recheck,
  timerIdsSchema,
} from './caller.js';
import { IdentityProvider } from './identity-provider.js';

/** How far the clocks of others who issue tokens may be off. */
const TOLERANCE_SECONDS = 5;
const DISPLAY_TOKEN = 'timer-token+jwt';
const LONGEST_LABEL = 100;
/** The end of the year 9999: a later instant has no usual form in ISO 8601. */
const LATEST_END_SECONDS = 253_402_300_799 - TOLERANCE_SECONDS;
const MOST_KEPT = 10_000;
/** A provider may take a key away before the tokens that it signed have ended. */
const PROVIDER_KEPT_MS = 5 * 60 * 1000;
const PROVIDER_PREFIX = 'oidc';
const PROVIDER_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** What a token says of whoever shows it. */
export type Holder = Omit<Caller, 'address'>;

const labelClaim = repairedText
  .transform((text) => [...text].slice(0, LONGEST_LABEL).join(''))
  .optional();
const claimsSchema = z.looseObject({
  sub: recordable(z.string().min(1).max(255)),
  exp: z.number().min(0).max(LATEST_END_SECONDS),
  label: labelClaim,
  name: labelClaim,
  timers: givenTimersSchema.default([]),
});
type Claims = z.output<typeof claimsSchema>;

/** The service makes no other tokens than these, so whoever took its key can make no others either. */
const displayClaimsSchema = claimsSchema.extend({
  role: z.literal('display' satisfies CallerRole),
  timers: timerIdsSchema.min(1),
});

/** Somebody who issues tokens. */
interface Source {
  /** Sets the names of its holders apart from those of others. */
  readonly prefix: string;
  readonly find: JWTVerifyGetKey;
  readonly algorithms: string[];
  readonly audience: string;
  readonly roleClaim: string;
  /** How far its clock may be off. */
  readonly toleranceSeconds: number;
  /** What its tokens must say. */
  readonly claims: z.ZodType<Claims>;
  readonly issuer?: string;
  readonly typ?: string;
}

/** What a token said when it was checked, and until when that is believed. */
interface Checked {
  readonly holder: Holder;
  readonly untilMs: number;
}

export interface TokensOptions {
  readonly config: Pick<
    Config,
    'jwtSecrets' | 'jwtPublicKeys' | 'jwtAudience' | 'oidcIssuer' | 'oidcAudience' | 'roleClaim'
  >;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: Log;
}

export class Tokens {
  /** Whether others than the service itself issue tokens for it. */
  readonly isConfigured: boolean;
  readonly #options: TokensOptions;
  readonly #publicKeys: JWTVerifyGetKey | undefined;
  readonly #provider: IdentityProvider | undefined;
  /** Tokens that were checked, by their hash: a signature costs a thousand times more than looking here. */
  readonly #checked = new Map<string, Checked>();

  private constructor(options: TokensOptions, publicKeys: JWTVerifyGetKey | undefined) {
    const { oidcIssuer: issuer, jwtSecrets } = options.config;
    this.#options = options;
    this.#publicKeys = publicKeys;
    this.#provider = issuer === '' ? undefined : new IdentityProvider({ ...options, issuer });
    this.isConfigured = jwtSecrets.length > 0 || publicKeys !== undefined || issuer !== '';
  }

  /** @throws {SettingError} if the file of public keys has none. */
  static async open(options: TokensOptions): Promise<Tokens> {
    const { jwtPublicKeys } = options.config;
    return new Tokens(options, jwtPublicKeys === '' ? undefined : await keysIn(jwtPublicKeys));
  }

  /**
   * Finds out whose token it is. Calls back before it verifies a signature, which is not for everybody to have
   * done as often as they like; what is no token at all never comes to that.
   * @throws {Problem} if it is not valid, gives no role, or cannot be checked now.
   */
  async check(token: string, beforeVerifying: () => void): Promise<Holder> {
    const name = hash('sha256', token);
    const kept = this.#checked.get(name);
    if (kept !== undefined && kept.untilMs > this.#options.clock.now()) {
      return this.#rechecked(token, kept);
    }
    // One that was right and has not ended is not held up by strangers when it is checked again.
    const wasRight = kept !== undefined && this.#isValid(kept.holder);
    const holder = wasRight
      ? await this.#verifyAgain(token, kept.holder)
      : await this.#verify(token, beforeVerifying);
    const checked = { holder, untilMs: this.#believedUntilMs(holder) };
    this.#checked.set(name, checked);
    const [oldest] = this.#checked.keys();
    if (this.#checked.size > MOST_KEPT && oldest !== undefined) this.#checked.delete(oldest);
    return this.#rechecked(token, checked);
  }

  /** Makes a token for a display of one timer. */
  issue(timerId: string, label: string | null, expiresAtMs: number): Promise<string> {
    const { signer, clock, config } = this.#options;
    return signer.sign(DISPLAY_TOKEN, {
      sub: randomBytes(6).toString('hex'),
      aud: config.jwtAudience,
      iat: Math.floor(clock.now() / 1000),
      exp: Math.floor(expiresAtMs / 1000),
      role: 'display' satisfies CallerRole,
      timers: [timerId],
      ...(label !== null && { label }),
    });
  }

  /** A provider that is down during an exam locks nobody out whose token was right before and has not ended. */
  async #verifyAgain(token: string, before: Holder): Promise<Holder> {
    try {
      return await this.#verify(token, () => {});
    } catch (error) {
      const isUnknown = error instanceof Problem && error.code === 'identity_provider_unavailable';
      if (isUnknown && this.#isValid(before)) return before;
      throw error;
    }
  }

  #isValid({ expiresAtMs }: Holder): boolean {
    return expiresAtMs === null || expiresAtMs > this.#options.clock.now();
  }

  #believedUntilMs({ credential, expiresAtMs }: Holder): number {
    const endMs = expiresAtMs ?? Number.POSITIVE_INFINITY;
    if (!isOfProvider(credential)) return endMs;
    return Math.min(endMs, this.#options.clock.now() + PROVIDER_KEPT_MS);
  }

  /** A holder who stays is checked again whenever what is known of the token is not believed any more. */
  #rechecked(token: string, { holder, untilMs }: Checked): Holder {
    if (!isOfProvider(holder.credential)) return holder;
    const recheckAt = (atMs: number): Recheck => ({
      atMs,
      check: async () => recheckAt(this.#believedUntilMs(await this.#verifyAgain(token, holder))),
    });
    return { ...holder, recheck: recheckAt(untilMs) };
  }

  async #verify(token: string, beforeVerifying: () => void): Promise<Holder> {
    try {
      const source = this.#sourceOf(token);
      beforeVerifying();
      const { find, prefix, roleClaim, claims, toleranceSeconds, ...options } = source;
      const { payload } = await jwtVerify(token, find, {
        ...options,
        requiredClaims: ['sub', 'exp', 'aud'],
        clockTolerance: toleranceSeconds,
        currentDate: new Date(this.#options.clock.now()),
      });
      return holderOf(payload, source);
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem('unauthenticated', complaintOf(error), { cause: error });
    }
  }

  /** By what a token says of itself; whether that is true is seen by its signature. */
  #sourceOf(token: string): Source {
    const { alg = '', typ } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    const { jwtAudience, jwtSecrets, oidcIssuer, oidcAudience, roleClaim } = this.#options.config;
    if (typ === DISPLAY_TOKEN) {
      return {
        prefix: 'token',
        find: createLocalJWKSet(this.#options.signer.newestKey),
        algorithms: ['EdDSA'],
        audience: jwtAudience,
        roleClaim: 'role',
        toleranceSeconds: 0,
        claims: displayClaimsSchema,
        typ,
      };
    }
    if (this.#provider !== undefined && iss === oidcIssuer) {
      return {
        prefix: PROVIDER_PREFIX,
        find: this.#provider.find,
        algorithms: PROVIDER_ALGORITHMS,
        audience: oidcAudience,
        issuer: oidcIssuer,
        roleClaim,
        toleranceSeconds: TOLERANCE_SECONDS,
        claims: claimsSchema,
      };
    }
    const own = {
      prefix: 'user',
      audience: jwtAudience,
      roleClaim,
      toleranceSeconds: TOLERANCE_SECONDS,
      claims: claimsSchema,
    };
    if (alg === 'HS256') return { ...own, find: secretsOf(jwtSecrets), algorithms: ['HS256'] };
    if (this.#publicKeys !== undefined) {
      return { ...own, find: this.#publicKeys, algorithms: ['EdDSA', 'Ed25519'] };
    }
    throw new errors.JWSInvalid('No source of tokens issues such ones');
  }
}

function isOfProvider(credential: string): boolean {
  return credential.startsWith(`${PROVIDER_PREFIX}:`);
}

async function keysIn(file: string): Promise<JWTVerifyGetKey> {
  try {
    const keySet = z.object({ keys: z.array(publicKeySchema).min(1) });
    return createLocalJWKSet(keySet.parse(JSON.parse(await readFile(file, 'utf8'))));
  } catch (cause) {
    throw new SettingError(
      `JWT_PUBLIC_KEYS is ${JSON.stringify(file)}; it takes a file with a JSON Web Key Set of public Ed25519 keys`,
      { cause },
    );
  }
}

/** A token names its secret by `kid`; where there is only one, it need not. */
function secretsOf(secrets: Config['jwtSecrets']): JWTVerifyGetKey {
  return ({ kid }) => {
    const isOnly = kid === undefined && secrets.length === 1;
    const found = secrets.find((candidate) => isOnly || candidate.kid === kid);
    if (found === undefined) throw new errors.JWKSNoMatchingKey();
    return new TextEncoder().encode(found.secret);
  };
}

function holderOf(payload: JWTPayload, source: Source): Holder {
  const { prefix, roleClaim, toleranceSeconds, claims } = source;
  const { sub, exp, label, name, timers } = claims.parse(payload);
  const role = roleIn(payload, roleClaim);
  if (role === undefined) {
    throw new Problem('forbidden', `The token gives no role that is known here in ${roleClaim}`);
  }
  return {
    credential: `${prefix}:${sub}`,
    role,
    label: label ?? name ?? null,
    timers,
    expiresAtMs: (exp + toleranceSeconds) * 1000,
  };
}

/** A role, or the first of several in the order of what they may; the claim may lie in objects. */
function roleIn(payload: JWTPayload, path: string): CallerRole | undefined {
  const claim =
    payload[path] ??
    path.split('.').reduce<unknown>((inner, part) => fieldOf(inner, part), payload);
  const named = Array.isArray(claim) ? claim : [claim];
  return CALLER_ROLES.find((role) => named.includes(role));
}

function fieldOf(value: unknown, name: string): unknown {
  return z.record(z.string(), z.unknown()).safeParse(value).data?.[name];
}

function complaintOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    return `The token is not for this service: its claim ${error.claim} is wrong or missing`;
  }
  return 'The token is not valid';
}
