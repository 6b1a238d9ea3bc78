/**
 * Displays that follow timers over server-sent events, from the real head of the answer to the real close of the
 * socket; only the network is simulated. A display that loses its node comes back to any, with the last revision it
 * knows. Some read slowly, or not at all.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createParser } from 'eventsource-parser';
import { anonymous } from '../../src/access/caller.js';
import { displayEventSchema } from '../../src/protocol/messages.js';
import { Problem, problemOf } from '../../src/protocol/problems.js';
import { LARGEST_BACKLOG_BYTES } from '../../src/realtime/outlet.js';
import type { SimulatedClock } from '../support/simulated-clock.js';
import { type Model, must } from './model.js';
import { KEEPALIVE_MS, type SimulatedNode } from './node.js';
import type { Random } from './random.js';
import { DisplayWitness } from './witnesses.js';

const LONGEST_MESSAGE_BYTES = 4096;
/** A reader that reads nothing is noticed at the second beat at the latest, and hears a few last words. */
const LONGEST_PATIENCE_MS = 2 * KEEPALIVE_MS + 2000;
const SHORTEST_RETURN_MS = 500;
const LONGEST_RETURN_MS = 5000;
const HEAD_END = '\r\n\r\n';

type Chunk = string | Buffer;
type Done = (error?: Error | null) => void;

/** The end of a connection at the node: what is written to it arrives at once, unless nobody reads. */
class NodeSocket extends Socket {
  readonly #onText: (text: string) => void;
  readonly #clock: { now(): number };
  #unread: { readonly text: string; readonly done: Done } | undefined;
  #isStalled = false;

  /** Since when something waits that nobody reads, by the right clock. */
  unreadSinceMs: number | undefined;

  constructor(onText: (text: string) => void, clock: { now(): number }) {
    super();
    this.#onText = onText;
    this.#clock = clock;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  stall(): void {
    this.#isStalled = true;
  }

  resumeReading(): void {
    this.#isStalled = false;
    const unread = this.#unread;
    this.#unread = undefined;
    this.unreadSinceMs = undefined;
    if (unread !== undefined) this.#arrive(unread.text, unread.done);
  }

  override _write(chunk: Chunk, _: BufferEncoding, done: Done): void {
    this.#arrive(String(chunk), done);
  }

  override _writev(chunks: { chunk: Chunk; encoding: BufferEncoding }[], done: Done): void {
    this.#arrive(chunks.map(({ chunk }) => String(chunk)).join(''), done);
  }

  #arrive(text: string, done: Done): void {
    if (this.#isStalled) {
      this.#unread = { text, done };
      this.unreadSinceMs = this.#clock.now();
      return;
    }
    this.#onText(text);
    done();
  }
}

interface Connection {
  readonly node: SimulatedNode;
  readonly socket: NodeSocket;
  readonly witness: DisplayWitness;
}

export interface DisplaysOptions {
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly model: Model;
  /** The nodes that are up. */
  readonly nodes: () => readonly SimulatedNode[];
  readonly tell: (line: string) => void;
  readonly onBroken: (error: unknown) => void;
  readonly onReturn: () => void;
}

export class Display {
  readonly name: string;
  readonly #timerId: string;
  readonly #wantsTicks: boolean;
  readonly #options: DisplaysOptions;
  #connection: Connection | undefined;
  /** The last revision that it was told. */
  #revision: number | undefined;
  #isOver = false;

  constructor(name: string, timerId: string, wantsTicks: boolean, options: DisplaysOptions) {
    this.name = name;
    this.#timerId = timerId;
    this.#wantsTicks = wantsTicks;
    this.#options = options;
  }

  get timerId(): string {
    return this.#timerId;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  connect(node: SimulatedNode): void {
    const { model, onBroken, tell } = this.#options;
    const revision = this.#revision;
    const knows = revision === undefined ? '' : `, knowing revision ${revision}`;
    tell(`display ${this.name} follows ${this.#timerId} on node ${node.name}${knows}`);
    const { clock } = node;
    const witness = new DisplayWitness({
      name: this.name,
      timerId: this.#timerId,
      model,
      wantsTicks: this.#wantsTicks,
      clock,
      revision,
    });
    const socket = new NodeSocket(this.#reader(witness), this.#options.clock);
    const connection: Connection = { node, socket, witness };
    this.#connection = connection;
    socket.once('close', () => this.#lost(connection));
    const response = new ServerResponse(new IncomingMessage(socket));
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    this.#follow(connection, response, revision).catch((error: unknown) => {
      if (!(error instanceof Problem)) onBroken(error);
      if (error instanceof Problem && error.code === 'unknown_timer') this.#giveUp();
      socket.destroy();
    });
  }

