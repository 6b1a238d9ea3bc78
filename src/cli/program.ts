/** All commands together: what their help has in common, and how what became of one is an exit code. */
import { CommanderError } from 'commander';
import { packageVersion } from '../version.js';
import { addAudit } from './audit.js';
import { Command } from './command.js';
import type { Context } from './context.js';
import { addControls } from './control.js';
import { addCreate } from './create.js';
import { addDelete } from './delete.js';
import { CommandError, EXIT_CODES } from './errors.js';
import { addHistory } from './history.js';
import { addKeys, addToken } from './keys.js';
import { addLogin } from './login.js';
import { addExamples, addGlobalOptions } from './options.js';
import type { Output } from './output.js';
import { addReceipt } from './receipt.js';
import { addServe } from './serve.js';
import { addList, addShow } from './show.js';
import { addWatch } from './watch.js';
import { addWebhooks } from './webhooks.js';

const EXIT_CODE_HELP = `
Exit codes:
    0  done
    1  the service refused, and standard error says why; or it failed, or you said no;
       or a record or a receipt is not as it was written
    2  wrong usage
    3  the service cannot be reached, or a file cannot be read
  130  interrupted by Ctrl-C`;

/** How wide help is where no terminal says how wide it may be. */
const USUAL_WIDTH = 80;

/** Runs a command, and gives its exit code. A service that was started runs on. */
export async function runCommand(args: readonly string[], context: Context): Promise<number> {
  const program = createProgram(context);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT_CODES.done;
  } catch (error) {
    return exitCodeOf(error, program.output);
  }
}

/** Says what went wrong, unless that was said already. What nobody foresaw is told with its stack. */
function exitCodeOf(error: unknown, output: Output): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
  }
  if (error instanceof CommandError) {
    if (error.message !== '') output.tellFailure(error.message);
    return error.exitCode;
  }
  output.tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_CODES.refused;
}

/** Throws instead of ending the process, so that there is one place that decides on exit codes. */
function createProgram(context: Context): Command {
  const { stdout, stderr } = context;
  const program = new Command('synchronized-timer', context)
    .description('Timers that all see the same second: runs the service, and controls its timers.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => stdout.columns ?? USUAL_WIDTH,
      getErrHelpWidth: () => stderr.columns ?? USUAL_WIDTH,
    })
    .showHelpAfterError('(--help shows how it is used)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('afterAll', EXIT_CODE_HELP);
  addGlobalOptions(program);
  addServe(program);
  addCreate(program);
  addList(program);
  addShow(program);
  addHistory(program);
  addControls(program);
  addDelete(program);
  addWatch(program);
  addWebhooks(program);
  addLogin(program);
  addKeys(program);
  addToken(program);
  addAudit(program);
  addReceipt(program);
  addExamples(program, {
    serve: 'Run the service',
    'create "Quiz" --duration 5m --start': 'Create a timer and start it',
    list: 'See all timers',
  });
  return program;
}
