/** Everything that one measurement sets up, taken down again in the reverse order, come what may. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientDisplays } from './client-displays.js';
import { Displays } from './displays.js';
import { HttpConnection } from './http.js';
import { Peer, type PeerName } from './peers.js';
import { RunningService, type ServiceOptions } from './service.js';

export class Stage {
  readonly #takeDowns: (() => unknown)[] = [];

  /** A service on a free port, with an empty data folder unless another is given. */
  async service(options: Partial<ServiceOptions>): Promise<RunningService> {
    const { settings = {}, dataDir = await this.folder(), profileDir } = options;
    const service = await RunningService.start({ settings, dataDir, profileDir });
    this.#takeDowns.push(() => service.stop());
    return service;
  }

  async peer(name: PeerName): Promise<Peer> {
    const peer = await Peer.start(name);
    this.#takeDowns.push(() => peer.stop());
    return peer;
  }

  async displays(port: number, paths: readonly string[], spreadMs = 0): Promise<Displays> {
    const displays = await Displays.open(port, paths, spreadMs);
    this.#takeDowns.push(() => displays.close());
    return displays;
  }

  /** Displays that run the client library, a number on each timer. */
  async clientDisplays(
    service: URL,
    timerIds: readonly string[],
    each: number,
  ): Promise<ClientDisplays> {
    const displays = await ClientDisplays.open(service, timerIds, each);
    this.#takeDowns.push(() => displays.close());
    return displays;
  }

  async connections(
    url: URL,
    count: number,
    credential?: string,
  ): Promise<readonly HttpConnection[]> {
    const opening = Array.from({ length: count }, () => HttpConnection.open(url, credential));
    const connections = await Promise.all(opening);
    this.#takeDowns.push(() => connections.map((connection) => connection.close()));
    return connections;
  }

  async connection(url: URL): Promise<HttpConnection> {
    const connection = await HttpConnection.open(url);
    this.#takeDowns.push(() => connection.close());
    return connection;
  }

  /** An empty folder that is removed at the end. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'timer-bench-'));
    this.#takeDowns.push(() => rm(folder, { recursive: true, force: true }));
    return folder;
  }

  /** Something else to be taken down. */
  atEnd(takeDown: () => unknown): void {
    this.#takeDowns.push(takeDown);
  }

  async takeDown(): Promise<void> {
    for (const takeDown of this.#takeDowns.reverse()) await takeDown();
  }
}

/** Sets a stage up for one measurement. */
export async function onStage<T>(use: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = new Stage();
  try {
    return await use(stage);
  } finally {
    await stage.takeDown();
  }
}
