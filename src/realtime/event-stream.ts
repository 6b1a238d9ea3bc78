/**
 * A reader of server-sent events. The body ends with the connection and has no other framing, so that
 * the bytes of an event are the same for every reader and are written to the socket as they are.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import { EVENT_STREAM_HEADERS } from '../protocol/events.js';
import { Problem } from '../protocol/problems.js';
import { LARGEST_BACKLOG_BYTES, LAST_WORDS_MS, Outlet } from './outlet.js';

export interface EventStreamOptions {
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  /** Gives the event that breaks a silence, or nothing when there is nothing to say. */
  readonly keepaliveEvent: () => Buffer | undefined;
}

export class EventStream extends Outlet {
  readonly #options: EventStreamOptions;
  /** Live messages that wait until the reader has been told what came before them. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #isEndHeld = false;
  /** Whether something was waiting to be read at the last beat, and still is. */
  #isStuck = false;

  /** @throws {Problem} if earlier requests of the same connection are still to be answered. */
  constructor(options: EventStreamOptions) {
    const { response, clock, keepaliveMs } = options;
    if (response.socket === null) {
      throw new Problem('invalid_request', 'A stream of events needs a connection of its own');
    }
    super(response.socket, clock, keepaliveMs);
    this.#options = options;
  }

  /** Sends the head of the answer. Until then the request can still be refused. */
  begin(): void {
    const { response } = this.#options;
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, EVENT_STREAM_HEADERS);
    response.flushHeaders();
  }

  override send(event: Buffer): void {
    if (this.#held === undefined) super.send(event);
    else if (this.isOpen) this.#hold(event);
  }

  /** Sends a tick, or keeps it as the latest while earlier events are waiting to be read. */
  tick(event: Buffer, nowMs: number): void {
    if (!this.canWrite || this.#held !== undefined) return;
    if (this.socket.writableLength > 0) this.keepTick(event);
    else this.write(event, nowMs);
  }

  /**
   * Sends at once, whatever is held back or waits to be read: the sender itself takes care that little
   * waits, by `isBehind` and `drained`.
   */
  put(event: Buffer): void {
    if (this.canWrite) this.write(event, this.clock.now());
  }

  /** Whether something that was sent still waits to be read. */
  get isBehind(): boolean {
    return this.socket.writableLength > 0;
  }

  get hasEnded(): boolean {
    return !this.canWrite;
  }

  /** Settles when what was sent so far has left, or the connection has ended. */
  drained(): Promise<void> {
    return new Promise((resolve) => this.whenDrained(resolve));
  }

  /** Holds live messages back until `release`; ticks are not worth it. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.send(event);
    if (this.#isEndHeld) this.end();
  }

  /** Ends the stream when what was sent has been read; without that, a little later. */
  end(): void {
    this.#isEndHeld = this.#held !== undefined;
    if (!this.isOpen || this.#isEndHeld) return;
    this.dispose();
    if (!this.#options.response.headersSent) this.begin();
    this.#options.response.end();
    this.pulse = this.clock.setTimeout(() => this.terminate(), LAST_WORDS_MS);
  }

  /** Sends a last event, which says why the stream ends, and ends it. */
  endWith(event: Buffer): void {
    this.send(event);
    this.end();
  }

  /** Breaks the connection off. */
  terminate(): void {
    this.socket.destroy();
  }

  protected override giveUp(): void {
    this.#held = undefined;
    this.end();
  }

  /** Breaks silences, and ends the stream of a reader that has read nothing since the last beat. */
  protected override beat(): void {
    if (!this.canWrite) return;
    if (this.#isStuck) {
      this.giveUp();
      return;
    }
    const { keepaliveMs, keepaliveEvent } = this.#options;
    const silenceMs = this.clock.now() - this.lastSentMs;
    const isQuiet = !this.isBehind && this.#held === undefined;
    if (this.isBehind) this.#watchDraining();
    const event = isQuiet && silenceMs >= keepaliveMs ? keepaliveEvent() : undefined;
    if (event !== undefined) this.put(event);
    const isWaiting = isQuiet && silenceMs < keepaliveMs;
    this.pulse = this.beatIn(isWaiting ? keepaliveMs - silenceMs : keepaliveMs);
  }

  #watchDraining(): void {
    this.#isStuck = true;
    this.whenDrained(() => {
      this.#isStuck = false;
    });
  }

  #hold(event: Buffer): void {
    this.#held?.push(event);
    this.#heldBytes += event.length;
    if (this.#heldBytes > LARGEST_BACKLOG_BYTES) this.giveUp();
  }
}
