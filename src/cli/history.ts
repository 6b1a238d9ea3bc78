/** `history`: everything that ever happened to a timer, by whom and why. */
import type { Command } from './command.js';
import { addExamples, connectionOf, timerIdOf } from './options.js';
import { columns, onOneLine } from './output.js';

export function addHistory(program: Command): void {
  const command = program
    .command('history')
    .description('Tell what happened to a timer, by whom and why, also after it was deleted.')
    .argument('<id>', 'the id of a timer', timerIdOf)
    .action((timerId: string) => tellHistory(timerId, command));
  addExamples(command, {
    'history timer_0mjx3k2p9a1b2c3d4e5f6': 'A line for each change, oldest first',
    'history timer_0mjx3k2p9a1b2c3d4e5f6 --json': 'All that is on record, for a program',
  });
}

async function tellHistory(timerId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const history = await api.history(timerId);
  if (json) return output.printJson(history);
  const rows = history.map(({ at, summary }) => [at, onOneLine(summary)]);
  for (const row of columns(rows)) output.print(row.join('  '));
}
