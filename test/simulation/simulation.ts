/**
 * Runs a plan: three nodes on one simulated clock share one log, instructors and displays do what the plan
 * says, and after each step the rules are checked against the model.
 */
import type { Entry } from '../../src/journal/journal.js';
import type { Command } from '../../src/registry.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { Display, type DisplaysOptions } from './displays.js';
import { Instructors } from './instructors.js';
import { type Bug, SimulatedLog } from './log.js';
import { Machine, ProcessClock } from './machine.js';
import { BrokenRule, endOf, leftAt, Model, must } from './model.js';
import { SimulatedNode } from './node.js';
import { type Event, NODES, type NodeName, type Plan } from './plan.js';
import { Random } from './random.js';

/** So many follow at a time. */
const MOST_DISPLAYS = 6;
/** Displays of timers with more left than this want no ticks, so that hours pass quickly. */
const LONGEST_TICKING_MS = 60_000;
/** A display comes so long after its timer was asked for, when it mostly is there. */
const WATCHED_AFTER_MS = 100;
const DISTURBANCES = {
  lose: 'loses its connection',
  leave: 'leaves',
  stall: 'stops reading',
} as const;
const START_UP_MS = 2000;
/** Long enough for every retry to come and every timer that failed to come back. */
const RECONCILIATION_MS = 300_000;
/** By the bug of a clock that nobody compares with others. */
const CLOCK_AHEAD_MS = 1000;
const MOST_RECONCILIATIONS = 3;
/**
 * An end is on record so long after some node could record it: the turns before it and an append in hand have passed,
 * one or two of its own failed, and all of that took long on its way.
 */
const LATEST_END_MS = 20_000;
/** Whoever asks again meets somebody else there so often, who wants something of the same timer. */
const CROWD = 0.7;

export const FIGURES = [
  'steps',
  'entries',
  'conflicts',
  'crashes',
  'drains',
  'clock steps',
  'cut-offs',
  'lost answers',
  'failed timers',
  'displays',
  'reconnections',
  'repeated requests',
] as const;
export type Figures = Record<(typeof FIGURES)[number], number>;

export function noFigures(): Figures {
  return {
    steps: 0,
    entries: 0,
    conflicts: 0,
    crashes: 0,
    drains: 0,
    'clock steps': 0,
    'cut-offs': 0,
    'lost answers': 0,
    'failed timers': 0,
    displays: 0,
    reconnections: 0,
    'repeated requests': 0,
  };
}

export interface RunOptions {
  readonly bug?: Bug | undefined;
  /** Hears the story, line by line. */
  readonly tell?: (line: string) => void;
  /** Hears how many of the steps are done. */
  readonly onStep?: (done: number, of: number) => void;
}

export interface Verdict {
  readonly figures: Figures;
  readonly simulatedMs: number;
  /** The first rule that was broken. */
  readonly broken: BrokenRule | undefined;
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
  readonly #instructors: Instructors;
  readonly #machines: ReadonlyMap<NodeName, Machine>;
  readonly #nodes = new Map<NodeName, SimulatedNode>();
  /** Nodes that finish what they were given. */
  readonly #stopping = new Set<SimulatedNode>();
  /** How far the wall clocks of machines were put ahead. */
  readonly #steps = new Map<NodeName, number>();
  readonly #timerIds: string[] = [];
  readonly #displays: Display[] = [];
  readonly #displaysOptions: DisplaysOptions;
  /** Says where somebody else wants something at the same moment. */
  readonly #crowd: Random;
  readonly #beganMs: number;
  readonly #figures = noFigures();
  #isReconciling = false;
  #broken: BrokenRule | undefined;

