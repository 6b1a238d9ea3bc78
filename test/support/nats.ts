/** Real nats-servers, each a process with a folder of its own that goes with the file of tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect as connectClient } from '@nats-io/transport-node';
import { z } from 'zod';
import { systemClock } from '../../src/clock.js';
import { SETTINGS } from '../../src/config.js';
import type { DocumentPlace } from '../../src/journal/documents.js';
import { NatsJournal, type NatsJournalOptions } from '../../src/journal/nats.js';
import type { NatsAccess } from '../../src/journal/nats-connection.js';
import { createLog } from '../../src/log.js';
import { endWithFile, endWithTest } from './endings.js';
import { freePorts } from './ports.js';
import { SimulatedClock } from './simulated-clock.js';
import { TcpProxy } from './tcp-proxy.js';
import { canRun } from './tools.js';

export const hasNatsServer = (): boolean => canRun('nats-server', '--version');

/** The stream of a service whose settings name no other. */
const STREAM = SETTINGS.NATS_STREAM.default;

const servers = new Set<NatsServer>();
const journals = new Set<NatsJournal>();
const answerProxies = new Set<AnswerProxy>();
const cables = new Set<TcpProxy>();

endWithTest('storage', async () => {
  const open = [...journals];
  journals.clear();
  await Promise.all(open.map((journal) => journal.close()));
  for (const proxy of answerProxies) proxy.close();
  answerProxies.clear();
});

endWithFile(async () => {
  const running = [...servers];
  servers.clear();
  await Promise.all(running.map((server) => server.remove()));
  for (const cable of cables) cable.close();
  cables.clear();
});

interface Ports {
  readonly client: number;
  readonly monitor: number;
}

const clusterSchema = z.object({ meta_cluster: z.object({ leader: z.string() }) });

export class NatsServer {
  readonly url: string;
  readonly name: string;
  readonly #monitorUrl: string;
  readonly #folder: string;
  readonly #file: string;
  #process: ChildProcess | undefined;

  private constructor(name: string, ports: Ports, folder: string, file: string) {
    this.name = name;
    this.url = `nats://127.0.0.1:${ports.client}`;
    this.#monitorUrl = `http://127.0.0.1:${ports.monitor}`;
    this.#folder = folder;
    this.#file = file;
  }

  /** Starts one server, with more in its configuration if that is said. */
  static async start(configuration = ''): Promise<NatsServer> {
    const [client = 0, monitor = 0] = await freePorts(2);
    const server = NatsServer.#prepare('n0', { client, monitor }, configuration);
    await server.restart();
    return server;
  }

  /** Starts three servers that are a cluster, joined by cables only, with more in their configuration if that is said. */
  static async startCluster(configuration = ''): Promise<NatsCluster> {
    const ports = await freePorts(9);
    const routePorts = ports.slice(6);
    const ways: Cable[] = [];
    for (const [index, port] of routePorts.entries()) {
      const others = routePorts.map((_, other) => other).filter((other) => other !== index);
      for (const from of others) {
        ways.push({ from: `n${from}`, to: `n${index}`, proxy: await TcpProxy.start([port]) });
      }
    }
    for (const { proxy } of ways) cables.add(proxy);
    const servers = routePorts.map((port, index) => {
      const name = `n${index}`;
      const routes = ways
        .filter(({ from }) => from === name)
        .map(({ proxy }) => `nats://127.0.0.1:${proxy.port}`);
      // Servers that told each other of their addresses would find a way around the cables.
      return NatsServer.#prepare(
        name,
        { client: ports[index] ?? 0, monitor: ports[index + 3] ?? 0 },
        `cluster { name: c, listen: "127.0.0.1:${port}", no_advertise: true, routes: [${routes.join(', ')}] }\n${configuration}`,
      );
    });
    await Promise.all(servers.map((server) => server.restart()));
    return new NatsCluster(servers, ways);
  }

  static #prepare(name: string, ports: Ports, configuration: string): NatsServer {
    const folder = mkdtempSync(join(tmpdir(), 'timer-nats-'));
    const file = join(folder, 'nats.conf');
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${ports.client}"`,
      `http: "127.0.0.1:${ports.monitor}"`,
      `jetstream { store_dir: "${join(folder, 'store')}" }`,
      configuration,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const server = new NatsServer(name, ports, folder, file);
    servers.add(server);
    return server;
  }

  /** Starts it, again after it was killed, and settles when it takes connections. */
  async restart(): Promise<void> {
    const process = spawn('nats-server', ['-c', this.#file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = process;
    const lines: string[] = [];
    for await (const line of createInterface({ input: process.stderr })) {
      lines.push(line);
      if (!line.includes('Server is ready')) continue;
      process.stderr.resume();
      return;
    }
    throw new Error(`nats-server did not start:\n${lines.join('\n')}`);
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined || process.exitCode !== null) return;
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
  }

  /** The name of the server that leads the cluster, as this one knows it. */
  async leader(): Promise<string> {
    const response = await fetch(`${this.#monitorUrl}/jsz`);
    return clusterSchema.parse(await response.json()).meta_cluster.leader;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The way by which one server connects to another. */
interface Cable {
  readonly from: string;
  readonly to: string;
  readonly proxy: TcpProxy;
}

/** Servers that are a cluster, and the network between them. */
export class NatsCluster {
  readonly servers: readonly NatsServer[];
  readonly #cables: readonly Cable[];

  constructor(servers: readonly NatsServer[], cables: readonly Cable[]) {
    this.servers = servers;
    this.#cables = cables;
  }

  /** Nothing gets from one of two servers to the other any more, in either direction. */
  cut(one: string, other: string): void {
    for (const { proxy } of this.#between(one, other)) proxy.cut();
  }

  mend(one: string, other: string): void {
    for (const { proxy } of this.#between(one, other)) proxy.mend();
  }

  /** The server that leads the stream of entries, when all have what it has; rejects as long as they have not. */
  async settledLeader(): Promise<NatsServer> {
    const connection = await connectClient({ servers: this.servers.map(({ url }) => url) });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const { cluster } = await manager.streams.info(STREAM);
      const leader = this.servers.find(({ name }) => name === cluster?.leader);
      const isSettled = cluster?.replicas?.every(({ current }) => current) === true;
      if (leader === undefined || !isSettled) throw new Error('The stream is without a leader');
      return leader;
    } finally {
      await connection.close();
    }
  }

  /** Ends it before the file of tests does, for those who are no tests. */
  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.remove()));
    for (const { proxy } of this.#cables) proxy.close();
  }

  #between(one: string, other: string): readonly Cable[] {
    const ends = [one, other].sort().join();
    return this.#cables.filter(({ from, to }) => [from, to].sort().join() === ends);
  }
}

