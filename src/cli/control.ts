/** `start`, `pause`, `resume`, `stop` and `extend`: one timer by its id, or many at one instant. */
import type { Action } from '../registry.js';
import type { ChangeDetails } from './api.js';
import { bulkInParts, refuseFailures } from './bulk.js';
import type { Command } from './command.js';
import {
  addExamples,
  addSelection,
  type Connection,
  connectionOf,
  type SelectionOptions,
  secondsOf,
} from './options.js';
import { addReason, type ReasonOptions, reasonOf } from './reason.js';
import { selectTimers } from './selection.js';

interface ControlOptions extends SelectionOptions, ReasonOptions {
  /** Seconds to add; only `extend` has it, and must. */
  readonly by?: number;
}

interface Verb {
  readonly action: Action;
  readonly description: string;
  /** How it is said of a timer that it was done to it. */
  readonly done: string;
}

const VERBS: readonly Verb[] = [
  { action: 'start', done: 'started', description: 'Start timers, or resume them from a pause.' },
  { action: 'pause', done: 'paused', description: 'Pause timers that run.' },
  { action: 'resume', done: 'resumed', description: 'Resume timers from a pause.' },
  { action: 'stop', done: 'stopped', description: 'End timers before their time is up, for good.' },
];
const EXTEND: Verb = { action: 'extend', done: 'extended', description: 'Give timers more time.' };

export function addControls(program: Command): void {
  for (const verb of VERBS) {
    const { action } = verb;
    addExamples(addControl(program, verb), {
      [`${action} timer_0mjx3k2p9a1b2c3d4e5f6`]: 'One timer',
      [`${action} --all`]: 'All timers that have not ended, at one instant',
      [`${action} --all --state ${stateBefore(action)}`]: 'Only those that can',
    });
  }
  const extend = addControl(program, EXTEND);
  extend.requiredOption('--by <time>', 'how much more, such as 5m or 90s', secondsOf);
  addExamples(extend, {
    'extend timer_0mjx3k2p9a1b2c3d4e5f6 --by 90s': 'One timer',
    'extend --all --state running --by 5m --reason-category environment --reason "Fire alarm"':
      'Five more minutes for all who are at it, and why',
  });
}

/** A state that an action makes sense in, for its examples. */
function stateBefore(action: Action): string {
  if (action === 'start') return 'created';
  return action === 'resume' ? 'paused' : 'running';
}

function addControl(program: Command, verb: Verb): Command {
  const command = program.command(verb.action).description(verb.description);
  return addReason(addSelection(command)).action((ids: string[], options: ControlOptions) =>
    control(verb, ids, options, command),
  );
}

async function control(
  verb: Verb,
  ids: readonly string[],
  options: ControlOptions,
  command: Command,
): Promise<void> {
  const connection = connectionOf(command);
  const { api, json, output } = connection;
  const selected = await selectTimers(api, ids, options, 'unfinished');
  const [only] = selected;
  const isOne = options.all === undefined && selected.length === 1 && only !== undefined;
  const details = { seconds: options.by, reason: reasonOf(options) };
  if (isOne) return controlOne(connection, verb, only, details);
  const results = await bulkInParts(connection, verb.action, selected, details);
  if (json) output.printJson(results);
  else
    for (const result of results)
      if (result.success) output.print(`${result.timer_id}: ${result.status}`);
  if (results.length === 0) output.tell('No timer is like that; nothing was done.');
  refuseFailures(results, verb.done);
}

async function controlOne(
  { api, json, output }: Connection,
  { action }: Verb,
  timerId: string,
  { seconds = 0, reason }: ChangeDetails,
): Promise<void> {
  const body =
    action === 'extend' ? { action, extend_seconds: seconds, reason } : { action, reason };
  const timer = await api.control(timerId, body);
  if (json) output.printJson(timer);
  else output.print(`${timer.id}: ${output.standingOf(timer)}`);
}
