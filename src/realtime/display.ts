/**
 * One display: a socket that is written whole frames to, and that costs bounded memory however slowly
 * it reads (T10). Ticks it is too slow for are replaced by the latest; other messages are kept for it
 * up to a limit, and past the limit, or when it answers no ping, it is closed.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock, Timeout } from '../clock.js';
import { PROBLEMS, type ProblemCode } from '../protocol/problems.js';
import { PING_FRAME, type TickFrame } from './frame.js';

/** What may wait for one display, in bytes; a message has about 200. */
const LARGEST_BACKLOG_BYTES = 64 * 1024;
/** How long a display that is closed has to take notice of it. */
const LAST_WORDS_MS = 1000;
const TICK_MS = 1000;
const NOTHING = Buffer.alloc(0);

/** Problems a display's connection can end with. */
export type CloseProblem = {
  [C in ProblemCode]: (typeof PROBLEMS)[C] extends { closeCode: number } ? C : never;
}[ProblemCode];

export interface DisplayOptions {
  readonly webSocket: WebSocket;
  /** The connection itself; frames are written to it whole, between those of `webSocket`. */
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  /** Gives the frame that breaks a silence, or nothing when there is nothing to say. */
  readonly keepaliveFrame: () => Buffer | undefined;
}

/**
 * Fields that a tick touches stand here and not in the options: with thousands of displays in turn,
 * each further object is a further miss of the cache. */
export class Display {
  readonly #options: DisplayOptions;
  readonly #socket: Duplex;
  #isOpen = true;
  #lastSentMs: number;
  /** The next beat, or the end of the last words. */
  #pulse: Timeout;
  /** When the ping became due that goes out with the next tick, in epoch ms. */
  #pingDueAtMs: number | undefined;
  /** When the ping became due that was sent and is still to be answered, in epoch ms. */
  #pingedAtMs: number | undefined;
  /** The tick to send when the backlog has drained. */
  #latestTick: Buffer | undefined;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#lastSentMs = options.clock.now();
    this.#pulse = this.#pulseIn(options.keepaliveMs);
  }

  /** Sends a frame the display must not miss. */
  send(frame: Buffer): void {
    if (!this.#canWrite) return;
    this.#latestTick = undefined;
    this.#write(frame, this.#options.clock.now());
    if (this.#socket.writableLength > LARGEST_BACKLOG_BYTES) this.close('too_slow');
  }

  /** Sends a tick, or keeps it as the latest while earlier frames are waiting to be read. */
  tick(frame: TickFrame, nowMs: number): void {
    if (!this.#canWrite) return;
    if (this.#socket.writableLength > 0) {
      this.#keepTick(frame.bytes);
    } else if (this.#pingDueAtMs === undefined) {
      this.#write(frame.bytes, nowMs);
    } else {
      this.#notePing(this.#pingDueAtMs);
      this.#write(frame.withPing, nowMs);
    }
  }

  /**
   * Sends the tick of the end. The end itself follows as soon as it is on record, which for an exam of
   * thousands is within the same turn of the event loop: then both go out in one write.
   */
  lastTick(frame: TickFrame, nowMs: number): void {
    if (!this.#canWrite) return;
    this.#socket.cork();
    this.tick(frame, nowMs);
    setImmediate(() => this.#socket.uncork());
  }

  /** Answers a protocol ping, unless the display does not read its answers. */
  pong(payload: Buffer): void {
    if (this.#canWrite && this.#socket.writableLength === 0) this.#options.webSocket.pong(payload);
  }

  /** Notes that the display has given a sign of life. */
  heard(): void {
    this.#pingedAtMs = undefined;
  }

  /** Ends the connection with the close code of a problem. */
  close(problem: CloseProblem): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { webSocket, clock } = this.#options;
    const { closeCode, title } = PROBLEMS[problem];
    webSocket.close(closeCode, title);
    clock.clearTimeout(this.#pulse);
    this.#pulse = clock.setTimeout(() => this.terminate(), LAST_WORDS_MS);
  }

  /** Breaks the connection off. */
  terminate(): void {
    this.#options.webSocket.terminate();
  }

  /** Lets go of the display's timeout; its connection has ended. */
  dispose(): void {
    this.#isOpen = false;
    this.#options.clock.clearTimeout(this.#pulse);
    this.#latestTick = undefined;
  }

  /** False once either side has begun to close: no frame may follow a close frame. */
  get #canWrite(): boolean {
    return this.#isOpen && !this.#socket.writableEnded;
  }

  #write(frame: Buffer, nowMs: number): void {
    this.#lastSentMs = nowMs;
    this.#socket.write(frame);
  }

  /** Keeps a tick until what is written has left; a write of nothing is called back right then. */
  #keepTick(frame: Buffer): void {
    const isFirst = this.#latestTick === undefined;
    this.#latestTick = frame;
    if (isFirst) this.#socket.write(NOTHING, () => this.#sendLatestTick());
  }

  #sendLatestTick(): void {
    const frame = this.#latestTick;
    this.#latestTick = undefined;
    if (frame !== undefined && this.#canWrite) this.#write(frame, this.#options.clock.now());
  }

  /** Pings with the next tick where ticks flow, which saves a write; at once where they do not. */
  #ping(nowMs: number, silenceMs: number): void {
    if (silenceMs <= TICK_MS && this.#pingDueAtMs === undefined) {
      this.#pingDueAtMs = nowMs;
    } else {
      this.#notePing(nowMs);
      this.#socket.write(PING_FRAME);
    }
  }

  #notePing(dueAtMs: number): void {
    this.#pingDueAtMs = undefined;
    this.#pingedAtMs = dueAtMs;
  }

  #pulseIn(delayMs: number): Timeout {
    return this.#options.clock.setTimeout(() => this.#beat(), delayMs);
  }

  /** Once per keepalive time: finds dead peers, breaks silences. */
  #beat(): void {
    const { clock, keepaliveMs, keepaliveFrame } = this.#options;
    const nowMs = clock.now();
    if (this.#pingedAtMs !== undefined && nowMs - this.#pingedAtMs >= keepaliveMs) {
      if (this.#socket.writableLength > 0) this.close('too_slow');
      else this.terminate();
      return;
    }
    const silenceMs = nowMs - this.#lastSentMs;
    if (silenceMs >= keepaliveMs) {
      const frame = keepaliveFrame();
      if (frame !== undefined) this.send(frame);
    }
    if (!this.#canWrite) return;
    if (this.#pingedAtMs === undefined) this.#ping(nowMs, silenceMs);
    const silenceEndsMs = this.#lastSentMs + keepaliveMs;
    const patienceEndsMs = (this.#pingedAtMs ?? Number.POSITIVE_INFINITY) + keepaliveMs;
    this.#pulse = this.#pulseIn(Math.max(1, Math.min(silenceEndsMs, patienceEndsMs) - nowMs));
  }
}
