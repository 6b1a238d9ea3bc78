/**
 * Instructors who ask for a change over HTTP under an `Idempotency-Key`, and ask any node again, under the same key,
 * until one answers for good. However often they ask, the change is made once at the most.
 */
import { hash } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Entry } from '../../src/journal/journal.js';
import type { SimulatedClock } from '../support/simulated-clock.js';
import { must } from './model.js';
import type { SimulatedNode } from './node.js';
import type { Wish } from './plan.js';
import type { Random } from './random.js';

const ID_DIGITS = 32;
const LONGEST_PAUSE_MS = 5000;
/** After so many attempts the pauses grow. */
const MOST_QUICK_ATTEMPTS = 5;
const LONG_PAUSE_MS = 240_000;

interface Keyed {
  readonly key: string;
  readonly timerId: string;
  readonly wish: Wish;
  /** The node that it waits for. */
  node: SimulatedNode | undefined;
  attempts: number;
  /** Some attempt was not answered, or not for good, so it may have been carried out. */
  isInDoubt: boolean;
  /** The status that was its last answer. */
  status: number | undefined;
  revision: number | undefined;
}

export interface KeyedRequestsOptions {
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly nodes: () => readonly SimulatedNode[];
  readonly tell: (line: string) => void;
  readonly onBroken: (error: unknown) => void;
  /** Called right before a node is asked again. */
  readonly onRepeated: (node: SimulatedNode, timerId: string) => void;
}

export class KeyedRequests {
  readonly #options: KeyedRequestsOptions;
  /** By what their entries are called. */
  readonly #requests = new Map<string, Keyed>();

  constructor(options: KeyedRequestsOptions) {
    this.#options = options;
  }

  ask(node: SimulatedNode, timerId: string, wish: Wish): void {
    const key = `key-${this.#requests.size + 1}`;
    const keyed: Keyed = {
      key,
      timerId,
      wish,
      node,
      attempts: 0,
      isInDoubt: false,
      status: undefined,
      revision: undefined,
    };
    this.#requests.set(nameOf(key), keyed);
    this.#attempt(keyed, node);
  }

  /** Takes note of an entry at the moment of its commit; false if it is of none of these requests. */
  committed({ requestId, revision }: Entry): boolean {
    const keyed = this.#requests.get(requestId?.split('.')[0] ?? '');
    if (keyed === undefined) return false;
    const { status, isInDoubt } = keyed;
    const what = `${phrase(keyed)} is made at revision ${revision}`;
    must('A5', keyed.revision === undefined, () => `${what}, and was at ${keyed.revision}`);
    const isOpen = status === undefined || isInDoubt;
    must('A5', isOpen, () => `${what}, and was answered ${status}`);
    keyed.revision = revision;
    return true;
  }

  /** Whoever waits for a node that is gone asks another one. */
  loseNode(node: SimulatedNode): void {
    for (const keyed of this.#requests.values()) {
      if (keyed.node !== node) continue;
      keyed.isInDoubt = true;
      this.#askAgain(keyed);
    }
  }

  /** At the end everybody was answered for good. */
  checkEnd(): void {
    for (const keyed of this.#requests.values()) {
      const isAnswered = keyed.status !== undefined;
      must(
        'A5',
        isAnswered,
        () => `${phrase(keyed)} is not answered after ${keyed.attempts} times`,
      );
    }
  }

  #attempt(keyed: Keyed, node: SimulatedNode): void {
    const { key, timerId, wish } = keyed;
    const { tell, onRepeated } = this.#options;
    keyed.node = node;
    keyed.attempts += 1;
    if (keyed.attempts > 1) onRepeated(node, timerId);
    tell(`node ${node.name} is asked to ${phrase(keyed)}`);
    const socket = new Socket();
    const request = Object.assign(new IncomingMessage(socket), {
      method: 'POST',
      url: `/timers/${timerId}/control`,
      headers: { 'idempotency-key': key },
      body:
        wish.type === 'extend'
          ? { action: wish.type, extend_seconds: wish.addedMs / 1000 }
          : { action: wish.type },
    });
    const response = new ServerResponse(request);
    const { attempts } = keyed;
    response.end = () => {
      if (keyed.attempts === attempts) this.#answered(keyed, node, response.statusCode);
      return response;
    };
    node.app(request, response);
  }

  #answered(keyed: Keyed, node: SimulatedNode, status: number): void {
    const { tell, onBroken } = this.#options;
    if (node.isDead) return;
    keyed.node = undefined;
    tell(`node ${node.name} answers ${phrase(keyed)}: ${status}`);
    if (status === 503) {
      keyed.isInDoubt = true;
      this.#askAgain(keyed);
      return;
    }
    keyed.status = status;
    try {
      must('T12', status < 500, () => `${phrase(keyed)} is answered ${status}`);
      const isMade = status !== 200 || keyed.revision !== undefined;
      must('T3', isMade, () => `${phrase(keyed)} is done, and nothing is committed`);
    } catch (error) {
      onBroken(error);
    }
  }

  #askAgain(keyed: Keyed): void {
    const { clock, random, nodes } = this.#options;
    keyed.node = undefined;
    const pauseMs =
      keyed.attempts < MOST_QUICK_ATTEMPTS
        ? random.between(0, random.pick([10, LONGEST_PAUSE_MS]))
        : LONG_PAUSE_MS;
    clock.setTimeout(() => {
      const [first, ...others] = nodes();
      if (first === undefined) this.#askAgain(keyed);
      else this.#attempt(keyed, random.pick([first, ...others]));
    }, pauseMs);
  }
}

/** What the entries of a request are called that nobody in particular sent under a key. */
function nameOf(key: string): string {
  return hash('sha256', `anonymous\n${key}`).slice(0, ID_DIGITS);
}

function phrase({ key, timerId, wish }: Keyed): string {
  const extent = wish.type === 'extend' ? ` by ${wish.addedMs / 1000} s` : '';
  return `${wish.type} ${timerId}${extent} (${key})`;
}