  constructor(plan: Plan, options: RunOptions) {
    this.#plan = plan;
    this.#options = options;
    // The log has a generator of its own, so that the plan stays the same whatever the log does.
    const random = new Random(~plan.seed);
    this.#clock = new SimulatedClock(undefined, random.chance(0.5));
    this.#beganMs = this.#clock.now();
    this.#machines = new Map(NODES.map((name) => [name, new Machine(this.#clock, random)]));
    if (options.bug === 'clock ahead') this.#machines.get('A')?.step(CLOCK_AHEAD_MS);
    this.#log = new SimulatedLog({
      clock: this.#clock,
      random,
      bug: options.bug,
      onCommit: (entry, recordedMs) => this.#committed(entry, recordedMs),
      onConflict: (entry) => this.#conflicted(entry),
      onLostAnswer: () => this.#count('lost answers'),
      onDamaged: (error) => this.#breaks(error),
    });
    this.#displaysOptions = {
      clock: this.#clock,
      random: new Random(plan.seed ^ -1),
      model: this.#model,
      nodes: () => [...this.#nodes.values()],
      tell: (line) => this.#tell(line),
      onBroken: (error) => this.#breaks(error),
      onReturn: () => this.#count('reconnections'),
    };
    this.#crowd = new Random(plan.seed ^ -3);
    this.#instructors = new Instructors({
      clock: this.#clock,
      random: new Random(plan.seed ^ -2),
      model: this.#model,
      nodes: () => [...this.#nodes.values()],
      onRepeated: (node, timerId) => this.#repeated(node, timerId),
      tell: (line) => this.#tell(line),
      onBroken: (error) => this.#breaks(error),
    });
  }

  async run(): Promise<Verdict> {
    for (const name of NODES) this.#start(name);
    await this.#pass(START_UP_MS);
    for (const { waitMs, event } of this.#plan.steps) {
      await this.#pass(waitMs);
      if (this.#broken !== undefined) break;
      this.#count('steps');
      this.#do(event);
      await settle();
      this.#check();
      this.#options.onStep?.(this.#figures.steps, this.#plan.steps.length);
    }
    await this.#pass(this.#plan.afterMs);
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
    this.#isReconciling = true;
    for (const name of NODES) {
      const node = this.#restarted(name);
      node.failuresToCome = 0;
      node.journal.answersToLose = 0;
      node.journal.heal();
    }
    for (const { journal } of this.#stopping) journal.heal();
    for (const display of this.#displays) display.wake();
    for (let times = 0; times < MOST_RECONCILIATIONS; times += 1) {
      await this.#pass(RECONCILIATION_MS);
      if ([...this.#nodes.values()].every(({ isCaughtUp }) => isCaughtUp)) break;
    }
    this.#checked(() => this.#checkEnd());
    for (const display of this.#displays) display.leave();
  }

  /** A node that is there and may record, which one whose clock is off does once it was set and started again. */
  #restarted(name: NodeName): SimulatedNode {
    const node = this.#nodes.get(name);
    if (node?.hasRightClock === true) return node;
    if (node !== undefined) this.#kill(node);
    this.#mendClock(name);
    return this.#start(name);
  }

  #checkEnd(): void {
    this.#instructors.checkEnd();
    for (const display of this.#displays) display.checkEnd();
    const dueMs = this.#clock.now() - RECONCILIATION_MS / 2;
    for (const [timerId, counted] of this.#model.timers) {
      const now = counted.at(-1);
      const isLate = now !== undefined && now.ending === null && endOf(now) < dueMs;
      must('T4', !isLate, () => `${timerId} has not expired, and its time is up`);
    }
    for (const { name, isCaughtUp, registry } of this.#nodes.values()) {
      must('T5', isCaughtUp, () => `node ${name} does not catch up`);
      for (const { record } of registry.list('', undefined)) {
        const last = this.#model.now(record.id)?.revision;
        const what = `${record.id} on node ${name} is at ${record.revision}`;
        must('T5', record.revision === last, () => `${what}, not ${last}`);
      }
    }
  }

  /** Of every second seed nodes take turns; of the others, and where there is a bug, they all race for every end. */
  get #hasTurns(): boolean {
    return this.#options.bug === undefined && this.#plan.seed % 2 === 0;
  }

  #start(name: NodeName): SimulatedNode {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new RangeError('Every node has a machine');
    const clock = new ProcessClock(this.#clock, machine);
    const node = new SimulatedNode({
      name,
      clock,
      journal: this.#log.connect(clock),
      model: this.#model,
      hasTurns: this.#hasTurns,
      bug: this.#options.bug,
      onTimerFailed: (timerId) => {
        this.#count('failed timers');
        for (const display of this.#displays) display.timerFailed(timerId, name);
      },
      onBroken: (error) => this.#breaks(error),
    });
    this.#nodes.set(name, node);
    return node;
  }

  #do(event: Event): void {
    switch (event.type) {
      case 'create':
        this.#create(event);
        break;
      case 'command':
        this.#command(event);
        break;
      case 'keyed':
        this.#keyed(event);
        break;
      case 'bulk':
        this.#bulk(event);
        break;
      case 'clash':
        this.#clash(event);
        break;
      case 'watch':
        this.#watch(event.node, this.#timerId(event.timer));
        break;
      case 'disturb':
        this.#disturb(event);
        break;
      case 'cut off':
        this.#cutOff(event);
        break;
      case 'crash':
        this.#crash(event);
        break;
      case 'drain':
        this.#drain(event);
        break;
      case 'engine away':
        this.#takeEngineAway(event);
        break;
      case 'step clock':
        this.#stepClock(event);
        break;
      case 'at end':
        this.#atEnd(event);
        break;
      case 'flood':
        this.#flood(event);
        break;
      case 'lose answers':
        this.#loseAnswers(event);
        break;
      case 'fail timers':
        this.#failTimers(event);
        break;
    }
  }

  #create(event: EventOf<'create'>): void {
    const { node, durationMs, warningThresholdsMs, autoStart, watchedOn } = event;
    const timerId = `timer_${String(this.#timerIds.length + 1).padStart(3, '0')}`;
    this.#timerIds.push(timerId);
    const definition = { name: timerId, durationMs, warningThresholdsMs, autoStart };
    this.#ask(node, [{ type: 'create', timerId, definition }]);
    if (watchedOn === undefined) return;
    this.#clock.setTimeout(() => this.#watch(watchedOn, timerId), WATCHED_AFTER_MS);
  }

  #command({ node, timer, wish, revisionsBehind }: EventOf<'command'>): void {
    const timerId = this.#timerId(timer);
    const revision = this.#model.now(timerId)?.revision;
    const isConditional = revisionsBehind !== undefined && revision !== undefined;
    const condition = isConditional ? { expectedRevisions: [revision - revisionsBehind] } : {};
    this.#ask(node, [{ ...wish, ...condition, timerId }]);
  }

  #keyed({ node: name, timer, wish, losesAnswer }: EventOf<'keyed'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined || this.#broken !== undefined) return;
    if (losesAnswer) node.journal.answersToLose += 1;
    this.#instructors.keyed.ask(node, this.#timerId(timer), wish);
  }

  #bulk({ node, timers, wish }: EventOf<'bulk'>): void {
    const timerIds = new Set(timers.map((timer) => this.#timerId(timer)));
    this.#ask(
      node,
      [...timerIds].map((timerId) => ({ ...wish, timerId })),
    );
  }

  #clash({ nodes, timer, wishes, apartMs }: EventOf<'clash'>): void {
    const timerId = this.#timerId(timer);
    this.#ask(nodes[0], [{ ...wishes[0], timerId }]);
    const second = (): void => this.#ask(nodes[1], [{ ...wishes[1], timerId }]);
    if (apartMs === 0) second();
    else this.#clock.setTimeout(second, apartMs);
  }

  #watch(node: NodeName, timerId: string): void {
    const counted = this.#model.now(timerId);
    const on = this.#nodes.get(node);
    const isAmong = this.#following().some((display) => display.timerId === timerId);
    const hasRoom = !isAmong && this.#alive().length < MOST_DISPLAYS;
    if (counted === undefined || counted.ending !== null || on === undefined || !hasRoom) return;
    const wantsTicks = leftAt(counted, this.#clock.now()) < LONGEST_TICKING_MS;
    const name = `${this.#displays.length + 1}`;
    const display = new Display(name, timerId, wantsTicks, this.#displaysOptions);
    this.#displays.push(display);
    this.#count('displays');
    display.connect(on);
  }

  /** A display leaves, or loses its connection, or stops reading for a while or for good. */
  #disturb({ display: index, how, forMs }: EventOf<'disturb'>): void {
    const display = this.#following().at(index);
    if (display === undefined) return;
    this.#tell(`display ${display.name} ${DISTURBANCES[how]}`);
    display[how]();
    if (how === 'stall') this.#wakeLater(display, forMs);
  }

  /** What waits for whoever does not read is the most right before it reads again. */
  #wakeLater(display: Display, forMs: number): void {
    this.#clock.setTimeout(() => {
      this.#checked(() => display.check());
      display.wake();
    }, forMs);
  }

  #flood({ display: index, changes, forMs }: EventOf<'flood'>): void {
    const connected = this.#alive().filter(({ node }) => node !== undefined);
    const display = connected.at(index % Math.max(1, connected.length));
    const node = display?.node;
    if (display === undefined || node === undefined) return;
    this.#tell(`display ${display.name} stops reading, and its timer is changed ${changes} times`);
    display.stall();
    this.#wakeLater(display, forMs);
    const { timerId } = display;
    const change = { type: 'extend', addedMs: 1000, timerId } as const;
    for (let asked = 0; asked < changes; asked += 1) this.#ask(node.name, [change]);
  }

  #atEnd({ ending, byMs, what }: EventOf<'at end'>): void {
    const timerId = this.#endingNext(ending);
    if (timerId === undefined) return;
    const aheadMs = 'node' in what ? this.#aheadMs(what.node) : 0;
    this.#whenItEnds(timerId, byMs - aheadMs, () => {
      if (what.type === 'ask') this.#ask(what.node, [{ ...what.wish, timerId }]);
      else this.#do(what);
    });
  }

  /** How far the clock of a node is ahead. */
  #aheadMs(name: NodeName): number {
    const node = this.#nodes.get(name);
    return node?.hasRightClock === true ? node.now() - this.#clock.now() : 0;
  }

  /** Of the timers that run, the one that ends after so many others. */
  #endingNext(ending: number): string | undefined {
    const nowMs = this.#clock.now();
    const running = [...this.#model.timers].flatMap(([timerId, counted]) => {
      const last = counted.at(-1);
      const endMs = last === undefined ? nowMs : endOf(last);
      return endMs > nowMs && endMs < Number.POSITIVE_INFINITY ? [{ timerId, endMs }] : [];
    });
    running.sort((a, b) => a.endMs - b.endMs);
    return running.at(ending % Math.max(1, running.length))?.timerId;
  }

  /** An end may be put off until it comes; nothing happens any more when all faults are to be mended. */
  #whenItEnds(timerId: string, byMs: number, happen: () => void): void {
    const last = this.#model.now(timerId);
    const leftMs = last === undefined ? 0 : endOf(last) + byMs - this.#clock.now();
    if (leftMs === Number.POSITIVE_INFINITY || this.#isReconciling) return;
    if (leftMs <= 0) happen();
    else this.#clock.setTimeout(() => this.#whenItEnds(timerId, byMs, happen), leftMs);
  }

  #repeated(node: SimulatedNode, timerId: string): void {
    this.#count('repeated requests');
    if (!this.#crowd.chance(CROWD)) return;
    this.#ask(node.name, [{ type: 'extend', addedMs: 1000, timerId }]);
  }

  #following(): readonly Display[] {
    return this.#displays.filter(({ isOver }) => !isOver);
  }

  /** Those that follow a timer that has not ended. */
  #alive(): readonly Display[] {
    return this.#following().filter(({ timerId }) => this.#model.now(timerId)?.ending === null);
  }

  #cutOff({ node: name, forMs }: EventOf<'cut off'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined || node.journal.isCutOff) return;
    this.#count('cut-offs');
    this.#tell(`node ${name} is cut off from the log for ${forMs} ms`);
    node.journal.cutOff();
    this.#clock.setTimeout(() => {
      if (!node.isDead) this.#tell(`node ${name} reaches the log again`);
      node.journal.heal();
    }, forMs);
  }

  #crash({ node: name, forMs }: EventOf<'crash'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#count('crashes');
    this.#tell(`node ${name} crashes, and starts again after ${forMs} ms`);
    this.#kill(node);
    this.#nodes.delete(name);
    this.#startLater(name, forMs);
  }

  #kill(node: SimulatedNode): void {
    node.crash();
    this.#loseNode(node);
  }

  /** Whoever was connected to it notices at once. */
  #loseNode(node: SimulatedNode): void {
    for (const display of this.#displays) display.loseNode(node);
    this.#instructors.keyed.loseNode(node);
  }

  #startLater(name: NodeName, afterMs: number): void {
    this.#clock.setTimeout(() => {
      if (this.#nodes.has(name)) return;
      this.#tell(`node ${name} starts`);
      this.#start(name);
    }, afterMs);
  }

  #drain({ node: name, forMs }: EventOf<'drain'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#count('drains');
    this.#tell(`node ${name} is stopped, and starts again after ${forMs} ms`);
    this.#nodes.delete(name);
    this.#stopping.add(node);
    node.drain().then(
      () => {
        this.#stopping.delete(node);
        this.#loseNode(node);
        this.#tell(`node ${name} has stopped`);
        this.#startLater(name, forMs);
      },
      (error: unknown) => this.#breaks(error),
    );
  }

  #takeEngineAway({ forMs }: EventOf<'engine away'>): void {
    this.#tell(`the log is away for ${forMs} ms`);
    for (const name of NODES) this.#cutOff({ type: 'cut off', node: name, forMs });
  }

  #stepClock({ node: name, byMs, forMs }: EventOf<'step clock'>): void {
    if (this.#steps.has(name)) return;
    this.#count('clock steps');
    this.#tell(`the wall clock of node ${name} is put ${byMs} ms ahead, for ${forMs} ms`);
    this.#machines.get(name)?.step(byMs);
    this.#steps.set(name, byMs);
    this.#clock.setTimeout(() => this.#mendClock(name), forMs);
  }

  #mendClock(name: NodeName): void {
    this.#machines.get(name)?.step(-(this.#steps.get(name) ?? 0));
    this.#steps.delete(name);
  }

  #loseAnswers({ node: name, answers }: EventOf<'lose answers'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    node.journal.answersToLose = answers;
    this.#tell(`the next ${answers} answers of the log to node ${name} will be lost`);
  }

  #failTimers({ node: name, failures }: EventOf<'fail timers'>): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    node.failuresToCome = failures;
    this.#tell(`on node ${name} the next ${failures} entries make their timers fail`);
  }

  #timerId(timer: number): string {
    return this.#timerIds.at(-1 - timer) ?? this.#timerIds[0] ?? 'timer_000';
  }

  #ask(name: NodeName, commands: readonly Command[]): void {
    const node = this.#nodes.get(name);
    if (node !== undefined && this.#broken === undefined) this.#instructors.ask(node, commands);
  }

  #committed(entry: Entry, recordedMs: number): void {
    const { timerId, revision, type } = entry;
    this.#count('entries');
    const when = timeOf(entry.atMs);
    this.#tell(`committed: ${type} of ${timerId}, revision ${revision}, at ${when}`);
    this.#checked(() => this.#checkEndOf(timerId));
    this.#checked(() => this.#instructors.committed(entry, recordedMs));
  }

  #conflicted({ type, timerId, revision }: Entry): void {
    this.#count('conflicts');
    this.#tell(`conflict: ${type} of ${timerId}, revision ${revision}`);
  }

  #check(): void {
    for (const node of [...this.#nodes.values(), ...this.#stopping]) {
      this.#checked(() => node.check());
    }
    for (const display of this.#displays) this.#checked(() => display.check());
    for (const timerId of this.#model.timers.keys()) this.#checked(() => this.#checkEndOf(timerId));
  }

  /** While some node that knows of a timer may record, its end is soon on record, whoever else is away. */
  #checkEndOf(timerId: string): void {
    const last = this.#model.now(timerId);
    const nowMs = this.#clock.now();
    if (last === undefined || endOf(last) > nowMs - LATEST_END_MS) return;
    for (const node of this.#nodes.values()) {
      const mayRecordMs = node.mayRecordSinceMs(timerId, last.revision);
      const lateMs = nowMs - Math.max(endOf(last), last.committedMs, mayRecordMs);
      must('T4', lateMs <= LATEST_END_MS, () => {
        return `${timerId} has not expired, and node ${node.name} could record that for ${lateMs} ms`;
      });
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
    const broken = error instanceof BrokenRule ? error : new BrokenRule('T11', describe(error));
    this.#tell(`broken: ${broken.message}`);
    this.#broken = broken;
  }

  #count(figure: keyof Figures): void {
    this.#figures[figure] += 1;
  }

  #tell(what: string): void {
    if (this.#broken === undefined) {
      this.#options.tell?.(`${timeOf(this.#clock.now())}  ${what}`);
    }
  }
}

type EventOf<Type extends Event['type']> = Extract<Event, { type: Type }>;

function timeOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(11, 23);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Whatever follows from what happened without the clock has happened after this. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
