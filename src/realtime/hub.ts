/**
 * The hub: displays, by the timer they follow. It listens to a timer only while somebody watches,
 * frames what the timer tells once, and writes the same bytes to every display.
 */
import { remainingMs } from '../../machines/record.js';
import type { Clock } from '../clock.js';
import { keepaliveMessage, messageOf, type ServerMessage } from '../protocol/messages.js';
import type { Following, Notice, Registry } from '../registry.js';
import { Display, type DisplayOptions } from './display.js';
import { TickFrame, textFrame } from './frame.js';

interface Room {
  readonly displays: Set<Display>;
  /** Those of the displays that want ticks. */
  readonly ticking: Set<Display>;
  readonly following: Following;
}

export interface Connection extends Pick<DisplayOptions, 'webSocket' | 'socket'> {
  /** False for displays that count for themselves. */
  readonly wantsTicks: boolean;
}

export interface HubOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  readonly maxDisplaysPerTimer: number;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #rooms = new Map<string, Room>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  isFull(timerId: string): boolean {
    const displays = this.#rooms.get(timerId)?.displays.size ?? 0;
    return displays >= this.#options.maxDisplaysPerTimer;
  }

  /** Adds a display to those that follow a timer, which must be there. */
  join(timerId: string, { webSocket, socket, wantsTicks }: Connection): Display {
    const { clock, keepaliveMs, registry } = this.#options;
    const display = new Display({
      webSocket,
      socket,
      clock,
      keepaliveMs,
      keepaliveFrame: () => {
        const found = registry.lookUp(timerId);
        return found.ok ? frameOf(keepaliveMessage(found.timer)) : undefined;
      },
    });
    const room = this.#rooms.get(timerId) ?? this.#open(timerId);
    room.displays.add(display);
    if (wantsTicks) room.ticking.add(display);
    count(room);
    return display;
  }

  leave(timerId: string, display: Display): void {
    display.dispose();
    const room = this.#rooms.get(timerId);
    if (room === undefined || !room.displays.delete(display)) return;
    room.ticking.delete(display);
    count(room);
    if (room.displays.size === 0) this.#shut(timerId, room);
  }

  /** Ends every connection because the service is going away. */
  closeAll(): void {
    for (const { displays } of this.#rooms.values()) {
      for (const display of displays) display.close('shutting_down');
    }
  }

  #open(timerId: string): Room {
    const displays = new Set<Display>();
    const ticking = new Set<Display>();
    const following = this.#options.registry.follow(timerId, (notice) => {
      if (notice.type === 'timer_tick') broadcastTick(ticking, notice);
      else broadcast(displays, notice);
      if (notice.type === 'timer_deleted' || notice.type === 'timer_retired') {
        this.#shut(timerId, room);
        for (const display of displays) display.close(notice.type);
      }
    });
    const room: Room = { displays, ticking, following };
    this.#rooms.set(timerId, room);
    return room;
  }

  #shut(timerId: string, room: Room): void {
    room.following.end();
    if (this.#rooms.get(timerId) === room) this.#rooms.delete(timerId);
  }
}

export function frameOf(message: ServerMessage): Buffer {
  return textFrame(JSON.stringify(message));
}

function broadcastTick(displays: ReadonlySet<Display>, notice: Notice): void {
  const message = messageOf(notice);
  if (message === undefined || displays.size === 0) return;
  const frame = new TickFrame(JSON.stringify(message));
  const isLast = remainingMs(notice.record, notice.atMs) === 0;
  for (const display of displays) {
    if (isLast) display.lastTick(frame, notice.atMs);
    else display.tick(frame, notice.atMs);
  }
}

function broadcast(displays: ReadonlySet<Display>, notice: Notice): void {
  const message = messageOf(notice);
  if (message === undefined) return;
  const frame = frameOf(message);
  for (const display of displays) display.send(frame);
}

function count({ displays, ticking, following }: Room): void {
  following.count({ connected: displays.size, ticking: ticking.size });
}
