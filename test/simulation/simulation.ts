/**
 * Runs a plan: three nodes on one simulated clock share one log, instructors and displays do what the plan
 * says, and after each step the rules are checked against the model.
 */

import type { Entry } from '../../src/journal/journal.js';
import type { Command, CommandResult } from '../../src/registry.js';
import { BY_TEST } from '../support/entries.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { type Bug, SimulatedLog } from './log.js';
import { BrokenRule, endOf, Model, must } from './model.js';
import { SimulatedNode } from './node.js';
import { type Event, NODES, type NodeName, type Plan } from './plan.js';
import { Random } from './random.js';

/** Long enough for every retry to come and every timer that failed to come back. */
const RECONCILIATION_MS = 300_000;
const LONGEST_RECONCILIATIONS = 3;

export interface Figures {
  steps: number;
  entries: number;
  conflicts: number;
  crashes: number;
  cutOffs: number;
  lostAnswers: number;
  failures: number;
}

export interface RunOptions {
  readonly bug?: Bug | undefined;
  /** Hears the story, line by line. */
  readonly tell?: (line: string) => void;
}

export interface Verdict {
  readonly figures: Figures;
  readonly simulatedMs: number;
  /** The first rule that was broken. */
  readonly broken: BrokenRule | undefined;
}

/** What an instructor asked for, and what became of it. */
interface Asked {
  readonly command: Command;
  readonly node: NodeName;
  readonly atMs: number;
  answers: number;
  entries: number;
  /** Of its entry. */
  revision: number;
  /** The node crashed before it answered. */
  isForgotten: boolean;
}

