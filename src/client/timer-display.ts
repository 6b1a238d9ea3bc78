/**
 * The public face of the client library: one timer, followed. It can show time and never set it; what
 * it shows is counted on the device's monotonic clock from the deadline the service has told.
 */
import { type ActorRefFrom, createActor, fromCallback, type SnapshotFrom } from 'xstate';
import {
  type CloseReason,
  type ConnectionState,
  CREDENTIAL_ENDED,
  connectionMachine,
  type LinkInput,
  type LinkReport,
  type LinkRequest,
  type Transport,
} from '../../machines/connection.machine.js';
import { type Announcement, Announcer } from './announcer.js';
import { openEventStreamLink } from './event-stream-link.js';
import type { Link, LinkOptions } from './link.js';
import type { ServerMessage, ServerMessageOf, Timer, TimerState } from './messages.js';
import type { Platform } from './platform.js';
import { type Exchange, ServerClock } from './server-clock.js';
import { fold, isOver, remainingMs } from './timer-state.js';
import { openWebSocketLink } from './websocket-link.js';

export interface TimerOptions {
  /** Where the service is, such as `https://timers.example.org`. */
  readonly server: string;
  /** The timer's id. */
  readonly timer: string;
  /** Who or where this display is, for those who watch over the room; at most 100 characters. */
  readonly label?: string | undefined;
  /**
   * What the service knows this display by. A function is asked for one at each connection, so also when the
   * last one has ended; with a fixed one that is the end, which `connection` and `closeReason` tell.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Whether the service is to tell every second; by default the display counts for itself. */
  readonly ticks?: boolean | undefined;
}

/** What a display can be listened to for: every message of the service by its type, and these. */
export type DisplayEvents = {
  [T in ServerMessage['type']]: ServerMessageOf<T>;
} & {
  /** Something that is to be shown may have changed. */
  change: undefined;
  connection: ConnectionState;
  /** A threshold was passed: told once, also when the connection broke meanwhile. */
  warning: Extract<Announcement, { type: 'warning' }>;
  /** The timer came to its end: told once. */
  end: Extract<Announcement, { type: 'end' }>;
};

type Listeners = { [E in keyof DisplayEvents]?: Set<(event: DisplayEvents[E]) => void> };

/** How long after the instant of a warning or of the end the service may be silent about it. */
const GRACE_MS = 2000;
/** A clock this sharp is only looked after; one that is not is soon asked about again. */
const SHARP_MS = 5;
const GOOD_MS = 10;
const EXCHANGES_IN_A_ROW = 40;
const SOON_MS = 250;
const LATER_MS = 15_000;
/** An error bound so many times larger or smaller than the one acknowledged is acknowledged anew. */
const NEWS_FACTOR = 1.5;
/** A link was refused, or ended, because of the token that was shown. */
const CREDENTIAL_CODES: readonly number[] = [401, CREDENTIAL_ENDED];
/** A device that was stopped first reads what the network has for it, and then counts by itself. */
const WAKING_MS = 1500;

export class TimerDisplay {
  readonly #options: TimerOptions;
  readonly #platform: Platform;
  readonly #clock = new ServerClock();
  readonly #announcer = new Announcer();
  readonly #actor: ActorRefFrom<typeof connectionMachine>;
  readonly #listeners: Listeners = {};
  readonly #endWatch: () => void;
  #link: Link | undefined;
  #timer: Timer | undefined;
  /** Monotonic time at which the timer was last heard of. */
  #heardAtMs = 0;
  #exchanges = 0;
  /** Whether the present link is telling what was missed, which ends with the state of the timer. */
  #isCatchingUp = false;
  /** Monotonic time before which the display announces nothing by itself. */
  #heldUntilMs = 0;
  /** The error bound that was acknowledged last. */
  #toldBoundMs = 0;
  #connection: ConnectionState = 'connecting';
  #cancelLook: () => void = () => {};

