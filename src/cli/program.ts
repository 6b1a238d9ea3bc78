/** All commands together, with what their help has in common. */
import { Command } from 'commander';
import { packageVersion } from '../version.js';
import { addAudit } from './audit.js';
import { addControls } from './control.js';
import { addCreate } from './create.js';
import { addDelete } from './delete.js';
import { addHistory } from './history.js';
import { addKeys, addToken } from './keys.js';
import { addExamples, addGlobalOptions } from './options.js';
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

/** Throws instead of ending the process, so that there is one place that decides on exit codes. */
export function createProgram(): Command {
  const program = new Command('synchronized-timer')
    .description('Timers that all see the same second: runs the service, and controls its timers.')
    .version(packageVersion())
    .exitOverride()
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
