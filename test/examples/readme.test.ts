/** The examples of the README, as they stand there, run against the compiled service. */
import { on, once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { receiptSchema } from '../../src/protocol/receipts.js';
import { timerSchema } from '../../src/protocol/timer.js';
import { needBrowser, openPage } from '../support/browser.js';
import { COMMAND, RunningProcess } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { ServiceProcess } from '../support/process.js';
import { temporaryFolder } from '../support/sqlite.js';
import { canRun, LONGEST_RUN_MS, need, pythonThatCan, runText } from '../support/tools.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const tried = new Set<string>();

/** What `npm link` would do. */
const COMMAND_ON_PATH = `synchronized-timer() { "${process.execPath}" "${COMMAND}" "$@"; }`;

let service: ServiceProcess;
beforeAll(async () => {
  service = await ServiceProcess.start({ JOURNAL: 'memory' }, 'file');
});
afterAll(async () => expect(await service.terminate()).toBe(0));

/** The fenced text behind an example's mark; only the port is another than in the README. */
function example(name: string, at = service): string {
  tried.add(name);
  const [, text] =
    new RegExp(`<!-- example: ${name} -->\\n\`\`\`\\w+\\n(.*?)\`\`\``, 's').exec(readme) ?? [];
  if (text === undefined) throw new Error(`The README has no example "${name}"`);
  return text.replaceAll('localhost:8003', `localhost:${new URL(at.url).port}`);
}

/** An address on this machine that nobody listens at. */
async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

async function timersNamed(name: string) {
  const { text } = await service.request('GET', '/timers');
  const timers = z.array(timerSchema).parse(JSON.parse(text));
  return timers.filter((timer) => timer.name.startsWith(name));
}

async function get(id: string) {
  return timerSchema.parse(JSON.parse((await service.request('GET', `/timers/${id}`)).text));
}

async function create(seconds: number): Promise<string> {
  const body = { duration_seconds: seconds, warning_thresholds: [1] };
  const { text } = await service.request('POST', '/timers', body);
  return timerSchema.parse(JSON.parse(text)).id;
}

async function createStarted(
  seconds: number,
  warning_thresholds: readonly number[] = [],
  at = service,
) {
  const body = { duration_seconds: seconds, warning_thresholds, auto_start: true };
  const { text } = await at.request('POST', '/timers', body);
  return timerSchema.parse(JSON.parse(text));
}

describe('the examples of the README', () => {
  it('create and start a timer', async (context) => {
    const script = example('create and start');
    need(context, 'curl', canRun('curl', '--version'));
    const output = await runText('bash', '-ec', script);
    expect(timerSchema.parse(JSON.parse(output))).toMatchObject({
      name: 'Quiz Timer',
      state: 'running',
      warning_thresholds: [60, 30, 10],
    });
  });

  it('list and delete timers', async (context) => {
    const own = await ServiceProcess.start({ JOURNAL: 'memory' });
    const script = example('list and delete', own);
    need(context, 'curl', canRun('curl', '--version'));
    const running: string[] = [];
    for (let made = 0; made < 5; made += 1) running.push((await createStarted(3600, [], own)).id);
    const body = { duration_seconds: 60, name: 'Spare' };
    const { id } = timerSchema.parse(JSON.parse((await own.request('POST', '/timers', body)).text));
    const output = await runText('bash', '-ec', `TIMER_ID=${id}\n${script}`);
    const pages = output.replaceAll('][', ']\n[').replace(']{', ']\n{').split('\n');
    const shown = timerSchema.parse(JSON.parse(pages.pop() ?? ''));
    expect(shown).toMatchObject({ id, state: 'created' });
    const listed = pages.map((page) => z.array(timerSchema).parse(JSON.parse(page)));
    expect(listed.map((timers) => timers.map((timer) => timer.id))).toEqual([
      running.slice(0, 2),
      running.slice(2, 4),
      running.slice(4),
    ]);
    expect((await own.request('GET', `/timers/${id}`)).status).toBe(404);
    const { text } = await own.request('GET', `/timers/${id}/history`);
    expect(text).toContain('Made twice');
  });

  it('A5, A6: ask again without harm', async (context) => {
    const script = example('ask again');
    need(context, 'curl', canRun('curl', '--version'));
    const { id } = await createStarted(60);
    await service.request('POST', `/timers/${id}/control`, { action: 'pause' });
    const output = await runText('bash', '-ec', `TIMER_ID=${id}\n${script}`);
    const [first, second] = output.replace('}{', '}\n{').split('\n');
    expect(timerSchema.parse(JSON.parse(first ?? ''))).toMatchObject({
      duration_seconds: 360,
      revision: 3,
    });
    expect(second).toBe(first);
    const late = await runText('bash', '-ec', `TIMER_ID=${id}\n${script}`);
    expect(late).toContain('wrong_revision');
    expect((await get(id)).duration_seconds).toBe(360);
  });

  it('start and extend a classroom', async (context) => {
    const script = example('classroom');
    need(context, 'curl', canRun('curl', '--version'));
    await runText('bash', '-ec', script);
    const [a, b] = await timersNamed('Student');
    expect(a).toMatchObject({ name: 'Student A', state: 'running', duration_seconds: 2100 });
    expect(b).toMatchObject({ name: 'Student B', state: 'running', duration_seconds: 2100 });
    expect(a?.started_at).toBe(b?.started_at);
  });

  it('control a room and watch a timer from the command line', async () => {
    const script = example('command line');
    const output = await runText('bash', '-ec', `${COMMAND_ON_PATH}\n${script}`);
    const seats = await timersNamed('Seat');
    expect(seats).toHaveLength(28);
    for (const seat of seats) {
      expect(seat).toMatchObject({
        state: 'running',
        duration_seconds: 2100,
        warning_thresholds: [300, 60],
        started_at: seats[0]?.started_at,
      });
      expect(output).toContain(`${seat.id}: extended by 300s\n`);
      expect(output).toMatch(new RegExp(`^${seat.id} +${seat.name} +running +3[45]:`, 'm'));
    }
    expect(output).toMatch(
      // A machine that starts programs slowly may begin to watch when the time is up already.
      /(Egg: running.*\n(.*remaining\n)+the time is up|Egg: expired.*)\n.* Created as “Egg”.*\n.* Time was up\n$/,
    );
  });

  it('A1, A2: protect a service, and let a teacher and a display in', async (context) => {
    const own = await ServiceProcess.start({ JOURNAL: 'memory' });
    const script = example('protect', own);
    need(context, 'curl', canRun('curl', '--version'));
    const home = `export HOME='${temporaryFolder()}'\nunset XDG_CONFIG_HOME\n`;
    const output = await runText('bash', '-ec', `${home}${COMMAND_ON_PATH}\n${script}`);
    expect(output).toMatch(/^Logged in at \S+: Ms Meyer, admin, until it is revoked$/m);
    expect(output).toMatch(/^[0-9a-f]{12} +admin +Ms Meyer .*\n[0-9a-f]{12} +instructor +Mr Li /m);
    const shown = output.slice(output.indexOf('{'));
    expect(timerSchema.parse(JSON.parse(shown))).toMatchObject({ name: 'Algebra' });
    expect((await own.request('GET', '/timers')).status).toBe(401);
  });

  it('show a timer with JavaScript', async () => {
    const timerId = await create(2);
    const page = {
      showTime: vi.fn(),
      showWarning: vi.fn(),
      showPaused: vi.fn(),
      submitExam: vi.fn(),
    };
    const browser = createContext({ WebSocket, timerId, ...page });
    runInContext(example('javascript display'), browser);
    const webSocket = z.instanceof(WebSocket).parse(runInContext('ws', browser));
    await once(webSocket, 'message');
    const control = (action: string) =>
      service.request('POST', `/timers/${timerId}/control`, { action });
    for (const action of ['start', 'pause', 'start']) await control(action);
    for await (const [data] of on(webSocket, 'message'))
      if (String(data).includes('timer_expired')) break;
    expect(page.showTime.mock.calls).toEqual([[2], [1], [0]]);
    expect(page.showWarning.mock.calls).toEqual([['1 seconds remaining']]);
    expect(page.showPaused).toHaveBeenCalledOnce();
    expect(page.submitExam).toHaveBeenCalledOnce();
    webSocket.close();
    await once(webSocket, 'close');
  });

  it('show a timer by the component in a page of somebody else', async (context) => {
    const html = example('component');
    await needBrowser(context);
    const { id } = await createStarted(3600);
    const quiz = createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><title>A quiz</title>${html.replace(/timer_[0-9a-z]+/, id)}`);
    }).listen(0, '127.0.0.1');
    context.onTestFinished(() => void quiz.close());
    await once(quiz, 'listening');
    const { port } = z.object({ port: z.number() }).parse(quiz.address());
    const page = await openPage(context, `http://localhost:${port}`);
    await page.getByText(/^59:5\d$/).waitFor();
    await page.getByText(/In sync/).waitFor();
    const { text } = await service.request('GET', `/timers/${id}/displays`);
    expect(JSON.parse(text)).toMatchObject({ displays: [{ label: 'Seat 14' }] });
  });

  it('show a timer by the client library', async () => {
    const id = await create(2);
    const script = example('client library').replace(
      'import { connectTimer }',
      `const timerId = '${id}';\nimport { connectTimer }`,
    );
    const closing = `${script}\ndisplay.on('end', () => display.close());`;
    const client = new RunningProcess(process.execPath, ['--input-type=module', '-e', closing], {});
    // A process may take longer to start than the timer runs, so it is there before.
    await client.until(' ms true\n');
    await service.request('POST', `/timers/${id}/control`, { action: 'start' });
    const { stdout } = await client.ended;
    expect(stdout).toMatch(/^running \d ±/m);
    expect(stdout).toMatch(/^1 seconds left$/m);
    expect(stdout).toMatch(/^over: expired$/m);
  });

  it('tell a receiver of webhooks', async () => {
    // It would be told of the timers of others.
    const own = await ServiceProcess.start({ JOURNAL: 'memory', WEBHOOK_ALLOW_PRIVATE: '1' });
    const { port } = new URL(await freeAddress());
    const command = example('webhook', own).replaceAll('localhost:9000', `127.0.0.1:${port}`);
    const created = await runText('bash', '-ec', `${COMMAND_ON_PATH}\n${command}`);
    const [, WEBHOOK_SECRET = ''] = /^webhook_\w+ (whsec_\S+)\n$/.exec(created) ?? [];
    const script = example('webhook receiver').replace('9000', `${port}, '127.0.0.1'`);
    const args = ['--input-type=module', '-e', script];
    const receiver = new RunningProcess(process.execPath, args, { WEBHOOK_SECRET });
    await eventually(() => fetch(`http://127.0.0.1:${port}`), LONGEST_RUN_MS);
    await createStarted(2, [1], own);
    await receiver.until('timer.expired Timer\n');
    expect(receiver.stdout).toBe('timer.warning Timer\ntimer.expired Timer\n');
  });

  it('show a timer with Python', async (context) => {
    const script = example('python display');
    const python = pythonThatCan('import websockets');
    need(context, 'a Python that can import websockets', python !== undefined);
    const timerId = await create(1);
    const client = runText(python ?? '', '-c', script, timerId);
    const connected = eventually(async () => {
      expect(await get(timerId)).toMatchObject({ connected_clients: 1 });
    }, LONGEST_RUN_MS);
    await Promise.race([connected, client]);
    await service.request('POST', `/timers/${timerId}/control`, { action: 'start' });
    expect(await client).toBe("Time remaining: 0s\nTime's up!\n");
  });

  it('check a receipt', async () => {
    const { id } = await createStarted(3600);
    const sha256 = 'ab'.repeat(32);
    const body = { payload_sha256: sha256 };
    const { text } = await service.request('POST', `/timers/${id}/receipts`, body);
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'receipt.txt'), receiptSchema.parse(JSON.parse(text)).receipt);
    const keys = await service.request('GET', '/.well-known/jwks.json');
    writeFileSync(join(folder, 'jwks.json'), keys.text);
    const script = example('check a receipt')
      .replaceAll("'jwks.json'", `'${folder}/jwks.json'`)
      .replaceAll("'receipt.txt'", `'${folder}/receipt.txt'`);
    const output = await runText(process.execPath, '--input-type=module', '-e', script);
    expect(output).toMatch(new RegExp(`^${id} running 3\\d{6} 0\n${sha256}\n$`));
  });

  it('are all tried here', () => {
    const marked = [...readme.matchAll(/<!-- example: (.*?) -->/g)].map(([, name]) => name);
    expect([...tried].sort()).toEqual(marked.sort());
  });
});
