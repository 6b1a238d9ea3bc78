/**
 * The keys the service signs with (Ed25519): receipts, heads of the record and tokens of displays. They are made
 * at the first start and kept beside the journal, or come from a file that SIGNING_KEYS names. The first key
 * signs; the others, the one that was made here among them, are there so that receipts and heads they signed
 * before can still be checked. Tokens end with the key that signed them, so that whoever took an old key can make
 * none.
 */
import { readFile } from 'node:fs/promises';
import {
  CompactSign,
  calculateJwkThumbprint,
  compactVerify,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import { z } from 'zod';
import { SettingError } from './config.js';
import type { Documents } from './journal/documents.js';

const ALGORITHM = 'EdDSA';
const DRAWER = 'signing-keys';
const NAME = 'keys';

export const publicKeySchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string().exactOptional(),
});
const privateKeySchema = publicKeySchema.extend({ d: z.string() });
const privateKeysSchema = z.object({ keys: z.array(privateKeySchema).min(1) });
type PrivateKey = z.output<typeof privateKeySchema>;

/** What a signature is for, as the `typ` of its header: one kind is never taken for another. */
export type SignatureType = 'timer-receipt+jwt' | 'timer-head+jwt' | 'timer-token+jwt';

export type Verify = (type: SignatureType, text: string) => Promise<unknown>;

interface SigningKey {
  readonly key: Awaited<ReturnType<typeof importJWK>>;
  readonly id: string;
}

export class Signer {
  /** The public keys, as a JSON Web Key Set (RFC 7517). */
  readonly publicKeys: { readonly keys: JWK[] };
  /** The public part of the key that signs now: an older one may be why it was replaced. */
  readonly newestKey: { readonly keys: JWK[] };
  readonly #signing: SigningKey;
  /** The claims of a JWS that one of the keys signed for a purpose; rejects for any other text. */
  readonly verify: Verify;

  private constructor(signing: SigningKey, publicKeys: JWK[]) {
    this.#signing = signing;
    this.publicKeys = { keys: publicKeys };
    this.newestKey = { keys: publicKeys.slice(0, 1) };
    this.verify = verifierOf(this.publicKeys);
  }

  /**
   * Reads the keys from a file; where none is named, its own, and makes one if there is none yet.
   * @throws {SettingError} if the file that is named has none.
   */
  static async open(documents: Documents, file: string): Promise<Signer> {
    const kept = await keptKeys(documents);
    const keys =
      file === '' ? (kept ?? (await madeKeys(documents))) : union(await keysIn(file), kept);
    const publicKeys = await Promise.all(keys.map(publicPartOf));
    const [first] = keys;
    const [publicFirst] = publicKeys;
    if (first === undefined) throw new RangeError('A set of keys has at least one');
    const signing = { key: await importJWK(first, ALGORITHM), id: publicFirst?.kid ?? '' };
    return new Signer(signing, publicKeys);
  }

  /** Signs claims as a JWS in its compact form (RFC 7515). */
  async sign(type: SignatureType, claims: object): Promise<string> {
    const payload = new TextEncoder().encode(JSON.stringify(claims));
    const { key, id } = this.#signing;
    return new CompactSign(payload)
      .setProtectedHeader({ alg: ALGORITHM, kid: id, typ: type })
      .sign(key);
  }
}

/** Gives what checks signatures with public keys, wherever they come from. */
export function verifierOf(publicKeys: { readonly keys: JWK[] }): Verify {
  const find = createLocalJWKSet(publicKeys);
  return async (type, text) => {
    const { payload, protectedHeader } = await compactVerify(text, find, {
      algorithms: [ALGORITHM],
    });
    if (protectedHeader.typ !== type) throw new TypeError(`This is no ${type}`);
    return JSON.parse(new TextDecoder().decode(payload));
  };
}

/** The keys that were made here, if there are any. */
async function keptKeys(documents: Documents): Promise<PrivateKey[] | undefined> {
  const kept = await documents.get(DRAWER, NAME, 0);
  return kept === undefined ? undefined : privateKeysSchema.parse(JSON.parse(kept)).keys;
}

/** All of the first, and those of the others that are not among them. */
function union(keys: PrivateKey[], others: readonly PrivateKey[] = []): PrivateKey[] {
  return [...keys, ...others.filter((other) => keys.every(({ x }) => x !== other.x))];
}

/** Makes keys; where another node made some at the same moment, these are taken. */
async function madeKeys(documents: Documents): Promise<PrivateKey[]> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const keys = [privateKeySchema.parse(await exportJWK(privateKey))];
  const document = { name: NAME, text: JSON.stringify({ keys }) };
  const isOurs = await documents.replace(DRAWER, document, null, { before: undefined, nowMs: 0 });
  return isOurs ? keys : ((await keptKeys(documents)) ?? madeKeys(documents));
}

async function keysIn(file: string): Promise<PrivateKey[]> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw wrongFile(file, `, which cannot be read (${cause.message})`, cause);
  });
  try {
    return privateKeysSchema.parse(JSON.parse(text)).keys;
  } catch (cause) {
    // What is wrong with the text is not said, because the words for it may quote a key.
    throw wrongFile(file, '', cause);
  }
}

function wrongFile(file: string, why: string, cause: unknown): SettingError {
  const takes = 'a file with a JSON Web Key Set of private Ed25519 keys';
  return new SettingError(`SIGNING_KEYS is ${JSON.stringify(file)}${why}; it takes ${takes}`, {
    cause,
  });
}

async function publicPartOf({ kty, crv, x }: PrivateKey): Promise<JWK> {
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return { kty, crv, x, kid, alg: ALGORITHM, use: 'sig' };
}
