/** A log that a test can read. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { z } from 'zod';
import type { Log } from '../../src/log.js';

const line = z.looseObject({ msg: z.string() });

export interface ReadableLog {
  readonly log: Log;
  /** What was written to it so far, as JSON. */
  readonly lines: readonly string[];
  /** The same, only what it says to people. */
  readonly messages: readonly string[];
}

export function readableLog(): ReadableLog {
  const lines: string[] = [];
  const messages: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      messages.push(line.parse(JSON.parse(String(chunk))).msg);
      done();
    },
  });
  return { log: pino({}, stream), lines, messages };
}
