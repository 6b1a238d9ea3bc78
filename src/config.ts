/**
 * Every setting of the service: its environment name, its default, what it takes. Read once at start;
 * a wrong value stops the start with one line that says what to do.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

interface Setting<T> {
  readonly default: string;
  /** What the setting takes, in words that end the sentence "it takes …". */
  readonly takes: string;
  readonly description: string;
  readonly schema: z.ZodType<T, string>;
  /** True for what must not be told to those who see the start of the service. */
  readonly isSecret?: true;
}

function wholeNumber(min: number, max: number) {
  const takes = `a whole number from ${min} to ${max}`;
  const schema = z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .pipe(z.number().min(min).max(max));
  return { takes, schema };
}

function oneOf<const T extends string>(...values: readonly [T, ...T[]]) {
  return { takes: values.join(' or '), schema: z.enum(values) };
}

function list(takes: string, item: z.ZodType<string, string>) {
  const items = z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
  return { takes, schema: items.pipe(z.array(item)) };
}

const flag = {
  takes: '0 or 1',
  schema: z.enum(['0', '1']).transform((text) => text === '1'),
};
/** Whole numbers, separated by commas. */
function wholeNumbers(most: number, min: number, max: number) {
  const takes = `up to ${most} whole numbers from ${min} to ${max}, separated by commas`;
  const schema = z
    .string()
    .transform((text) => (text.trim() === '' ? [] : text.split(',').map((part) => part.trim())))
    .pipe(z.array(wholeNumber(min, max).schema).max(most));
  return { takes, schema };
}

const isOrigin = (text: string): boolean =>
  text === '*' || (!text.includes('*') && URL.canParse(text) && new URL(text).origin === text);

/** An address, or a subnet with the number of its bits. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const mostBits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  if (bits === undefined) return mostBits > 0;
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= mostBits;
}

const NETWORKS = 'addresses or subnets such as 10.0.0.0/8, separated by commas';
const networks = list(NETWORKS, z.string().refine(isNetwork));

const NATS_SERVER = /^(nats|tls):\/\/([\w.-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?$/;
const natsServers = list('addresses', z.string().regex(NATS_SERVER)).schema.pipe(
  z.array(z.string()).min(1),
);

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** Who reads tokens on their way to the identity provider can be anyone, so the way must be a safe one. */
function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, search, hash } = new URL(text);
  const isSafe = protocol === 'https:' || LOOPBACK_HOSTS.includes(hostname);
  return isSafe && /^https?:$/.test(protocol) && search + hash === '';
}

const LEAST_SECRET_BYTES = 32;
const jwtSecret = z
  .string()
  .regex(/^[^:\s]+:\S+$/)
  .transform((text) => {
    const [kid = ''] = text.split(':', 1);
    return { kid, secret: text.slice(kid.length + 1) };
  })
  .refine(({ secret }) => Buffer.byteLength(secret) >= LEAST_SECRET_BYTES);
const jwtSecrets = z
  .string()
  .transform((text) => (text.trim() === '' ? [] : text.split(',').map((part) => part.trim())))
  .pipe(z.array(jwtSecret))
  .refine((secrets) => new Set(secrets.map(({ kid }) => kid)).size === secrets.length);

