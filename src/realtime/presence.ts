/**
 * What the nodes know of each other's displays: of every timer how many follow it and how well, and of those
 * that somebody looks at, each display. A node tells what changed a few times a second, and every second that it
 * is there; who missed something asks for everything, and a node that falls silent is forgotten. With one
 * node, or a journal that is not shared, nothing is told.
 */
import { nanoid } from 'nanoid';
import { spread } from '../../machines/spread.js';
import type { Bus } from '../bus.js';
import type { Clock, Timeout } from '../clock.js';
import type { Acknowledgement, DisplayRow, Figures } from '../protocol/displays.js';
import {
  type Acknowledged,
  acknowledgedSchema,
  displayRowsSchema,
  type News,
  newsSchema,
  type Question,
  questionSchema,
} from '../protocol/presence.js';

/** The shortest time between two messages of what changed. */
const NEWS_INTERVAL_MS = 250;
const HEARTBEAT_MS = 1000;
/** A node that was not heard of for so long is gone, and its displays are elsewhere. */
const SILENCE_MS = 5000;
/** In one message, so that none is larger than the engine takes. */
const MOST_FIGURES = 1000;
/** Told at once, of all nodes together, because each of them hears all the others; what is left waits. */
const MOST_NEWS = 4000;
/** One node tells so many in any case. */
const LEAST_NEWS = 500;
const MOST_ROWS = 1000;

/** The displays of this node. */
export interface OwnDisplays {
  followedTimers(): Iterable<string>;
  figuresOf(timerId: string): Figures;
  rowsOf(timerId: string): readonly DisplayRow[];
  acknowledge(
    timerId: string,
    displayId: string,
    acknowledgement: Acknowledgement,
    credential: string,
  ): Acknowledged;
}

/** Another node, as far as it is known. */
interface Peer {
  lastHeardMs: number;
  number: number;
  readonly figures: Map<string, Figures>;
}

export interface PresenceOptions {
  readonly bus: Bus | undefined;
  readonly clock: Clock;
}

export class Presence {
  readonly nodeId = nanoid();
  readonly #bus: Bus | undefined;
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();
  /** Timers of which there is something to tell. */
  readonly #changed = new Set<string>();
  /** When nodes were asked for everything. */
  readonly #askedMs = new Map<string, number>();
  #own: OwnDisplays | undefined;
  #onChange: (timerId: string) => void = () => {};
  /** The nodes that are there in the order of their ids; made when it is asked for. */
  #nodeIds: readonly string[] | undefined;
  #number = 0;
  #lastNewsMs = Number.NEGATIVE_INFINITY;
  #news: Timeout;
  #isNewsDue = false;
  #heartbeat: Timeout;
  #stopListening: () => void = () => {};

  constructor({ bus, clock }: PresenceOptions) {
    this.#bus = bus;
    this.#clock = clock;
  }

