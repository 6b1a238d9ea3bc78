/** What commands run in. */
import type { Readable, Writable } from 'node:stream';

/**
 * The process has all of this, and `main.ts` gives it: nothing else reaches for the process, so that a command reads
 * and writes only what it is given.
 */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Calls the listener when a signal comes, which then ends nothing by itself. */
  once(signal: Signal, listener: () => void): unknown;
}

/** The signals that ask a command to end. */
export type Signal = 'SIGINT' | 'SIGTERM';

/** A terminal knows that it is one. */
export interface InputStream extends Readable {
  readonly isTTY?: boolean;
}

export interface OutputStream extends Writable {
  readonly isTTY?: boolean;
  /** How wide it is, if it is a terminal. */
  readonly columns?: number;
}
