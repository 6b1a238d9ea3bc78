/** How long a service takes from its start until it takes commands, and until it has stopped. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpConnection } from './http.js';
import { freePort } from './ports.js';
import type { ServiceOptions } from './service.js';
import type { Stage } from './stage.js';

const PROBE_INTERVAL_MS = 10;

export interface Start {
  /** From the start of the process to the first 200 of `/readyz`. */
  readonly wallMs: number;
  /** The part that the service itself counts as recovery. */
  readonly recoveryMs: number;
  /** From SIGTERM to the end of the process. */
  readonly stopMs: number;
}

export async function startOnce(stage: Stage, options: ServiceOptions): Promise<Start> {
  const port = await freePort();
  const failure = new AbortController();
  const startedMs = performance.now();
  const settings = { ...options.settings, PORT: `${port}` };
  const [service, readyMs] = await Promise.all([
    stage.service({ ...options, settings }).catch((error: unknown) => {
      failure.abort();
      throw error;
    }),
    readyAtMs(port, failure.signal),
  ]);
  const stoppingMs = performance.now();
  await service.stop();
  return {
    wallMs: readyMs - startedMs,
    recoveryMs: service.recoveryMs,
    stopMs: performance.now() - stoppingMs,
  };
}

/** When the service answered that it is ready, or failed to start, by the clock of this process. */
async function readyAtMs(port: number, failure: AbortSignal): Promise<number> {
  const url = new URL(`http://127.0.0.1:${port}`);
  while (!failure.aborted && (await readyStatus(url)) !== 200) await sleep(PROBE_INTERVAL_MS);
  return performance.now();
}

/** The status of `/readyz`, or nothing while nobody listens. */
async function readyStatus(url: URL): Promise<number | undefined> {
  try {
    const connection = await HttpConnection.open(url);
    const { status } = await connection.request('GET', '/readyz');
    connection.close();
    return status;
  } catch {
    return undefined;
  }
}
