/** What a process uses, as the probe inside it tells. */
import { z } from 'zod';
import type { Child } from './child.js';

/** The environment variable that makes the probe watch the backlog of every connection. */
export const TRACKS_SOCKETS = 'BENCH_TRACKS_SOCKETS';

/** Flags of Node that put the probe into a process. */
export const PROBE_FLAGS = [
  '--expose-gc',
  '--import',
  new URL('../processes/probe.js', import.meta.url).href,
] as const;

const usageSchema = z.object({
  /** CPU time of the process since its start, user and system, all threads. */
  cpuMs: z.number(),
  heapBytes: z.number(),
  /** Memory outside of the heap that objects of the heap hold, such as buffers. */
  externalBytes: z.number(),
  residentBytes: z.number(),
  /** Bytes that wait to be written, for each connection; empty unless asked for at the start. */
  backlogsBytes: z.array(z.number()),
});
export type Usage = z.output<typeof usageSchema>;

export function usageOf(child: Child): Promise<Usage> {
  return child.ask({ type: 'usage', collectGarbage: false }, usageSchema);
}

/** The same after a full garbage collection, so that memory is what is really held. */
export function heldBy(child: Child): Promise<Usage> {
  return child.ask({ type: 'usage', collectGarbage: true }, usageSchema);
}
