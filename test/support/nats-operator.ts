/** An operator of NATS with one account and one user, as `nsc` makes them: who a server lets in by JWT. */
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

export interface NatsOperator {
  /** What a server that trusts the operator has in its configuration. */
  readonly configuration: string;
  /** The file of credentials of the user. */
  readonly credentials: string;
}

const UNLIMITED = -1;
const LIMITS = { subs: UNLIMITED, conn: UNLIMITED, data: UNLIMITED, payload: UNLIMITED };
const STORAGE = { mem_storage: UNLIMITED, disk_storage: UNLIMITED };
const JETSTREAM = { ...STORAGE, streams: UNLIMITED, consumer: UNLIMITED };

export function createNatsOperator(): NatsOperator {
  const [operator, system, account, user] = [
    createOperator(),
    createAccount(),
    createAccount(),
    createUser(),
  ];
  const ofOperator = claimOf(operator, operator, { type: 'operator' });
  const ofSystem = claimOf(operator, system, { type: 'account', limits: LIMITS });
  const limits = { ...LIMITS, ...JETSTREAM };
  const ofAccount = claimOf(operator, account, { type: 'account', limits });
  const ofUser = claimOf(account, user, { type: 'user', ...LIMITS });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    configuration: `operator: ${ofOperator}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: {
        ${system.getPublicKey()}: ${ofSystem}
        ${account.getPublicKey()}: ${ofAccount}
      }`,
    credentials: [framed('NATS USER JWT', ofUser), framed('USER NKEY SEED', seed)].join('\n'),
  };
}

/** What one key says of another, signed by it. */
function claimOf(
  issuer: KeyPair,
  subject: KeyPair,
  says: Readonly<Record<string, unknown>>,
): string {
  const keys = { iss: issuer.getPublicKey(), sub: subject.getPublicKey() };
  const claim = { ...keys, jti: subject.getPublicKey(), iat: 1, nats: { version: 2, ...says } };
  const signed = [{ typ: 'JWT', alg: 'ed25519-nkey' }, claim]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${Buffer.from(issuer.sign(Buffer.from(signed))).toString('base64url')}`;
}

function framed(title: string, text: string): string {
  return `-----BEGIN ${title}-----\n${text}\n------END ${title}------\n`;
}