export const SETTINGS = {
  PORT: {
    default: '8003',
    description: 'TCP port the service listens on; 0 takes any free one',
    ...wholeNumber(0, 65_535),
  },
  HOST: {
    default: '127.0.0.1',
    description: 'Address the service listens on; 0.0.0.0 for all of the machine',
    takes: 'an address or a host name',
    schema: z.string().regex(/^[\w.:-]+$/),
  },
  ALLOW_OPEN: {
    default: '0',
    description:
      '1 lets everybody who reaches the service do everything, also from other machines, while it has no keys',
    ...flag,
  },
  DATA_DIR: {
    default: './data',
    description: 'Folder of the journal; made if it is not there',
    takes: 'the path of a folder',
    schema: z.string().min(1),
  },
  JOURNAL: {
    default: 'sqlite',
    description:
      'Where changes are recorded: sqlite, servers of NATS such as nats://host:4222, or memory, which forgets everything at the end',
    takes:
      'sqlite or memory or servers such as nats://host:4222 or tls://host:4222, separated by commas',
    schema: z.union([z.enum(['sqlite', 'memory']), natsServers]),
  },
  NATS_STREAM: {
    default: 'timers',
    description: 'JetStream stream of the journal; made if it is not there',
    takes: 'up to 64 letters, digits, - and _',
    schema: z.string().regex(/^[\w-]{1,64}$/),
  },
  NATS_REPLICAS: {
    default: '',
    description:
      'Copies of a new stream; empty is 3 in a cluster, and 1 on a server that stands alone. The log warns of one that has fewer',
    takes: 'a whole number from 1 to 5, or nothing',
    schema: z.union([z.literal('').transform(() => undefined), wholeNumber(1, 5).schema]),
  },
  NATS_CREDS: {
    default: '',
    description: 'File with the credentials of a NATS user: its JWT and its seed',
    takes: 'the path of a file',
    schema: z.string(),
  },
  NATS_NKEY_SEED: {
    default: '',
    description: 'File with the seed of the NKey of a NATS user',
    takes: 'the path of a file',
    schema: z.string(),
  },
  NATS_CA: {
    default: '',
    description: 'File with the certificates that servers of NATS are checked against',
    takes: 'the path of a file',
    schema: z.string(),
  },
  NATS_CERT: {
    default: '',
    description: 'File with the certificate that is shown to servers of NATS',
    takes: 'the path of a file',
    schema: z.string(),
  },
  NATS_KEY: {
    default: '',
    description: 'File with the private key of that certificate',
    takes: 'the path of a file',
    schema: z.string(),
  },
  MAX_CLOCK_SKEW_MS: {
    default: '250',
    description:
      'How far the clock of this node may be off that of NATS before the node takes no more changes',
    ...wholeNumber(1, 60_000),
  },
  CORS_ORIGINS: {
    default: '*',
    description:
      'Web origins whose pages may use the service, separated by commas. While it has no keys, * lets them only ' +
      'read: changes are answered 403 (foreign_origin) unless their origin is named',
    ...list(
      '* or origins such as https://exam.example, separated by commas',
      z.string().refine(isOrigin),
    ),
  },
  MAX_TIMERS: {
    default: '100000',
    description:
      'Timers in memory; finished ones make room for new ones, first those of the same credential, the oldest first',
    ...wholeNumber(1, 1_000_000),
  },
  MAX_CLIENTS_PER_TIMER: {
    default: '10000',
    description: 'Displays that may follow one timer',
    ...wholeNumber(1, 1_000_000),
  },
  MAX_DURATION_SECONDS: {
    default: '86400',
    description: 'Longest timer that can be created',
    ...wholeNumber(1, 31_536_000),
  },
  MAX_EXTENSION_SECONDS: {
    default: '3600',
    description: 'Longest time one extension can add',
    ...wholeNumber(1, 31_536_000),
  },
  KEEPALIVE_SECONDS: {
    default: '30',
    description:
      'Silence after which a display gets a keepalive message; one silent twice as long is dropped',
    ...wholeNumber(1, 3600),
  },
  MAX_BULK_TIMERS: {
    default: '1000',
    description: 'Timers in one bulk command',
    ...wholeNumber(1, 10_000),
  },
  DEFAULT_WARNING_THRESHOLDS: {
    default: '300,60,30',
    description: 'Seconds before the end at which timers warn that name no thresholds themselves',
    ...wholeNumbers(20, 1, 31_536_000),
  },
  RETAIN_FINISHED_SECONDS: {
    default: '86400',
    description: 'How long a finished timer stays in memory; its entries stay in the journal',
    ...wholeNumber(0, 31_536_000),
  },
  TRUST_PROXY: {
    default: '0',
    description:
      'Proxies in front whose X-Forwarded-For is believed: how many, or their addresses and subnets',
    takes: `how many, up to 99, or ${NETWORKS}`,
    schema: z.union([
      z
        .string()
        .regex(/^\d{1,2}$/)
        .transform(Number),
      networks.schema,
    ]),
  },
  MAX_REQUESTS_PER_SECOND_PER_ADDRESS: {
    default: '500',
    description: 'Requests of one address in the long run, five times that at once; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: {
    default: '500',
    description:
      'Requests of one credential in the long run, five times that at once; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: {
    default: '60',
    description:
      'Different credentials that are not valid which one address may show; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_CONNECTIONS_PER_ADDRESS: {
    default: '5000',
    description: 'WebSocket connections and event streams of one address; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_CONNECTIONS_PER_CREDENTIAL: {
    default: '10000',
    description: 'WebSocket connections and event streams of one credential; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL: {
    default: '100',
    description:
      'WebSocket connections and event streams of one credential of the role display; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  MAX_MESSAGES_PER_SECOND: {
    default: '10',
    description: 'Messages of one display in the long run, five times that at once; 0 is no limit',
    ...wholeNumber(0, 10_000),
  },
  MAX_TIMERS_PER_CREDENTIAL: {
    default: '10000',
    description: 'Timers of one credential that have not ended; 0 is no limit',
    ...wholeNumber(0, 1_000_000),
  },
  UNLIMITED_ADDRESSES: {
    default: '127.0.0.0/8, ::1',
    description: 'Addresses and subnets that no limit per address applies to',
    ...networks,
  },
  SIGNING_KEYS: {
    default: '',
    description:
      'File with a JSON Web Key Set of private Ed25519 keys to sign with; without it one is made and kept in DATA_DIR',
    takes: 'the path of a file',
    schema: z.string(),
  },
  WEBHOOK_RETRY_SECONDS: {
    default: '5,15,30,60,300,1800,7200,18000,36000,50400,72000,86400',
    description: 'Delays between attempts to deliver to a webhook; after the last it is disabled',
    ...wholeNumbers(20, 1, 604_800),
  },
  WEBHOOK_TIMEOUT_SECONDS: {
    default: '15',
    description: 'How long a receiver of a webhook may take to answer',
    ...wholeNumber(1, 60),
  },
  WEBHOOK_ALLOW_PRIVATE: {
    default: '0',
    description: '1 lets webhooks lead to private addresses, and over plain http',
    ...flag,
  },
  JWT_SECRETS: {
    default: '',
    description: 'Secrets of tokens signed with HS256, each with its kid, separated by commas',
    takes: 'kid:secret, separated by commas; each kid once, each secret of 32 bytes or more',
    isSecret: true,
    schema: jwtSecrets,
  },
  JWT_PUBLIC_KEYS: {
    default: '',
    description: 'File with a JSON Web Key Set of public Ed25519 keys, of tokens signed with EdDSA',
    takes: 'the path of a file',
    schema: z.string(),
  },
  JWT_AUDIENCE: {
    default: 'synchronized-timer',
    description: 'What tokens of JWT_SECRETS and JWT_PUBLIC_KEYS name as their aud',
    takes: 'a text',
    schema: z.string().min(1),
  },
  OIDC_ISSUER: {
    default: '',
    description: 'Identity provider whose tokens are taken, found by OpenID Connect discovery',
    takes: 'an https address, or an http one of this machine, without a query',
    schema: z.string().refine((text) => text === '' || isIssuer(text)),
  },
  OIDC_AUDIENCE: {
    default: 'synchronized-timer',
    description: 'What tokens of the identity provider name as their aud',
    takes: 'a text',
    schema: z.string().min(1),
  },
  ROLE_CLAIM: {
    default: 'role',
    description: 'Claim of a token with its role or a list of them; dots lead into objects',
    takes: 'the name of a claim such as role or realm_access.roles',
    schema: z.string().min(1),
  },
  LOG_LEVEL: {
    default: 'info',
    description: 'Least important log line that is written',
    ...oneOf('info', 'trace', 'debug', 'warn', 'error', 'fatal', 'silent'),
  },
  INSPECT: {
    default: '0',
    description: "1 streams the running actors to Stately's inspector, by way of port 8080",
    ...flag,
  },
} satisfies Record<string, Setting<unknown>>;

