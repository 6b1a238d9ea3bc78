/**
 * The files that run the service in containers, as far as they can be checked without any: that they can be
 * read, that every setting exists and takes its value, and that names, ports and paths agree with each other.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { readConfig, SETTINGS, SettingError } from '../../src/config.js';
import { operationsOf } from '../../src/http/operations.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { requestSchemas } from '../../src/protocol/requests.js';
import { Signer } from '../../src/signing.js';
import { canRun, environment, need } from '../support/tools.js';

const ROOT = new URL('../../', import.meta.url).pathname;
const KUBERNETES = 'deploy/kubernetes';
/** That of the files of a volume where the manifest names none, and what lets everybody read one. */
const DEFAULT_MODE = 0o644;
const READ_BY_ALL = 0o004;

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const composeSchema = z.object({
  services: z.record(
    z.string(),
    z.object({
      environment: z.record(z.string(), z.string()).optional(),
      networks: z.union([
        z.array(z.string()),
        z.record(z.string(), z.object({ aliases: z.array(z.string()) })),
      ]),
      ports: z.array(z.string()).optional(),
      ulimits: z.object({ nofile: z.number() }).optional(),
      command: z.array(z.string()).optional(),
      volumes: z.array(z.string()).optional(),
      stop_grace_period: z.string().optional(),
    }),
  ),
});
const compose = composeSchema.parse(parse(read('compose.yaml'), { merge: true }));
const nodes = Object.entries(compose.services).filter(([name]) => name.startsWith('node-'));

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
const manifests = readdirSync(join(ROOT, KUBERNETES)).flatMap((file) =>
  parseAllDocuments(read(`${KUBERNETES}/${file}`)).map((document) => {
    expect(document.errors).toEqual([]);
    return manifestSchema.parse(document.toJS());
  }),
);

function manifestOf<T>(kind: string, name: string, schema: z.ZodType<T>): T {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name === name);
  expect(found).toHaveLength(1);
  return schema.parse(found[0]);
}

const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) });
const deployment = manifestOf(
  'Deployment',
  'synchronized-timer',
  z.object({
    spec: z.object({
      template: z.object({
        spec: z.object({
          terminationGracePeriodSeconds: z.number(),
          containers: z.tuple([
            z.object({
              env: z.array(z.object({ name: z.string(), value: z.string() })),
              ports: z.tuple([z.object({ name: z.string(), containerPort: z.number() })]),
              startupProbe: probe,
              livenessProbe: probe,
              readinessProbe: probe,
            }),
          ]),
        }),
      }),
    }),
  }),
);
const ingressSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()) }),
  spec: z.object({
    rules: z.tuple([
      z.object({
        http: z.object({
          paths: z.tuple([
            z.object({ backend: z.object({ service: z.object({ name: z.string() }) }) }),
          ]),
        }),
      }),
    ]),
  }),
});
const serviceSchema = z.object({
  spec: z.looseObject({ selector: z.record(z.string(), z.string()) }),
});
const budgetSchema = z.object({ spec: z.unknown() });
const workloadSchema = z.object({
  spec: z.object({
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()) }),
      spec: z.object({
        securityContext: z.object({
          runAsNonRoot: z.boolean(),
          runAsGroup: z.number().optional(),
          fsGroup: z.number().optional(),
        }),
        volumes: z.array(
          z.object({
            name: z.string(),
            secret: z.object({ defaultMode: z.number().default(DEFAULT_MODE) }).optional(),
          }),
        ),
        affinity: z.object({
          podAntiAffinity: z.record(
            z.string(),
            z.array(z.looseObject({ podAffinityTerm: z.unknown().optional() })),
          ),
        }),
      }),
    }),
  }),
});
const [container] = deployment.spec.template.spec.containers;
const strings = z.record(z.string(), z.string());
const settings = manifestOf('ConfigMap', 'synchronized-timer', z.object({ data: strings })).data;
const secretSchema = z.object({ stringData: strings });
const secrets = manifestOf('Secret', 'synchronized-timer', secretSchema).stringData;

/** What the image sets, without what is Node's own. */
function imageEnvironment(): Record<string, string> {
  const [, line = ''] = /^ENV (.*)$/m.exec(read('Dockerfile')) ?? [];
  const pairs = line.split(' ').map((pair) => pair.split('='));
  const { NODE_ENV, ...others } = z.record(z.string(), z.string()).parse(Object.fromEntries(pairs));
  expect(NODE_ENV).toBe('production');
  return others;
}

function expectSettings(values: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(values)) expect(Object.keys(SETTINGS)).toContain(name);
  expect(() => readConfig({ ...imageEnvironment(), ...values })).not.toThrow();
}

function expectOperation(path: string): void {
  const operations = operationsOf(requestSchemas(readConfig({})));
  expect(Object.values(operations).map((operation) => operation.path)).toContain(path);
}

