/** Every setting: its default, what it takes, and the one line that a wrong value is answered with. */
import { describe, expect, it } from 'vitest';
import { type Config, readConfig, SETTINGS, SettingError } from '../src/config.js';

interface Case {
  readonly key: keyof Config;
  readonly byDefault: unknown;
  /** Texts that are taken, and what they mean. */
  readonly takes: readonly (readonly [text: string, value: unknown])[];
  readonly refuses: readonly string[];
  /** How the line ends. */
  readonly says: string;
}

const NO_WHOLE_NUMBERS = [
  ...[
    '',
    ' ',
    'many',
    '-1',
    '+5',
    '1.5',
    '5.0',
    '1e3',
    '0x10',
    ' 5',
    '5 ',
    '5s',
    '5,000',
    '٣',
    'NaN',
  ],
  ...[
    'Infinity',
    '9007199254740993',
    '9'.repeat(400),
    'null',
    'true',
    '5\n',
    '5\nPORT=6',
    '\u0000',
  ],
];

function wholeNumber(key: keyof Config, byDefault: number, min: number, max: number): Case {
  return {
    key,
    byDefault,
    takes: [
      [`${min}`, min],
      [`${max}`, max],
      [`00${max}`, max],
    ],
    refuses: [...(min > 0 ? [`${min - 1}`] : []), `${max + 1}`, ...NO_WHOLE_NUMBERS],
    says: `a whole number from ${min} to ${max}`,
  };
}

const YEAR = 31_536_000;
const SECRET = 'f'.repeat(32);
const THRESHOLDS = Array.from({ length: 20 }, (_, index) => index + 1);

