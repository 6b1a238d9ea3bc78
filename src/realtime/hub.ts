/**
 * The hub: displays, by the timer they follow. It listens to a timer only while somebody watches,
 * encodes what the timer tells once for each transport, and writes the same bytes to every display.
 */
import type { ServerResponse } from 'node:http';
import { remainingMs } from '../../machines/record.js';
import type { Clock } from '../clock.js';
import { coarseClock } from '../coarse-clock.js';
import {
  type Acknowledgement,
  type DisplayRow,
  type DisplaySummary,
  type Displays,
  displaysResource,
  type Figures,
  figuresOfNobody,
  summaryOf,
  type Transport,
} from '../protocol/displays.js';
import { eventOf } from '../protocol/events.js';
import {
  changesBetween,
  type DisplayEvent,
  keepaliveMessage,
  messageOf,
  type ServerMessage,
} from '../protocol/messages.js';
import type { Entry, Following, Notice, Registry, TimerRecord } from '../registry.js';
import { type Arrival, Attendance } from './attendance.js';
import { EventStream } from './event-stream.js';
import { TickFrame, textFrame } from './frame.js';
import type { Outlet } from './outlet.js';
import type { Presence } from './presence.js';
import { WebSocketDisplay, type WebSocketDisplayOptions } from './websocket-display.js';

/** The displays of one transport. Each transport has its own, so that every loop meets one kind. */
interface Audience<D> {
  readonly all: Set<D>;
  /** Those that want ticks. */
  readonly ticking: Set<D>;
}

interface Room {
  readonly webSockets: Audience<WebSocketDisplay>;
  readonly streams: Audience<EventStream>;
  readonly attendance: Attendance;
  readonly following: Following;
  /** When the next tick is due, in epoch ms; `undefined` when none is expected, or not yet known. */
  nextTickMs: number | undefined;
  /** A read of the timer's history that is under way, and the revision that it reaches at least. */
  reading: { readonly revision: number; readonly history: Promise<readonly Entry[]> } | undefined;
}

/** A display that has joined: it is told of changes, and is known by its id. */
export interface Joined<D> {
  readonly display: D;
  readonly displayId: string;
  /** To be called when its connection has ended. */
  readonly leave: () => void;
}

interface Wishes extends Omit<Arrival, 'transport'> {
  /** False for displays that count for themselves. */
  readonly wantsTicks: boolean;
}

export interface Connection extends Wishes, Pick<WebSocketDisplayOptions, 'webSocket' | 'socket'> {}

export interface StreamRequest extends Wishes {
  readonly response: ServerResponse;
}

/** Hears how long it takes to tell displays something, and how late they are told the time. */
export interface HubMeasures {
  fanOut(elapsedMs: number): void;
  tick(latenessMs: number): void;
}

/** What can be seen of all displays together. */
export interface DisplayFigures {
  readonly connected: Readonly<Record<Transport, number>>;
  /** The largest error bound that was acknowledged; `null` when none was. */
  readonly worstErrorBoundMs: number | null;
}

export interface HubOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly keepaliveMs: number;
  readonly maxDisplaysPerTimer: number;
  readonly maxMessagesPerSecond: number;
  readonly measures: HubMeasures;
  readonly presence: Presence;
  /** Displays came, left or said something. */
  readonly onDisplaysChange: (timerId: string) => void;
}

/** So many displays of one timer are written to right after each other anyway; fewer wait for those of other timers. */
const MANY = 8;
/** How late a display may be pinged or told that nothing happens. */
const BEAT_STEP_MS = 250;

export class Hub {
  readonly #options: HubOptions;
  /** What displays take their beats from: thousands of them, which need not be exact. */
  readonly #beatClock: Clock;
  readonly #rooms = new Map<string, Room>();

  constructor(options: HubOptions) {
    this.#options = options;
    this.#beatClock = coarseClock(options.clock, BEAT_STEP_MS);
  }

