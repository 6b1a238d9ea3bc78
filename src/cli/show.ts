/** `list` and `show`: timers as they are. */
import { clockText } from '../client/digits.js';
import type { TimerResource, WireTimerState } from '../protocol/timer.js';
import type { Command } from './command.js';
import { durationText } from './duration.js';
import { addExamples, connectionOf, stateOption, timerIdOf } from './options.js';
import { columns, type Output, onOneLine } from './output.js';

export function addList(program: Command): void {
  const command = program
    .command('list')
    .description('List timers, oldest first.')
    .addOption(stateOption('only timers in this state'))
    .action(({ state }: { readonly state?: WireTimerState }) => list(state, command));
  addExamples(command, {
    list: 'All timers',
    'list --state running --json': 'Those that run, for a program',
  });
}

export function addShow(program: Command): void {
  const command = program
    .command('show')
    .description('Show a timer.')
    .argument('<id>', 'the id of a timer', timerIdOf)
    .action((timerId: string) => show(timerId, command));
  addExamples(command, {
    'show timer_0mjx3k2p9a1b2c3d4e5f6': 'Everything there is to know about it',
    'show timer_0mjx3k2p9a1b2c3d4e5f6 --json': 'The same, for a program',
  });
}

async function list(state: WireTimerState | undefined, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const timers: TimerResource[] = [];
  for await (const timer of api.list(state)) timers.push(timer);
  if (json) return output.printJson(timers);
  if (timers.length === 0) return output.tell('There are no such timers.');
  for (const line of tableOf(timers, output)) output.print(line);
}

const HEADINGS = ['ID', 'NAME', 'STATE', 'REMAINING', 'DISPLAYS'];

/** Colours come last, for they have no width. */
function tableOf(timers: readonly TimerResource[], output: Output): string[] {
  const cells = timers.map((timer) => [
    timer.id,
    onOneLine(timer.name),
    timer.state,
    clockText(timer.remaining_seconds),
    `${timer.connected_clients}`,
  ]);
  const [headings = [], ...rows] = columns([HEADINGS, ...cells]);
  const lines = rows.map(([id, name, state, ...rest], index) =>
    [id, name, output.styledState(timers[index]?.state ?? 'created', state), ...rest].join('  '),
  );
  return [output.styled('bold', headings.join('  ')), ...lines];
}

async function show(timerId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const timer = await api.get(timerId);
  if (json) return output.printJson(timer);
  for (const line of columns(factsOf(timer, output))) output.print(line.join('  '));
}

function factsOf(timer: TimerResource, output: Output): [string, string][] {
  const warnings = timer.warning_thresholds.map(durationText).join(', ');
  return [
    ['id', timer.id],
    ['name', onOneLine(timer.name)],
    ['state', output.standingOf(timer)],
    ['duration', durationText(timer.duration_seconds)],
    ['warns at', warnings || 'no time'],
    ['displays', `${timer.connected_clients}`],
    ['created', timer.created_at],
    ['started', timer.started_at ?? 'not yet'],
    ['ended', timer.completed_at ?? 'not yet'],
  ];
}
