/** A nats-server of its own, with a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort } from './ports.js';

export class BenchNatsServer {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  /** Starts a server that keeps its streams in a folder, and settles when it takes connections. */
  static async start(folder: string): Promise<BenchNatsServer> {
    const port = await freePort();
    const options = ['--jetstream', '--store_dir', folder, '--addr', '127.0.0.1', '--port'];
    const process = spawn('nats-server', [...options, `${port}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const lines: string[] = [];
    for await (const line of createInterface({ input: process.stderr })) {
      lines.push(line);
      if (!line.includes('Server is ready')) continue;
      process.stderr.resume();
      return new BenchNatsServer(`nats://127.0.0.1:${port}`, process);
    }
    throw new Error(`nats-server did not start:\n${lines.join('\n')}`);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await exited;
  }
}
