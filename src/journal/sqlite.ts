/**
 * The default journal: one SQLite file, write-ahead log, every commit synced to the disk. The file
 * is owned by a worker thread, so that a slow disk never holds up a tick.
 */
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { setImmediate as othersHadTheirTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import { Disk } from './disk.js';
import { OwnDocuments } from './documents.js';
import {
  type Anchor,
  type Beginning,
  beginningSchema,
  type Commit,
  type Documents,
  DoubtError,
  type Entry,
  type Journal,
  type JournalAnswer,
  JournalError,
  type RecordedEntry,
  type ReplayBatch,
  recordSchema,
  type TimerRecord,
} from './journal.js';
import { entryOf, recordedEntryOf, recordedRowsSchema, rowsSchema } from './sqlite-rows.js';
import { explain } from './sqlite-schema.js';
import type {
  Appended,
  SqliteFailure,
  SqliteQuestion,
  SqliteRequest,
  SqliteResponse,
} from './sqlite-worker.js';

const FILE_NAME = 'journal.db';
const REPLAY_BATCH_TIMERS = 500;
/** What is put on the disk to see whether it takes anything. */
const TRIAL = { drawer: 'disk', document: { name: 'trial', text: '' }, expiresAtMs: null } as const;

export interface SqliteJournalOptions {
  /** Folder of the file; made if it is not there. */
  readonly directory: string;
  readonly clock: Clock;
  /** The compiled worker; tests that run from sources name it. */
  readonly workerUrl?: URL;
  /** Called before a file that is there already is checked, which takes long for a large one. */
  readonly onCheck?: (path: string, bytes: number) => void;
  /** Breaks the check off; what comes after it is short and is finished. */
  readonly signal?: AbortSignal;
  /** The thread died, which it never should: whatever was under way is lost. */
  readonly onCrash: (error: Error) => void;
}

interface Pending {
  /** The entries that are to be appended. */
  readonly asked: readonly Entry[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class SqliteJournal implements Journal {
  readonly description: string;
  readonly engine: Disk;
  readonly documents: Documents = new OwnDocuments({
    get: (drawer, name, nowMs) =>
      this.#ask({ type: 'getDocument', drawer, name, nowMs }, z.string().optional()),
    put: (drawer, document, expiresAtMs) =>
      this.#ask({ type: 'putDocument', drawer, document, expiresAtMs }, z.undefined()),
    replace: (drawer, document, expiresAtMs, condition) =>
      this.#ask({ type: 'replaceDocument', drawer, document, expiresAtMs, condition }, z.boolean()),
    remove: (drawer, name) => this.#ask({ type: 'removeDocument', drawer, name }, z.boolean()),
    list: (drawer, prefix = '') =>
      this.#ask({ type: 'listDocuments', drawer, prefix }, documentsSchema),
    purge: (nowMs) => this.#ask({ type: 'purgeDocuments', nowMs }, z.undefined()),
  });
  readonly #path: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(commit: Commit) => void>();
  #lastId = 0;
  #isClosed = false;

  private constructor(path: string, worker: Worker, clock: Clock, onCrash: (error: Error) => void) {
    this.description = `sqlite (${path})`;
    this.engine = new Disk(clock, () =>
      this.#ask({ type: 'putDocument', ...TRIAL }, z.undefined()),
    );
    this.#path = path;
    this.#worker = worker;
    worker.on('message', (response: SqliteResponse) => this.#settle(response));
    worker.on('error', onCrash);
    worker.on('exit', () => {
      const error = new JournalError('The thread of the journal has ended');
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      if (!this.#isClosed) onCrash(error);
      this.#isClosed = true;
    });
  }

  /**
   * Opens the journal in a folder.
   * @throws {JournalError} if the file there cannot be used; it is left as it was.
   */
  static async open({
    directory,
    clock,
    workerUrl,
    onCheck,
    signal,
    onCrash,
  }: SqliteJournalOptions): Promise<SqliteJournal> {
    const path = resolve(directory, FILE_NAME);
    const url = workerUrl ?? new URL('./sqlite-worker.js', import.meta.url);
    if (existsSync(path)) {
      onCheck?.(path, statSync(path).size);
      await check(path, new URL('./sqlite-check.js', url), signal);
    }
    signal?.throwIfAborted();
    const worker = new Worker(url, { workerData: path });
    let isOpen = false;
    const journal = new SqliteJournal(path, worker, clock, (error) => {
      if (isOpen) onCrash(error);
    });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const opened = new Promise((resolve, reject) => {
      journal.#pending.set(0, { asked: [], resolve, reject });
    });
    // Whoever is told that the file cannot be used finds nobody at it any more.
    await opened.catch((error: unknown) => exited.then(() => Promise.reject(error)));
    isOpen = true;
    return journal;
  }

  async *replay(endedBeforeMs: number): AsyncGenerator<ReplayBatch> {
    let timersLeft = await this.#ask({ type: 'countTimers', endedBeforeMs }, z.number());
    let coming = this.#recordsAfter('', endedBeforeMs);
    for (;;) {
      const records = await coming;
      const last = records.at(-1);
      if (last === undefined) return;
      // The thread reads on while these are taken in; should it fail, that is heard when they are awaited.
      coming = this.#recordsAfter(last.id, endedBeforeMs);
      coming.catch(() => {});
      timersLeft = Math.max(0, timersLeft - records.length);
      yield { records, timersLeft };
      // The next answer of the thread is mostly there already: without this, probes and signals would wait for the last.
      await othersHadTheirTurn();
    }
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async append(entries: readonly Entry[]): Promise<readonly JournalAnswer[]> {
    const question = { type: 'append', entries } as const;
    const appending = this.#ask(question, appendedSchema, ({ answers, lastPosition }) => {
      this.engine.noteWrite();
      const committed = entries.filter((_, index) => answers[index] === 'committed');
      if (committed.length === 0) return;
      for (const listener of this.#listeners) listener({ entries: committed, lastPosition });
    });
    appending.catch(() => this.engine.noteFailure());
    return (await appending).answers;
  }

  async history(timerId: string): Promise<readonly RecordedEntry[]> {
    const rows = await this.#ask({ type: 'history', timerId }, recordedRowsSchema);
    return this.#understand(rows, recordedEntryOf);
  }

  async read(afterPosition: number, limit: number): Promise<readonly RecordedEntry[]> {
    const question = { type: 'read', afterPosition, limit } as const;
    return this.#understand(await this.#ask(question, recordedRowsSchema), recordedEntryOf);
  }

  positionBefore(epochMs: number): Promise<number> {
    return this.#ask({ type: 'positionBefore', epochMs }, z.number());
  }

  async entriesOfRequest(requestIdPrefix: string): Promise<readonly Entry[]> {
    const question = { type: 'entriesOfRequest', requestIdPrefix } as const;
    return this.#understand(await this.#ask(question, rowsSchema), entryOf);
  }

  beginning(): Promise<Beginning> {
    return this.#ask({ type: 'beginning' }, beginningSchema);
  }

  async firstUnfinished(epochMs: number): Promise<Anchor | undefined> {
    const [found] = await this.#ask({ type: 'firstUnfinished', epochMs }, anchorsSchema);
    return found && { position: found[0], timerId: found[1] };
  }

  takeOut(upTo: Beginning): Promise<void> {
    return this.#ask({ type: 'takeOut', upTo }, z.undefined());
  }

  #recordsAfter(afterTimerId: string, endedBeforeMs: number): Promise<readonly TimerRecord[]> {
    const timerLimit = REPLAY_BATCH_TIMERS;
    return this.#ask({ type: 'replay', afterTimerId, endedBeforeMs, timerLimit }, recordsSchema);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.engine.stop();
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    const closing = this.#ask({ type: 'close' }, z.undefined());
    this.#isClosed = true;
    await closing;
    await exited;
  }

  /**
   * Asks the thread. `onAnswer` runs at the moment the answer comes, so that what is delivered to
   * subscribers keeps the order of the commits.
   */
  async #ask<T>(
    question: SqliteQuestion,
    schema: z.ZodType<T>,
    onAnswer?: (answer: T) => void,
  ): Promise<T> {
    if (this.#isClosed) throw new JournalError('The journal is closed');
    this.#lastId += 1;
    const id = this.#lastId;
    const request: SqliteRequest = { ...question, id };
    const asked = question.type === 'append' ? question.entries : [];
    return new Promise((resolve, reject) => {
      const settle = (value: unknown): void => {
        const answer = schema.parse(value);
        onAnswer?.(answer);
        resolve(answer);
      };
      this.#pending.set(id, { asked, resolve: settle, reject });
      this.#worker.postMessage(request);
    });
  }

  /** @throws {JournalError} if a row is not what was stored. */
  #understand<Row, Understood>(
    rows: readonly Row[],
    understand: (row: Row) => Understood,
  ): Understood[] {
    try {
      return rows.map(understand);
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  #settle(response: SqliteResponse): void {
    const pending = this.#pending.get(response.id);
    this.#pending.delete(response.id);
    if (response.ok) pending?.resolve(response.value);
    else pending?.reject(errorOf(response, pending.asked));
  }
}

function errorOf({ message, isInDoubt }: SqliteFailure, asked: readonly Entry[]): JournalError {
  return isInDoubt ? new DoubtError(message, asked) : new JournalError(message);
}

/**
 * Has another process check the file, without writing to it. A signal of the system that is meant for this
 * process is none for that one.
 * @throws {JournalError} if the file cannot be used.
 */
async function check(path: string, program: URL, signal: AbortSignal | undefined): Promise<void> {
  const options = {
    detached: true,
    encoding: 'utf8',
    killSignal: 'SIGKILL',
    ...(signal === undefined ? {} : { signal }),
  } as const;
  const { finding, failure } = await new Promise<{ finding: string; failure: Error | null }>(
    (settle) => {
      execFile(process.execPath, [fileURLToPath(program), path], options, (failure, finding) =>
        settle({ finding, failure }),
      );
    },
  );
  signal?.throwIfAborted();
  if (finding !== '') throw new JournalError(finding);
  if (failure !== null) {
    throw new JournalError(`${path} could not be checked: ${failure.message.trim()}. Start again.`);
  }
}

const appendedSchema = z.object({
  answers: z.array(z.enum(['committed', 'conflict'])),
  lastPosition: z.number(),
}) satisfies z.ZodType<Appended>;
const anchorsSchema = z.array(z.tuple([z.number(), z.string()]));
const recordsSchema = z.array(recordSchema);
const documentsSchema = z.array(z.object({ name: z.string(), text: z.string() }));
