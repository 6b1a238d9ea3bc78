/** A display that follows over WebSocket. One that is silent is pinged, and closed when it stays silent. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock } from '../clock.js';
import { PROBLEMS, type ProblemCode } from '../protocol/problems.js';
import { PING_FRAME, type TickFrame } from './frame.js';
import { holdForMessage, holdForOthers, holdForTurn } from './hold.js';
import { LAST_WORDS_MS, Outlet } from './outlet.js';

const TICK_MS = 1000;
/** Keepalive times without a sign of life after which a display is asked for one. */
const KEEPALIVES_UNTIL_PING = 1.5;
/** Keepalive times that it has to answer, and the least that makes, in ms: networks are no faster where they are short. */
const KEEPALIVES_TO_ANSWER = 0.5;
const SHORTEST_PATIENCE_MS = 2000;

/** Problems a display's connection can end with. */
export type CloseProblem = {
  [C in ProblemCode]: (typeof PROBLEMS)[C] extends { closeCode: number } ? C : never;
}[ProblemCode];

export interface WebSocketDisplayOptions {
  readonly webSocket: WebSocket;
  /** The connection itself; frames are written to it whole, between those of `webSocket`. */
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  /** Gives the frame that breaks a silence, or nothing when there is nothing to say. */
  readonly keepaliveFrame: () => Buffer | undefined;
}

export class WebSocketDisplay extends Outlet {
  readonly #options: WebSocketDisplayOptions;
  /** When it last gave a sign of life, in epoch ms. */
  #heardMs: number;
  /** When the ping became due that goes out with the next tick, in epoch ms. */
  #pingDueAtMs: number | undefined;
  /** When the ping was sent that is still to be answered, in epoch ms. */
  #pingedAtMs: number | undefined;

  constructor(options: WebSocketDisplayOptions) {
    super(options.socket, options.clock, options.keepaliveMs);
    this.#options = options;
    this.#heardMs = options.clock.now();
  }

  /**
   * Sends a message. A commit may be of thousands of timers, whose frames leave together when all of them
   * are made: written one by one they cost the kernel twice as much.
   */
  override send(frame: Buffer): void {
    holdForMessage(this.socket);
    super.send(frame);
  }

  /** Sends a tick, or keeps it as the latest while earlier frames are waiting to be read. */
  tick(frame: TickFrame, nowMs: number): void {
    if (!this.canWrite) return;
    if (this.#isBehind) {
      this.keepTick(frame.bytes);
    } else if (this.#pingDueAtMs === undefined) {
      this.write(frame.bytes, nowMs);
    } else {
      this.#notePing(nowMs);
      this.write(frame.withPing, nowMs);
    }
  }

  /**
   * Sends the tick of a timer that few watch. Thousands of such timers tick at one instant, and written one by
   * one between the work for each, their ticks would cost a third more.
   */
  tickWithOthers(frame: TickFrame, nowMs: number): void {
    if (this.canWrite && !this.#isBehind) holdForOthers(this.socket);
    this.tick(frame, nowMs);
  }

  /**
   * Sends the tick of the end. The end itself follows as soon as it is on record, which for an exam of
   * thousands is within the same turn of the event loop: then both go out in one write.
   */
  lastTick(frame: TickFrame, nowMs: number): void {
    if (!this.canWrite) return;
    holdForTurn(this.socket);
    this.tick(frame, nowMs);
  }

  /** Answers a protocol ping, unless the display does not read its answers. */
  pong(payload: Buffer): void {
    if (this.canWrite && !this.#isBehind) this.#options.webSocket.pong(payload);
  }

  /** What we hold back ourselves is no sign of a slow reader. */
  get #isBehind(): boolean {
    return this.socket.writableLength > 0 && this.socket.writableCorked === 0;
  }

  /** Whether a ping is still to be answered. */
  get isPinged(): boolean {
    return this.#pingedAtMs !== undefined;
  }

  /** Notes that the display has given a sign of life. */
  heard(): void {
    this.#heardMs = this.clock.now();
    this.#pingDueAtMs = undefined;
    this.#pingedAtMs = undefined;
  }

  /** Ends the connection with the close code of a problem. */
  close(problem: CloseProblem): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { webSocket } = this.#options;
    const { closeCode, title } = PROBLEMS[problem];
    webSocket.close(closeCode, title);
    this.clock.clearTimeout(this.pulse);
    this.pulse = this.clock.setTimeout(() => this.terminate(), LAST_WORDS_MS);
  }

  /** Breaks the connection off. */
  terminate(): void {
    this.#options.webSocket.terminate();
  }

  protected override giveUp(): void {
    this.close('too_slow');
  }

  /** Finds dead peers, breaks silences. */
  protected override beat(): void {
    const { keepaliveMs, keepaliveFrame } = this.#options;
    const nowMs = this.clock.now();
    if (nowMs >= this.#patienceEndsMs) {
      if (this.#isBehind) this.giveUp();
      else this.terminate();
      return;
    }
    const silenceMs = nowMs - this.lastSentMs;
    if (silenceMs >= keepaliveMs) {
      const frame = keepaliveFrame();
      if (frame !== undefined) this.send(frame);
    }
    if (!this.canWrite) return;
    if (nowMs >= this.#nextPingMs) this.#ping(nowMs, silenceMs);
    const nextMs = Math.min(this.lastSentMs + keepaliveMs, this.#nextPingMs, this.#patienceEndsMs);
    this.pulse = this.beatIn(Math.max(1, nextMs - nowMs));
  }

  /** When a ping is due, or one that waits for a tick waits no longer. */
  get #nextPingMs(): number {
    if (this.#pingedAtMs !== undefined) return Number.POSITIVE_INFINITY;
    if (this.#pingDueAtMs !== undefined) return this.#pingDueAtMs + TICK_MS;
    return this.#heardMs + KEEPALIVES_UNTIL_PING * this.#options.keepaliveMs;
  }

  get #patienceEndsMs(): number {
    if (this.#pingedAtMs === undefined) return Number.POSITIVE_INFINITY;
    const patienceMs = KEEPALIVES_TO_ANSWER * this.#options.keepaliveMs;
    return this.#pingedAtMs + Math.max(patienceMs, SHORTEST_PATIENCE_MS);
  }

  /** Pings with the next tick where ticks flow, which saves a write; at once where they do not. */
  #ping(nowMs: number, silenceMs: number): void {
    if (silenceMs <= TICK_MS && this.#pingDueAtMs === undefined) {
      this.#pingDueAtMs = nowMs;
    } else {
      this.#notePing(nowMs);
      this.socket.write(PING_FRAME);
    }
  }

  #notePing(nowMs: number): void {
    this.#pingDueAtMs = undefined;
    this.#pingedAtMs = nowMs;
  }
}
