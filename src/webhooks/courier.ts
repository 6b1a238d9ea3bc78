/**
 * The courier of one webhook: takes every event to the receiver at least once, those of a timer in their
 * order. Events come from the registry while it keeps up, and from the journal when it does not: after a
 * start, and when more wait than it holds. Of one timer it holds few, so that one whose events are never taken leaves
 * room for the others; the rest comes from its history when these are delivered. Everything up to its cursor is delivered; the cursor is durable,
 * and written now and then, so that a crash repeats what was delivered since, under the same ids.
 *
 *   READING ──► FOLLOWING ──► READING   more waits than it holds, or a timer was restarted
 *
 * Once it is stopped it takes nothing any more, whichever of the two it did.
 */
import { setMaxListeners } from 'node:events';
import { recordOf } from '../../machines/record.js';
import type { Timeout } from '../clock.js';
import type { Journal } from '../journal/journal.js';
import type { Log } from '../log.js';
import type { Change, RecordedEntry, Registry, Warning } from '../registry.js';
import { type AttemptOptions, attempt } from './attempt.js';
import {
  entryEvent,
  eventsOf,
  isAfter,
  messageIdOf,
  type PlacedEvent,
  type TimerEvent,
  warningAtMs,
  warningEvent,
} from './events.js';
import type { Outcome } from './sender.js';

/** Events that wait in memory; the others wait in the journal. */
const MOST_WAITING = 1000;
/** Those of one timer. */
const MOST_IN_LANE = 20;
/** Enough that a hall of timers that end together is told within the second by a receiver that takes a tenth of it. */
const MOST_IN_FLIGHT = 200;
const PAGE_ENTRIES = 500;
const SAVE_INTERVAL_MS = 1000;
const REREAD_INTERVAL_MS = 1000;
/** A warning is noticed later than it was due when the process was busy, but not by more than this. */
const LATEST_WARNING_MS = 5000;
/** A timer that fails is restarted before so much time has passed. */
const LONGEST_DOWN_MS = 60_000;
/** When what failed leaves no room for more, one event of it is tried so often. */
const PROBE_INTERVAL_MS = 15_000;
/** Delays are up to this part longer, by chance, so that receivers do not meet all retries at once. */
const JITTER = 0.2;
const GONE = 410;

/** How far the receiver knows everything. */
export interface Cursor {
  /** The place in the journal of the last entry. */
  readonly position: number;
  /** The instant of the last warning, in epoch ms. */
  readonly warnedUntilMs: number;
}

export interface CourierOptions extends Omit<AttemptOptions, 'signal'> {
  readonly cursor: Cursor;
  readonly journal: Journal;
  readonly registry: Registry;
  readonly log: Log;
  /** Delays between attempts. */
  readonly retryMs: readonly number[];
  readonly random: () => number;
  readonly onSave: (cursor: Cursor) => Promise<void>;
  /** The receiver does not want any more, or does not answer; said once. Until it is stopped, it goes on with others. */
  readonly onGivenUp: (why: string) => void;
}

interface Waiting {
  readonly event: TimerEvent;
  /** The place of the last entry of which all is settled when everything before this is. */
  readonly settledBefore: number;
}

/** The events of one timer that wait; the first of them is under way, or is tried again. */
interface Lane {
  readonly queue: Waiting[];
  /** What had no room in it, up to the last event that was told. */
  leftOut: { readonly first: Waiting; readonly last: TimerEvent } | undefined;
  retry: Timeout;
  /** When the first was tried last, and when the schedule has it tried again, in epoch ms. */
  triedAtMs: number;
  dueMs: number;
  /** Until then the receiver asked not to be tried, in epoch ms. */
  askedUntilMs: number;
  /** How often the first was tried because others had been delivered. */
  releases: number;
}

export class Courier {
  readonly #options: CourierOptions;
  readonly #abort = new AbortController();
  #state: 'READING' | 'FOLLOWING' = 'READING';
  #isStopped = false;
  #hasGivenUp = false;
  #isReading = false;
  /** Everything up to here is waiting or settled. */
  #takenPosition: number;
  /** The last place that the registry told of. */
  #toldPosition = 0;
  /** Warnings up to here, in epoch ms, are waiting or settled. */
  #takenWarningsMs: number;
  /** Warnings later than that which were looked for all the same. */
  readonly #soughtIds = new Set<string>();
  /** Timers that were restarted, and since when they may have been down, in epoch ms. */
  readonly #downSinceMs = new Map<string, number>();
  readonly #lanes = new Map<string, Lane>();
  /** All that waits, in the order it came. */
  readonly #waiting = new Set<Waiting>();
  readonly #ready: Lane[] = [];
  /** Lanes whose first event failed, longest ago first, until it is tried again. */
  readonly #backedOff = new Set<Lane>();
  #probe: Timeout;
  #inFlight = 0;
  /** Histories that are being read for what was left out. */
  #readsOfLanes = 0;
  #saved: Cursor;
  #lastWarningMs = 0;
  #save: Timeout;
  #written: Promise<void> = Promise.resolve();
  #whenIdle: () => void = () => {};

