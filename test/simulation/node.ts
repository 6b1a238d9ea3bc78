/** One node of the simulated cluster, from its start to its crash: a registry, and displays that follow timers. */
import express, { type NextFunction, type Request, type Response } from 'express';
import { assign } from 'xstate';
import { z } from 'zod';
import { applyEntry } from '../../machines/record.js';
import { shardMachine } from '../../machines/shard.machine.js';
import { spread } from '../../machines/spread.js';
import { timerMachine } from '../../machines/timer.machine.js';
import { Access } from '../../src/access/access.js';
import { Addresses } from '../../src/access/address.js';
import { anonymous } from '../../src/access/caller.js';
import { Limits } from '../../src/access/limits.js';
import { type Clock, systemClock } from '../../src/clock.js';
import { readConfig } from '../../src/config.js';
import { Idempotency } from '../../src/http/idempotency.js';
import { timerRoutes } from '../../src/http/timers.js';
import type { Documents } from '../../src/journal/documents.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog, type Log } from '../../src/log.js';
import { Problem } from '../../src/protocol/problems.js';
import { requestSchemas } from '../../src/protocol/requests.js';
import { Presence } from '../../src/realtime/presence.js';
import { Realtime } from '../../src/realtime/realtime.js';
import {
  type Change,
  type Following,
  type Notice,
  Registry,
  type TimerRecord,
  type TimerStatus,
} from '../../src/registry.js';
import { Signer } from '../../src/signing.js';
import { readableLog } from '../support/log-lines.js';
import { type Bug, LOG_FAILURES, type NodeJournal } from './log.js';
import type { ProcessClock } from './machine.js';
import { BrokenRule, type Counted, type Model, must } from './model.js';
import { NODES, type NodeName } from './plan.js';
import { WarningWitness } from './witnesses.js';

const HOUR_MS = 3_600_000;
export const RETAIN_FINISHED_MS = HOUR_MS;
export const KEEPALIVE_MS = 120_000;

const MADE_TO_FAIL = 'made to fail';
const EXPECTED_FAILURES: ReadonlySet<string> = new Set([MADE_TO_FAIL, ...LOG_FAILURES]);
const lineSchema = z.looseObject({
  msg: z.string(),
  err: z.looseObject({ message: z.string() }).optional(),
});

const config = readConfig({ KEEPALIVE_SECONDS: `${KEEPALIVE_MS / 1000}` });
const addresses = new Addresses(config.trustProxy);
/** Open to everybody, and the same for all nodes: who may do what is no part of this. */
const access = await openAccess();

async function openAccess(): Promise<Access> {
  const { documents } = new MemoryJournal();
  const log = createLog('silent');
  const signer = await Signer.open(documents, config.signingKeys);
  return Access.open({ config, documents, addresses, signer, clock: systemClock, log });
}

/** A registry that tells displays of each change twice. */
class RepeatingRegistry extends Registry {
  override follow(timerId: string, listener: (notice: Notice) => void): Following {
    return super.follow(timerId, (notice) => {
      listener(notice);
      if (notice.type !== 'timer_tick' && notice.type !== 'timer_warning') listener(notice);
    });
  }
}

const schemas = requestSchemas(config);

/** The route of changes of a timer, with all that is behind it. */
function appOf(registry: Registry, documents: Documents, clock: Clock, log: Log): express.Express {
  const idempotency = new Idempotency({ registry, documents, clock, log });
  const { controlTimer } = timerRoutes(registry, schemas, idempotency);
  const app = express();
  app.post('/timers/:timer_id/control', async (request, response) => {
    const bytes = Buffer.from(JSON.stringify(request.body));
    await controlTimer({ request, response, caller: anonymous(null), bytes, confirm: () => {} });
  });
  app.use((error: unknown, _: Request, response: Response, _next: NextFunction) => {
    response.status(error instanceof Problem ? error.status : 500).end();
  });
  return app;
}

export interface NodeOptions {
  readonly name: NodeName;
  readonly clock: ProcessClock;
  readonly journal: NodeJournal;
  readonly model: Model;
  /** Whether nodes record ends one after the other. */
  readonly hasTurns: boolean;
  readonly bug: Bug | undefined;
  /** One of its timers was made to fail. */
  readonly onTimerFailed: (timerId: string) => void;
  readonly onBroken: (error: unknown) => void;
}

