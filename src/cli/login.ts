/** `login`, `logout` and `whoami`: who commands are sent as, without a key among their arguments. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { z } from 'zod';
import { ANONYMOUS } from '../../machines/entry.js';
import type { callerSchema } from '../protocol/record.js';
import { Api } from './api.js';
import type { Command } from './command.js';
import type { Context } from './context.js';
import { oneWord } from './credential.js';
import { InterruptedError, RefusedError, UsageError } from './errors.js';
import { KeptKeys } from './kept-keys.js';
import { addExamples, connectionOf, isTokenGiven } from './options.js';
import { onOneLine } from './output.js';

type Caller = z.output<typeof callerSchema>;

export function addLogin(program: Command): void {
  const login = program
    .command('login')
    .description(
      'Log in with a key or token: asks for it, or reads it from standard input where that is no terminal, and keeps ' +
        'it for this service in a file of yours.',
    );
  login.action(() => logIn(login));
  addExamples(login, {
    login: 'Asks for a key, and does not show it',
    'login --server https://timers.example < key.txt': 'A key in a file, of another service',
  });
  const logout = program
    .command('logout')
    .description('Forget the key or token of login. It stays valid until it ends or is revoked.');
  logout.action(() => logOut(logout));
  addExamples(logout, { logout: 'Nothing is kept of this service any more' });
  const whoami = program.command('whoami').description('Tell who the service takes you for.');
  whoami.action(() => tellWho(whoami));
  addExamples(whoami, { whoami: 'Your name and role, and until when' });
}

async function logIn(command: Command): Promise<void> {
  const { context } = command;
  const { api, json, output } = connectionOf(command);
  const { server } = api;
  if (isTokenGiven(command)) {
    throw new UsageError('Others can see what --token says; login asks, or reads standard input.');
  }
  const kept = keptKeysOf(context);
  const text = oneWord(await askFor(`Key or token for ${server}: `, context));
  if (text === '') throw new RefusedError('Nothing was kept: no key was given.');
  const refusal = `Nothing was kept: the service at ${server} does not take this key.`;
  const caller = await new Api(server, () => ({ text, refusal })).me();
  kept.keep(server, text);
  if (json) output.printJson(caller);
  else output.print(`Logged in at ${server}: ${standingOf(caller)}`);
  if (context.env.SYNCHRONIZED_TIMER_TOKEN) {
    output.tell('SYNCHRONIZED_TIMER_TOKEN is set; as long as it is, commands show that instead.');
  }
}

async function logOut(command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const { server } = api;
  const wasKept = keptKeysOf(command.context).forget(server);
  if (json) output.printJson({ server, status: wasKept ? 'logged out' : 'not logged in' });
  else if (wasKept) output.print(`Logged out at ${server}`);
  else output.tell(`You were not logged in at ${server}; nothing was done.`);
}

async function tellWho(command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const caller = await api.me();
  if (json) output.printJson(caller);
  else output.print(standingOf(caller));
}

function standingOf({ credential, label, role, expires_at }: Caller): string {
  if (credential === ANONYMOUS) return `anybody, ${role}, until the service has a key`;
  return `${onOneLine(label ?? credential)}, ${role}, until ${expires_at ?? 'it is revoked'}`;
}

function keptKeysOf({ env }: Context): KeptKeys {
  const kept = KeptKeys.of(env);
  if (kept !== undefined) return kept;
  throw new UsageError(
    'Keys are kept in the home of a user, and HOME and XDG_CONFIG_HOME name none.',
  );
}

/** A line of standard input. A terminal shows the question and nothing of the answer. */
async function askFor(question: string, { stdin, stderr }: Context): Promise<string> {
  const terminal = stdin.isTTY === true;
  const output = new Writable({ write: (_data, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output, terminal, historySize: 0 });
  // What is typed must not be shown even while the question is written.
  if (terminal) stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
      lines.once('SIGINT', () => reject(new InterruptedError('SIGINT')));
    });
  } finally {
    lines.close();
    if (terminal) stderr.write('\n');
  }
}