  /** Begins to tell of the displays of this node, and calls back with timers whose displays elsewhere changed. */
  begin(own: OwnDisplays, onChange: (timerId: string) => void): void {
    const bus = this.#bus;
    if (bus === undefined) return;
    this.#own = own;
    this.#onChange = onChange;
    const stops = [
      bus.listen('displays', (message) => this.#hear(message)),
      bus.listen(topicOf(this.nodeId), (message) => this.#beAsked(message)),
    ];
    this.#stopListening = () => {
      for (const stop of stops) stop();
    };
    this.#tell({ is_beginning: true });
    this.#beat();
  }

  /** Says farewell, and tells and hears nothing more. */
  end(): void {
    this.#clock.clearTimeout(this.#heartbeat);
    this.#clock.clearTimeout(this.#news);
    this.#stopListening();
    this.#tell({ is_leaving: true });
    this.#own = undefined;
  }

  /** Notes that displays of this node came, left, or said something. */
  changed(timerId: string): void {
    if (this.#own === undefined) return;
    this.#changed.add(timerId);
    this.#scheduleNews();
  }

  /** How many nodes come before this one for a timer, in an order that all of them agree on. */
  rankOf(timerId: string): number {
    if (this.#peers.size === 0) return 0;
    this.#nodeIds ??= [this.nodeId, ...this.#peers.keys()].sort();
    const nodes = this.#nodeIds.length;
    const ranksBehindFirst = this.#nodeIds.indexOf(this.nodeId) - spread(timerId, nodes);
    return (ranksBehindFirst + nodes) % nodes;
  }

  get hasPeers(): boolean {
    return this.#peers.size > 0;
  }

  /** How many displays of other nodes follow a timer. */
  connectedElsewhere(timerId: string): number {
    let connected = 0;
    for (const { figures } of this.#peers.values())
      connected += figures.get(timerId)?.connected ?? 0;
    return connected;
  }

  /** What other nodes tell of the displays of a timer, one for each that has some. */
  figuresElsewhere(timerId: string): Figures[] {
    return [...this.#peers.values()].flatMap(({ figures }) => figures.get(timerId) ?? []);
  }

  /** The timers that displays of other nodes follow. */
  *followedElsewhere(): Generator<string> {
    for (const { figures } of this.#peers.values()) yield* figures.keys();
  }

  /** Asks the other nodes for their displays of a timer; of a node that does not answer there are none. */
  async rowsElsewhere(timerId: string): Promise<readonly DisplayRow[]> {
    const rows = this.#nodesWith(timerId).map((nodeId) => this.#rowsOf(nodeId, timerId));
    return (await Promise.all(rows)).flat();
  }

  /** Passes on what somebody says in the name of a display that may be connected to another node. */
  async acknowledgeElsewhere(
    timerId: string,
    displayId: string,
    acknowledgement: Acknowledgement,
    credential: string,
  ): Promise<Acknowledged> {
    const about = { timer_id: timerId, display_id: displayId, credential };
    const question: Question = { type: 'acknowledge', ...about, acknowledgement };
    const outcomes = this.#nodesWith(timerId).map(async (nodeId) => {
      const answer = await this.#ask(nodeId, question);
      return acknowledgedSchema.safeParse(answer).data?.outcome ?? 'unknown_display';
    });
    const known = (await Promise.all(outcomes)).filter((outcome) => outcome !== 'unknown_display');
    return known[0] ?? 'unknown_display';
  }

  #nodesWith(timerId: string): string[] {
    return [...this.#peers].flatMap(([id, { figures }]) => (figures.has(timerId) ? [id] : []));
  }

  async #rowsOf(nodeId: string, timerId: string): Promise<DisplayRow[]> {
    const rows: DisplayRow[] = [];
    for (;;) {
      const question: Question = { type: 'displays', timer_id: timerId, from: rows.length };
      const answer = displayRowsSchema.safeParse(await this.#ask(nodeId, question)).data;
      rows.push(...(answer?.rows ?? []));
      if (answer === undefined || !answer.more) return rows;
    }
  }

  async #ask(nodeId: string, question: Question): Promise<unknown> {
    return this.#bus?.ask(topicOf(nodeId), question).catch(() => undefined);
  }

  #beAsked(message: unknown): unknown {
    const question = questionSchema.safeParse(message).data;
    if (question !== undefined) return this.#answer(question);
    const news = newsSchema.safeParse(message).data;
    if (news !== undefined) this.#learn(news, this.#peerOf(news));
    return undefined;
  }

  #answer(question: Question): unknown {
    const own = this.#own;
    if (own === undefined) return undefined;
    switch (question.type) {
      case 'everything':
        this.#tellEverything(question.node);
        return undefined;
      case 'displays': {
        const rows = own.rowsOf(question.timer_id);
        const end = question.from + MOST_ROWS;
        return { rows: rows.slice(question.from, end), more: rows.length > end };
      }
      case 'acknowledge': {
        const { timer_id, display_id, acknowledgement, credential } = question;
        return { outcome: own.acknowledge(timer_id, display_id, acknowledgement, credential) };
      }
    }
  }

  #hear(message: unknown): void {
    const news = newsSchema.safeParse(message).data;
    if (news === undefined || news.node === this.nodeId) return;
    const { node } = news;
    const peer = this.#peerOf(news);
    if (news.is_leaving) this.#forget(node);
    else if (news.is_beginning || isNext(news, peer)) this.#learn(news, peer);
    else this.#askForEverything(node);
  }