  isFull(timerId: string): boolean {
    const room = this.#rooms.get(timerId);
    return room !== undefined && sizeOf(room) >= this.#options.maxDisplaysPerTimer;
  }

  /** Adds a display over WebSocket to those that follow a timer, which must be there. */
  join(timerId: string, connection: Connection): Joined<WebSocketDisplay> {
    const { webSocket, socket, wantsTicks } = connection;
    const { keepaliveMs } = this.#options;
    const display = new WebSocketDisplay({
      webSocket,
      socket,
      clock: this.#beatClock,
      keepaliveMs,
      keepaliveFrame: () => this.#keepalive(timerId, frameOf),
    });
    const room = this.#roomOf(timerId);
    if (wantsTicks) room.webSockets.ticking.add(display);
    const arrival: Arrival = { ...connection, transport: 'websocket' };
    return this.#seat(timerId, room, room.webSockets, display, arrival);
  }

  /** Adds a display over server-sent events. Its answer has not begun. */
  joinStream(timerId: string, request: StreamRequest): Joined<EventStream> {
    const { response, wantsTicks } = request;
    const { keepaliveMs } = this.#options;
    const display = new EventStream({
      response,
      clock: this.#beatClock,
      keepaliveMs,
      keepaliveEvent: () => this.#keepalive(timerId, displayEventOf),
    });
    const room = this.#roomOf(timerId);
    if (wantsTicks) room.streams.ticking.add(display);
    const arrival: Arrival = { ...request, transport: 'sse' };
    return this.#seat(timerId, room, room.streams, display, arrival);
  }

  /**
   * Gives what a display that has just joined has missed since a revision, as events. It ends with the
   * present revision, because everything later is told to the display anyway.
   */
  async missedSince(revision: number, record: TimerRecord): Promise<Iterable<Buffer>> {
    if (revision >= record.revision) return [];
    const history = await this.#historyOf(record);
    return eventsOf(changesBetween(history, revision, record.revision));
  }

  /** Notes what a display says it shows (T1: nothing else). */
  acknowledge(timerId: string, displayId: string, acknowledgement: Acknowledgement): void {
    this.#rooms.get(timerId)?.attendance.acknowledge(displayId, acknowledgement);
    this.#options.onDisplaysChange(timerId);
  }

  /** The credential that a display came with, if there is that display. */
  credentialOf(timerId: string, displayId: string): string | undefined {
    return this.#rooms.get(timerId)?.attendance.credentialOf(displayId);
  }

  /** Whether one more request in the name of a display, which must be there, is within its budget. */
  takeRequest(timerId: string, displayId: string): boolean {
    return this.#rooms.get(timerId)?.attendance.takeRequest(displayId) ?? false;
  }

  /** The displays of this node that follow a timer. */
  rowsOf(timerId: string): readonly DisplayRow[] {
    return this.#rooms.get(timerId)?.attendance.rows() ?? [];
  }

  /** Everybody who follows a timer, with the displays of other nodes that are known. */
  displaysOf(record: TimerRecord, elsewhere: readonly DisplayRow[]): Displays {
    return displaysResource(record, [...this.rowsOf(record.id), ...elsewhere]);
  }

  /** How many displays of this node follow a timer, and how well. */
  figuresOf(timerId: string): Figures {
    const attendance = this.#rooms.get(timerId)?.attendance;
    const found = this.#options.registry.lookUp(timerId);
    const revision = found.ok ? found.timer.record.revision : 0;
    return attendance?.figures(timerId, revision) ?? figuresOfNobody(timerId);
  }

