/** A start that takes as long as a test likes, because a part of it waits for a word of the test. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { endWithTest } from './endings.js';
import { temporaryFolder } from './sqlite.js';

const PRELOADED = new URL('./hold-part.mjs', import.meta.url).href;

/** The program that checks the journal, or the thread that opens it. */
type Part = 'check' | 'thread';

const open = new Set<HeldPart>();
endWithTest('clients', () => {
  for (const held of open) held.end();
  open.clear();
});

export class HeldPart {
  /** What the environment of the service needs, so that the part is held. */
  readonly settings: Readonly<Record<string, string>>;
  readonly #server: Server;
  readonly #begun: Promise<Socket>;
  #program: Socket | undefined;

  private constructor(server: Server, path: string, part: Part) {
    this.#server = server;
    this.settings = { NODE_OPTIONS: `--import=${PRELOADED}`, HELD: part, HELD_AT: path };
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

  static async prepare(part: Part): Promise<HeldPart> {
    const path = join(temporaryFolder(), 'hold');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const held = new HeldPart(server, path, part);
    open.add(held);
    return held;
  }

  /** Settles when the part runs; what it gives settles when that is gone. */
  async begun(): Promise<{ readonly gone: Promise<void> }> {
    const program = await this.#begun;
    return { gone: new Promise((resolve) => program.once('close', () => resolve())) };
  }

  /** Lets the part go on. */
  release(): void {
    this.#program?.write('go on');
  }

  end(): void {
    this.#program?.destroy();
    this.#server.close();
  }
}