export class SimulatedNode {
  readonly name: NodeName;
  readonly journal: NodeJournal;
  readonly registry: Registry;
  readonly clock: ProcessClock;
  readonly #model: Model;
  readonly realtime: Realtime;
  readonly app: express.Express;
  readonly #warnings: WarningWitness;
  readonly #lines: readonly string[];
  readonly #onTimerFailed: (timerId: string) => void;
  readonly #onBroken: (error: unknown) => void;
  readonly #recordsChecked = new WeakSet<TimerRecord>();
  #linesRead = 0;
  /** It crashed, and does and hears nothing more. */
  isDead = false;
  /** It was stopped, and has answered everybody. */
  hasFinished = false;
  /** So many of the next entries that are applied make their timers fail. */
  failuresToCome = 0;
  #lastPositionTold: number | undefined;
  /** Since when it takes commands, by the right clock. */
  #servingSinceMs = Number.POSITIVE_INFINITY;
  /** When timers last came back that had failed or left memory, by the right clock. */
  readonly #touchedMs = new Map<string, number>();

  constructor(options: NodeOptions) {
    const { name, clock, journal, model, bug, onTimerFailed, onBroken } = options;
    this.name = name;
    this.journal = journal;
    this.#model = model;
    this.#onTimerFailed = onTimerFailed;
    this.#onBroken = onBroken;
    this.clock = clock;
    const { log, lines } = readableLog();
    this.#lines = lines;
    const Logic = bug === 'change told twice' ? RepeatingRegistry : Registry;
    this.registry = new Logic({
      clock,
      journal,
      log,
      maxTimers: 1000,
      maxTimersPerOwner: 0,
      retainFinishedMs: RETAIN_FINISHED_MS,
      rankOf: (timerId) => (options.hasTurns ? rankOf(name, timerId) : 0),
      shardLogic: this.#shardsThatFail(),
      onFailure: onBroken,
    });
    this.app = appOf(this.registry, journal.documents, clock, log);
    this.realtime = new Realtime({
      registry: this.registry,
      access,
      limits: new Limits({ config, clock, addresses }),
      measures: { fanOut: () => {}, tick: () => {} },
      presence: new Presence({ bus: undefined, clock }),
      clock,
      config,
      log,
    });
    this.registry.recovered.then(
      () => {
        this.#servingSinceMs = clock.rightMs;
      },
      (error: unknown) => {
        if (!this.isDead) onBroken(error);
      },
    );
    this.#warnings = new WarningWitness(model, clock);
    this.registry.watch({
      changed: (changes) =>
        this.#checked(() => {
          for (const change of changes) this.#told(change);
        }),
      touched: (timerId) => {
        this.#touchedMs.set(timerId, clock.rightMs);
        this.#warnings.lost(timerId);
      },
      warned: (warning) => this.#checked(() => this.#warnings.warned(warning)),
    });
  }

  get isServing(): boolean {
    return this.registry.phase === 'serving';
  }

  /** Whether the node tells of changes as they are in the log at this moment. */
  get isCaughtUp(): boolean {
    return this.isServing && this.journal.isCaughtUp && this.registry.isIdle;
  }

  /** Since when nothing kept it from recording the end of a timer at a revision, by the right clock. */
  mayRecordSinceMs(timerId: string, revision: number): number {
    const found = this.registry.lookUp(timerId);
    const isFree = !this.journal.isCutOff && this.journal.answersToLose === 0;
    const mayRecord = isFree && this.hasRightClock && found.ok;
    if (!mayRecord || found.timer.record.revision !== revision) return Number.POSITIVE_INFINITY;
    const touchedMs = this.#touchedMs.get(timerId) ?? 0;
    return Math.max(this.#servingSinceMs, this.journal.reachedSinceMs, touchedMs);
  }

  /** What its clock says, which is not quite right. */
  now(): number {
    return this.clock.now();
  }

  /** Whether its clock lets it record. */
  get hasRightClock(): boolean {
    return this.clock.isRight;
  }

  /** Takes no more commands, finishes those it was given, and ends: how a node is stopped on purpose. */
  async drain(): Promise<void> {
    await this.registry.drain();
    this.hasFinished = true;
    await this.realtime.close();
    await this.journal.close();
    this.crash();
  }

  crash(): void {
    this.isDead = true;
    this.clock.die();
    this.journal.abandon();
  }

  /** Holds what the node shows against what it was given. */
  check(): void {
    this.#checkFailures();
    if (!this.isServing) return;
    const shown = [...this.registry.list('', undefined)];
    for (const status of shown) {
      this.#checkIsGiven(status);
      this.#checkTimer(status);
      this.#warnings.check(status);
    }
    const ids = new Set(shown.map(({ record }) => record.id));
    for (const [timerId, revision] of this.journal.givenRevisions) {
      if (!ids.has(timerId)) this.#checkAbsence(timerId, revision);
    }
  }

  /** Every commit is told once, in the order of the log. */
  #told({ position, entry }: Change): void {
    const last = this.#lastPositionTold;
    const isNext = last === undefined || position === last + 1;
    must('T3', isNext, () => `node ${this.name} tells of ${position} after ${last}`);
    this.#lastPositionTold = position;
    // What a timer came back with, it came back after: its warnings count from then.
    const isNews = entry.revision > (this.journal.readRevisions.get(entry.timerId) ?? 0);
    if (isNews) this.#warnings.heard(entry);
  }

  #checkIsGiven({ record: { id, revision } }: TimerStatus): void {
    const given = this.journal.givenRevisions.get(id) ?? 0;
    must('T5', revision >= given, () => {
      return `${id} on node ${this.name} is at ${revision}, and was given ${given}`;
    });
  }

  /** A record never changes, so each is looked at once. */
  #checkTimer({ record, state }: TimerStatus): void {
    if (this.#recordsChecked.has(record)) return;
    this.#recordsChecked.add(record);
    const { id, revision } = record;
    const counted = this.#model.at(id, revision);
    const who = `${id} on node ${this.name}`;
    if (counted === undefined) throw new BrokenRule('T3', `${who} is at ${revision} already`);
    const { sinceMs, leftMs } = counted;
    const expected = {
      state: stateOfCounted(counted),
      durationMs: counted.durationMs,
      deadlineMs: sinceMs === null ? null : sinceMs + leftMs,
      heldMs: sinceMs === null ? leftMs : null,
      startedAtMs: counted.startedAtMs,
      completedAtMs: counted.endedAtMs,
    };
    const { durationMs, deadlineMs, heldMs, startedAtMs, completedAtMs } = record;
    const found = { state, durationMs, deadlineMs, heldMs, startedAtMs, completedAtMs };
    const [is, shouldBe] = [JSON.stringify(found), JSON.stringify(expected)];
    must('T2', is === shouldBe, () => `${who} at revision ${revision} is ${is}, not ${shouldBe}`);
  }

  #checkAbsence(timerId: string, givenRevision: number): void {
    const given = this.#model.at(timerId, givenRevision);
    const retiresAtMs = (given?.endedAtMs ?? Number.POSITIVE_INFINITY) + RETAIN_FINISHED_MS;
    const isGone = given?.ending === 'deleted' || retiresAtMs <= this.now();
    const found = this.registry.lookUp(timerId);
    const isDown = !found.ok && found.refusal.reason === 'timer_restarting';
    // A restart reads the history, which may know of a deletion that the node has not been given yet.
    const isDeleted = this.#model.now(timerId)?.ending === 'deleted';
    must('T5', isGone || isDown || isDeleted, () => `${timerId} is unknown on node ${this.name}`);
  }

  /** None fails that was not made to; what comes back too soon for the log fails again. */
  #checkFailures(): void {
    for (const line of this.#lines.slice(this.#linesRead)) {
      const { msg, err } = lineSchema.parse(JSON.parse(line));
      const isExpected = err === undefined || EXPECTED_FAILURES.has(err.message);
      must('T11', isExpected, () => `node ${this.name} says: ${msg}: ${err?.message}`);
    }
    this.#linesRead = this.#lines.length;
  }

  #checked(check: () => void): void {
    if (this.isDead) return;
    try {
      check();
    } catch (error) {
      this.#onBroken(error);
    }
  }

  #shardsThatFail(): typeof shardMachine {
    const timer = timerMachine.provide({
      actions: {
        apply: assign(({ context, event }) => {
          if (!('revision' in event)) return {};
          this.#failIfDue(event.timerId);
          return { record: applyEntry(context.record, event) };
        }),
      },
    });
    return shardMachine.provide({ actors: { timer } });
  }

  #failIfDue(timerId: string): void {
    if (this.failuresToCome === 0) return;
    this.failuresToCome -= 1;
    this.#onTimerFailed(timerId);
    throw new Error(MADE_TO_FAIL);
  }
}

/** How many nodes come before one when a timer ends; those that crashed count too. */
function rankOf(name: NodeName, timerId: string): number {
  const nodes = NODES.length;
  return (NODES.indexOf(name) - spread(timerId, nodes) + nodes) % nodes;
}

function stateOfCounted({ ending, sinceMs, startedAtMs }: Counted) {
  if (ending === 'expired') return 'EXPIRED';
  if (ending === 'stopped') return 'COMPLETED';
  if (sinceMs !== null) return 'RUNNING';
  return startedAtMs === null ? 'CREATED' : 'PAUSED';
}