  constructor(options: CourierOptions) {
    this.#options = options;
    // Every request that is under way listens to it.
    setMaxListeners(0, this.#abort.signal);
    this.#saved = options.cursor;
    this.#takenPosition = options.cursor.position;
    this.#takenWarningsMs = options.cursor.warnedUntilMs;
  }

  /** Begins where the cursor is. The registry must have recovered. */
  start(): void {
    void this.#read();
  }

  changed(changes: readonly Change[]): void {
    for (const change of changes) this.#follow(change);
  }

  warned(warning: Warning): void {
    if (this.#isStopped || this.#state !== 'FOLLOWING') return;
    const event = warningEvent(warning);
    if (event.atMs > this.#takenWarningsMs) this.#take(event, this.#takenPosition);
    this.#bound();
  }

  /** Tells warnings that a timer could not tell of because it was down. */
  recover(timerId: string): void {
    this.#downSinceMs.set(timerId, this.#options.clock.now() - LONGEST_DOWN_MS);
    this.#readAgain();
  }

  #readAgain(): void {
    if (this.#state !== 'FOLLOWING') return;
    this.#state = 'READING';
    this.#takenWarningsMs = this.#options.clock.now() - LATEST_WARNING_MS;
    for (const { event } of this.#waiting) {
      if (event.entry === undefined) this.#soughtIds.add(this.#idOf(event));
    }
    void this.#read();
  }

  /** How long the oldest event that is not delivered has been waiting. */
  lagMs(): number {
    const nowMs = this.#options.clock.now();
    let oldestMs = nowMs;
    for (const { event } of this.#firstOfLanes()) {
      oldestMs = Math.min(oldestMs, event.entry?.recordedAtMs ?? event.atMs);
    }
    return nowMs - oldestMs;
  }

  /** Whether nothing is being sent or read; what waits is to be tried again later. */
  get isIdle(): boolean {
    const isReading = this.#isReading || this.#readsOfLanes > 0;
    return this.#inFlight === 0 && this.#ready.length === 0 && !isReading;
  }

  /** Begins nothing any more, and gives what is under way a little time to end. */
  async stop(graceMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#isStopped = true;
    clock.clearTimeout(this.#save);
    clock.clearTimeout(this.#probe);
    for (const { retry } of this.#lanes.values()) clock.clearTimeout(retry);
    if (graceMs === 0) this.#abort.abort();
    const end = clock.setTimeout(() => this.#abort.abort(), graceMs);
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    clock.clearTimeout(end);
    this.#abort.abort();
    await this.#write();
  }

  #follow({ entry, position, record }: Change): void {
    this.#toldPosition = Math.max(this.#toldPosition, position);
    if (this.#isStopped || this.#state !== 'FOLLOWING') return;
    if (position <= this.#takenPosition) return;
    if (record === undefined || position > this.#takenPosition + 1) {
      this.#readAgain();
      return;
    }
    this.#take(entryEvent(entry, record), this.#takenPosition);
    this.#takenPosition = position;
    this.#bound();
  }

  /** When too much waits, the rest is left in the journal until there is room. */
  #bound(): void {
    if (this.#waiting.size >= MOST_WAITING) this.#readAgain();
  }

  #take(event: TimerEvent, settledBefore: number): void {
    if (!this.#options.destination.wants(event)) {
      this.#saveSoon();
      return;
    }
    const waiting = { event, settledBefore };
    const timerId = event.record.id;
    const lane = this.#lanes.get(timerId);
    if (lane !== undefined) {
      this.#queue(lane, waiting);
      this.#hasten(lane);
      return;
    }
    const never = { triedAtMs: 0, dueMs: 0, askedUntilMs: 0, releases: 0 };
    const opened = { queue: [], leftOut: undefined, retry: undefined, ...never };
    this.#queue(opened, waiting);
    this.#lanes.set(timerId, opened);
    this.#makeReady(opened);
  }

  /** What comes after something that was left out is left out as well. */
  #queue(lane: Lane, waiting: Waiting): void {
    const { event } = waiting;
    if (lane.leftOut !== undefined) {
      const { first, last } = lane.leftOut;
      lane.leftOut = {
        first: isAfter(first.event, event) ? waiting : first,
        last: isAfter(event, last) ? event : last,
      };
    } else if (lane.queue.length >= MOST_IN_LANE) {
      lane.leftOut = { first: waiting, last: event };
    } else {
      lane.queue.push(waiting);
      this.#waiting.add(waiting);
    }
  }

  /** Queues what was left out, or the beginning of it, and goes on with the lane. */
  async #readLane(timerId: string, lane: Lane): Promise<void> {
    const { clock, destination, journal, log } = this.#options;
    this.#readsOfLanes += 1;
    try {
      let history = await journal.history(timerId);
      // More may be told of meanwhile.
      while (isBefore(history, lane.leftOut?.last)) history = await journal.history(timerId);
      this.#queueLeftOut(lane, eventsOf(history, clock.now()));
      if (lane.queue.length > 0) this.#makeReady(lane);
      else this.#lanes.delete(timerId);
    } catch (err) {
      log.error({ webhook: destination.id, err }, 'a webhook could not read the journal');
      if (this.#isStopped) return;
      lane.retry = clock.setTimeout(() => void this.#readLane(timerId, lane), REREAD_INTERVAL_MS);
    } finally {
      this.#readsOfLanes -= 1;
    }
  }

  #queueLeftOut(lane: Lane, events: readonly PlacedEvent[]): void {
    const { leftOut } = lane;
    if (leftOut === undefined) return;
    const { first, last } = leftOut;
    lane.leftOut = undefined;
    for (const { event, position } of events) {
      if (isAfter(first.event, event) || isAfter(event, last)) continue;
      const settledBefore = Math.min(position - 1, this.#takenPosition);
      if (this.#options.destination.wants(event)) this.#queue(lane, { event, settledBefore });
    }
  }

  /** A timer that tells of a warning must not wait for a connection to be opened, so that is done later. */
  #makeReady(lane: Lane): void {
    this.#ready.push(lane);
    if (this.#ready.length === 1) queueMicrotask(() => this.#sendReady());
  }

  #sendReady(): void {
    if (this.#isStopped) return;
    const free = Math.max(0, MOST_IN_FLIGHT - this.#inFlight);
    for (const lane of this.#ready.splice(0, free)) void this.#deliver(lane);
  }

  async #deliver(lane: Lane): Promise<void> {
    const [first] = lane.queue;
    if (first === undefined) return;
    this.#inFlight += 1;
    const { signal } = this.#abort;
    const failures = this.#options.deliveries.failuresOf(this.#idOf(first.event));
    lane.triedAtMs = this.#options.clock.now();
    // An attempt before its time is none of those that the schedule counts.
    const isEarly = lane.triedAtMs < lane.dueMs;
    const number = isEarly ? Math.max(1, failures) : failures + 1;
    const outcome = await attempt({ ...this.#options, signal }, first.event, number);
    this.#inFlight -= 1;
    if (outcome.success) this.#settle(lane, first);
    else if (!this.#isStopped) this.#fail(lane, number, outcome, isEarly);
    if (this.#inFlight === 0) this.#whenIdle();
    this.#sendReady();
  }

  #settle(lane: Lane, settled: Waiting): void {
    const { event } = settled;
    this.#waiting.delete(settled);
    if (event.entry === undefined) this.#lastWarningMs = Math.max(this.#lastWarningMs, event.atMs);
    lane.queue.shift();
    lane.dueMs = 0;
    lane.askedUntilMs = 0;
    lane.releases = 0;
    if (lane.queue.length > 0) this.#makeReady(lane);
    else if (lane.leftOut !== undefined) void this.#readLane(event.record.id, lane);
    else this.#lanes.delete(event.record.id);
    this.release();
    this.#saveSoon();
    if (this.#state === 'READING') void this.#read();
  }

  #fail(lane: Lane, number: number, outcome: Outcome, isEarly: boolean): void {
    const { retryMs } = this.#options;
    const plannedMs = isEarly ? 0 : retryMs[number - 1];
    this.#saveSoon();
    if (outcome.status === GONE) this.#giveUp('The receiver answered 410: it is gone');
    else if (plannedMs === undefined) {
      this.#giveUp(`${number} attempts failed; the last: ${outcome.error}`);
    } else this.#backOff(lane, plannedMs, outcome.retryAfterMs);
  }

  #giveUp(why: string): void {
    if (this.#hasGivenUp) return;
    this.#hasGivenUp = true;
    this.#options.onGivenUp(why);
  }

  #backOff(lane: Lane, plannedMs: number, retryAfterMs: number): void {
    const { clock, random } = this.#options;
    const nowMs = clock.now();
    const delayMs = Math.round(plannedMs * (1 + JITTER * random()));
    lane.askedUntilMs = nowMs + retryAfterMs;
    lane.dueMs = Math.max(lane.dueMs, nowMs + delayMs, lane.askedUntilMs);
    lane.retry = clock.setTimeout(() => this.#tryAgain(lane), lane.dueMs - nowMs);
    this.#backedOff.add(lane);
    this.#probeLater();
  }

  #tryAgain(lane: Lane): void {
    this.#options.clock.clearTimeout(lane.retry);
    this.#backedOff.delete(lane);
    this.#makeReady(lane);
  }

  /**
   * The receiver takes events, so those that failed are tried before their time. One that it takes never is
   * tried after twice the time each time, so that it does not fail again with each event that succeeds.
   */
  release(): void {
    if (this.#isStopped) return;
    const nowMs = this.#options.clock.now();
    for (const lane of this.#backedOff) {
      const patienceMs = PROBE_INTERVAL_MS * (2 ** lane.releases - 1);
      if (nowMs < Math.max(lane.askedUntilMs, lane.triedAtMs + patienceMs)) continue;
      lane.releases += 1;
      this.#tryAgain(lane);
    }
  }

  /** There is news of a timer whose last failed a while ago. */
  #hasten(lane: Lane): void {
    const earliestMs = Math.max(lane.askedUntilMs, lane.triedAtMs + PROBE_INTERVAL_MS);
    const isDue = this.#options.clock.now() >= earliestMs;
    if (isDue && this.#backedOff.has(lane)) this.#tryAgain(lane);
  }

  /** Without room nothing new is tried that could show that the receiver is back. */
  #probeLater(): void {
    if (this.#isStopped || this.#probe !== undefined) return;
    if (this.#state !== 'READING' || this.#hasRoom) return;
    this.#probe = this.#options.clock.setTimeout(() => this.#sendProbe(), PROBE_INTERVAL_MS);
  }

  #sendProbe(): void {
    const nowMs = this.#options.clock.now();
    this.#probe = undefined;
    const mayTry = ({ askedUntilMs }: Lane): boolean => askedUntilMs <= nowMs;
    const lane = this.isIdle ? [...this.#backedOff].find(mayTry) : undefined;
    if (lane !== undefined) this.#tryAgain(lane);
    this.#probeLater();
  }

  /** Reads what the journal has until there is no more, and follows the registry from then on. */
  async #read(): Promise<void> {
    const { clock, destination, log } = this.#options;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#mayRead) {
        await this.#readOn();
      }
    } catch (err) {
      log.error({ webhook: destination.id, err }, 'a webhook could not read the journal');
      clock.setTimeout(() => void this.#read(), REREAD_INTERVAL_MS);
    } finally {
      this.#isReading = false;
      this.#probeLater();
    }
  }

  get #mayRead(): boolean {
    return this.#state === 'READING' && !this.#isStopped && this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#waiting.size <= MOST_WAITING / 2;
  }

  async #readOn(): Promise<void> {
    const { clock, journal } = this.#options;
    const page = await journal.read(this.#takenPosition, PAGE_ENTRIES);
    if (page.length > 0) return this.#takePage(page);
    const nowMs = clock.now();
    const timerIds = this.#timersWithWarnings(nowMs);
    if (timerIds.length > 0) return this.#takeWarnings(timerIds, nowMs);
    // From here on nothing waits, so nothing can come between the last look and the first change.
    if (this.#toldPosition > this.#takenPosition) return;
    this.#takenWarningsMs = nowMs;
    this.#soughtIds.clear();
    this.#downSinceMs.clear();
    this.#state = 'FOLLOWING';
  }

  async #takePage(page: readonly RecordedEntry[]): Promise<void> {
    const { clock, journal } = this.#options;
    const before = this.#takenPosition;
    const last = page.at(-1)?.position ?? before;
    const placed: PlacedEvent[] = [];
    for (const timerId of new Set(page.map((entry) => entry.timerId))) {
      const events = eventsOf(await journal.history(timerId), clock.now());
      placed.push(...events.filter(({ position }) => position > before && position <= last));
    }
    placed.sort((a, b) => a.position - b.position);
    for (const { event, position } of placed) {
      if (event.entry !== undefined || this.#isNew(event)) this.#take(event, position - 1);
    }
    this.#takenPosition = last;
  }

  /** Running timers whose clock passed a threshold that nobody looked for yet. */
  #timersWithWarnings(nowMs: number): string[] {
    const timerIds: string[] = [];
    for (const { record } of this.#options.registry.list('', 'RUNNING')) {
      const isSought = record.warningThresholdsMs.some(
        (thresholdMs) =>
          warningAtMs(record, thresholdMs) <= nowMs &&
          this.#isNew(warningEvent({ record, thresholdMs })),
      );
      if (isSought) timerIds.push(record.id);
    }
    return timerIds;
  }

  /** Takes the warnings that came after the last entry of their timer. */
  async #takeWarnings(timerIds: readonly string[], nowMs: number): Promise<void> {
    const { journal } = this.#options;
    for (const timerId of timerIds) {
      if (this.#waiting.size >= MOST_WAITING) return;
      const history = await journal.history(timerId);
      const last = history.at(-1);
      // What came meanwhile is read first, with the warnings before it.
      if (last === undefined || last.position > this.#takenPosition) return;
      for (const { event, position } of eventsOf(history, nowMs)) {
        const isLast = position === Number.POSITIVE_INFINITY;
        if (isLast && this.#isNew(event)) this.#take(event, this.#takenPosition);
      }
      const record = recordOf(history);
      for (const thresholdMs of record.warningThresholdsMs) {
        const event = warningEvent({ record, thresholdMs });
        if (event.atMs <= nowMs) this.#soughtIds.add(this.#idOf(event));
      }
    }
  }

  #isNew(event: TimerEvent): boolean {
    const { atMs, record } = event;
    const takenMs = this.#downSinceMs.get(record.id) ?? this.#takenWarningsMs;
    return atMs > takenMs && !this.#soughtIds.has(this.#idOf(event));
  }

  #idOf(event: TimerEvent): string {
    return messageIdOf(this.#options.destination.id, event);
  }

  #saveSoon(afterMs = SAVE_INTERVAL_MS): void {
    if (this.#isStopped || this.#save !== undefined) return;
    this.#save = this.#options.clock.setTimeout(() => void this.#saveNow(), afterMs);
  }

  async #saveNow(): Promise<void> {
    this.#save = undefined;
    await this.#write();
    // A warning is settled for good when none can come any more that was due before it.
    const isToMove = this.#saved.warnedUntilMs < this.#lastWarningMs && this.#waiting.size === 0;
    if (isToMove) this.#saveSoon(LATEST_WARNING_MS);
  }

  /** One after the other, so that what is older never comes later. */
  #write(): Promise<void> {
    this.#written = this.#written.then(() => this.#writeCursor());
    return this.#written;
  }

  async #writeCursor(): Promise<void> {
    const { clock, deliveries, destination, log, onSave } = this.#options;
    const cursor = this.#cursor();
    try {
      await onSave(cursor);
      this.#saved = cursor;
      await deliveries.write(clock.now());
    } catch (err) {
      log.error({ webhook: destination.id, err }, 'what a webhook delivered could not be noted');
      this.#saveSoon();
    }
  }

  #cursor(): Cursor {
    let position = this.#takenPosition;
    let warnedUntilMs = Math.max(
      this.#saved.warnedUntilMs,
      this.#state === 'READING' ? 0 : this.#options.clock.now() - LATEST_WARNING_MS,
    );
    for (const { settledBefore } of this.#firstOfLanes()) {
      position = Math.min(position, settledBefore);
    }
    for (const { event } of this.#waiting) {
      if (event.entry === undefined) warnedUntilMs = Math.min(warnedUntilMs, event.atMs - 1);
    }
    // Of what is left out nobody remembers which are warnings.
    for (const { leftOut } of this.#lanes.values()) {
      if (leftOut === undefined) continue;
      warnedUntilMs = Math.min(warnedUntilMs, leftOut.first.event.atMs - 1);
    }
    return { position, warnedUntilMs };
  }

  /** What waits longest of each timer. */
  *#firstOfLanes(): Generator<Waiting> {
    for (const { queue, leftOut } of this.#lanes.values()) {
      const first = queue[0] ?? leftOut?.first;
      if (first !== undefined) yield first;
    }
  }
}

function isBefore(history: readonly RecordedEntry[], event: TimerEvent | undefined): boolean {
  const last = history.at(-1);
  return last !== undefined && event !== undefined && last.revision < event.record.revision;
}
