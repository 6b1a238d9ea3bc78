/**
 * One reader of what the service tells: a socket that whole messages are written to, and that costs
 * bounded memory however slowly it is read (T10). Ticks it is too slow for are replaced by the latest;
 * other messages are kept for it up to a limit.
 */
import type { Duplex } from 'node:stream';
import type { Clock, Timeout } from '../clock.js';

/** What may wait for one reader, in bytes; a message has about 200. */
export const LARGEST_BACKLOG_BYTES = 64 * 1024;
/** How long a reader whose connection is closed has to take notice of it. */
export const LAST_WORDS_MS = 1000;
const NOTHING = Buffer.alloc(0);

/**
 * Fields that a tick touches stand here and not in an object of their own: with thousands of displays
 * in turn, each further object is a further miss of the cache.
 */
export abstract class Outlet {
  protected readonly socket: Duplex;
  protected readonly clock: Clock;
  protected isOpen = true;
  protected lastSentMs: number;
  /** The next beat, or the end of the last words. */
  protected pulse: Timeout;
  /** The tick to send when the backlog has drained. */
  protected latestTick: Buffer | undefined;

  constructor(socket: Duplex, clock: Clock, keepaliveMs: number) {
    this.socket = socket;
    this.clock = clock;
    this.lastSentMs = clock.now();
    this.pulse = this.beatIn(keepaliveMs);
  }

  /** Sends a message the reader must not miss. */
  send(bytes: Buffer): void {
    if (!this.canWrite) return;
    this.latestTick = undefined;
    this.write(bytes, this.clock.now());
    if (this.socket.writableLength > LARGEST_BACKLOG_BYTES) this.giveUp();
  }

  /** Lets go of what is pending; the connection has ended. */
  dispose(): void {
    this.isOpen = false;
    this.clock.clearTimeout(this.pulse);
    this.latestTick = undefined;
  }

  /** Ends the connection of a reader that is too slow. */
  protected abstract giveUp(): void;

  /** What there is to do once per keepalive time. */
  protected abstract beat(): void;

  /** False once either side has begun to close: nothing may follow the end. */
  protected get canWrite(): boolean {
    return this.isOpen && !this.socket.writableEnded;
  }

  protected write(bytes: Buffer, nowMs: number): void {
    this.lastSentMs = nowMs;
    this.socket.write(bytes);
  }

  /** Keeps a tick until what is written has left. */
  protected keepTick(bytes: Buffer): void {
    const isFirst = this.latestTick === undefined;
    this.latestTick = bytes;
    if (isFirst) this.whenDrained(() => this.#sendLatestTick());
  }

  /** Calls back when what is written so far has left, or never will: a write of nothing ends then. */
  protected whenDrained(callback: () => void): void {
    this.socket.write(NOTHING, callback);
  }

  protected beatIn(delayMs: number): Timeout {
    return this.clock.setTimeout(() => this.beat(), delayMs);
  }

  #sendLatestTick(): void {
    const bytes = this.latestTick;
    this.latestTick = undefined;
    if (bytes !== undefined && this.canWrite) this.write(bytes, this.clock.now());
  }
}
