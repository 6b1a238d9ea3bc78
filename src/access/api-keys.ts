/**
 * API keys: texts such as `sts_4f2a91c07b3e_…` that programs and people show to be let in. Of a key's secret only
 * the hash is kept, as a document; the key itself is seen once, by whoever makes it. All of them are in memory, and
 * what a document says is what counts, whichever node made or removed it.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Document, Documents } from '../journal/documents.js';
import { DoubtError } from '../journal/journal.js';
import { Problem } from '../protocol/problems.js';
import { repairedText } from '../protocol/text.js';
import { CALLER_ROLES, type CallerRole, type GivenTimers, givenTimersSchema } from './caller.js';

const DRAWER = 'keys';
const REVOKED_DRAWER = 'revoked-keys';
/** As long as a request that made a key may be repeated, which is not to bring it back. */
const REVOKED_KEPT_MS = 24 * 60 * 60 * 1000;
const ID_BYTES = 6;
const SECRET_BYTES = 32;
const KEY = /^sts_([0-9a-f]{12})_([\w-]{43})$/;

/** Whether a credential looks like a key, and is to be nothing else. */
export function isKey(text: string): boolean {
  return text.startsWith('sts_');
}

export interface KeyDefinition {
  readonly role: CallerRole;
  readonly label: string | null;
  readonly timers: GivenTimers;
  readonly expiresAtMs: number | null;
}

/** What is known of a key by those who look after keys. */
export interface ApiKey extends KeyDefinition {
  readonly id: string;
  readonly createdAtMs: number;
  /** The credential it was made with. */
  readonly createdBy: string;
}

/** What chance decides of a key. */
export const keySeedSchema = z.object({ id: z.string(), secret: z.string() });
export type KeySeed = z.output<typeof keySeedSchema>;

export function newKeySeed(): KeySeed {
  return {
    id: randomBytes(ID_BYTES).toString('hex'),
    secret: randomBytes(SECRET_BYTES).toString('base64url'),
  };
}

interface KnownKey {
  readonly key: ApiKey;
  /** SHA-256 of the secret. The secret has 256 random bits, so no slower hash would make it safer. */
  readonly hash: Buffer;
}

const keptSchema = z.object({
  id: z.string(),
  role: z.enum(CALLER_ROLES),
  label: repairedText.nullable(),
  timers: givenTimersSchema,
  hash: z.string(),
  created_at_ms: z.number(),
  created_by: z.string(),
  expires_at_ms: z.number().nullable(),
});

export interface ApiKeysOptions {
  readonly documents: Documents;
  readonly clock: Clock;
  /** Whether there are other credentials that can give the role of an administrator. */
  readonly hasOtherCredentials: boolean;
  /** Told when a key was made or revoked, here or by another node, with the ids of those that are gone. */
  readonly onChange?: (keys: ApiKeys, revokedIds: readonly string[]) => void;
}

export class ApiKeys {
  readonly #options: ApiKeysOptions;
  #known: ReadonlyMap<string, KnownKey> = new Map();
  /** Those that were revoked not long ago. */
  #revoked: ReadonlyMap<string, KnownKey> = new Map();
  #everHadKeys = false;

  private constructor(options: ApiKeysOptions) {
    this.#options = options;
  }

