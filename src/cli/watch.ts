/** `watch`: follows a timer until it ends. It shows the time and changes nothing. */
import type { TimerDisplay } from '../client/api.js';
import { isOver } from '../client/timer-state.js';
import type { TimerResource } from '../protocol/timer.js';
import type { Command } from './command.js';
import type { Context } from './context.js';
import { InterruptedError, RefusedError } from './errors.js';
import { addExamples, type Connection, connectionOf, timerIdOf } from './options.js';
import type { EndView } from './watch-view.js';

export function addWatch(program: Command): void {
  const command = program
    .command('watch')
    .description('Follow a timer until it ends: a bar on a terminal, lines everywhere else.')
    .argument('<id>', 'the id of a timer', timerIdOf)
    .action((timerId: string) => watch(timerId, command));
  addExamples(command, {
    'watch timer_0mjx3k2p9a1b2c3d4e5f6': 'A bar that runs until the time is up',
    'watch timer_0mjx3k2p9a1b2c3d4e5f6 --json': 'Every change and warning as a line of JSON',
  });
}

async function watch(timerId: string, command: Command): Promise<void> {
  const connection = connectionOf(command);
  const { api } = connection;
  // A display would try to connect again and again; a wrong id or address is better told at once.
  const known = await api.get(timerId);
  // The other commands start faster without these. All is there before the display connects, so that
  // nothing it tells is missed.
  const [client, view] = await Promise.all([
    import('../client/node.js'),
    import('./watch-view.js'),
  ]);
  const display = client.connectTimer({ server: api.server, timer: timerId, token: api.token });
  // Signals are caught before the view hides the cursor, or it could stay hidden.
  const ended = untilEnd(display, command.context);
  const endView = show(view, display, known, connection);
  try {
    await ended;
  } finally {
    endView();
    display.close();
  }
}

function show(
  { showBar, showJson, showLines }: typeof import('./watch-view.js'),
  display: TimerDisplay,
  known: TimerResource,
  { json, output }: Connection,
): EndView {
  if (json) return showJson(display, output);
  return output.stdout.isTTY === true
    ? showBar(display, known, output)
    : showLines(display, output);
}

/** Settles when the service has said that the timer ended; rejects when that cannot come any more. */
function untilEnd(display: TimerDisplay, context: Context): Promise<void> {
  return new Promise((resolve, reject) => {
    display.on('change', () => {
      if (display.state !== undefined && isOver(display.state)) resolve();
    });
    display.on('timer_deleted', () => reject(new RefusedError('The timer was deleted.')));
    display.on('connection', (connection) => {
      if (connection !== 'closed') return;
      const reason = display.closeReason?.message ?? 'no reason was given';
      reject(new RefusedError(`The service ended the connection: ${reason}`));
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      context.once(signal, () => reject(new InterruptedError(signal)));
    }
  });
}
