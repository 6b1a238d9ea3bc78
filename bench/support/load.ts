/** A load of commands: connections that each control timers of their own, one command after the other. */
import { type HttpConnection, timerSchema } from './http.js';

/** A cycle that is possible over and over: the first `start` begins, later ones resume. */
const CYCLE = [
  { action: 'start' },
  { action: 'extend', extend_seconds: 1 },
  { action: 'pause' },
  { action: 'resume' },
  { action: 'pause' },
] as const;

export type Commander = () => Promise<void>;

export interface Load {
  /** How long each acknowledged request took, in ms. */
  readonly latenciesMs: readonly number[];
  readonly wallMs: number;
}

/** Gives one acknowledged command after the other, each timer's in the order of the cycle. */
export function commander(connection: HttpConnection, timerIds: readonly string[]): Commander {
  let next = 0;
  return async () => {
    const timerId = timerIds[next % timerIds.length] ?? '';
    const command = CYCLE[Math.floor(next / timerIds.length) % CYCLE.length];
    next += 1;
    await connection.post(`/timers/${timerId}/control`, command, timerSchema);
  };
}

/** Has all of them give commands for a time. */
export async function load(commanders: readonly Commander[], forMs: number): Promise<Load> {
  const startedMs = performance.now();
  const endMs = startedMs + forMs;
  const latenciesMs: number[] = [];
  async function work(command: Commander): Promise<void> {
    for (let nowMs = performance.now(); nowMs < endMs; ) {
      await command();
      const thenMs = performance.now();
      latenciesMs.push(thenMs - nowMs);
      nowMs = thenMs;
    }
  }
  await Promise.all(commanders.map(work));
  return { latenciesMs, wallMs: performance.now() - startedMs };
}
