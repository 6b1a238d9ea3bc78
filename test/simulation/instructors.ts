/** Those who ask the nodes for changes, and hold every answer and every commit against what they asked for. */
import type { Entry } from '../../src/journal/journal.js';
import type { Command, CommandResult } from '../../src/registry.js';
import { BY_TEST } from '../support/entries.js';
import { KeyedRequests, type KeyedRequestsOptions } from './keyed-requests.js';
import { type Model, must } from './model.js';
import type { SimulatedNode } from './node.js';

/** What was asked for, and what became of it. */
interface Asked {
  readonly command: Command;
  readonly node: SimulatedNode;
  readonly atMs: number;
  /** One of a bulk is answered when all are, which may be long after its fate was known. */
  readonly isOneOfMany: boolean;
  answers: number;
  /** It was refused, and nothing was said that leaves it open. */
  isRefused: boolean;
  /** The revision of its entry; `undefined` while there is none. */
  revision: number | undefined;
}

export interface InstructorsOptions extends KeyedRequestsOptions {
  readonly model: Model;
}

export class Instructors {
  readonly #options: InstructorsOptions;
  readonly #asked = new Map<string, Asked>();
  /** Those who show a key with what they ask for. */
  readonly keyed: KeyedRequests;

  constructor(options: InstructorsOptions) {
    this.#options = options;
    this.keyed = new KeyedRequests(options);
  }

  /** Asks for one command, or for many at one instant; the entry of each is known by its request. */
  ask(node: SimulatedNode, commands: readonly Command[]): void {
    const { tell, onBroken } = this.#options;
    const requestId = `request-${this.#asked.size + 1}`;
    const [atMs, isOneOfMany] = [node.now(), commands.length > 1];
    const asked = commands.map((command): Asked => {
      tell(`node ${node.name} is asked to ${phrase(command)}`);
      return {
        command,
        node,
        atMs,
        isOneOfMany,
        answers: 0,
        isRefused: false,
        revision: undefined,
      };
    });
    for (const one of asked) this.#asked.set(nameOf(requestId, one.command.timerId), one);
    node.registry
      .executeAll(commands, { ...BY_TEST, requestId })
      .then((results) => {
        asked.forEach((one, index) => {
          this.#answered(one, results[index]);
        });
      })
      .catch(onBroken);
  }

  /** Takes note of an entry at the moment of its commit, which is `recordedMs` by the clock of its node. */
  committed(entry: Entry, recordedMs: number): void {
    const { model, clock } = this.#options;
    const { timerId, type, requestId, by } = entry;
    const before = model.now(timerId);
    model.commit(entry, clock.now(), recordedMs);
    if (this.keyed.committed(entry)) return;
    if (by.role === 'service') {
      must('T1', type === 'expired', () => `the service has ${type} ${timerId} by itself`);
      return;
    }
    const asked = this.#asked.get(nameOf(requestId, timerId));
    must('T1', asked !== undefined, () => `nobody asked for ${type} of ${timerId}`);
    if (asked === undefined) return;
    must('T5', asked.revision === undefined, () => `${type} of ${timerId} is committed twice`);
    must('J1', !asked.isRefused, () => `${type} of ${timerId} is committed after its refusal`);
    asked.revision = entry.revision;
    const expectedMs = Math.max(asked.atMs, before?.atMs ?? 0);
    const isOfItsInstant = entry.atMs === expectedMs;
    must('T7', isOfItsInstant, () => `${type} of ${timerId} is not of its bulk's instant`);
  }

  /** At the end everybody has been answered whose node lived. */
  checkEnd(): void {
    this.keyed.checkEnd();
    for (const { command, node, answers } of this.#asked.values()) {
      const isSettled = answers === 1 || (node.isDead && !node.hasFinished);
      must('T5', isSettled, () => `${phrase(command)} on node ${node.name} was never answered`);
    }
  }

  /** Who asked is shown the timer after the change, unless it is gone. */
  #checkShown(what: string, result: CommandResult | undefined, revision = 0): void {
    const shown = result?.ok === true ? result.timer?.record.revision : undefined;
    const isAfter = shown === undefined || shown >= revision;
    must('T3', isAfter, () => `${what} is answered with revision ${shown}, before ${revision}`);
  }

  #answered(asked: Asked, result: CommandResult | undefined): void {
    const { command, node, revision, isOneOfMany } = asked;
    asked.answers += 1;
    must('T5', result !== undefined, () => `${phrase(command)} is missing among the answers`);
    const outcome = result?.ok === false ? result.refusal.reason : 'done';
    this.#options.tell(`node ${node.name} answers ${phrase(command)}: ${outcome}`);
    const what = `${phrase(command)} on node ${node.name}`;
    must('T5', asked.answers === 1 && !node.isDead, () => `${what} is answered again`);
    if (outcome === 'done') {
      must('T3', revision !== undefined, () => `${what} is done, and nothing is committed`);
      this.#checkShown(what, result, revision);
      return;
    }
    asked.isRefused = outcome !== 'outcome_unknown';
    // Without an answer of the log a node cannot know, unless it shows the change already.
    const isUnsure = outcome === 'outcome_unknown' && (isOneOfMany || !isShown(asked));
    const isTrue = revision === undefined || isUnsure;
    must('T5', isTrue, () => `${what} is refused (${outcome}), and is committed`);
  }
}

/** Whether the node that was asked shows the change. */
function isShown({ command, node, revision }: Asked): boolean {
  const found = node.registry.lookUp(command.timerId);
  return revision !== undefined && found.ok && found.timer.record.revision >= revision;
}

function nameOf(requestId: string | null, timerId: string): string {
  return `${requestId} for ${timerId}`;
}

function phrase(command: Command): string {
  const { type, timerId, expectedRevisions } = command;
  const extent = type === 'extend' ? ` by ${command.addedMs / 1000} s` : '';
  const definition = type === 'create' ? ` of ${command.definition.durationMs / 1000} s` : '';
  const running = type === 'create' && command.definition.autoStart ? ', started' : '';
  const condition = expectedRevisions === undefined ? '' : ` if it is at ${expectedRevisions}`;
  return `${type} ${timerId}${extent}${definition}${running}${condition}`;
}
