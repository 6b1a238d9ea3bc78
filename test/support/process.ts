/** The service as a process of its own: compiled, on the real clock, the real disk and real signals. */

import { type ChildProcess, spawn } from 'node:child_process';
import { Agent, request as httpRequest } from 'node:http';
import { createInterface, type Interface } from 'node:readline';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { endWithFile, endWithTest } from './endings.js';

const MAIN = new URL('../../dist/service/main.js', import.meta.url).pathname;
const logLine = z.looseObject({ url: z.string().optional(), msg: z.string() });

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const running = { test: new Set<ServiceProcess>(), file: new Set<ServiceProcess>() };
endWithTest('services', async () => {
  for (const service of running.test) await service.kill();
});
endWithFile(async () => {
  for (const service of running.file) await service.kill();
});

/** What a process ends with at the latest. */
type Lifetime = keyof typeof running;

export class ServiceProcess {
  readonly child: ChildProcess;
  /** Everything it logged, line by line. */
  readonly log: string[] = [];
  /** Everything it wrote to standard error. */
  stderr = '';
  url = '';
  /** The key or token that requests show from now on. */
  token: string | undefined;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #lines: Interface;

  private constructor(
    settings: Readonly<Record<string, string>>,
    lifetime: Lifetime,
    output: 'pipe' | number,
  ) {
    const env = { PATH: process.env.PATH, NODE_ENV: 'production', PORT: '0', ...settings };
    this.child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', output, 'pipe'] });
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        running[lifetime].delete(this);
        this.#agent.destroy();
        resolve({ code, signal });
      });
    });
    this.#lines = createInterface({ input: this.child.stdout ?? Readable.from([]) });
    this.#lines.on('line', (line) => this.log.push(line));
    this.child.stderr?.on('data', (data) => {
      this.stderr += String(data);
    });
    running[lifetime].add(this);
  }

  /** Starts a service and waits until it is ready; it is killed after the test at the latest, or the file. */
  static async start(
    settings: Readonly<Record<string, string>>,
    lifetime: Lifetime = 'test',
  ): Promise<ServiceProcess> {
    const service = ServiceProcess.launch(settings, lifetime);
    await service.ready();
    return service;
  }

  /** Starts a process that may never become a service; one whose output goes elsewhere has no log here. */
  static launch(
    settings: Readonly<Record<string, string>>,
    lifetime: Lifetime = 'test',
    output: 'pipe' | number = 'pipe',
  ): ServiceProcess {
    return new ServiceProcess(settings, lifetime, output);
  }

  /** Waits until it takes commands. */
  async ready(): Promise<void> {
    this.url = await this.#firstInLog(({ url }) => url);
  }

  /** Waits until it has logged a message that begins like this, and gives the whole message. */
  logged(beginning: string): Promise<string> {
    return this.#firstInLog(({ msg }) => (msg.startsWith(beginning) ? msg : undefined));
  }

  async #firstInLog(find: (line: z.output<typeof logLine>) => string | undefined): Promise<string> {
    for (let index = 0; ; index += 1) {
      while (index >= this.log.length) await this.#nextLine();
      const found = find(logLine.parse(JSON.parse(this.log[index] ?? '')));
      if (found !== undefined) return found;
    }
  }

  #nextLine(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#lines.once('line', () => resolve());
      this.exited.then(() => reject(new Error(`The service did not start: ${this.stderr}`)));
    });
  }

  request(
    method: string,
    path: string,
    body?: unknown,
    others: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = {
        'Content-Type': 'application/json',
        ...(this.token !== undefined && { Authorization: `Bearer ${this.token}` }),
        ...others,
      };
      const request = httpRequest(`${this.url}${path}`, { method, headers, agent: this.#agent });
      request.once('error', reject);
      request.once('response', (response) => {
        let text = '';
        response.on('data', (data) => {
          text += String(data);
        });
        response.once('error', reject);
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      });
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Ends the process without warning, as a crash would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Asks it to stop, and gives its exit code. */
  async terminate(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return (await this.exited).code;
  }
}
