/** A check of the journal's file that takes as long as a test likes: its program waits for a word of the test. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { endWithTest } from './endings.js';
import { temporaryFolder } from './sqlite.js';

const PRELOADED = new URL('./hold-check.mjs', import.meta.url).href;

const open = new Set<HeldCheck>();
endWithTest('clients', () => {
  for (const held of open) held.end();
  open.clear();
});

export class HeldCheck {
  /** What the environment of the service needs, so that its check is held. */
  readonly settings: Readonly<Record<string, string>>;
  readonly #server: Server;
  readonly #begun: Promise<Socket>;
  #program: Socket | undefined;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.settings = { NODE_OPTIONS: `--import=${PRELOADED}`, HOLD_CHECK: path };
    this.#begun = new Promise((resolve) => {
      server.once('connection', (socket) => {
        this.#program = socket;
        // A program that is killed may reset its connection.
        socket.on('error', () => {});
        socket.resume();
        resolve(socket);
      });
    });
  }

  static async prepare(): Promise<HeldCheck> {
    const path = join(temporaryFolder(), 'hold');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const held = new HeldCheck(server, path);
    open.add(held);
    return held;
  }

  /** Settles when the program of the check runs; what it gives settles when that program is gone. */
  async begun(): Promise<{ readonly gone: Promise<void> }> {
    const program = await this.#begun;
    return { gone: new Promise((resolve) => program.once('close', () => resolve())) };
  }

  /** Lets the check go on. */
  release(): void {
    this.#program?.write('go on');
  }

  end(): void {
    this.#program?.destroy();
    this.#server.close();
  }
}
