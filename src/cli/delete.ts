/** `delete`: removes timers for good, after it has asked. */
import { createInterface } from 'node:readline/promises';
import type { ReasonBody } from '../protocol/requests.js';
import type { Api, BulkResults } from './api.js';
import { refuseFailures } from './bulk.js';
import type { Command } from './command.js';
import type { Context } from './context.js';
import { RefusedError, UsageError } from './errors.js';
import { addExamples, addSelection, connectionOf, type SelectionOptions } from './options.js';
import { addReason, type ReasonOptions, reasonOf } from './reason.js';
import { selectTimers } from './selection.js';

interface DeleteOptions extends SelectionOptions, ReasonOptions {
  readonly yes?: true;
}

export function addDelete(program: Command): void {
  const command = program
    .command('delete')
    .description('Delete timers, in whatever state they are. Asks before it does.');
  addReason(addSelection(command))
    .option('--yes', 'do not ask')
    .action((ids: string[], options: DeleteOptions) => deleteTimers(ids, options, command));
  addExamples(command, {
    'delete timer_0mjx3k2p9a1b2c3d4e5f6': 'One timer',
    'delete --all --state expired --yes': 'All whose time is up, without being asked',
  });
}

async function deleteTimers(
  ids: readonly string[],
  options: DeleteOptions,
  command: Command,
): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const isSure = options.yes === true;
  if (!isSure && command.context.stdin.isTTY !== true) {
    throw new UsageError('Nobody is there to be asked; say --yes to delete without being asked.');
  }
  const selected = await selectTimers(api, ids, options, 'every');
  if (selected.length > 0 && !isSure) await confirm(selected, command.context);
  const reason = reasonOf(options);
  const results: BulkResults = [];
  try {
    for (const timerId of selected) results.push(await deleteOne(api, timerId, reason));
  } finally {
    if (json) output.printJson(results);
    else
      for (const result of results) if (result.success) output.print(`${result.timer_id}: deleted`);
  }
  if (results.length === 0) output.tell('No timer is like that; nothing was done.');
  refuseFailures(results, 'deleted');
}

/** @throws {RefusedError} unless the answer is yes */
async function confirm(timerIds: readonly string[], { stdin, stderr }: Context): Promise<void> {
  const what = timerIds.length === 1 ? timerIds[0] : `${timerIds.length} timers`;
  const terminal = createInterface({ input: stdin, output: stderr });
  const answer = await new Promise<string>((resolve) => {
    const resolveUnanswered = (): void => resolve('');
    // What ends without an answer, as by Ctrl-C, is none of yes.
    terminal.once('close', resolveUnanswered);
    terminal.question(`Delete ${what}? [y/N] `).then(resolve, resolveUnanswered);
  });
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new RefusedError('Nothing was deleted.');
}

async function deleteOne(
  api: Api,
  timer_id: string,
  reason: ReasonBody | undefined,
): Promise<BulkResults[number]> {
  try {
    await api.delete(timer_id, reason);
    return { timer_id, success: true, status: 'deleted' };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { timer_id, success: false, status: error.message };
  }
}