type SettingName = keyof typeof SETTINGS;
type ValueOf<N extends SettingName> = z.output<(typeof SETTINGS)[N]['schema']>;

export interface Config {
  readonly port: ValueOf<'PORT'>;
  readonly host: ValueOf<'HOST'>;
  readonly allowOpen: ValueOf<'ALLOW_OPEN'>;
  readonly dataDir: ValueOf<'DATA_DIR'>;
  readonly journal: ValueOf<'JOURNAL'>;
  readonly natsStream: ValueOf<'NATS_STREAM'>;
  readonly natsReplicas: ValueOf<'NATS_REPLICAS'>;
  readonly natsCreds: ValueOf<'NATS_CREDS'>;
  readonly natsNkeySeed: ValueOf<'NATS_NKEY_SEED'>;
  readonly natsCa: ValueOf<'NATS_CA'>;
  readonly natsCert: ValueOf<'NATS_CERT'>;
  readonly natsKey: ValueOf<'NATS_KEY'>;
  readonly maxClockSkewMs: ValueOf<'MAX_CLOCK_SKEW_MS'>;
  readonly corsOrigins: ValueOf<'CORS_ORIGINS'>;
  readonly maxTimers: ValueOf<'MAX_TIMERS'>;
  readonly maxClientsPerTimer: ValueOf<'MAX_CLIENTS_PER_TIMER'>;
  readonly maxDurationSeconds: ValueOf<'MAX_DURATION_SECONDS'>;
  readonly maxExtensionSeconds: ValueOf<'MAX_EXTENSION_SECONDS'>;
  readonly keepaliveSeconds: ValueOf<'KEEPALIVE_SECONDS'>;
  readonly maxBulkTimers: ValueOf<'MAX_BULK_TIMERS'>;
  readonly defaultWarningThresholds: ValueOf<'DEFAULT_WARNING_THRESHOLDS'>;
  readonly retainFinishedSeconds: ValueOf<'RETAIN_FINISHED_SECONDS'>;
  readonly trustProxy: ValueOf<'TRUST_PROXY'>;
  readonly maxRequestsPerSecondPerAddress: ValueOf<'MAX_REQUESTS_PER_SECOND_PER_ADDRESS'>;
  readonly maxRequestsPerSecondPerCredential: ValueOf<'MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL'>;
  readonly maxFailedAuthenticationsPerMinute: ValueOf<'MAX_FAILED_AUTHENTICATIONS_PER_MINUTE'>;
  readonly maxConnectionsPerAddress: ValueOf<'MAX_CONNECTIONS_PER_ADDRESS'>;
  readonly maxConnectionsPerCredential: ValueOf<'MAX_CONNECTIONS_PER_CREDENTIAL'>;
  readonly maxConnectionsPerDisplayCredential: ValueOf<'MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL'>;
  readonly maxMessagesPerSecond: ValueOf<'MAX_MESSAGES_PER_SECOND'>;
  readonly maxTimersPerCredential: ValueOf<'MAX_TIMERS_PER_CREDENTIAL'>;
  readonly unlimitedAddresses: ValueOf<'UNLIMITED_ADDRESSES'>;
  readonly signingKeys: ValueOf<'SIGNING_KEYS'>;
  readonly webhookRetrySeconds: ValueOf<'WEBHOOK_RETRY_SECONDS'>;
  readonly webhookTimeoutSeconds: ValueOf<'WEBHOOK_TIMEOUT_SECONDS'>;
  readonly webhookAllowPrivate: ValueOf<'WEBHOOK_ALLOW_PRIVATE'>;
  readonly jwtSecrets: ValueOf<'JWT_SECRETS'>;
  readonly jwtPublicKeys: ValueOf<'JWT_PUBLIC_KEYS'>;
  readonly jwtAudience: ValueOf<'JWT_AUDIENCE'>;
  readonly oidcIssuer: ValueOf<'OIDC_ISSUER'>;
  readonly oidcAudience: ValueOf<'OIDC_AUDIENCE'>;
  readonly roleClaim: ValueOf<'ROLE_CLAIM'>;
  readonly logLevel: ValueOf<'LOG_LEVEL'>;
  readonly inspect: ValueOf<'INSPECT'>;
}

