/**
 * The real service as a process of its own, with a probe inside. Settings in the environment of the
 * bench reach it, so that others than the defaults can be measured; the report names them.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Child } from './child.js';
import { PROBE_FLAGS } from './usage.js';

const MAIN = new URL('../../service/main.js', import.meta.url);
const PACKAGE = new URL('../../../package.json', import.meta.url);

/** The line the service logs when it takes commands. */
const readyLine = z.object({ url: z.url(), recoveryMs: z.number() });

const startSchema = z.object({ scripts: z.object({ start: z.string() }) });

export interface ServiceOptions {
  /** Settings that differ from the service's own defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly dataDir: string;
  /** Where to write a CPU profile of the service, if one is wanted. */
  readonly profileDir: string | undefined;
}

export class RunningService {
  readonly child: Child;
  readonly url: URL;
  readonly recoveryMs: number;

  private constructor(child: Child, ready: z.output<typeof readyLine>) {
    this.child = child;
    this.url = new URL(ready.url);
    this.recoveryMs = ready.recoveryMs;
  }

  /** Starts the service and settles when it takes commands. */
  static async start({ settings, dataDir, profileDir }: ServiceOptions): Promise<RunningService> {
    const lines = readyLines();
    const child = new Child({
      script: MAIN,
      nodeFlags: [...startFlags(), ...PROBE_FLAGS, ...profileFlags(profileDir)],
      environment: {
        PORT: '0',
        LOG_LEVEL: 'info',
        DATA_DIR: dataDir,
        ...settings,
      },
      onLine: lines.hear,
    });
    const ready = await Promise.race([lines.ready, child.died]);
    return new RunningService(child, ready);
  }

  get port(): number {
    return Number(this.url.port);
  }

  stop(): Promise<void> {
    return this.child.stop();
  }

  /** Ends it without warning, as a crash would. */
  kill(): Promise<void> {
    return this.child.kill();
  }
}

/** What `npm start` tells Node. */
function startFlags(): string[] {
  const { scripts } = startSchema.parse(JSON.parse(readFileSync(PACKAGE, 'utf8')));
  return scripts.start.split(' ').filter((word) => word.startsWith('--'));
}

function profileFlags(directory: string | undefined): string[] {
  return directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}

/** Waits for the line that says the service is ready; shows warnings and errors as they come. */
function readyLines() {
  const level = z.object({ level: z.number() });
  let found: (ready: z.output<typeof readyLine>) => void = () => {};
  const ready = new Promise<z.output<typeof readyLine>>((resolve) => {
    found = resolve;
  });
  function hear(line: string): void {
    const fields: unknown = JSON.parse(line);
    const isWarning = (level.safeParse(fields).data?.level ?? 0) > 30;
    if (isWarning) process.stderr.write(`service: ${line}\n`);
    const parsed = readyLine.safeParse(fields);
    if (parsed.success) found(parsed.data);
  }
  return { ready, hear };
}
