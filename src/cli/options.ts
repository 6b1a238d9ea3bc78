/** Options and arguments that several commands share, and how their texts are understood. */
import { InvalidArgumentError, Option } from 'commander';
import { TIMER_STATES, type WireTimerState } from '../protocol/timer.js';
import { Api } from './api.js';
import type { Command } from './command.js';
import type { Context } from './context.js';
import { credentialSource } from './credential.js';
import { DURATION_FORMS, parseDuration } from './duration.js';
import { UsageError } from './errors.js';
import type { Output } from './output.js';

const DEFAULT_SERVER = 'http://127.0.0.1:8003';

interface GlobalOptions {
  readonly server?: string;
  readonly token?: string;
  readonly json?: true;
}

export function addGlobalOptions(program: Command): void {
  const server = `the service to talk to (default: ${DEFAULT_SERVER}, env: SYNCHRONIZED_TIMER_SERVER)`;
  // Other users of a machine see the arguments of a command, but not its environment.
  const token =
    'the key or token to show; safer in the environment, or by login (env: SYNCHRONIZED_TIMER_TOKEN)';
  program
    .option('--server <url>', server, serverOf)
    .option('--token <token>', token)
    .option('--json', 'write results as JSON, for programs');
}

/** What a command stands between: a service, and whoever reads what is said of it. */
export interface Connection {
  readonly api: Api;
  readonly output: Output;
  /** Whether a program reads it. */
  readonly json: boolean;
}

export function connectionOf(command: Command): Connection {
  const { output, context } = command;
  const { server = serverIn(context.env), json = false } = command.optsWithGlobals<GlobalOptions>();
  return { api: apiAt(server, command), output, json };
}

/** A service, shown what it is to know the caller by: no service is shown what was kept for another. */
export function apiAt(server: string, command: Command): Api {
  const { token } = command.optsWithGlobals<GlobalOptions>();
  return new Api(server, credentialSource({ server, token, env: command.context.env }));
}

export function isTokenGiven(command: Command): boolean {
  return command.optsWithGlobals<GlobalOptions>().token !== undefined;
}

function serverIn({ SYNCHRONIZED_TIMER_SERVER: text = DEFAULT_SERVER }: Context['env']): string {
  try {
    return serverOf(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(`SYNCHRONIZED_TIMER_SERVER is wrong. ${error.message}`);
  }
}

export function serverOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search + url.hash !== '') {
    throw new InvalidArgumentError(`It is a URL such as ${DEFAULT_SERVER}.`);
  }
  if (url.username + url.password !== '') {
    throw new InvalidArgumentError('It is a URL without a name or a password.');
  }
  return url.href.replace(/\/+$/, '');
}

export function stateOption(description: string): Option {
  return new Option('--state <state>', description).choices([...TIMER_STATES]);
}

export function secondsOf(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) throw new InvalidArgumentError(`${DURATION_FORMS}.`);
  return seconds;
}

export function countOf(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new InvalidArgumentError('It is a whole number from 1 to 999999.');
  return count;
}

/** An id becomes part of an address, so what could lead to another one is refused here. */
export function timerIdOf(text: string): string {
  if (/^[\w-]+$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a timer looks like timer_0mjx3k2p9a1b2c3d4e5f6.');
}

export interface SelectionOptions {
  readonly all?: true;
  readonly state?: WireTimerState;
}

/** Lets a command take ids, or --all with or without a state. */
export function addSelection(command: Command): Command {
  return command
    .argument('[ids...]', 'the ids of timers', collectIds)
    .option('--all', 'all timers instead of ids')
    .addOption(stateOption('with --all: only timers in this state'));
}

function collectIds(text: string, before: readonly string[] = []): string[] {
  return [...before, timerIdOf(text)];
}

/** Examples behind the help of a command, each with what it does. */
export function addExamples(command: Command, examples: Readonly<Record<string, string>>): void {
  const lines = Object.entries(examples).flatMap(([line, what]) => [
    `  # ${what}`,
    `  synchronized-timer ${line}`,
  ]);
  command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