  /** How many displays of all nodes follow a timer, and how well; nothing while that cannot be said. */
  summaryOf(timerId: string): DisplaySummary | undefined {
    const elsewhere = this.#options.presence.figuresElsewhere(timerId);
    if (!this.#rooms.has(timerId) && elsewhere.length === 0) return summaryOf(timerId, 0, []);
    const found = this.#options.registry.lookUp(timerId);
    if (!found.ok) return undefined;
    return summaryOf(timerId, found.timer.record.revision, [this.figuresOf(timerId), ...elsewhere]);
  }

  /** All displays in figures. */
  figures(): DisplayFigures {
    const connected = { websocket: 0, sse: 0 };
    let worstErrorBoundMs: number | null = null;
    for (const { webSockets, streams, attendance } of this.#rooms.values()) {
      connected.websocket += webSockets.all.size;
      connected.sse += streams.all.size;
      const boundMs = attendance.worstErrorBoundMs();
      if (boundMs !== null) worstErrorBoundMs = Math.max(worstErrorBoundMs ?? 0, boundMs);
    }
    return { connected, worstErrorBoundMs };
  }

  isFollowed(timerId: string): boolean {
    return this.#rooms.has(timerId) || this.#options.presence.connectedElsewhere(timerId) > 0;
  }

  /** The ids of the timers that displays of this node follow. */
  followedTimers(): Iterable<string> {
    return this.#rooms.keys();
  }

  /** The ids of the timers that somebody follows, wherever. */
  followedAnywhere(): Iterable<string> {
    return new Set([...this.#rooms.keys(), ...this.#options.presence.followedElsewhere()]);
  }

  /** Ends every connection because the service is going away. */
  closeAll(): void {
    for (const { webSockets, streams } of this.#rooms.values()) {
      for (const display of webSockets.all) display.close('shutting_down');
      for (const display of streams.all) display.end();
    }
  }

  #keepalive(timerId: string, encode: (message: DisplayEvent) => Buffer): Buffer | undefined {
    const found = this.#options.registry.lookUp(timerId);
    return found.ok ? encode(keepaliveMessage(found.timer)) : undefined;
  }

  /** Displays that come back together after the same change share one read of the journal. */
  #historyOf({ id, revision }: TimerRecord): Promise<readonly Entry[]> {
    const room = this.#rooms.get(id);
    if (room?.reading?.revision === revision) return room.reading.history;
    const history = this.#options.registry.history(id);
    if (room === undefined) return history;
    const reading = { revision, history };
    room.reading = reading;
    const forget = (): void => {
      if (room.reading === reading) room.reading = undefined;
    };
    history.then(forget, forget);
    return history;
  }

  #seat<D extends Outlet>(
    timerId: string,
    room: Room,
    audience: Audience<D>,
    display: D,
    arrival: Arrival,
  ): Joined<D> {
    audience.all.add(display);
    const displayId = room.attendance.enter(arrival);
    count(room);
    this.#options.onDisplaysChange(timerId);
    const leave = (): void => {
      display.dispose();
      audience.ticking.delete(display);
      if (!audience.all.delete(display) || this.#rooms.get(timerId) !== room) return;
      room.attendance.leave(displayId);
      count(room);
      if (sizeOf(room) === 0) this.#shut(timerId, room);
      this.#options.onDisplaysChange(timerId);
    };
    return { display, displayId, leave };
  }

  #roomOf(timerId: string): Room {
    return this.#rooms.get(timerId) ?? this.#open(timerId);
  }

