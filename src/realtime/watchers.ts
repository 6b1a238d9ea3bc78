/**
 * Those who look after timers rather than show one: consoles, which see everything, and streams of the
 * displays of one timer. While there are none the registry is not watched, and nothing costs anything.
 */
import type { ServerResponse } from 'node:http';
import { Tally } from '../../machines/tally.js';
import { ANONYMOUS, type Caller } from '../access/caller.js';
import type { Clock } from '../clock.js';
import { type ConsoleSettings, consoleKeepalive } from '../protocol/console.js';
import type { DisplayRow } from '../protocol/displays.js';
import { eventOf } from '../protocol/events.js';
import { noRoom } from '../protocol/problems.js';
import type { Change, Registry, Watcher } from '../registry.js';
import { ConsoleNews, type Sees } from './console.js';
import { EventStream } from './event-stream.js';
import { Feed } from './feed.js';
import type { Hub } from './hub.js';
import type { Presence } from './presence.js';

/** Streams in all, of both kinds. */
const MOST_STREAMS = 1000;
/** Of one credential, so that it takes many to take all. */
const MOST_STREAMS_PER_CREDENTIAL = 50;
const CONSOLE_INTERVAL_MS = 100;
const DISPLAYS_INTERVAL_MS = 250;
const ELSEWHERE_INTERVAL_MS = 500;

export interface WatchersOptions {
  readonly registry: Registry;
  readonly hub: Hub;
  readonly presence: Presence;
  readonly clock: Clock;
  readonly settings: ConsoleSettings;
}

/** The displays of other nodes that follow a timer somebody looks at. */
interface Elsewhere {
  rows: readonly DisplayRow[];
  /** True also for some time afterwards. */
  isAsking: boolean;
  isOutdated: boolean;
}

interface Console {
  readonly feed: Feed;
  readonly news: ConsoleNews;
}

export class Watchers implements Watcher {
  readonly #options: WatchersOptions;
  readonly #consoles = new Set<Console>();
  /** Streams of displays, by the timer they are of. */
  readonly #feeds = new Map<string, Set<Feed>>();
  /** By the timers that the streams of displays are of. */
  readonly #elsewhere = new Map<string, Elsewhere>();
  /** Every stream of both kinds. */
  readonly #streams = new Set<Feed>();
  /** How many of them each credential has. */
  readonly #streamsOf = new Tally<string>();
  #unwatch: () => void = () => {};

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  /** Tells a console everything from now on. */
  watchAll(caller: Caller, response: ServerResponse, sees: Sees): Feed {
    const { registry, hub, clock, settings } = this.#options;
    const stream = this.#open(caller, response, () => eventOf(consoleKeepalive(clock.now())));
    const news = new ConsoleNews(registry, hub, sees);
    const feed = new Feed({
      stream,
      clock,
      intervalMs: CONSOLE_INTERVAL_MS,
      compose: () => {
        if (news.isEmpty) return undefined;
        const update = news.update(clock.now());
        if (!news.isEmpty) feed.mark();
        return update;
      },
    });
    const console = { feed, news };
    this.#consoles.add(console);
    this.#add(feed, response, () => this.#consoles.delete(console));
    stream.begin();
    stream.put(eventOf(news.overview(clock.now(), settings)));
    if (!news.isEmpty) feed.mark();
    return feed;
  }

