/** The thread that owns the journal's database file: takes requests one at a time, in their order. */
import { parentPort, workerData } from 'node:worker_threads';
import { type NewRow, SqliteFile } from './sqlite-file.js';

/** What can be asked of the thread. */
export type SqliteQuestion =
  | { readonly type: 'append'; readonly rows: readonly NewRow[] }
  | { readonly type: 'history'; readonly timerId: string }
  | { readonly type: 'countTimers'; readonly endedBeforeMs: number }
  | {
      readonly type: 'replay';
      readonly afterTimerId: string;
      readonly endedBeforeMs: number;
      readonly timerLimit: number;
    }
  | { readonly type: 'close' };

export type SqliteRequest = SqliteQuestion & { readonly id: number };

/** Errors cross the thread as their words: an error's class does not survive the crossing. */
export type SqliteResponse =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

function answer(file: SqliteFile, request: SqliteRequest): unknown {
  switch (request.type) {
    case 'append':
      return file.append(request.rows);
    case 'history':
      return file.history(request.timerId);
    case 'countTimers':
      return file.countTimers(request.endedBeforeMs);
    case 'replay':
      return file.replay(request.afterTimerId, request.endedBeforeMs, request.timerLimit);
    case 'close':
      return file.close();
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function serve(path: string): void {
  const port = parentPort;
  if (port === null) throw new Error('This file runs as a worker thread');
  const respond = (response: SqliteResponse): void => port.postMessage(response);
  try {
    const file = new SqliteFile(path);
    respond({ id: 0, ok: true, value: undefined });
    port.on('message', (request: SqliteRequest) => {
      try {
        respond({ id: request.id, ok: true, value: answer(file, request) });
      } catch (error) {
        respond({ id: request.id, ok: false, message: wordsOf(error) });
      }
      if (request.type === 'close') port.close();
    });
  } catch (error) {
    respond({ id: 0, ok: false, message: wordsOf(error) });
    port.close();
  }
}

serve(String(workerData));