  #open(timerId: string): Room {
    const webSockets: Audience<WebSocketDisplay> = { all: new Set(), ticking: new Set() };
    const streams: Audience<EventStream> = { all: new Set(), ticking: new Set() };
    const following = this.#options.registry.follow(timerId, (notice) => {
      this.#tell(room, notice);
      if (notice.type !== 'timer_deleted' && notice.type !== 'timer_retired') return;
      this.#shut(timerId, room);
      for (const display of webSockets.all) display.close(notice.type);
      for (const display of streams.all) display.end();
      this.#options.onDisplaysChange(timerId);
    });
    const attendance = this.#newAttendance();
    const room: Room = {
      webSockets,
      streams,
      attendance,
      following,
      nextTickMs: undefined,
      reading: undefined,
    };
    this.#rooms.set(timerId, room);
    return room;
  }

  #newAttendance(): Attendance {
    const { clock, maxMessagesPerSecond } = this.#options;
    return new Attendance(clock, maxMessagesPerSecond);
  }

  /** Measured once for all displays, which costs each of them nothing. */
  #tell(room: Room, notice: Notice): void {
    // A tick that was under way when the last who wanted it left.
    if (notice.type === 'timer_tick' && tickingIn(room) === 0) return;
    const { clock, measures } = this.#options;
    const beganMs = clock.preciseMs();
    if (notice.type === 'timer_tick') {
      broadcastTick(room, notice);
      measures.tick(latenessOf(room, notice));
    } else {
      broadcast(room, notice);
      // After a change of the clock itself, ticks come at other instants.
      if (notice.type !== 'timer_warning') room.nextTickMs = undefined;
    }
    measures.fanOut(clock.preciseMs() - beganMs);
  }

  #shut(timerId: string, room: Room): void {
    room.following.end();
    if (this.#rooms.get(timerId) === room) this.#rooms.delete(timerId);
  }
}

export function frameOf(message: ServerMessage): Buffer {
  return textFrame(JSON.stringify(message));
}

/** An event of a display, named by the revision that it speaks of. */
export function displayEventOf(message: DisplayEvent): Buffer {
  return eventOf(message, message.type === 'connected' ? message.timer.revision : message.revision);
}

function* eventsOf(messages: Iterable<DisplayEvent>): Generator<Buffer> {
  for (const message of messages) yield displayEventOf(message);
}

/** How long after its instant a tick is told; after a stall the instant is that of the first one missed. */
function latenessOf(room: Room, { record, atMs }: Notice): number {
  const { deadlineMs } = record;
  if (deadlineMs === null) return 0;
  const toldMs = deadlineMs - Math.ceil(remainingMs(record, atMs) / 1000) * 1000;
  const dueMs = Math.min(toldMs, room.nextTickMs ?? toldMs);
  room.nextTickMs = toldMs + 1000;
  return atMs - dueMs;
}

function broadcastTick({ webSockets, streams }: Room, notice: Notice): void {
  const message = messageOf(notice);
  if (message === undefined) return;
  if (webSockets.ticking.size > 0) tickWebSockets(webSockets.ticking, message, notice);
  if (streams.ticking.size === 0) return;
  const event = displayEventOf(message);
  for (const display of streams.ticking) display.tick(event, notice.atMs);
}

function tickWebSockets(
  displays: ReadonlySet<WebSocketDisplay>,
  message: DisplayEvent,
  notice: Notice,
): void {
  const frame = new TickFrame(JSON.stringify(message));
  const { record, atMs } = notice;
  if (remainingMs(record, atMs) === 0) {
    for (const display of displays) display.lastTick(frame, atMs);
  } else if (displays.size < MANY) {
    for (const display of displays) display.tickWithOthers(frame, atMs);
  } else {
    for (const display of displays) display.tick(frame, atMs);
  }
}

function broadcast({ webSockets, streams }: Room, notice: Notice): void {
  const message = messageOf(notice);
  if (message === undefined) return;
  if (webSockets.all.size > 0) {
    const frame = frameOf(message);
    for (const display of webSockets.all) display.send(frame);
  }
  if (streams.all.size > 0) {
    const event = displayEventOf(message);
    for (const display of streams.all) display.send(event);
  }
}

function sizeOf({ webSockets, streams }: Room): number {
  return webSockets.all.size + streams.all.size;
}

function tickingIn({ webSockets, streams }: Room): number {
  return webSockets.ticking.size + streams.ticking.size;
}

function count(room: Room): void {
  const ticking = tickingIn(room);
  if (ticking === 0) room.nextTickMs = undefined;
  room.following.count({ connected: sizeOf(room), ticking });
}