  constructor(options: TimerOptions, platform: Platform) {
    this.#options = options;
    this.#platform = platform;
    const logic = connectionMachine.provide({ actors: { link: this.#linkLogic() } });
    this.#actor = createActor(logic, {
      clock: {
        setTimeout: (callback, delayMs) => platform.setTimeout(callback, delayMs),
        clearTimeout: (cancel) => {
          if (typeof cancel === 'function') cancel();
        },
      },
      input: {
        random: Math.random,
        isSharp: () => this.#boundMs() <= SHARP_MS,
        exchangePauseMs: () => this.#exchangePauseMs(),
      },
    });
    this.#actor.subscribe((snapshot) => this.#noteConnection(connectionOf(snapshot)));
    this.#endWatch = platform.watchWakes(() => {
      // First, because a connection that changes makes the display look at what is due.
      this.#hold();
      this.#actor.send({ type: 'wake' });
    });
    this.#actor.start();
  }

  /** The timer as it was last heard of; `undefined` before the first contact. */
  get timer(): Timer | undefined {
    return this.#timer;
  }

  get state(): TimerState | undefined {
    return this.#timer?.state;
  }

  get connection(): ConnectionState {
    return this.#connection;
  }

  get transport(): Transport {
    return this.#actor.getSnapshot().context.transport;
  }

  /** Why the connection is over for good, if it is. */
  get closeReason(): CloseReason | undefined {
    return this.#actor.getSnapshot().context.closeReason;
  }

  /** False while the display counts on from what it last knew, without the service. */
  get isVerified(): boolean {
    const isHeard = this.#connection === 'live' || this.#connection === 'synchronizing';
    return isHeard && this.errorBound() !== undefined && !this.#isOverdue(GRACE_MS);
  }

  /** Milliseconds that remain now, never below 0; `undefined` before the first contact. */
  remaining(): number | undefined {
    const nowMs = this.#platform.now();
    return this.#timer === undefined
      ? undefined
      : remainingMs(this.#timer, this.#serverNow(this.#timer, nowMs));
  }

  /** How far `remaining` may be off at most, in ms; `undefined` before the clock was synchronized. */
  errorBound(): number | undefined {
    return this.#clock.errorBoundMs(this.#platform.now());
  }

  /** Listens; gives the function that ends it. */
  on<E extends keyof DisplayEvents>(
    type: E,
    listener: (event: DisplayEvents[E]) => void,
  ): () => void {
    const listeners: Set<(event: DisplayEvents[E]) => void> = this.#listeners[type] ?? new Set();
    listeners.add(listener);
    Object.assign(this.#listeners, { [type]: listeners });
    return () => listeners.delete(listener);
  }

  /** Ends the connection for good. */
  close(): void {
    this.#actor.send({ type: 'close' });
  }

  #linkLogic() {
    return fromCallback<LinkRequest, LinkInput>(({ input, sendBack, receive }) => {
      let isEnded = false;
      const report = (event: LinkReport): void => {
        if (!isEnded) sendBack(event);
      };
      const open = async (): Promise<void> => {
        const linkOptions = await this.#linkOptions(report);
        if (isEnded) return;
        const openLink = input.transport === 'websocket' ? openWebSocketLink : openEventStreamLink;
        this.#link = openLink(linkOptions);
      };
      open().catch((error: unknown) => {
        report({ type: 'link.closed', reason: reasonOf(error), isFinal: false });
      });
      receive(() => this.#link?.exchange());
      return () => {
        isEnded = true;
        this.#link?.close();
        this.#link = undefined;
      };
    });
  }

  async #linkOptions(report: (event: LinkReport) => void): Promise<LinkOptions> {
    const { server, timer, label, token, ticks = false } = this.#options;
    return {
      platform: this.#platform,
      server: server.replace(/\/+$/, ''),
      timerId: timer,
      wantsTicks: ticks,
      label,
      token: typeof token === 'function' ? await token() : token,
      lastRevision: this.#timer?.revision,
      onMessage: (message, receivedMs) => {
        this.#hear(message, receivedMs);
        if (message.type === 'connected') report({ type: 'link.opened' });
      },
      onExchange: (exchange) => {
        this.#takeExchange(exchange);
        report({ type: 'link.exchanged' });
      },
      onClosed: (reason, isFinal) => {
        // With another token the service may well let the display in again.
        const isRenewable = typeof token === 'function' && CREDENTIAL_CODES.includes(reason.code);
        report({ type: 'link.closed', reason, isFinal: isFinal && !isRenewable });
      },
    };
  }

  #hear(message: ServerMessage, receivedMs: number): void {
    const before = this.#timer;
    this.#timer = fold(before, message);
    this.#isCatchingUp = this.#connection === 'connecting' && message.type !== 'connected';
    if (message.type === 'connected') this.#clock.distrust();
    const isAboutTimer = message.type === 'connected' || 'server_time_ms' in message;
    if (isAboutTimer) this.#heardAtMs = receivedMs;
    if ('server_time_ms' in message && this.#clock.isBehind(message.server_time_ms, receivedMs)) {
      this.#actor.send({ type: 'wake' });
    }
    this.#emit(message.type, message);
    if (this.#timer !== undefined && isAboutTimer) {
      // What remained when it was said is exact, where the display's own count is an estimate.
      const leftMs = remainingMs(this.#timer, this.#timer.server_time_ms);
      this.#announce(this.#announcer.hear(message, this.#timer, leftMs));
    }
    if (before?.revision !== this.#timer?.revision) this.#acknowledge();
    this.#changed();
  }

  #takeExchange(exchange: Exchange): void {
    this.#clock.add(exchange);
    this.#exchanges += 1;
    const [less, more] = [this.errorBound() ?? 0, this.#toldBoundMs].sort((a, b) => a - b);
    const isNews = (more ?? 0) > (less ?? 0) * NEWS_FACTOR;
    if (isNews && this.#connection === 'live') this.#acknowledge();
    this.#changed();
  }

  #noteConnection(connection: ConnectionState): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    if (connection === 'synchronizing') this.#exchanges = 0;
    if (connection === 'waiting') this.#isCatchingUp = false;
    if (connection === 'live') this.#acknowledge();
    if (connection === 'closed') this.#endWatch();
    this.#emit('connection', connection);
    this.#changed();
  }

  /** Tells the service which revision is shown here, and how far the clock may be off. */
  #acknowledge(): void {
    if (this.#timer === undefined) return;
    const { label } = this.#options;
    const boundMs = this.errorBound();
    this.#toldBoundMs = boundMs ?? 0;
    this.#link?.acknowledge({
      revision: this.#timer.revision,
      error_bound_ms: boundMs ?? null,
      ...(label === undefined ? {} : { label }),
    });
  }

  #changed(): void {
    this.#emit('change', undefined);
    this.#look();
  }

  /** Announces what is due by the display's own count, and looks again when the next may be. */
  #look(): void {
    this.#cancelLook();
    const timer = this.#timer;
    if (timer?.state !== 'running' || this.#connection === 'closed') return;
    // While a link tells what was missed, an old deadline says nothing about the present.
    if (this.#isCatchingUp) return;
    const heldMs = this.#heldUntilMs - this.#platform.now();
    if (heldMs > 0) {
      this.#lookIn(Math.ceil(heldMs));
      return;
    }
    const marginMs = this.#marginMs();
    const certainlyLeftMs = (this.remaining() ?? 0) + marginMs;
    const isOverdue = this.#isOverdue(marginMs);
    const announcements = this.#announcer.count(timer, certainlyLeftMs, isOverdue);
    this.#announce(announcements);
    if (announcements.length > 0) this.#emit('change', undefined);
    const left = this.#unboundedLeftMs(timer) + marginMs;
    const waits = this.#announcer.aheadOf(timer).map((aheadMs) => left - aheadMs);
    const waitMs = Math.min(...waits.filter((wait) => wait > 0));
    if (waitMs === Number.POSITIVE_INFINITY) return;
    this.#lookIn(waitMs + 1);
  }

  #lookIn(waitMs: number): void {
    const dueMs = this.#platform.now() + waitMs;
    this.#cancelLook = this.#platform.setTimeout(() => {
      if (this.#platform.now() - dueMs > WAKING_MS) this.#hold();
      else this.#look();
    }, waitMs);
  }

  /** Announces nothing by itself for a moment: what the service said meanwhile is still to be read. */
  #hold(): void {
    this.#heldUntilMs = this.#platform.now() + WAKING_MS;
    this.#look();
  }

  /** How late the display announces by itself: the service is given time while it is heard. */
  #marginMs(): number {
    const isHeard = this.#connection === 'live' || this.#connection === 'synchronizing';
    return this.#boundMs() + (isHeard ? GRACE_MS : 0);
  }

  /** Whether the end was so long ago, in ms, and the service has not told of it. */
  #isOverdue(afterMs: number): boolean {
    const timer = this.#timer;
    return timer?.state === 'running' && this.#unboundedLeftMs(timer) <= -afterMs;
  }

  /** What remains, below 0 after the deadline. */
  #unboundedLeftMs(timer: Timer): number {
    if (timer.deadline_ms === null || isOver(timer.state)) return timer.remaining_ms;
    return timer.deadline_ms - this.#serverNow(timer, this.#platform.now());
  }

  /** The server's time; before the first exchange at least what it was when the timer was told. */
  #serverNow(timer: Timer, nowMs: number): number {
    return this.#clock.now(nowMs) ?? timer.server_time_ms + (nowMs - this.#heardAtMs);
  }

  /** A display that never heard the server's time may be off by what a slow network keeps back. */
  #boundMs(): number {
    return this.errorBound() ?? GRACE_MS;
  }

  #exchangePauseMs(): number {
    const isGood = this.#boundMs() <= GOOD_MS || this.#exchanges >= EXCHANGES_IN_A_ROW;
    return isGood ? LATER_MS : SOON_MS;
  }

  #announce(announcements: readonly Announcement[]): void {
    for (const announcement of announcements) this.#emit(announcement.type, announcement);
  }

  #emit<E extends keyof DisplayEvents>(type: E, event: DisplayEvents[E]): void {
    for (const listener of this.#listeners[type] ?? []) {
      try {
        listener(event);
      } catch (error) {
        // A listener's failure is loud, and none of the connection's.
        this.#platform.setTimeout(() => {
          throw error;
        }, 0);
      }
    }
  }
}

function connectionOf(snapshot: SnapshotFrom<typeof connectionMachine>): ConnectionState {
  if (snapshot.matches({ linked: 'connecting' })) return 'connecting';
  if (snapshot.matches({ linked: 'synchronizing' })) return 'synchronizing';
  if (snapshot.matches('linked')) return 'live';
  return snapshot.matches('waiting') ? 'waiting' : 'closed';
}

function reasonOf(error: unknown): CloseReason {
  return { code: 1006, message: error instanceof Error ? error.message : String(error) };
}