  #peerOf({ node, is_beginning }: News): Peer | undefined {
    return is_beginning ? this.#begun(node) : this.#peers.get(node);
  }

  #learn({ number, figures }: News, peer: Peer | undefined): void {
    if (peer === undefined) return;
    peer.number = number;
    peer.lastHeardMs = this.#clock.now();
    for (const one of figures) {
      if (one.connected > 0) peer.figures.set(one.timer_id, one);
      else peer.figures.delete(one.timer_id);
      this.#onChange(one.timer_id);
    }
  }

  /** Something was missed. What comes before the answer to the first question is no reason for another. */
  #askForEverything(node: string): void {
    const nowMs = this.#clock.now();
    if (nowMs < (this.#askedMs.get(node) ?? 0) + HEARTBEAT_MS / 2) return;
    this.#askedMs.set(node, nowMs);
    void this.#ask(node, { type: 'everything', node: this.nodeId });
  }

  /** A node tells everything, so what it told before counts no more. */
  #begun(node: string): Peer {
    this.#forget(node);
    const peer: Peer = { lastHeardMs: this.#clock.now(), number: 0, figures: new Map() };
    this.#peers.set(node, peer);
    this.#nodeIds = undefined;
    return peer;
  }

  #forget(node: string): void {
    const peer = this.#peers.get(node);
    this.#peers.delete(node);
    this.#askedMs.delete(node);
    this.#nodeIds = undefined;
    for (const timerId of peer?.figures.keys() ?? []) this.#onChange(timerId);
  }

  #scheduleNews(): void {
    if (this.#isNewsDue || this.#changed.size === 0) return;
    this.#isNewsDue = true;
    const delayMs = Math.max(0, this.#lastNewsMs + NEWS_INTERVAL_MS - this.#clock.now());
    this.#news = this.#clock.setTimeout(() => this.#tellNews(), delayMs);
  }

  #tellNews(): void {
    this.#isNewsDue = false;
    this.#lastNewsMs = this.#clock.now();
    const most = Math.max(LEAST_NEWS, Math.ceil(MOST_NEWS / Math.max(1, this.#peers.size)));
    const timerIds = [...this.#changed].slice(0, most);
    for (const timerId of timerIds) this.#changed.delete(timerId);
    for (const figures of this.#figuresOf(timerIds)) {
      this.#number += 1;
      this.#tell({ figures });
    }
    this.#scheduleNews();
  }

  /** Tells one other node. What changed and waits to be told to all is in it, and is told to all as well. */
  #tellEverything(node: string): void {
    const everything = [...this.#figuresOf([...(this.#own?.followedTimers() ?? [])])];
    const first = everything.shift() ?? [];
    this.#tell({ is_beginning: true, figures: first }, topicOf(node));
    for (const figures of everything) this.#tell({ figures }, topicOf(node));
  }

  /** The figures of timers in as many parts as messages are needed. */
  *#figuresOf(timerIds: readonly string[]): Generator<Figures[]> {
    const own = this.#own;
    if (own === undefined) return;
    for (let from = 0; from < timerIds.length; from += MOST_FIGURES) {
      yield timerIds.slice(from, from + MOST_FIGURES).map((id) => own.figuresOf(id));
    }
  }

  #tell(news: Partial<News>, topic = 'displays'): void {
    this.#bus?.tell(topic, {
      node: this.nodeId,
      number: this.#number,
      is_beginning: false,
      is_leaving: false,
      figures: [],
      ...news,
    } satisfies News);
  }

  #beat(): void {
    const silentSinceMs = this.#clock.now() - SILENCE_MS;
    for (const [node, { lastHeardMs }] of this.#peers) {
      if (lastHeardMs <= silentSinceMs) this.#forget(node);
    }
    this.#tell({});
    this.#heartbeat = this.#clock.setTimeout(() => this.#beat(), HEARTBEAT_MS);
  }
}

function topicOf(nodeId: string): string {
  return `node.${nodeId}`;
}

/** Whether nothing was missed between what is known of a node and what it tells now. */
function isNext({ number, figures }: News, peer: Peer | undefined): boolean {
  return peer !== undefined && number === peer.number + (figures.length > 0 ? 1 : 0);
}
