/** The thread that owns the journal's database file: takes requests one at a time, in their order. */
import { parentPort, workerData } from 'node:worker_threads';
import { recordOf } from '../../machines/record.js';
import type { Condition, Document } from './documents.js';
import {
  type Beginning,
  DoubtError,
  type Entry,
  groupByTimer,
  type JournalAnswer,
  type TimerRecord,
} from './journal.js';
import { SqliteFile } from './sqlite-file.js';
import { recordedRowsSchema, verifiedEntryOf } from './sqlite-rows.js';
import { explain } from './sqlite-schema.js';

/** What can be asked of the thread. */
export type SqliteQuestion =
  | { readonly type: 'append'; readonly entries: readonly Entry[] }
  | { readonly type: 'history'; readonly timerId: string }
  | { readonly type: 'countTimers'; readonly endedBeforeMs: number }
  | ReplayQuestion
  | { readonly type: 'read'; readonly afterPosition: number; readonly limit: number }
  | { readonly type: 'positionBefore'; readonly epochMs: number }
  | { readonly type: 'entriesOfRequest'; readonly requestIdPrefix: string }
  | { readonly type: 'beginning' }
  | { readonly type: 'firstUnfinished'; readonly epochMs: number }
  | { readonly type: 'takeOut'; readonly upTo: Beginning }
  | DocumentQuestion
  | { readonly type: 'close' };

interface ReplayQuestion {
  readonly type: 'replay';
  readonly afterTimerId: string;
  readonly endedBeforeMs: number;
  readonly timerLimit: number;
}

type DocumentQuestion =
  | { readonly type: 'purgeDocuments'; readonly nowMs: number }
  | ({ readonly drawer: string } & (
      | { readonly type: 'getDocument'; readonly name: string; readonly nowMs: number }
      | {
          readonly type: 'putDocument';
          readonly document: Document;
          readonly expiresAtMs: number | null;
        }
      | {
          readonly type: 'replaceDocument';
          readonly document: Document;
          readonly expiresAtMs: number | null;
          readonly condition: Condition;
        }
      | { readonly type: 'removeDocument'; readonly name: string }
      | { readonly type: 'listDocuments'; readonly prefix: string }
    ));

/** What is answered to an append. */
export interface Appended {
  readonly answers: readonly JournalAnswer[];
  /** The position of the last entry of the journal. */
  readonly lastPosition: number;
}

export type SqliteRequest = SqliteQuestion & { readonly id: number };

/** Errors cross the thread as their words: an error's class does not survive the crossing. */
export interface SqliteFailure {
  readonly id: number;
  readonly ok: false;
  readonly message: string;
  /** What was asked for may be done all the same. */
  readonly isInDoubt: boolean;
}

export type SqliteResponse =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | SqliteFailure;

function answer(file: SqliteFile, request: SqliteRequest): unknown {
  switch (request.type) {
    case 'append':
      return appendTo(file, request.entries);
    case 'history':
      return file.history(request.timerId);
    case 'countTimers':
      return file.countTimers(request.endedBeforeMs);
    case 'replay':
      return replay(file, request);
    case 'read':
      return file.read(request.afterPosition, request.limit);
    case 'positionBefore':
      return file.positionBefore(request.epochMs);
    case 'entriesOfRequest':
      return file.entriesOfRequest(request.requestIdPrefix);
    case 'beginning':
      return file.beginning();
    case 'firstUnfinished':
      return file.firstUnfinished(request.epochMs);
    case 'takeOut':
      return file.takeOut(request.upTo);
    case 'getDocument':
      return file.documents.get(request.drawer, request.name, request.nowMs);
    case 'putDocument':
      return file.documents.put(request.drawer, request.document, request.expiresAtMs);
    case 'replaceDocument': {
      const { drawer, document, expiresAtMs, condition } = request;
      return file.documents.replace(drawer, document, expiresAtMs, condition);
    }
    case 'removeDocument':
      return file.documents.remove(request.drawer, request.name);
    case 'listDocuments':
      return file.documents.list(request.drawer, request.prefix);
    case 'purgeDocuments':
      return file.documents.purge(request.nowMs);
    case 'close':
      return file.close();
  }
}

function appendTo(file: SqliteFile, entries: readonly Entry[]): Appended {
  const answers = file.append(entries);
  return { answers, lastPosition: file.lastPosition };
}

/**
 * Folded here, while the other thread is at work on the records before. What is in memory from then on was held
 * against its hashes, because the file's structure is whole whatever is written into a row.
 */
function replay(file: SqliteFile, request: ReplayQuestion): TimerRecord[] {
  const { afterTimerId, endedBeforeMs, timerLimit } = request;
  const rows = recordedRowsSchema.parse(file.replay(afterTimerId, endedBeforeMs, timerLimit));
  return groupByTimer(rows.map(verifiedEntryOf)).map(recordOf);
}

function failureOf(id: number, error: unknown): SqliteFailure {
  const message = error instanceof Error ? error.message : String(error);
  return { id, ok: false, message, isInDoubt: error instanceof DoubtError };
}

function serve(path: string): void {
  const port = parentPort;
  if (port === null) throw new Error('This file runs as a worker thread');
  const respond = (response: SqliteResponse): void => port.postMessage(response);
  const respondFailure = (id: number, error: unknown): void =>
    respond(failureOf(id, explain(error, path)));
  try {
    const file = new SqliteFile(path);
    respond({ id: 0, ok: true, value: undefined });
    port.on('message', (request: SqliteRequest) => {
      try {
        respond({ id: request.id, ok: true, value: answer(file, request) });
      } catch (error) {
        respondFailure(request.id, error);
      }
      if (request.type === 'close') port.close();
    });
  } catch (error) {
    respondFailure(0, error);
    port.close();
  }
}

serve(String(workerData));
