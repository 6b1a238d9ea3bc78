/**
 * A cluster as it is run: three nodes of the service on three servers of NATS, all of them processes of
 * their own, and one address that leads to whichever node is there, as behind a load balancer.
 */
import { z } from 'zod';
import { auditEntrySchema } from '../../src/protocol/audit.js';
import { historySchema } from '../../src/protocol/record.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import { endWithFile } from './endings.js';
import { type NatsCluster, NatsServer } from './nats.js';
import { ServiceProcess } from './process.js';
import { TcpProxy } from './tcp-proxy.js';

const NODES = 3;

export type History = z.output<typeof historySchema>;
export type RecordEntry = z.output<typeof auditEntrySchema>;

export class TestCluster {
  readonly nats: NatsCluster;
  /** Where displays connect. */
  readonly url: string;
  #nodes: readonly ServiceProcess[];

  private constructor(nats: NatsCluster, nodes: readonly ServiceProcess[], balancer: TcpProxy) {
    this.nats = nats;
    this.#nodes = nodes;
    this.url = `http://127.0.0.1:${balancer.port}`;
  }

  /** Starts all of it at once, as a machine that was switched on does; it ends with the file of tests. */
  static async start(): Promise<TestCluster> {
    const nats = await NatsServer.startCluster();
    const nodes = await Promise.all(Array.from({ length: NODES }, () => startNode(nats)));
    const balancer = await TcpProxy.start(nodes.map(({ url }) => Number(new URL(url).port)));
    endWithFile(() => balancer.close());
    return new TestCluster(nats, nodes, balancer);
  }

  /** Those that were not ended. */
  get nodes(): readonly ServiceProcess[] {
    return this.#nodes;
  }

  /** Another node, beside the others and unknown to the balancer. */
  async addNode(): Promise<void> {
    this.#nodes = [...this.#nodes, await startNode(this.nats)];
  }

  /** Ends a node for good, as the loss of its machine would. */
  async killNode(node: ServiceProcess): Promise<void> {
    this.#nodes = this.#nodes.filter((other) => other !== node);
    await node.kill();
  }
}

function startNode({ servers }: NatsCluster): Promise<ServiceProcess> {
  const settings = {
    JOURNAL: servers.map(({ url }) => url).join(','),
    NATS_REPLICAS: `${servers.length}`,
  };
  return ServiceProcess.start(settings, 'file');
}

export async function createOn(
  node: ServiceProcess,
  definition: Readonly<Record<string, unknown>>,
): Promise<TimerResource> {
  const { status, text } = await node.request('POST', '/timers', definition);
  if (status !== 201) throw new Error(`The timer was not created: ${status} ${text}`);
  return timerSchema.parse(JSON.parse(text));
}

export async function historyOn(node: ServiceProcess, timerId: string): Promise<History> {
  const { status, text } = await node.request('GET', `/timers/${timerId}/history`);
  if (status !== 200) throw new Error(`There is no history: ${status} ${text}`);
  return historySchema.parse(JSON.parse(text));
}

/** The whole record as a node exports it, a line for each entry, without the head that is signed at the moment. */
export async function recordOn(node: ServiceProcess): Promise<readonly string[]> {
  const { status, text } = await node.request('GET', '/audit');
  if (status !== 200) throw new Error(`There is no record: ${status} ${text}`);
  return text.trimEnd().split('\n').slice(0, -1);
}

export function entriesIn(lines: readonly string[]): readonly RecordEntry[] {
  return z.array(auditEntrySchema).parse(lines.map((line) => JSON.parse(line)));
}