/** A setting has a value it does not take. The message is the one line to print. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/**
 * Reads the settings from an environment.
 * @throws {SettingError} on the first wrong value.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  function read<T>(name: SettingName, setting: Setting<T>): T {
    const text = environment[name] ?? setting.default;
    const result = setting.schema.safeParse(text);
    if (result.success) return result.data;
    const shown = setting.isSecret === true ? 'something else' : JSON.stringify(text);
    throw new SettingError(`${name} is ${shown}; it takes ${setting.takes}`);
  }
  return {
    port: read('PORT', SETTINGS.PORT),
    host: read('HOST', SETTINGS.HOST),
    allowOpen: read('ALLOW_OPEN', SETTINGS.ALLOW_OPEN),
    dataDir: read('DATA_DIR', SETTINGS.DATA_DIR),
    journal: read('JOURNAL', SETTINGS.JOURNAL),
    natsStream: read('NATS_STREAM', SETTINGS.NATS_STREAM),
    natsReplicas: read('NATS_REPLICAS', SETTINGS.NATS_REPLICAS),
    natsCreds: read('NATS_CREDS', SETTINGS.NATS_CREDS),
    natsNkeySeed: read('NATS_NKEY_SEED', SETTINGS.NATS_NKEY_SEED),
    natsCa: read('NATS_CA', SETTINGS.NATS_CA),
    natsCert: read('NATS_CERT', SETTINGS.NATS_CERT),
    natsKey: read('NATS_KEY', SETTINGS.NATS_KEY),
    maxClockSkewMs: read('MAX_CLOCK_SKEW_MS', SETTINGS.MAX_CLOCK_SKEW_MS),
    corsOrigins: read('CORS_ORIGINS', SETTINGS.CORS_ORIGINS),
    maxTimers: read('MAX_TIMERS', SETTINGS.MAX_TIMERS),
    maxClientsPerTimer: read('MAX_CLIENTS_PER_TIMER', SETTINGS.MAX_CLIENTS_PER_TIMER),
    maxDurationSeconds: read('MAX_DURATION_SECONDS', SETTINGS.MAX_DURATION_SECONDS),
    maxExtensionSeconds: read('MAX_EXTENSION_SECONDS', SETTINGS.MAX_EXTENSION_SECONDS),
    keepaliveSeconds: read('KEEPALIVE_SECONDS', SETTINGS.KEEPALIVE_SECONDS),
    maxBulkTimers: read('MAX_BULK_TIMERS', SETTINGS.MAX_BULK_TIMERS),
    defaultWarningThresholds: read(
      'DEFAULT_WARNING_THRESHOLDS',
      SETTINGS.DEFAULT_WARNING_THRESHOLDS,
    ),
    retainFinishedSeconds: read('RETAIN_FINISHED_SECONDS', SETTINGS.RETAIN_FINISHED_SECONDS),
    trustProxy: read('TRUST_PROXY', SETTINGS.TRUST_PROXY),
    maxRequestsPerSecondPerAddress: read(
      'MAX_REQUESTS_PER_SECOND_PER_ADDRESS',
      SETTINGS.MAX_REQUESTS_PER_SECOND_PER_ADDRESS,
    ),
    maxRequestsPerSecondPerCredential: read(
      'MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL',
      SETTINGS.MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL,
    ),
    maxFailedAuthenticationsPerMinute: read(
      'MAX_FAILED_AUTHENTICATIONS_PER_MINUTE',
      SETTINGS.MAX_FAILED_AUTHENTICATIONS_PER_MINUTE,
    ),
    maxConnectionsPerAddress: read(
      'MAX_CONNECTIONS_PER_ADDRESS',
      SETTINGS.MAX_CONNECTIONS_PER_ADDRESS,
    ),
    maxConnectionsPerCredential: read(
      'MAX_CONNECTIONS_PER_CREDENTIAL',
      SETTINGS.MAX_CONNECTIONS_PER_CREDENTIAL,
    ),
    maxConnectionsPerDisplayCredential: read(
      'MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL',
      SETTINGS.MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL,
    ),
    maxMessagesPerSecond: read('MAX_MESSAGES_PER_SECOND', SETTINGS.MAX_MESSAGES_PER_SECOND),
    maxTimersPerCredential: read('MAX_TIMERS_PER_CREDENTIAL', SETTINGS.MAX_TIMERS_PER_CREDENTIAL),
    unlimitedAddresses: read('UNLIMITED_ADDRESSES', SETTINGS.UNLIMITED_ADDRESSES),
    signingKeys: read('SIGNING_KEYS', SETTINGS.SIGNING_KEYS),
    webhookRetrySeconds: read('WEBHOOK_RETRY_SECONDS', SETTINGS.WEBHOOK_RETRY_SECONDS),
    webhookTimeoutSeconds: read('WEBHOOK_TIMEOUT_SECONDS', SETTINGS.WEBHOOK_TIMEOUT_SECONDS),
    webhookAllowPrivate: read('WEBHOOK_ALLOW_PRIVATE', SETTINGS.WEBHOOK_ALLOW_PRIVATE),
    jwtSecrets: read('JWT_SECRETS', SETTINGS.JWT_SECRETS),
    jwtPublicKeys: read('JWT_PUBLIC_KEYS', SETTINGS.JWT_PUBLIC_KEYS),
    jwtAudience: read('JWT_AUDIENCE', SETTINGS.JWT_AUDIENCE),
    oidcIssuer: read('OIDC_ISSUER', SETTINGS.OIDC_ISSUER),
    oidcAudience: read('OIDC_AUDIENCE', SETTINGS.OIDC_AUDIENCE),
    roleClaim: read('ROLE_CLAIM', SETTINGS.ROLE_CLAIM),
    logLevel: read('LOG_LEVEL', SETTINGS.LOG_LEVEL),
    inspect: read('INSPECT', SETTINGS.INSPECT),
  };
}
