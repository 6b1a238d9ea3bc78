/** Structured logs: one JSON line each, to standard output, whose failures harm the log and nothing else. */
import { write, writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { systemClock } from './clock.js';
import type { Config } from './config.js';

export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

/** What is kept while none is taken; lines beyond it are dropped. */
const MOST_WAITING_BYTES = 1_000_000;
const RETRY_MS = 100;
const NOTHING = Buffer.alloc(0);

/** A line of the level `fatal` is written before the call returns, if it can be: the process may end at once. */
export function createLog(level: Config['logLevel'], fd: number = process.stdout.fd): Log {
  const lines = new Lines(fd, (dropped) => {
    log.warn({ dropped }, 'lines of the log were dropped, because standard output took none');
  });
  const log = pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, lines);
  return log;
}

/** Lines on their way out. Nobody waits for them, so a slow reader holds up no tick. */
class Lines {
  readonly #fd: number;
  readonly #onDropped: (lines: number) => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** What is being written, or is to be written again. */
  #batch: Buffer = NOTHING;
  #state: 'idle' | 'aboutToWrite' | 'writing' | 'pausing' = 'idle';
  #dropped = 0;
  #isFlushedAtExit = false;

  constructor(fd: number, onDropped: (lines: number) => void) {
    this.#fd = fd;
    this.#onDropped = onDropped;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#state !== 'idle') return;
    if (!this.#isFlushedAtExit) process.once('exit', () => this.flushSync());
    this.#isFlushedAtExit = true;
    this.#state = 'aboutToWrite';
    // Lines of one moment go together.
    queueMicrotask(() => this.#writeBatch());
  }

  /** Writes what waits as far as it is taken at once. A batch that is being written is on its way. */
  flushSync(): void {
    let left = this.#takeWaiting();
    if (this.#state !== 'writing') {
      left = Buffer.concat([this.#batch, left]);
      this.#batch = NOTHING;
    }
    try {
      while (left.length > 0) left = left.subarray(writeSync(this.#fd, left));
    } catch {
      // Whoever is about to end must not wait for a reader or a disk.
    }
  }

  #takeWaiting(): Buffer {
    const taken = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return taken;
  }

  #writeBatch(): void {
    if (this.#batch.length === 0) this.#batch = this.#takeWaiting();
    this.#state = this.#batch.length === 0 ? 'idle' : 'writing';
    if (this.#state === 'idle') return;
    write(this.#fd, this.#batch, (error, written) => {
      if (error !== null) {
        this.#state = 'pausing';
        systemClock.setTimeout(() => this.#writeBatch(), RETRY_MS);
        return;
      }
      this.#batch = this.#batch.subarray(written);
      if (this.#batch.length === 0) this.#tellDropped();
      this.#writeBatch();
    });
  }

  #tellDropped(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#onDropped(dropped);
  }
}