export function run(plan: Plan, options: RunOptions = {}): Promise<Verdict> {
  return new Simulation(plan, options).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #options: RunOptions;
  readonly #clock: SimulatedClock;
  readonly #log: SimulatedLog;
  readonly #model = new Model();
  readonly #nodes = new Map<NodeName, SimulatedNode>();
  readonly #timerIds: string[] = [];
  readonly #asked = new Map<string, Asked>();
  readonly #beganMs: number;
  readonly #figures: Figures = {
    steps: 0,
    entries: 0,
    conflicts: 0,
    crashes: 0,
    cutOffs: 0,
    lostAnswers: 0,
    failures: 0,
  };
  #broken: BrokenRule | undefined;

  constructor(plan: Plan, options: RunOptions) {
    this.#plan = plan;
    this.#options = options;
    const random = new Random(plan.seed ^ 0x51ab1e);
    this.#clock = new SimulatedClock(undefined, random.chance(0.5));
    this.#beganMs = this.#clock.now();
    this.#log = new SimulatedLog({
      clock: this.#clock,
      random,
      bug: options.bug,
      onCommit: (entry) => this.#committed(entry),
      onConflict: (entry) => this.#conflicted(entry),
    });
  }

  async run(): Promise<Verdict> {
    for (const name of NODES) this.#start(name);
    await this.#pass(1000);
    for (const { waitMs, event } of this.#plan.steps) {
      await this.#pass(waitMs);
      if (this.#broken !== undefined) break;
      this.#figures.steps += 1;
      this.#do(event);
      await settle();
      this.#check();
    }
    await this.#reconcile();
    const simulatedMs = this.#clock.now() - this.#beganMs;
    return { figures: this.#figures, simulatedMs, broken: this.#broken };
  }

  /** Lets time pass, unless a rule is broken: then nothing that follows matters. */
  async #pass(ms: number): Promise<void> {
    if (this.#broken === undefined) await this.#clock.advance(ms, settle);
    this.#check();
  }

  /** At the end all faults are mended; soon after, all nodes agree and nothing is left undone. */
  async #reconcile(): Promise<void> {
    for (const name of NODES) {
      if (!this.#nodes.has(name)) this.#start(name);
      const node = this.#nodes.get(name);
      if (node === undefined) continue;
      node.failuresToCome = 0;
      node.journal.answersToLose = 0;
      node.journal.heal();
    }
    for (let times = 0; times < LONGEST_RECONCILIATIONS; times += 1) {
      await this.#pass(RECONCILIATION_MS);
      if ([...this.#nodes.values()].every(({ isCaughtUp }) => isCaughtUp)) break;
    }
    this.#checked(() => this.#checkEnd());
  }

  #checkEnd(): void {
    const nowMs = this.#clock.now();
    for (const asked of this.#asked.values()) {
      const isSettled = asked.answers === 1 || asked.isForgotten;
      must('T5', isSettled, () => `${asked.command.type} on node ${asked.node} was never answered`);
    }
    for (const [timerId] of this.#model.timers) {
      const now = this.#model.now(timerId);
      const isLate =
        now !== undefined && now.ending === null && endOf(now) < nowMs - RECONCILIATION_MS / 2;
      must('T4', !isLate, () => `${timerId} has not expired, and its time is up`);
    }
    for (const node of this.#nodes.values()) {
      must('T5', node.isCaughtUp, () => `node ${node.name} does not catch up`);
      for (const { record } of node.registry.list('', undefined)) {
        const now = this.#model.now(record.id);
        const isPresent = record.revision === now?.revision;
        const what = `${record.id} on node ${node.name} is at ${record.revision}`;
        must('T5', isPresent, () => `${what}, not ${now?.revision}`);
      }
    }
  }

  #start(name: NodeName): void {
    const node = new SimulatedNode({
      name,
      clock: this.#clock,
      journal: this.#log.connect(),
      model: this.#model,
      onBroken: (error) => this.#breaks(error),
    });
    this.#nodes.set(name, node);
  }

  #do(event: Event): void {
    switch (event.type) {
      case 'create': {
        const timerId = `timer_${String(this.#timerIds.length + 1).padStart(3, '0')}`;
        this.#timerIds.push(timerId);
        const { durationMs, warningThresholdsMs, autoStart } = event;
        const definition = { name: timerId, durationMs, warningThresholdsMs, autoStart };
        this.#ask(event.node, [{ type: 'create', timerId, definition }]);
        break;
      }
      case 'command': {
        const { node, timer, wish, revisionsBehind } = event;
        const timerId = this.#timerId(timer);
        const revision = this.#model.now(timerId)?.revision;
        const isExpected = revisionsBehind !== undefined && revision !== undefined;
        const expectation = isExpected ? { expectedRevision: revision - revisionsBehind } : {};
        this.#ask(node, [{ ...wish, ...expectation, timerId }]);
        break;
      }
      case 'bulk': {
        const ids = event.timers.map((timer) => this.#timerId(timer));
        this.#ask(
          event.node,
          [...new Set(ids)].map((timerId) => ({ ...event.wish, timerId })),
        );
        break;
      }
      case 'clash': {
        const { nodes, timer, wishes, apartMs } = event;
        const timerId = this.#timerId(timer);
        this.#ask(nodes[0], [{ ...wishes[0], timerId }]);
        const second = { ...wishes[1], timerId };
        if (apartMs === 0) this.#ask(nodes[1], [second]);
        else this.#clock.setTimeout(() => this.#ask(nodes[1], [second]), apartMs);
        break;
      }
      case 'watch':
        this.#tell(`a display follows ${this.#timerId(event.timer)} on node ${event.node}`);
        this.#nodes.get(event.node)?.watch(this.#timerId(event.timer));
        break;
      case 'cut off':
        this.#cutOff(event.node, event.forMs);
        break;
      case 'crash':
        this.#crash(event.node, event.forMs);
        break;
      case 'lose answers': {
        const node = this.#nodes.get(event.node);
        if (node === undefined) break;
        node.journal.answersToLose = event.answers;
        this.#figures.lostAnswers += event.answers;
        this.#tell(
          `the next ${event.answers} answers of the log to node ${event.node} will be lost`,
        );
        break;
      }
      case 'fail timers': {
        const node = this.#nodes.get(event.node);
        if (node === undefined) break;
        node.failuresToCome = event.failures;
        this.#figures.failures += event.failures;
        this.#tell(
          `on node ${event.node} the next ${event.failures} entries make their timers fail`,
        );
        break;
      }
    }
  }

  #timerId(timer: number): string {
    return this.#timerIds.at(-1 - timer) ?? this.#timerIds[0] ?? 'timer_000';
  }

  /** One bulk, or a single command; each names its request, so that its entry is known by it. */
  #ask(name: NodeName, commands: readonly Command[]): void {
    const node = this.#nodes.get(name);
    if (node === undefined || this.#broken !== undefined) return;
    for (const command of commands) this.#tell(`node ${name} is asked to ${phrase(command)}`);
    const requestId = `request-${this.#asked.size + 1}`;
    const asked = commands.map((command): Asked => {
      const one = {
        command,
        node: name,
        atMs: this.#clock.now(),
        answers: 0,
        entries: 0,
        revision: 0,
        isForgotten: false,
      };
      this.#asked.set(`${requestId} ${command.timerId}`, one);
      return one;
    });
    const cause = { ...BY_TEST, requestId };
    node.registry.executeAll(commands, cause).then(
      (results) => {
        results.forEach((result, index) => {
          const one = asked[index];
          if (one !== undefined) this.#checked(() => this.#answered(one, result));
        });
      },
      (error: unknown) => this.#breaks(error),
    );
  }

  #answered(asked: Asked, result: CommandResult): void {
    const { command, node } = asked;
    const what = `${command.type} of ${command.timerId} on node ${node}`;
    asked.answers += 1;
    const outcome = result.ok ? 'done' : result.refusal.reason;
    this.#tell(`node ${node} answers ${phrase(command)}: ${outcome}`);
    must('T5', asked.answers === 1 && !asked.isForgotten, () => `${what} is answered again`);
    if (result.ok) {
      must('T3', asked.entries === 1, () => `${what} is done, and nothing is committed`);
    } else {
      const isUnsure = outcome === 'journal_unavailable' && !this.#isShown(asked);
      const isTrue = asked.entries === 0 || isUnsure;
      must('T5', isTrue, () => `${what} is refused (${outcome}), and is committed`);
    }
  }

  /** Whether the node that was asked shows the change. */
  #isShown({ command, node, entries, revision }: Asked): boolean {
    const found = this.#nodes.get(node)?.registry.lookUp(command.timerId);
    return entries > 0 && found?.ok === true && found.timer.record.revision >= revision;
  }

  #committed(entry: Entry): void {
    const { timerId, revision, type } = entry;
    this.#figures.entries += 1;
    this.#tell(
      `committed: ${type} of ${timerId}, revision ${revision}, at ${this.#time(entry.atMs)}`,
    );
    this.#checked(() => {
      const before = this.#model.now(timerId);
      this.#model.commit(entry, this.#clock.now());
      if (entry.by.role === 'service') {
        must('T1', type === 'expired', () => `the service has ${type} ${timerId} by itself`);
        return;
      }
      const asked = this.#asked.get(`${entry.requestId} ${timerId}`);
      must('T1', asked !== undefined, () => `nobody asked for ${type} of ${timerId}`);
      if (asked === undefined) return;
      asked.entries += 1;
      asked.revision = revision;
      must('T5', asked.entries === 1, () => `${type} of ${timerId} is committed twice`);
      const expectedMs = Math.max(asked.atMs, before?.atMs ?? 0);
      must(
        'T7',
        entry.atMs === expectedMs,
        () => `${type} of ${timerId} is not of its bulk's instant`,
      );
    });
  }

  #conflicted({ type, timerId, revision }: Entry): void {
    this.#figures.conflicts += 1;
    this.#tell(`conflict: ${type} of ${timerId}, revision ${revision}`);
  }

  #cutOff(name: NodeName, forMs: number): void {
    const node = this.#nodes.get(name);
    if (node === undefined || node.journal.isCutOff) return;
    this.#figures.cutOffs += 1;
    this.#tell(`node ${name} is cut off from the log for ${forMs} ms`);
    node.journal.cutOff();
    this.#clock.setTimeout(() => {
      this.#tell(`node ${name} reaches the log again`);
      node.journal.heal();
    }, forMs);
  }

  #crash(name: NodeName, forMs: number): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#figures.crashes += 1;
    this.#tell(`node ${name} crashes, and starts again after ${forMs} ms`);
    node.crash();
    this.#nodes.delete(name);
    for (const asked of this.#asked.values()) {
      if (asked.node === name && asked.answers === 0) asked.isForgotten = true;
    }
    this.#clock.setTimeout(() => {
      if (this.#nodes.has(name)) return;
      this.#tell(`node ${name} starts`);
      this.#start(name);
    }, forMs);
  }

  #check(): void {
    for (const node of this.#nodes.values()) {
      this.#checked(() => node.check(this.#clock.now()));
    }
  }

  #checked(check: () => void): void {
    if (this.#broken !== undefined) return;
    try {
      check();
    } catch (error) {
      this.#breaks(error);
    }
  }

  /** Only the first broken rule counts; others may follow from it. */
  #breaks(error: unknown): void {
    if (this.#broken !== undefined) return;
    this.#broken = error instanceof BrokenRule ? error : new BrokenRule('T11', describe(error));
    this.#tell(`broken: ${this.#broken.message}`);
  }

  #tell(what: string): void {
    if (this.#broken === undefined || what.startsWith('broken'))
      this.#options.tell?.(`${this.#time(this.#clock.now())}  ${what}`);
  }

  #time(epochMs: number): string {
    return new Date(epochMs).toISOString().slice(11, 23);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function phrase(command: Command): string {
  const { type, timerId, expectedRevision } = command;
  const extent = type === 'extend' ? ` by ${command.addedMs / 1000} s` : '';
  const definition = type === 'create' ? ` of ${command.definition.durationMs / 1000} s` : '';
  const running = type === 'create' && command.definition.autoStart ? ', started' : '';
  const condition = expectedRevision === undefined ? '' : ` if it is at ${expectedRevision}`;
  return `${type} ${timerId}${extent}${definition}${running}${condition}`;
}

/** Whatever follows from what happened without the clock has happened after this. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
