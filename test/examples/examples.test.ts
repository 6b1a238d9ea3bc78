/**
 * The usage examples of the API's reference, word for word, run against the compiled service. Only the
 * port and the timer's id are replaced in their text, as every reader of the reference does.
 */
import { spawnSync } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, type TestContext, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { SERVER_MESSAGES } from '../../src/protocol/messages.js';
import { type TimerResource, timerSchema } from '../../src/protocol/timer.js';
import { eventually } from '../support/eventually.js';
import { ServiceProcess } from '../support/process.js';
import {
  canRun,
  environment,
  LONGEST_RUN_MS,
  need,
  pythonThatCan,
  runText,
} from '../support/tools.js';

const REFERENCE_PORT = '8003';
const REFERENCE_TIMER_ID = 'timer_a1b2c3d4';
/** The JavaScript example needs an open connection from this comment on, which it leaves to its reader. */
const ONCE_OPEN = '// Request sync';

const folder = mkdtempSync(join(tmpdir(), 'timer-examples-'));

let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start(
    { JOURNAL: 'sqlite', DATA_DIR: join(folder, 'data') },
    'file',
  );
});
afterAll(async () => {
  expect(await service.terminate()).toBe(0);
  rmSync(folder, { recursive: true });
});

describe('every usage example of the reference runs word for word', () => {
  it('creates and starts a timer with curl', async (context) => {
    provideForShell(context);
    const output = await runShell('create-and-start.sh');
    const started = timerSchema.parse(JSON.parse(output));
    const [timer, ...others] = await timersNamed('Quiz Timer');
    expect(others).toEqual([]);
    expect(timer).toMatchObject({
      id: started.id,
      state: 'running',
      duration_seconds: 300,
      warning_thresholds: [60, 30, 10],
      started_at: started.started_at,
    });
  });

  it('T7: starts and extends a classroom with curl, both timers at one instant', async (context) => {
    provideForShell(context);
    const output = await runShell('classroom.sh');
    const [a] = await timersNamed('Student A');
    const [b] = await timersNamed('Student B');
    const started = [a, b].map((timer) => {
      return { timer_id: timer?.id, success: true, status: 'started' };
    });
    const extended = started.map((result) => ({ ...result, status: 'extended by 300s' }));
    expect(output).toBe(JSON.stringify(started) + JSON.stringify(extended));
    expect(a).toMatchObject({ state: 'running', duration_seconds: 2100 });
    expect(b).toMatchObject({ state: 'running', duration_seconds: 2100 });
    expect(a?.started_at).toBe(b?.started_at);
    expect(a?.deadline_ms).toBe(Date.parse(a?.started_at ?? '') + 2_100_000);
    expect(b?.deadline_ms).toBe(a?.deadline_ms);
  });

  it('follows a timer with the JavaScript client', async () => {
    const { id } = await post('/timers', { duration_seconds: 3, warning_thresholds: [1] });
    const page = {
      updateDisplay: vi.fn(),
      showWarning: vi.fn(),
      autoSubmitAssessment: vi.fn(),
      showPausedOverlay: vi.fn(),
    };
    const browser = createContext({ WebSocket, ...page });
    const [connecting = '', ...rest] = exampleText('connect.js.txt', id).split(ONCE_OPEN);
    runInContext(connecting, browser);
    const webSocket = z.instanceof(WebSocket).parse(runInContext('ws', browser));
    await once(webSocket, 'open');
    const answer = messageOfType(webSocket, 'sync_response');
    runInContext(ONCE_OPEN + rest.join(ONCE_OPEN), browser);
    expect(await answer).toMatchObject({ state: 'created', remaining_seconds: 3 });

    const expired = messageOfType(webSocket, 'timer_expired');
    await post(`/timers/${id}/control`, { action: 'start' });
    await post(`/timers/${id}/control`, { action: 'pause' });
    await post(`/timers/${id}/control`, { action: 'resume' });
    await expired;
    expect(page.showPausedOverlay.mock.calls).toEqual([[]]);
    expect(page.updateDisplay.mock.calls).toEqual([[2], [1], [0]]);
    expect(page.showWarning.mock.calls).toEqual([['1 seconds remaining!']]);
    expect(page.autoSubmitAssessment.mock.calls).toEqual([[]]);
    webSocket.close();
    await once(webSocket, 'close');
  });

  it('follows a timer with the Python client', async (context) => {
    const python = pythonThatCan('import websockets');
    need(context, 'a Python that can import websockets', python !== undefined);
    const { id } = await post('/timers', { duration_seconds: 3 });
    const client = runText(python ?? '', '-c', exampleText('connect.py', id));
    const connected = eventually(async () => {
      expect(await getTimer(id)).toMatchObject({ connected_clients: 1 });
    }, LONGEST_RUN_MS);
    // A client that fails ends the test at once instead of letting it wait for a connection.
    await Promise.race([connected, client]);
    await post(`/timers/${id}/control`, { action: 'start' });
    expect((await client).split('\n')).toEqual([
      'Time remaining: 2s',
      'Time remaining: 1s',
      'Time remaining: 0s',
      "Time's up!",
      '',
    ]);
  });
});

function exampleText(name: string, timerId: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
    .replaceAll(REFERENCE_PORT, new URL(service.url).port)
    .replaceAll(REFERENCE_TIMER_ID, timerId);
}

/** A shell stops at the first command that fails, so that no failure in the middle goes unseen. */
function runShell(name: string): Promise<string> {
  return runText('bash', '-ec', exampleText(name, REFERENCE_TIMER_ID));
}

/** Makes sure the shell examples find what they call: curl, and Python by the name of `python`. */
function provideForShell(context: TestContext): void {
  need(context, 'curl', canRun('curl', '--version'));
  const python = pythonThatCan('import json');
  need(context, 'a Python', python !== undefined);
  if (canRun('python', '-c', 'import json') || python === undefined) return;
  const program = spawnSync(python, ['-c', 'import sys; print(sys.executable)']).stdout;
  symlinkSync(String(program).trim(), join(folder, 'python'));
  environment.PATH = [folder, environment.PATH].join(delimiter);
}

async function messageOfType<T extends keyof typeof SERVER_MESSAGES>(
  webSocket: WebSocket,
  type: T,
): Promise<unknown> {
  for await (const [data] of on(webSocket, 'message')) {
    const message = SERVER_MESSAGES[type].safeParse(JSON.parse(String(data)));
    if (message.success) return message.data;
  }
  throw new Error(`no ${type} came`);
}

async function post(path: string, body: unknown): Promise<TimerResource> {
  return timerSchema.parse(JSON.parse((await service.request('POST', path, body)).text));
}

async function getTimer(timerId: string): Promise<TimerResource> {
  return timerSchema.parse(JSON.parse((await service.request('GET', `/timers/${timerId}`)).text));
}

async function timersNamed(name: string): Promise<TimerResource[]> {
  const { text } = await service.request('GET', '/timers');
  const timers = z.array(timerSchema).parse(JSON.parse(text));
  return timers.filter((timer) => timer.name === name);
}