  static async open(options: ApiKeysOptions): Promise<ApiKeys> {
    const keys = new ApiKeys(options);
    await options.documents.follow(REVOKED_DRAWER, (documents) => {
      keys.#revoked = knownIn(documents);
    });
    await options.documents.follow(DRAWER, (documents) => keys.#take(documents));
    return keys;
  }

  /** Whether there never was a key: whoever takes the last one away opens nothing. */
  get isEmpty(): boolean {
    return !this.#everHadKeys;
  }

  /** All keys, oldest first, those that have expired too. */
  list(): ApiKey[] {
    const keys = [...this.#known.values()].map(({ key }) => key);
    return keys.sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /** Whether there is a key, which may have expired. */
  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** The key that somebody shows, if it is one and has not ended. */
  find(text: string): ApiKey | undefined {
    const [, id = '', secret = ''] = KEY.exec(text) ?? [];
    const known = this.#known.get(id);
    if (known === undefined || !timingSafeEqual(known.hash, hashOf(secret))) return undefined;
    return this.#isValid(known.key) ? known.key : undefined;
  }

  /**
   * Makes a key, once of each seed, also if it was revoked since. `text` is the key itself, which nobody can be
   * told again.
   * @throws {Problem} if nobody could look after the service then, or it cannot be kept.
   */
  async create(
    definition: KeyDefinition,
    createdBy: string,
    { id, secret }: KeySeed = newKeySeed(),
  ): Promise<{ readonly key: ApiKey; readonly text: string }> {
    const text = `sts_${id}_${secret}`;
    const made = this.#known.get(id) ?? this.#revoked.get(id);
    if (made !== undefined) return { key: made.key, text };
    if (definition.role !== 'admin' && !this.#hasAdmin()) {
      throw new Problem(
        'admin_key_needed',
        'The first key has the role admin: whoever made another one would be locked out',
      );
    }
    const createdAtMs = this.#options.clock.now();
    const key = { ...definition, id, createdAtMs, createdBy };
    const known = { key, hash: hashOf(secret) };
    await recorded(this.#options.documents.put(DRAWER, documentOf(known), null));
    return { key, text };
  }

  /**
   * Ends a key, at once.
   * @throws {Problem} if there is none, or nobody could look after the service without it.
   */
  async revoke(id: string): Promise<ApiKey> {
    const known = this.#known.get(id);
    if (known === undefined) throw new Problem('unknown_key', `There is no key ${id}`);
    const isAdmin = known.key.role === 'admin';
    if (isAdmin && !this.#hasAdmin(id)) throw lastAdmin(id);
    const keptUntilMs = this.#options.clock.now() + REVOKED_KEPT_MS;
    await recorded(this.#options.documents.put(REVOKED_DRAWER, documentOf(known), keptUntilMs));
    await recorded(this.#options.documents.remove(DRAWER, id));
    if (isAdmin && !this.#hasAdmin()) {
      // Another node took away the other one at the same moment; the later of the two is put back.
      await recorded(this.#options.documents.put(DRAWER, documentOf(known), null));
      throw lastAdmin(id);
    }
    return known.key;
  }

  #take(documents: readonly Document[]): void {
    const told = knownIn(documents);
    const revoked = [...this.#known.keys()].filter((id) => !told.has(id));
    // Those of one instant stay in the order in which they were first heard of.
    const known = new Map([...this.#known].filter(([id]) => told.has(id)));
    for (const [id, key] of told) known.set(id, key);
    this.#known = known;
    this.#everHadKeys ||= known.size > 0;
    this.#options.onChange?.(this, revoked);
  }

  #isValid({ expiresAtMs }: ApiKey): boolean {
    return expiresAtMs === null || expiresAtMs > this.#options.clock.now();
  }

  /** Whether somebody can look after the service, without one of the keys if it is named. */
  #hasAdmin(withoutId?: string): boolean {
    if (this.#options.hasOtherCredentials) return true;
    return this.list().some(
      (key) => key.role === 'admin' && key.id !== withoutId && this.#isValid(key),
    );
  }
}

function lastAdmin(id: string): Problem {
  return new Problem(
    'admin_key_needed',
    `Key ${id} is the last one of an administrator; make another one first`,
  );
}

async function recorded(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (cause) {
    if (cause instanceof DoubtError) throw cause;
    const detail = 'The change could not be recorded, so nothing was changed; try again soon';
    throw new Problem('journal_unavailable', detail, { cause });
  }
}

function hashOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

function documentOf(known: KnownKey): Document {
  return { name: known.key.id, text: JSON.stringify(keptOf(known)) };
}

function keptOf({ key, hash: secretHash }: KnownKey): z.input<typeof keptSchema> {
  return {
    id: key.id,
    role: key.role,
    label: key.label,
    timers: key.timers,
    hash: secretHash.toString('hex'),
    created_at_ms: key.createdAtMs,
    created_by: key.createdBy,
    expires_at_ms: key.expiresAtMs,
  };
}

function knownIn(documents: readonly Document[]): Map<string, KnownKey> {
  const known = documents.map(({ text }) => knownKeyOf(keptSchema.parse(JSON.parse(text))));
  return new Map(known.map((one) => [one.key.id, one]));
}

function knownKeyOf(kept: z.output<typeof keptSchema>): KnownKey {
  const key = {
    id: kept.id,
    role: kept.role,
    label: kept.label,
    timers: kept.timers,
    createdAtMs: kept.created_at_ms,
    createdBy: kept.created_by,
    expiresAtMs: kept.expires_at_ms,
  };
  return { key, hash: Buffer.from(kept.hash, 'hex') };
}