/** Where a node finds the servers of NATS. */
function hostsIn(journal = ''): string[] {
  return journal.split(',').map((address) => new URL(address).hostname);
}

describe('the files for containers', () => {
  it('name settings that exist, with values that they take', () => {
    expectSettings({});
    expect(nodes.length).toBeGreaterThan(1);
    for (const [, { environment: values = {} }] of nodes) expectSettings(values);
    const ofContainer = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    expectSettings({ ...settings, ...ofContainer });
  });

  it('A3: have examples of secrets that no service starts with, since everybody knows them', async () => {
    const { 'signing-keys.json': keys, ...others } = manifestOf(
      'Secret',
      'synchronized-timer-keys',
      secretSchema,
    ).stringData;
    expect([Object.keys(secrets), others]).toEqual([['JWT_SECRETS'], {}]);
    for (const [name, value] of Object.entries(secrets)) {
      expect(Object.keys(SETTINGS)).toContain(name);
      const read = () => readConfig({ ...imageEnvironment(), [name]: value });
      expect(read).toThrow(`${name} is something else; it takes `);
    }
    const file = join(mkdtempSync(join(tmpdir(), 'deploy-')), 'signing-keys.json');
    writeFileSync(file, keys ?? '');
    await expect(Signer.open(new MemoryJournal().documents, file)).rejects.toThrow(SettingError);
    rmSync(dirname(file), { recursive: true });
  });

  it('lead nodes to every server of NATS by its name', () => {
    const servers = Object.entries(compose.services).filter(([name]) => name.startsWith('nats-'));
    const aliases = servers.flatMap(([, { networks }]) =>
      Array.isArray(networks) ? [] : (networks.log?.aliases ?? []),
    );
    const routes = [...read('deploy/nats.conf').matchAll(/"nats:\/\/(\S+):6222"/g)];
    const names = routes.map(([, host]) => host);
    for (const [, node] of nodes) expect(hostsIn(node.environment?.JOURNAL)).toEqual(aliases);
    expect(names).toEqual(aliases);
    const set = manifestOf(
      'StatefulSet',
      'nats',
      z.object({ spec: z.object({ serviceName: z.string(), replicas: z.number() }) }),
    ).spec;
    const pods = Array.from(
      { length: set.replicas },
      (_, index) => `nats-${index}.${set.serviceName}`,
    );
    expect(hostsIn(settings.JOURNAL)).toEqual(pods);
    expect(names).toEqual(pods);
    expect(settings.NATS_REPLICAS).toBe(`${set.replicas}`);
  });

  it('give the servers of NATS one configuration, which they take', (context) => {
    need(context, 'nats-server', canRun('nats-server', '--version'));
    const ofPods = manifestOf('ConfigMap', 'nats', z.object({ data: strings })).data;
    expect(ofPods['nats.conf']).toBe(read('deploy/nats.conf'));
    const { status, stderr } = spawnSync(
      'nats-server',
      ['-t', '-c', join(ROOT, 'deploy/nats.conf')],
      { env: { ...environment, NATS_NAME: 'nats-0' }, encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([0, expect.stringContaining('is valid')]);
  });

  it('ask probes that exist, at the port of the service', () => {
    const [port] = container.ports;
    expect(`${port.containerPort}`).toBe(imageEnvironment().PORT);
    expect(imageEnvironment().PORT).toBe(SETTINGS.PORT.default);
    expect(read('Dockerfile')).toContain(`EXPOSE ${port.containerPort}`);
    for (const asked of [
      container.startupProbe,
      container.livenessProbe,
      container.readinessProbe,
    ]) {
      expect(asked.httpGet.port).toBe(port.name);
      expectOperation(asked.httpGet.path);
    }
    const [, health = ''] =
      /fetch\(`http:\/\/127\.0\.0\.1:\$\{process\.env\.PORT\}(\S+)`\)/.exec(read('Dockerfile')) ??
      [];
    expectOperation(health);
  });

  it('balance over all nodes', () => {
    const balancer = read('deploy/haproxy.cfg');
    const [, ready = '', living = ''] = balancer.split(/^backend .+$/m);
    for (const [backend, path] of [
      [ready, container.readinessProbe.httpGet.path],
      [living, container.livenessProbe.httpGet.path],
    ] as const) {
      const servers = [...backend.matchAll(/^ +server (\S+) (\S+) check$/gm)];
      const expected = nodes.map(([name]) => [name, `${name}:${SETTINGS.PORT.default}`]);
      expect(servers.map(([, name, address]) => [name, address])).toEqual(expected);
      expect(/httpchk GET (\S+)/.exec(backend)?.[1]).toBe(path);
    }
    const [, most] = /^ +maxconn (\d+)$/m.exec(balancer) ?? [];
    // Two for each connection, and some for itself.
    const { nofile } = compose.services.balancer?.ulimits ?? { nofile: 0 };
    expect(nofile).toBeGreaterThan(2 * Number(most) + 100);
    const [, port] = /bind :(\d+)$/m.exec(balancer) ?? [];
    expect(compose.services.balancer?.ports).toEqual([`${port}:${port}`]);
  });

  it('lead to nodes that live when none is ready', () => {
    const balancer = read('deploy/haproxy.cfg');
    const names = [...balancer.matchAll(/^backend (\S+)$/gm)].map(([, name]) => name);
    const [ready, living] = names;
    expect(names).toHaveLength(2);
    expect(balancer).toContain(`  use_backend ${living} if { nbsrv(${ready}) eq 0 }\n`);
    expect(balancer).toContain(`  default_backend ${ready}\n`);
    const { metadata, spec } = manifestOf('Ingress', 'synchronized-timer', ingressSchema);
    const [rule] = spec.rules;
    const [{ backend }] = rule.http.paths;
    const service = manifestOf('Service', backend.service.name, serviceSchema).spec;
    const fallback = metadata.annotations['nginx.ingress.kubernetes.io/default-backend'] ?? '';
    const behind = manifestOf('Service', fallback, serviceSchema).spec;
    expect(behind).toEqual({ ...service, publishNotReadyAddresses: true });
  });

  it.each([
    ['StatefulSet', 'nats', 'required'],
    ['Deployment', 'synchronized-timer', 'preferred'],
  ])('lose no more than one pod of the %s %s at a time', (kind, name, how) => {
    const budget = manifestOf('PodDisruptionBudget', name, budgetSchema).spec;
    expect(budget).toEqual({ maxUnavailable: 1, selector: { matchLabels: { app: name } } });
    const { metadata, spec } = manifestOf(kind, name, workloadSchema).spec.template;
    expect(metadata.labels.app).toBe(name);
    const rule = spec.affinity.podAntiAffinity[`${how}DuringSchedulingIgnoredDuringExecution`];
    const [term] = rule?.map((one) => one.podAffinityTerm ?? one) ?? [];
    const labelSelector = { matchLabels: { app: name } };
    expect(term).toEqual({ topologyKey: 'kubernetes.io/hostname', labelSelector });
    expect(spec.securityContext.runAsNonRoot).toBe(true);
  });

  it('let the service read its secrets, which are of root, by its group', () => {
    const { template } = manifestOf('Deployment', 'synchronized-timer', workloadSchema).spec;
    const { securityContext, volumes } = template.spec;
    const closed = volumes.filter(
      ({ secret }) => ((secret?.defaultMode ?? READ_BY_ALL) & READ_BY_ALL) === 0,
    );
    expect(closed.map(({ name }) => name)).toEqual(['keys']);
    expect(securityContext.fsGroup).toBeTypeOf('number');
    expect(securityContext.fsGroup).toBe(securityContext.runAsGroup);
  });

  it('run the service as a user that may do little', () => {
    const [, user] = /^USER (\S+)$/m.exec(read('Dockerfile').split('FROM').at(-1) ?? '') ?? [];
    expect(user).toBe('node');
  });

  it('mount, copy and run what is there', () => {
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.flatMap((volume) => (volume.startsWith('./') ? [volume.split(':')[0] ?? ''] : [])),
    );
    const scripts = Object.values(compose.services).flatMap(({ command = [] }) =>
      command.filter((word) => word.startsWith('deploy/')),
    );
    const dockerfile = read('Dockerfile');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, paths = '']) => paths.split(' '),
    );
    expect(mounted.length * scripts.length * copied.length).toBeGreaterThan(0);
    for (const path of [...mounted, ...scripts, ...copied]) {
      expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
    }
    const { scripts: own } = z.object({ scripts: strings }).parse(JSON.parse(read('package.json')));
    const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(dockerfile.split('FROM').at(-1) ?? '') ?? [];
    const words = z.array(z.string()).parse(JSON.parse(command));
    expect(['exec', ...words].join(' ')).toBe(own.start);
  });

  it('are manifests of Kubernetes as its own types have them', () => {
    const lines = manifests.map(({ apiVersion, kind, ...others }, index) => {
      const [group = '', version = ''] = apiVersion.includes('/')
        ? apiVersion.split('/')
        : ['core', apiVersion];
      const path = `kubernetes-types/${group.split('.')[0]}/${version}.js`;
      const text = JSON.stringify({ apiVersion, kind, ...others });
      return `import type { ${kind} as Kind${index} } from '${path}';\nexport const manifest${index}: Kind${index} = ${text};`;
    });
    const folder = join(ROOT, 'dist/manifests');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'manifests.ts');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', ''];
    const { status, stdout } = spawnSync('npx', ['tsc', '--ignoreConfig', ...flags, file], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([0, '']);
  });
});