/** A way to a server on which answers can be held back, and what is sent as well. */
export class AnswerProxy {
  readonly url: string;
  readonly #stop: () => void;
  readonly #connections = new Map<Socket, Socket>();

  private constructor(port: number, stop: () => void) {
    this.url = `nats://127.0.0.1:${port}`;
    this.#stop = stop;
  }

  static async start(target: NatsServer): Promise<AnswerProxy> {
    const { hostname, port } = new URL(target.url);
    const listener = createServer((client) => {
      const server = connect(Number(port), hostname);
      proxy.#connections.set(server, client);
      for (const socket of [client, server]) socket.on('error', () => {});
      client.pipe(server);
      server.pipe(client);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port');
    const proxy = new AnswerProxy(address.port, () => listener.close());
    answerProxies.add(proxy);
    return proxy;
  }

  /** Holds answers back, while everything that is sent gets there. */
  hold(): void {
    for (const [server, client] of this.#connections) server.unpipe(client).pause();
  }

  holdAll(): void {
    this.hold();
    for (const [server, client] of this.#connections) client.unpipe(server).pause();
  }

  release(): void {
    for (const [server, client] of this.#connections) {
      client.unpipe(server).pipe(server);
      server.pipe(client);
    }
  }

  close(): void {
    this.#stop();
    for (const sockets of this.#connections) for (const socket of sockets) socket.destroy();
  }
}

export interface TestNatsOptions extends Partial<Omit<NatsJournalOptions, 'access'>> {
  readonly access?: Partial<NatsAccess>;
}

let lastStream = 0;

/** Opens a journal that is closed after the test; on a stream of its own if none is named. */
export async function openNats(
  server: NatsServer | undefined,
  { access, ...options }: TestNatsOptions = {},
): Promise<NatsJournal> {
  const journal = await NatsJournal.open({
    access: {
      servers: server === undefined ? [] : [server.url],
      credentials: '',
      nkeySeed: '',
      ca: '',
      certificate: '',
      key: '',
      ...access,
    },
    stream: newStream(),
    replicas: undefined,
    // Simulated time is never that of the engine.
    maxClockSkewMs: options.clock instanceof SimulatedClock ? Number.POSITIVE_INFINITY : 250,
    clock: systemClock,
    log: createLog('silent'),
    retainFinishedMs: 3_600_000,
    onCrash: (error) => {
      throw error;
    },
    ...options,
  });
  journals.add(journal);
  return journal;
}

/** The configuration of a server that refuses some of what a node does. */
export function denying(...subjects: readonly string[]): string {
  const denied = subjects.map((subject) => `"${subject}"`).join();
  return `no_auth_user: node
  authorization {
    users: [{ user: node, password: node, permissions { publish { deny: [${denied}] } } }]
  }`;
}

/** What a document is put to beside a stream. */
export function subjectOfDocument(stream: string, { drawer, name }: DocumentPlace): string {
  const [first, second] = [drawer, name].map((part) => Buffer.from(part).toString('base64url'));
  return `$KV.${stream}_documents.k${first}.k${second}`;
}

export function newStream(): string {
  lastStream += 1;
  return `stream${lastStream}`;
}