  /** Tells who follows a timer, now and whenever that changes, until the timer is gone. */
  watchDisplays(timerId: string, caller: Caller, response: ServerResponse): Feed {
    const { registry, hub, clock } = this.#options;
    const elsewhere = this.#lookElsewhere(timerId);
    const present = (): unknown => {
      const found = registry.lookUp(timerId);
      if (found.ok) return hub.displaysOf(found.timer.record, elsewhere.rows);
      if (found.refusal.reason === 'unknown_timer') feed.end();
      return undefined;
    };
    const stream = this.#open(caller, response, () => {
      const displays = present();
      return displays === undefined ? undefined : eventOf(displays);
    });
    const feed = new Feed({ stream, clock, intervalMs: DISPLAYS_INTERVAL_MS, compose: present });
    const feeds = this.#feeds.get(timerId) ?? new Set();
    this.#feeds.set(timerId, feeds.add(feed));
    this.#add(feed, response, () => {
      feeds.delete(feed);
      if (feeds.size > 0) return;
      this.#feeds.delete(timerId);
      this.#elsewhere.delete(timerId);
    });
    stream.begin();
    feed.tell();
    return feed;
  }

  changed(changes: readonly Change[]): void {
    for (const { feed, news } of this.#consoles) {
      news.addChanges(changes);
      feed.mark();
    }
    if (this.#feeds.size === 0) return;
    for (const { entry } of changes) this.#markFeeds(entry.timerId);
  }

  touched(timerId: string, ownerId: string): void {
    for (const { feed, news } of this.#consoles) {
      news.addTouched({ id: timerId, ownerId });
      feed.mark();
    }
    this.#markFeeds(timerId);
  }

  displaysChanged(timerId: string): void {
    for (const { feed, news } of this.#consoles) {
      news.addDisplaysOf(timerId);
      feed.mark();
    }
    this.#markFeeds(timerId);
  }

  /** Displays of other nodes came, left or said something. */
  displaysChangedElsewhere(timerId: string): void {
    this.displaysChanged(timerId);
    const elsewhere = this.#elsewhere.get(timerId);
    if (elsewhere !== undefined) this.#refresh(timerId, elsewhere);
  }

  closeAll(): void {
    for (const feed of this.#streams) feed.end();
  }

  #lookElsewhere(timerId: string): Elsewhere {
    const known = this.#elsewhere.get(timerId);
    if (known !== undefined) return known;
    const elsewhere: Elsewhere = { rows: [], isAsking: false, isOutdated: false };
    this.#elsewhere.set(timerId, elsewhere);
    this.#refresh(timerId, elsewhere);
    return elsewhere;
  }

  /** Asks for the displays of other nodes, again if they change meanwhile, but not all the time. */
  #refresh(timerId: string, elsewhere: Elsewhere): void {
    const { presence, clock } = this.#options;
    elsewhere.isOutdated = true;
    if (elsewhere.isAsking || !presence.hasPeers) return;
    elsewhere.isAsking = true;
    elsewhere.isOutdated = false;
    void presence.rowsElsewhere(timerId).then((rows) => {
      elsewhere.rows = rows;
      this.#markFeeds(timerId);
      clock.setTimeout(() => {
        elsewhere.isAsking = false;
        const isWatched = this.#elsewhere.get(timerId) === elsewhere;
        if (isWatched && elsewhere.isOutdated) this.#refresh(timerId, elsewhere);
      }, ELSEWHERE_INTERVAL_MS);
    });
  }

  #open(
    { credential }: Caller,
    response: ServerResponse,
    keepaliveEvent: () => Buffer | undefined,
  ): EventStream {
    if (this.#streams.size >= MOST_STREAMS) {
      const detail = `There are ${MOST_STREAMS} already; close some`;
      throw noRoom('too_many_streams', MOST_STREAMS, detail);
    }
    const isFull = this.#streamsOf.of(credential) >= MOST_STREAMS_PER_CREDENTIAL;
    if (isFull && credential !== ANONYMOUS) {
      const detail = `This credential has ${MOST_STREAMS_PER_CREDENTIAL} already; close some`;
      throw noRoom('too_many_streams', MOST_STREAMS_PER_CREDENTIAL, detail);
    }
    this.#streamsOf.add(credential);
    response.once('close', () => this.#streamsOf.remove(credential));
    const { clock, settings } = this.#options;
    const keepaliveMs = settings.keepaliveSeconds * 1000;
    return new EventStream({ response, clock, keepaliveMs, keepaliveEvent });
  }

  #add(feed: Feed, response: ServerResponse, remove: () => void): void {
    if (this.#streams.size === 0) this.#unwatch = this.#options.registry.watch(this);
    this.#streams.add(feed);
    response.once('close', () => {
      feed.dispose();
      remove();
      this.#streams.delete(feed);
      if (this.#streams.size === 0) this.#unwatch();
    });
  }

  #markFeeds(timerId: string): void {
    for (const feed of this.#feeds.get(timerId) ?? []) feed.mark();
  }
}
