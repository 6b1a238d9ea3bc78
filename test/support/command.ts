/** The compiled command line as a child process, alone or on a terminal. */

import { type ChildProcess, spawn } from 'node:child_process';
import { endWithTest } from './endings.js';

export const COMMAND = new URL('../../dist/service/cli.js', import.meta.url).pathname;

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<ChildProcess>();
endWithTest('clients', () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

/** A command under way. */
export class RunningCommand {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Run>;
  readonly #waiting = new Set<() => void>();

  constructor(
    program: string,
    args: readonly string[],
    settings: Readonly<Record<string, string>>,
  ) {
    const env = { PATH: process.env.PATH, NODE_ENV: 'production', ...settings };
    this.child = spawn(program, args, { env, stdio: 'pipe' });
    running.add(this.child);
    this.child.stdout?.on('data', (data) => {
      this.stdout += String(data);
      this.#wake();
    });
    this.child.stderr?.on('data', (data) => {
      this.stderr += String(data);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => {
        running.delete(this.child);
        this.#wake();
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Waits until it has written something; fails when it ends before. */
  async until(text: string): Promise<void> {
    while (!`${this.stdout}${this.stderr}`.includes(text)) {
      if (!running.has(this.child)) throw new Error(`ended before "${text}": ${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Types on its keyboard. */
  type(keys: string): void {
    this.child.stdin?.write(keys);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Starts a command whose input and output are no terminal. */
export function startCommand(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): RunningCommand {
  return new RunningCommand(process.execPath, [COMMAND, ...args], settings);
}

/** Starts a command on a terminal of its own, which `script` of util-linux provides. */
export function startOnTerminal(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): RunningCommand {
  const line = ['stty cols 100;', 'exec', process.execPath, COMMAND, ...args].join(' ');
  return new RunningCommand('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    TERM: 'xterm-256color',
    ...settings,
  });
}