const CASES: Record<keyof typeof SETTINGS, Case> = {
  PORT: wholeNumber('port', 8003, 0, 65_535),
  HOST: {
    key: 'host',
    byDefault: '127.0.0.1',
    takes: [
      ['0.0.0.0', '0.0.0.0'],
      ['::1', '::1'],
      ['localhost', 'localhost'],
      ['exam-server.example', 'exam-server.example'],
    ],
    refuses: [
      '',
      ' ',
      'a b',
      'http://localhost',
      'localhost/',
      'a\nb',
      '127.0.0.1\n',
      '[::1]',
      '*',
    ],
    says: 'an address or a host name',
  },
  ALLOW_OPEN: {
    key: 'allowOpen',
    byDefault: false,
    takes: [
      ['0', false],
      ['1', true],
    ],
    refuses: ['', 'true', 'yes', '2', ' 1'],
    says: '0 or 1',
  },
  DATA_DIR: {
    key: 'dataDir',
    byDefault: './data',
    takes: [
      ['/var/lib/timers', '/var/lib/timers'],
      ['a folder', 'a folder'],
    ],
    refuses: [''],
    says: 'the path of a folder',
  },
  JOURNAL: {
    key: 'journal',
    byDefault: 'sqlite',
    takes: [
      ['sqlite', 'sqlite'],
      ['memory', 'memory'],
      ['nats://localhost', ['nats://localhost']],
      ['nats://a.example:4222, tls://[::1]:4222', ['nats://a.example:4222', 'tls://[::1]:4222']],
    ],
    refuses: [
      ...['', ',', 'SQLite', 'postgres', ' sqlite', '__proto__', 'constructor', 'nats://'],
      ...['http://a.example', 'nats://user:word@a.example', 'nats://a.example/x', 'memory,sqlite'],
      ...['nats://a.example nats://b.example', 'a.example:4222', 'nats://a.example?x'],
    ],
    says: 'sqlite or memory or servers such as nats://host:4222 or tls://host:4222, separated by commas',
  },
  NATS_STREAM: {
    key: 'natsStream',
    byDefault: 'timers',
    takes: [['Exam-timers_2', 'Exam-timers_2']],
    refuses: ['', 'a.b', 'a b', '*', '>', 'a'.repeat(65), 'a\n'],
    says: 'up to 64 letters, digits, - and _',
  },
  NATS_REPLICAS: {
    key: 'natsReplicas',
    byDefault: undefined,
    takes: [
      ['', undefined],
      ['1', 1],
      ['5', 5],
    ],
    refuses: ['0', '6', '-1', '1.5', 'all', ' '],
    says: 'a whole number from 1 to 5, or nothing',
  },
  NATS_CREDS: {
    key: 'natsCreds',
    byDefault: '',
    takes: [['/etc/timer/creds', '/etc/timer/creds']],
    refuses: [],
    says: 'the path of a file',
  },
  NATS_NKEY_SEED: {
    key: 'natsNkeySeed',
    byDefault: '',
    takes: [['/etc/timer/nkey_seed', '/etc/timer/nkey_seed']],
    refuses: [],
    says: 'the path of a file',
  },
  NATS_CA: {
    key: 'natsCa',
    byDefault: '',
    takes: [['/etc/timer/ca', '/etc/timer/ca']],
    refuses: [],
    says: 'the path of a file',
  },
  NATS_CERT: {
    key: 'natsCert',
    byDefault: '',
    takes: [['/etc/timer/cert', '/etc/timer/cert']],
    refuses: [],
    says: 'the path of a file',
  },
  NATS_KEY: {
    key: 'natsKey',
    byDefault: '',
    takes: [['/etc/timer/key', '/etc/timer/key']],
    refuses: [],
    says: 'the path of a file',
  },
  MAX_CLOCK_SKEW_MS: wholeNumber('maxClockSkewMs', 250, 1, 60_000),
  CORS_ORIGINS: {
    key: 'corsOrigins',
    byDefault: ['*'],
    takes: [
      ['*', ['*']],
      ['https://exam.example', ['https://exam.example']],
      [
        ' https://a.example , http://b.example:8080,',
        ['https://a.example', 'http://b.example:8080'],
      ],
    ],
    refuses: [
      ...[
        'exam.example',
        'https://exam.example/',
        'https://exam.example/path',
        'https://*.example',
      ],
      ...['https://a.example;https://b.example', 'null', 'https://', 'HTTPS://EXAM.EXAMPLE', '**'],
      ...['https://a.example, b.example', 'https://exam.example:443', 'file:///etc', '\n*\nx'],
    ],
    says: '* or origins such as https://exam.example, separated by commas',
  },
  MAX_TIMERS: wholeNumber('maxTimers', 100_000, 1, 1_000_000),
  MAX_CLIENTS_PER_TIMER: wholeNumber('maxClientsPerTimer', 10_000, 1, 1_000_000),
  MAX_DURATION_SECONDS: wholeNumber('maxDurationSeconds', 86_400, 1, YEAR),
  MAX_EXTENSION_SECONDS: wholeNumber('maxExtensionSeconds', 3600, 1, YEAR),
  KEEPALIVE_SECONDS: wholeNumber('keepaliveSeconds', 30, 1, 3600),
  MAX_BULK_TIMERS: wholeNumber('maxBulkTimers', 1000, 1, 10_000),
  DEFAULT_WARNING_THRESHOLDS: {
    key: 'defaultWarningThresholds',
    byDefault: [300, 60, 30],
    takes: [
      ['60', [60]],
      [' 10 , 5,5', [10, 5, 5]],
      ['', []],
      ['1,31536000', [1, YEAR]],
      [THRESHOLDS.join(','), THRESHOLDS],
    ],
    refuses: [
      ...['0', '60,', ',60', '60;30', '60 30', '60,,30', '-5', '1.5', '31536001', '[60]', 'none'],
      ...['60,1e2', '60\n,x', [...THRESHOLDS, 21].join(',')],
    ],
    says: 'up to 20 whole numbers from 1 to 31536000, separated by commas',
  },
  RETAIN_FINISHED_SECONDS: wholeNumber('retainFinishedSeconds', 86_400, 0, YEAR),
  TRUST_PROXY: {
    key: 'trustProxy',
    byDefault: 0,
    takes: [
      ['1', 1],
      ['99', 99],
      ['10.0.0.1, 192.168.0.0/16,::1 ,fd00::/8', ['10.0.0.1', '192.168.0.0/16', '::1', 'fd00::/8']],
    ],
    refuses: [
      ...['100', '-1', 'true', 'loopback', 'proxy.example', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/'],
      ...['::1/129', '10.0.0.1;10.0.0.2', '10.0.0.0/8/8', '10.0.0.0/-1', '1,', '1.5', '*'],
    ],
    says: 'how many, up to 99, or addresses or subnets such as 10.0.0.0/8, separated by commas',
  },
  MAX_REQUESTS_PER_SECOND_PER_ADDRESS: wholeNumber(
    'maxRequestsPerSecondPerAddress',
    500,
    0,
    1_000_000,
  ),
  MAX_REQUESTS_PER_SECOND_PER_CREDENTIAL: wholeNumber(
    'maxRequestsPerSecondPerCredential',
    500,
    0,
    1_000_000,
  ),
  MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: wholeNumber(
    'maxFailedAuthenticationsPerMinute',
    60,
    0,
    1_000_000,
  ),
  MAX_CONNECTIONS_PER_ADDRESS: wholeNumber('maxConnectionsPerAddress', 5000, 0, 1_000_000),
  MAX_CONNECTIONS_PER_CREDENTIAL: wholeNumber('maxConnectionsPerCredential', 10_000, 0, 1_000_000),
  MAX_CONNECTIONS_PER_DISPLAY_CREDENTIAL: wholeNumber(
    'maxConnectionsPerDisplayCredential',
    100,
    0,
    1_000_000,
  ),
  MAX_MESSAGES_PER_SECOND: wholeNumber('maxMessagesPerSecond', 10, 0, 10_000),
  MAX_TIMERS_PER_CREDENTIAL: wholeNumber('maxTimersPerCredential', 10_000, 0, 1_000_000),
  UNLIMITED_ADDRESSES: {
    key: 'unlimitedAddresses',
    byDefault: ['127.0.0.0/8', '::1'],
    takes: [
      ['', []],
      ['203.0.113.0/24', ['203.0.113.0/24']],
    ],
    refuses: ['*', 'localhost', '300.0.0.1', '10.0.0.0/x', '1'],
    says: 'addresses or subnets such as 10.0.0.0/8, separated by commas',
  },
  SIGNING_KEYS: {
    key: 'signingKeys',
    byDefault: '',
    takes: [['/etc/timer/keys.json', '/etc/timer/keys.json']],
    refuses: [],
    says: 'the path of a file',
  },
  WEBHOOK_RETRY_SECONDS: {
    key: 'webhookRetrySeconds',
    byDefault: [5, 15, 30, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
    takes: [
      ['1', [1]],
      [' 1 , 604800', [1, 604_800]],
      ['', []],
    ],
    refuses: ['0', '5,', '604801', '5s', '1.5', 'never', Array(21).fill('1').join(',')],
    says: 'up to 20 whole numbers from 1 to 604800, separated by commas',
  },
  WEBHOOK_TIMEOUT_SECONDS: wholeNumber('webhookTimeoutSeconds', 15, 1, 60),
  WEBHOOK_ALLOW_PRIVATE: {
    key: 'webhookAllowPrivate',
    byDefault: false,
    takes: [
      ['0', false],
      ['1', true],
    ],
    refuses: ['', 'true', 'yes', '2', '01', ' 1'],
    says: '0 or 1',
  },
  JWT_SECRETS: {
    key: 'jwtSecrets',
    byDefault: [],
    takes: [
      ['', []],
      [`a:${SECRET}`, [{ kid: 'a', secret: SECRET }]],
      [
        ` a:${SECRET} , b:x:${SECRET}`,
        [
          { kid: 'a', secret: SECRET },
          { kid: 'b', secret: `x:${SECRET}` },
        ],
      ],
    ],
    refuses: [SECRET, `a:${SECRET.slice(1)}`, `:${SECRET}`, `a:${SECRET},a:${SECRET}`, 'a:', ','],
    says: 'kid:secret, separated by commas; each kid once, each secret of 32 bytes or more',
  },
  JWT_PUBLIC_KEYS: {
    key: 'jwtPublicKeys',
    byDefault: '',
    takes: [['keys.json', 'keys.json']],
    refuses: [],
    says: 'the path of a file',
  },
  JWT_AUDIENCE: {
    key: 'jwtAudience',
    byDefault: 'synchronized-timer',
    takes: [['exam', 'exam']],
    refuses: [''],
    says: 'a text',
  },
  OIDC_ISSUER: {
    key: 'oidcIssuer',
    byDefault: '',
    takes: [
      ['', ''],
      ['https://id.example/realms/exam', 'https://id.example/realms/exam'],
      ['http://localhost:8080/', 'http://localhost:8080/'],
    ],
    refuses: [
      'id.example',
      'http://id.example',
      'ftp://localhost',
      'https://id.example/?a',
      'https://id.example/#a',
    ],
    says: 'an https address, or an http one of this machine, without a query',
  },
  OIDC_AUDIENCE: {
    key: 'oidcAudience',
    byDefault: 'synchronized-timer',
    takes: [['exam', 'exam']],
    refuses: [''],
    says: 'a text',
  },
  ROLE_CLAIM: {
    key: 'roleClaim',
    byDefault: 'role',
    takes: [['realm_access.roles', 'realm_access.roles']],
    refuses: [''],
    says: 'the name of a claim such as role or realm_access.roles',
  },
  LOG_LEVEL: {
    key: 'logLevel',
    byDefault: 'info',
    takes: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((text) => [
      text,
      text,
    ]),
    refuses: ['', 'INFO', 'verbose', 'warning', '30', 'toString'],
    says: 'info or trace or debug or warn or error or fatal or silent',
  },
  INSPECT: {
    key: 'inspect',
    byDefault: false,
    takes: [
      ['0', false],
      ['1', true],
    ],
    refuses: ['', 'true', 'yes', '2', '01', ' 1'],
    says: '0 or 1',
  },
};

describe.each(Object.entries(CASES))('%s', (name, { key, byDefault, takes, refuses, says }) => {
  it('has a default, which goes for a value that is not set', () => {
    expect(readConfig({})[key]).toEqual(byDefault);
    expect(readConfig({ [name]: undefined })[key]).toEqual(byDefault);
  });

  it.each(takes)('takes %j', (text, value) => {
    expect(readConfig({ [name]: text })).toEqual({ ...readConfig({}), [key]: value });
  });

  it.each(refuses)('A3: refuses %j in one line that says what it got and what it takes', (text) => {
    const shown = name === 'JWT_SECRETS' ? 'something else' : JSON.stringify(text);
    const line = `${name} is ${shown}; it takes ${says}`;
    expect(() => readConfig({ [name]: text })).toThrow(
      expect.objectContaining({ name: SettingError.name, message: line }),
    );
    expect(line).not.toContain('\n');
  });
});

describe('settings', () => {
  it('are all listed here', () => {
    expect(Object.keys(CASES)).toEqual(Object.keys(SETTINGS));
    expect(Object.values(CASES).map(({ key }) => key)).toEqual(Object.keys(readConfig({})));
  });

  it('take their own defaults, and describe themselves', () => {
    for (const [name, setting] of Object.entries(SETTINGS)) {
      expect(readConfig({ [name]: setting.default })).toEqual(readConfig({}));
      expect(setting.description).toMatch(/^\S.*\S$/);
    }
  });

  it('are named by the first one that is wrong', () => {
    expect(() => readConfig({ LOG_LEVEL: 'loud', PORT: 'http' })).toThrow(/^PORT is "http";/);
  });

  it('ignore whatever else is in the environment', () => {
    expect(readConfig({ PATH: '/bin', port: '1', PORTS: 'x', MAX_TIMER: '1' })).toEqual(
      readConfig({}),
    );
  });
});
