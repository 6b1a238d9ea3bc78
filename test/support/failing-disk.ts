/** A disk that does not take what the journal of a service has written, as long as a test likes. */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import { eventually } from './eventually.js';
import { temporaryFolder } from './sqlite.js';
import { canRun, need } from './tools.js';

const SOURCE = new URL('./failing-disk.c', import.meta.url).pathname;

/** How the disk fails: at the next synchronization, at each one, or by never ending one. */
type Fault = 'fails-once' | 'fails' | 'hangs';

export class FailingDisk {
  /** What the environment of a service needs to be on this disk. */
  readonly settings: Readonly<Record<string, string>>;
  readonly #folder: string;

  private constructor(folder: string, library: string) {
    this.#folder = folder;
    this.settings = { LD_PRELOAD: library, FAILING_DISK: folder };
  }

  static prepare(context: TestContext): FailingDisk {
    need(context, 'a C compiler', canRun('cc', '--version'));
    const folder = temporaryFolder();
    const library = join(folder, 'failing-disk.so');
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
    return new FailingDisk(folder, library);
  }

  begin(fault: Fault): void {
    writeFileSync(join(this.#folder, fault), '');
  }

  /** Settles when somebody waits for a disk that hangs. */
  async hung(): Promise<void> {
    await eventually(() => expect(existsSync(join(this.#folder, 'is-hanging'))).toBe(true));
  }

  end(fault: Fault): void {
    rmSync(join(this.#folder, fault), { force: true });
  }
}
