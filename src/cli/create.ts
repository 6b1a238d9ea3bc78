/** `create`: one timer, or many that are numbered. */
import type { TimerResource } from '../protocol/timer.js';
import type { Api, TimerDefinition } from './api.js';
import { bulkInParts, isInDoubt, refuseFailures } from './bulk.js';
import type { Command } from './command.js';
import { addExamples, type Connection, connectionOf, countOf, secondsOf } from './options.js';

const DEFAULT_NAME = 'Timer';

interface CreateOptions {
  readonly duration: number;
  readonly warn?: number[];
  readonly start?: true;
  readonly count?: number;
}

export function addCreate(program: Command): void {
  const command = program
    .command('create')
    .description('Create a timer, or several. Writes the id of each on a line of its own.')
    .argument('[name]', 'what the timer is called', DEFAULT_NAME)
    .requiredOption('--duration <time>', 'how long it runs, such as 5m, 90s or 1h30m', secondsOf)
    .option('--warn <times>', 'when displays are warned, such as 5m,60s; may be repeated', collect)
    .option('--start', 'start it at once')
    .option('--count <number>', 'create this many, with numbers behind the name', countOf)
    .action((name: string, options: CreateOptions) => create(name, options, command));
  addExamples(command, {
    'create "Algebra" --duration 1h30m --warn 10m,5m,1m': 'A timer that warns three times',
    'create "Seat" --duration 45m --count 30 --start':
      'Seat 1 to Seat 30, all started at one instant',
  });
}

function collect(text: string, before: readonly number[] = []): number[] {
  return [...before, ...text.split(',').map(secondsOf)];
}

async function create(name: string, options: CreateOptions, command: Command): Promise<void> {
  const connection = connectionOf(command);
  const { api, json, output } = connection;
  const { duration, warn, start = false, count } = options;
  const definition = { duration_seconds: duration, name, warning_thresholds: warn };
  if (count !== undefined) return createMany(connection, definition, { count, start });
  const timer = await api.create({ ...definition, auto_start: start });
  if (json) output.printJson(timer);
  else output.print(timer.id);
}

interface Many {
  readonly count: number;
  readonly start: boolean;
}

/** Whatever goes wrong, what was created is told, for it is there. */
async function createMany(
  connection: Connection,
  definition: TimerDefinition,
  { count, start }: Many,
): Promise<void> {
  const { api, json, output } = connection;
  let timers: TimerResource[] = [];
  try {
    for (let number = 1; number <= count; number += 1) {
      timers.push(await api.create({ ...definition, name: `${definition.name} ${number}` }));
    }
    if (start) {
      // Created one after the other, they are started by one command, so that nobody has more time.
      const ids = timers.map(({ id }) => id);
      const results = await bulkInParts(connection, 'start', ids);
      if (!isInDoubt(results)) timers = await readAll(api, ids);
      refuseFailures(results, 'started');
    }
  } finally {
    if (json) output.printJson(timers);
    else for (const { id } of timers) output.print(id);
    if (timers.length < count) output.tell(`${timers.length} of ${count} timers were created.`);
  }
}

async function readAll(api: Api, timerIds: readonly string[]): Promise<TimerResource[]> {
  const timers: TimerResource[] = [];
  for (const timerId of timerIds) timers.push(await api.get(timerId));
  return timers;
}
