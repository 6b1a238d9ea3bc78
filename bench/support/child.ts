/** A Node process that the bench started: asked over IPC, and ended with the bench at the latest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { replySchema } from './questions.js';

/** A process that does not end by itself after SIGTERM is killed after this time. */
const LONGEST_STOP_MS = 20_000;

export interface ChildOptions {
  readonly script: URL;
  readonly nodeFlags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Hears each line of the standard output. */
  readonly onLine?: (line: string) => void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #isStopping = false;

  constructor({ script, nodeFlags = [], environment = {}, onLine }: ChildOptions) {
    this.#name = script.pathname.split('/').at(-1) ?? script.pathname;
    this.#process = spawn(process.execPath, [...nodeFlags, fileURLToPath(script)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { ...process.env, ...environment },
    });
    running.add(this.#process);
    const { stdout } = this.#process;
    if (stdout !== null) createInterface(stdout).on('line', (line) => onLine?.(line));
    this.#process.on('message', (message) => this.#settle(message));
    this.#exited = this.#untilExit();
  }

  /** Rejects when the process ends although nobody asked it to. */
  get died(): Promise<never> {
    return this.#exited.then(() => {
      if (this.#isStopping) return new Promise<never>(() => {});
      throw this.#endedError();
    });
  }

  /** Asks the process, and checks that the answer has the form it should. */
  async ask<T>(question: object, schema: z.ZodType<T>): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    const value = await new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#process.send({ id, question });
    });
    return schema.parse(value);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#process.kill('SIGTERM');
    const timeout = setTimeout(() => this.#process.kill('SIGKILL'), LONGEST_STOP_MS);
    await this.#exited;
    clearTimeout(timeout);
  }

  async kill(): Promise<void> {
    this.#isStopping = true;
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  async #untilExit(): Promise<void> {
    await once(this.#process, 'exit');
    running.delete(this.#process);
    for (const { reject } of this.#pending.values()) reject(this.#endedError());
    this.#pending.clear();
  }

  #endedError(): Error {
    const { exitCode, signalCode } = this.#process;
    return new Error(`The process of ${this.#name} ended early (${exitCode ?? signalCode})`);
  }

  #settle(message: unknown): void {
    const reply = replySchema.parse(message);
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('error' in reply) pending?.reject(new Error(`${this.#name}: ${reply.error}`));
    else pending?.resolve(reply.value);
  }
}
