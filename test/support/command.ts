/**
 * The command line. Most tests run commands within their own process, which costs a small part of what starting one
 * does; the compiled command line runs as a child process, alone or on a terminal, where that makes a difference.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import type { OutputStream, Signal } from '../../src/cli/context.js';
import { runCommand } from '../../src/cli/program.js';
import { endWithTest } from './endings.js';

export const COMMAND = new URL('../../dist/service/cli.js', import.meta.url).pathname;

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Settings = Readonly<Record<string, string>>;
type StreamName = 'stdout' | 'stderr';

const running = new Set<RunningCommand | RunningProcess>();
endWithTest('clients', () => {
  for (const command of running) command.abandon();
  running.clear();
});

/** What was written until now, and those who wait for more. */
abstract class Running {
  stdout = '';
  stderr = '';
  abstract readonly ended: Promise<Run>;
  #hasEnded = false;
  readonly #waiting = new Set<() => void>();

  /** Waits until it has written something; fails when it ends before. */
  async until(text: string): Promise<void> {
    while (!`${this.stdout}${this.stderr}`.includes(text)) {
      if (this.#hasEnded) throw new Error(`ended before "${text}": ${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  protected take(name: StreamName, data: unknown): void {
    this[name] += String(data);
    this.#wake();
  }

  protected end(code: number | null): Run {
    this.#hasEnded = true;
    this.#wake();
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** A command within this process. */
export class RunningCommand extends Running {
  readonly ended: Promise<Run>;
  readonly #stdin = new PassThrough();
  readonly #signals = new EventEmitter();

  constructor(args: readonly string[], env: Settings, isTerminal: boolean) {
    super();
    running.add(this);
    const stdin = Object.assign(this.#stdin, { isTTY: isTerminal });
    const streamOf = (name: StreamName): OutputStream => {
      const write = (data: unknown, _: string, done: () => void): void => {
        this.take(name, data);
        done();
      };
      return Object.assign(new Writable({ write }), { isTTY: isTerminal });
    };
    const streams = { stdin, stdout: streamOf('stdout'), stderr: streamOf('stderr') };
    const once = (signal: Signal, listener: () => void) => this.#signals.once(signal, listener);
    this.ended = runCommand(args, { env, ...streams, once }).then((code) => {
      running.delete(this);
      return this.end(code);
    });
  }

  /** Types on its keyboard. */
  type(keys: string): void {
    this.#stdin.write(keys);
  }

  /** Gives all of its standard input. */
  feed(text: string): void {
    this.#stdin.end(text);
  }

  abandon(): void {
    this.#signals.emit('SIGTERM' satisfies Signal);
  }
}

/** A program under way. */
export class RunningProcess extends Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;

  constructor(program: string, args: readonly string[], settings: Settings) {
    super();
    const env = { PATH: process.env.PATH, NODE_ENV: 'production', ...settings };
    this.child = spawn(program, args, { env, stdio: 'pipe' });
    running.add(this);
    this.child.stdout?.on('data', (data) => this.take('stdout', data));
    this.child.stderr?.on('data', (data) => this.take('stderr', data));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => {
        running.delete(this);
        resolve(this.end(code));
      });
    });
  }

  /** Types on its keyboard. */
  type(keys: string): void {
    this.child.stdin?.write(keys);
  }

  /** Gives all of its standard input. */
  feed(text: string): void {
    this.child.stdin?.end(text);
  }

  abandon(): void {
    this.child.kill('SIGKILL');
  }
}

/** Starts a command within this process; where it is told so, it finds itself on a terminal. */
export function startCommand(
  args: readonly string[],
  settings: Settings = {},
  { isTerminal = false } = {},
): RunningCommand {
  return new RunningCommand(args, settings, isTerminal);
}

/** Starts the compiled command line, whose input and output are no terminal. */
export function startProcess(args: readonly string[], settings: Settings = {}): RunningProcess {
  return new RunningProcess(process.execPath, [COMMAND, ...args], settings);
}

/** Starts the compiled command line on a terminal of its own, which `script` of util-linux provides. */
export function startOnTerminal(args: readonly string[], settings: Settings = {}): RunningProcess {
  const line = ['stty cols 100;', 'exec', process.execPath, COMMAND, ...args].join(' ');
  return new RunningProcess('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    TERM: 'xterm-256color',
    ...settings,
  });
}
