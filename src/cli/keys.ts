/** `keys` and `token`: who may use the service, and what. The first key can be made while no service runs. */
import { Option } from 'commander';
import { CALLER_ROLES, type CallerRole } from '../access/caller.js';
import { JournalError } from '../journal/journal.js';
import { type KeyResource, keyResource, type NewKey } from '../protocol/credentials.js';
import { Problem } from '../protocol/problems.js';
import type { Command } from './command.js';
import { RefusedError } from './errors.js';
import { addExamples, connectionOf, secondsOf, timerIdOf } from './options.js';
import { onOneLine } from './output.js';

interface KeyOptions {
  readonly role: CallerRole;
  readonly label?: string;
  readonly timers?: '*' | string[];
  readonly expiresIn?: number;
  readonly dataDir?: string;
}

interface TokenOptions {
  readonly label?: string;
  readonly expiresIn?: number;
}

export function addKeys(program: Command): void {
  const keys = program.command('keys').description('Make, list and revoke keys.');
  const create = keys
    .command('create')
    .description('Make a key and write it, once. The first one must be of an admin.')
    .addOption(
      new Option('--role <role>', 'what its holder may do')
        .choices([...CALLER_ROLES])
        .makeOptionMandatory(),
    )
    .option('--label <name>', 'what people call its holder, also on record')
    .option('--timers <ids>', 'timers that it is for, separated by commas; * is all', timersOf)
    .option('--expires-in <duration>', 'how long it is valid; until it is revoked', secondsOf)
    .option('--data-dir <folder>', 'make it in this folder, while no service runs on it');
  create.action((options: KeyOptions) => createKey(options, create));
  const list = keys.command('list').description('List keys, oldest first.');
  list.action(() => listKeys(list));
  const revoke = keys
    .command('revoke')
    .description('Revoke a key; connections that came with it end.')
    .argument('<id>', 'the id of a key, as list shows it', timerIdOf);
  revoke.action((id: string) => revokeKey(id, revoke));
  addExamples(keys, {
    'keys create --role admin --data-dir ./data': 'The first key, before the service starts',
    'keys create --role instructor --label "Ms Meyer"': 'A key for a teacher',
    'keys revoke 4f2a91c07b3e': 'Shut out whoever has this key',
  });
}

export function addToken(program: Command): void {
  const token = program.command('token').description('Let displays in that have no key.');
  const create = token
    .command('create')
    .description('Make a token for a display of one timer and write it, once.')
    .argument('<timer>', 'the id of a timer', timerIdOf)
    .option('--label <name>', 'what the display is called, such as its seat')
    .option('--expires-in <duration>', 'how long it is valid; 12 hours', secondsOf);
  create.action((timerId: string, options: TokenOptions) => createToken(timerId, options, create));
  addExamples(token, {
    'token create timer_0mjx3k2p9a1b2c3d4e5f6 --label "Seat 14"': 'A token for one seat',
  });
}

function timersOf(text: string): '*' | string[] {
  return text === '*' ? text : text.split(',').map(timerIdOf);
}

async function createKey(options: KeyOptions, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const { role, label, timers, expiresIn: expires_in_seconds, dataDir } = options;
  const made =
    dataDir === undefined
      ? await api.createKey({ role, label, timers, expires_in_seconds })
      : await createInFolder(dataDir, options);
  if (json) output.printJson(made);
  else output.print(made.key);
}

/** A service that runs on the folder has it locked, so that nothing is changed behind its back. */
async function createInFolder(directory: string, options: KeyOptions): Promise<NewKey> {
  const [{ SqliteJournal }, { ApiKeys }, { systemClock: clock }] = await Promise.all([
    import('../journal/sqlite.js'),
    import('../access/api-keys.js'),
    import('../clock.js'),
  ]);
  const { role, label = null, timers = [], expiresIn } = options;
  const expiresAtMs = expiresIn === undefined ? null : clock.now() + expiresIn * 1000;
  try {
    const journal = await SqliteJournal.open({ directory, clock, onCrash: () => {} });
    try {
      const { documents } = journal;
      const keys = await ApiKeys.open({ documents, clock, hasOtherCredentials: false });
      const { key, text } = await keys.create({ role, label, timers, expiresAtMs }, 'command line');
      return { ...keyResource(key), key: text };
    } finally {
      await journal.close();
    }
  } catch (error) {
    const isKnown = error instanceof Problem || error instanceof JournalError;
    throw isKnown ? new RefusedError(error.message) : error;
  }
}

async function listKeys(command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const keys = await api.keys();
  if (json) return output.printJson(keys);
  if (keys.length === 0)
    return output.tell('There are no keys: whoever reaches the service may do all.');
  output.printTable(['ID', 'ROLE', 'LABEL', 'TIMERS', 'MADE', 'BY', 'EXPIRES'], keys.map(cellsOf));
}

function cellsOf(key: KeyResource): string[] {
  const timers = key.timers === '*' ? 'all' : `${key.timers.length}`;
  const ends = key.expires_at ?? 'never';
  return [key.id, key.role, key.label ?? '', timers, key.created_at, key.created_by, ends].map(
    onOneLine,
  );
}

async function revokeKey(keyId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  await api.revokeKey(keyId);
  if (json) output.printJson({ id: keyId, status: 'revoked' });
  else output.print(`${keyId}: revoked`);
}

async function createToken(
  timerId: string,
  { label, expiresIn: expires_in_seconds }: TokenOptions,
  command: Command,
): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const made = await api.createToken(timerId, { label, expires_in_seconds });
  if (json) output.printJson(made);
  else output.print(made.token);
}