  /** As the routes do it: a node that has not heard of the timer finds out first whether it has heard everything. */
  async #follow(
    connection: Connection,
    response: ServerResponse,
    lastRevision: number | undefined,
  ): Promise<void> {
    const { registry, realtime } = connection.node;
    const lookUp = await registry.hear([this.#timerId]);
    if (this.#connection !== connection) return;
    const found = lookUp(this.#timerId);
    if (!found.ok) throw problemOf(found.refusal, this.#timerId);
    const exchange = { request: response.req, response, caller: anonymous(null) };
    const wishes = { timerId: this.#timerId, wantsTicks: this.#wantsTicks, label: undefined };
    await realtime.follow(exchange, { ...wishes, lastRevision });
  }

  /** Its connection breaks off, and it comes back. */
  lose(): void {
    this.#connection?.socket.destroy();
  }

  timerFailed(timerId: string, nodeName: string): void {
    const isOnIt = timerId === this.#timerId && nodeName === this.#connection?.node.name;
    if (isOnIt) this.#connection?.witness.timerFailed();
  }

  /** The node that it follows on is gone. */
  loseNode(node: SimulatedNode): void {
    if (this.#connection?.node === node) this.lose();
  }

  leave(): void {
    this.#isOver = true;
    this.lose();
  }

  /** The node that has told it how its timer is, and of all changes since. */
  get node(): SimulatedNode | undefined {
    const connection = this.#connection;
    return connection?.witness.isConnected === true ? connection.node : undefined;
  }

  /** It reads nothing until it is woken. */
  stall(): void {
    if (this.#connection === undefined) return;
    this.#connection.socket.stall();
    this.#connection.witness.missesTicks = true;
  }

  wake(): void {
    this.#connection?.socket.resumeReading();
  }

  /** Whoever reads has been told all that its node knows; whoever does not costs little, and not for long. */
  check(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { node, socket, witness } = connection;
    this.#checkBacklog(connection);
    const found = node.registry.lookUp(this.#timerId);
    if (socket.isStalled || !witness.isConnected || !found.ok) return;
    const { revision } = found.timer.record;
    const what = `display ${this.name} is at ${witness.revision}, node ${node.name} at ${revision}`;
    must('T10', witness.revision === revision, () => what);
  }

  /** At the end, after all faults, it shows what there is. */
  checkEnd(): void {
    if (this.#isOver) return;
    const last = this.#options.model.now(this.#timerId);

    const shown = this.#connection?.witness.revision;
    const isCurrent = last === undefined || shown === last.revision || last.ending !== null;
    must('D2', isCurrent, () => `display ${this.name} is at ${shown}, not ${last?.revision}`);
  }

  #checkBacklog(connection: Connection): void {
    const { socket } = connection;
    const nowMs = this.#options.clock.now();
    const bytes = socket.writableLength;
    const isSmall = bytes <= LARGEST_BACKLOG_BYTES + LONGEST_MESSAGE_BYTES;
    must('T10', isSmall, () => `${bytes} bytes wait for display ${this.name}`);
    const behindMs = nowMs - (socket.unreadSinceMs ?? nowMs);
    must('T10', behindMs <= LONGEST_PATIENCE_MS, () => {
      return `display ${this.name} has read nothing for ${behindMs} ms`;
    });
  }

  #reader(witness: DisplayWitness): (text: string) => void {
    const parser = createParser({
      onEvent: ({ data }) => {
        if (this.#connection?.witness !== witness) return;
        try {
          witness.heard(displayEventSchema.parse(JSON.parse(data)));
        } catch (error) {
          this.#options.onBroken(error);
        }
        this.#revision = Math.max(this.#revision ?? 0, witness.revision ?? 0);
        if (witness.isOver) this.#isOver = true;
      },
    });
    let isHead = true;
    return (text) => {
      const begin = isHead ? text.indexOf(HEAD_END) + HEAD_END.length : 0;
      isHead = false;
      parser.feed(text.slice(begin));
    };
  }

  #lost(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (!this.#isOver) this.#comeBack();
  }

  #comeBack(): void {
    const { clock, random, nodes, onReturn } = this.#options;
    clock.setTimeout(
      () => {
        if (this.#isOver) return;
        const [first, ...others] = nodes();
        if (first === undefined) this.#comeBack();
        else {
          onReturn();
          this.connect(random.pick([first, ...others]));
        }
      },
      random.between(SHORTEST_RETURN_MS, LONGEST_RETURN_MS),
    );
  }

  /** As real displays do; a timer that has ended is not kept for ever. */
  #giveUp(): void {
    this.#isOver = true;
    try {
      const isGone = this.#options.model.now(this.#timerId)?.ending !== null;
      must('J5', isGone, () => `display ${this.name} is told that there is no ${this.#timerId}`);
    } catch (error) {
      this.#options.onBroken(error);
    }
  }
}
