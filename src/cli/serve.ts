/** `serve`: the service itself, with flags in place of the settings that are changed most. */
import { SETTINGS, SettingError } from '../config.js';
import type { Command } from './command.js';
import type { Context } from './context.js';
import { RefusedError, UsageError } from './errors.js';
import { addExamples } from './options.js';

type Flag = 'port' | 'host' | 'dataDir' | 'journal' | 'logLevel';

/** The settings that have a flag. */
const FLAGS = {
  PORT: 'port',
  HOST: 'host',
  DATA_DIR: 'dataDir',
  JOURNAL: 'journal',
  LOG_LEVEL: 'logLevel',
} as const satisfies Partial<Record<keyof typeof SETTINGS, Flag>>;

export function addServe(program: Command): void {
  const command = program
    .command('serve')
    .description('Run the service. Flags come before settings of the environment.')
    .option('--port <number>', helpOf('PORT'))
    .option('--host <address>', helpOf('HOST'))
    .option('--data-dir <folder>', helpOf('DATA_DIR'))
    .option('--journal <kind>', helpOf('JOURNAL'))
    .option('--log-level <level>', helpOf('LOG_LEVEL'))
    .action((flags: Readonly<Partial<Record<Flag, string>>>) => serve(flags, command.context));
  addExamples(command, {
    serve: 'On http://127.0.0.1:8003, with its journal in ./data',
    'serve --host 0.0.0.0 --data-dir /var/lib/timers': 'For the whole network',
    'serve --port 0 --journal memory': 'To try something out: any free port, nothing is kept',
  });
}

function helpOf(name: keyof typeof FLAGS): string {
  const { description, default: fallback } = SETTINGS[name];
  return `${description} (default: ${fallback}, env: ${name})`;
}

async function serve(
  flags: Readonly<Partial<Record<Flag, string>>>,
  { env }: Context,
): Promise<void> {
  const settings = Object.entries(FLAGS).map(([name, flag]) => [name, flags[flag]]);
  const given = settings.filter(([, text]) => text !== undefined);
  // The other commands need nothing of the service, and start faster without it.
  const { explainFailure, runService } = await import('../run.js');
  try {
    await runService({ ...env, ...Object.fromEntries(given) });
  } catch (error) {
    if (error instanceof SettingError) throw new UsageError(error.message);
    throw new RefusedError(explainFailure(error));
  }
}
