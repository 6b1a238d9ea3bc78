/**
 * A stream of events that says how things are, rather than all that happened: what changes between two
 * messages is in the second of them, and a reader that is behind is told nothing until it has caught up.
 */
import type { Clock, Timeout } from '../clock.js';
import { eventOf } from '../protocol/events.js';
import type { EventStream } from './event-stream.js';

export interface FeedOptions {
  readonly stream: EventStream;
  readonly clock: Clock;
  /** The shortest time between two messages. */
  readonly intervalMs: number;
  /** Gives the next message, or nothing when there is nothing to say. */
  readonly compose: () => unknown;
}

export class Feed {
  readonly #options: FeedOptions;
  #timeout: Timeout;
  #isScheduled = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Notes that there is something to say, and sees to it that it is said as soon as it may be. */
  mark(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const { clock, intervalMs } = this.#options;
    const delayMs = Math.max(0, this.#lastMs + intervalMs - clock.now());
    this.#timeout = clock.setTimeout(() => this.tell(), delayMs);
  }

  /** Tells what there is to say now, or when the reader has caught up. */
  tell(): void {
    const { stream, clock, compose } = this.#options;
    if (stream.hasEnded) return;
    if (stream.isBehind) {
      this.#isScheduled = true;
      void stream.drained().then(() => this.tell());
      return;
    }
    this.#isScheduled = false;
    this.#lastMs = clock.now();
    const message = compose();
    if (message !== undefined) stream.put(eventOf(message));
  }

  end(): void {
    this.#options.stream.end();
  }

  endWith(event: Buffer): void {
    this.#options.stream.endWith(event);
  }

  /** Lets go of what is pending; the connection has ended. */
  dispose(): void {
    this.#options.clock.clearTimeout(this.#timeout);
    this.#options.stream.dispose();
  }
}
