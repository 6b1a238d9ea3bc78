/** `webhooks`: receivers that are told what happens to timers, and what became of it. */
import { InvalidArgumentError, Option } from 'commander';
import {
  type Attempt,
  WEBHOOK_EVENTS,
  type WebhookEvent,
  type WebhookResource,
  type WebhookWithSecret,
} from '../protocol/webhooks.js';
import type { Command } from './command.js';
import { RefusedError } from './errors.js';
import { addExamples, type Connection, connectionOf, countOf, timerIdOf } from './options.js';
import { onOneLine } from './output.js';

const MOST_ATTEMPTS = 1000;

interface CreateOptions {
  readonly events?: WebhookEvent[];
  readonly timers?: string[];
}

export function addWebhooks(program: Command): void {
  const webhooks = program
    .command('webhooks')
    .description('Have receivers told what happens to timers, and see what became of it.');
  addCreate(webhooks);
  const list = webhooks.command('list').description('List webhooks, oldest first.');
  list.action(() => listWebhooks(list));
  addForOne(webhooks, 'delete', 'Delete a webhook and its delivery log.', deleteWebhook);
  addForOne(webhooks, 'enable', 'Deliver what waits, now.', enableWebhook);
  addForOne(webhooks, 'rotate', 'Make a new secret and write it.', rotateWebhook);
  const deliveries = withWebhook(webhooks.command('deliveries'))
    .description('List the last attempts to deliver, newest first.')
    .option('--limit <number>', 'this many, 1000 at the most', limitOf, 100);
  deliveries.action((id: string, options: { readonly limit: number }) =>
    listDeliveries(id, options.limit, deliveries),
  );
  const redeliver = withWebhook(webhooks.command('redeliver'))
    .description('Send a message of the delivery log once more, now.')
    .argument('<message>', 'the id of a message, as deliveries shows it', idOf);
  redeliver.action((id: string, messageId: string) => redeliverMessage(id, messageId, redeliver));
  addExamples(webhooks, {
    'webhooks create https://quiz.example/hook --events timer.expired': 'Be told of every end',
    'webhooks deliveries webhook_0mjx3k2p9a1b2c3d4e5f6': 'See what was sent and what failed',
  });
}

function addCreate(webhooks: Command): void {
  const command = webhooks
    .command('create')
    .description(
      'Create a webhook. Writes its id and the secret that signs, which is not shown again.',
    )
    .argument('<url>', 'where to send')
    .addOption(
      new Option('--events <types>', `some of ${WEBHOOK_EVENTS.join(', ')}`).argParser(
        collectEvents,
      ),
    )
    .option('--timers <ids>', 'about these timers only, separated by commas', collectTimers);
  command.action((url: string, options: CreateOptions) => createWebhook(url, options, command));
}

type ForOne = (webhookId: string, command: Command) => Promise<void>;

function addForOne(webhooks: Command, name: string, description: string, run: ForOne): void {
  const command = withWebhook(webhooks.command(name)).description(description);
  command.action((id: string) => run(id, command));
}

function withWebhook(command: Command): Command {
  return command.argument('<id>', 'the id of a webhook', idOf);
}

/** An id becomes part of an address, so what could lead to another one is refused here. */
function idOf(text: string): string {
  if (/^[\w-]+$/.test(text)) return text;
  throw new InvalidArgumentError('An id has letters, digits, hyphens and underscores only.');
}

function limitOf(text: string): number {
  return Math.min(MOST_ATTEMPTS, countOf(text));
}

function collectEvents(text: string, before: readonly WebhookEvent[] = []): WebhookEvent[] {
  const events = text.split(',').map((name) => {
    const event = WEBHOOK_EVENTS.find((candidate) => candidate === name);
    if (event === undefined) throw new InvalidArgumentError(`There is no event ${name}.`);
    return event;
  });
  return [...before, ...events];
}

function collectTimers(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').map(timerIdOf)];
}

async function createWebhook(
  url: string,
  { events, timers }: CreateOptions,
  command: Command,
): Promise<void> {
  const connection = connectionOf(command);
  printWithSecret(await connection.api.createWebhook({ url, events, timers }), connection);
}

async function rotateWebhook(webhookId: string, command: Command): Promise<void> {
  const connection = connectionOf(command);
  printWithSecret(await connection.api.rotateWebhook(webhookId), connection);
}

function printWithSecret(webhook: WebhookWithSecret, { json, output }: Connection): void {
  if (json) output.printJson(webhook);
  else output.print(`${webhook.id} ${webhook.secret}`);
}

async function listWebhooks(command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const webhooks = await api.webhooks();
  if (json) return output.printJson(webhooks);
  if (webhooks.length === 0) return output.tell('There are no webhooks.');
  output.printTable(['ID', 'URL', 'EVENTS', 'STATE'], webhooks.map(cellsOf));
}

function cellsOf({ id, url, events, timers, disabled }: WebhookResource): string[] {
  const kinds = events.length === WEBHOOK_EVENTS.length ? 'all' : events.join(',');
  const whose = timers === null ? '' : ` of ${timers.length} timers`;
  const state = disabled === null ? 'enabled' : `disabled at ${disabled.at}: ${disabled.why}`;
  return [id, url, `${kinds}${whose}`, state].map(onOneLine);
}

async function deleteWebhook(webhookId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  await api.deleteWebhook(webhookId);
  if (json) output.printJson({ webhook_id: webhookId, status: 'deleted' });
  else output.print(`${webhookId}: deleted`);
}

async function enableWebhook(webhookId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const webhook = await api.enableWebhook(webhookId);
  if (json) output.printJson(webhook);
  else output.print(`${webhookId}: enabled`);
}

async function listDeliveries(id: string, limit: number, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const attempts = await api.deliveries(id, limit);
  if (json) return output.printJson(attempts);
  if (attempts.length === 0) return output.tell('Nothing was sent yet.');
  const headings = ['AT', 'MESSAGE', 'EVENT', 'TIMER', 'ATTEMPT', 'TOOK', 'RESULT'];
  output.printTable(headings, attempts.map(attemptCells));
}

function attemptCells(attempt: Attempt): string[] {
  const { at, message_id, type, timer_id, duration_ms } = attempt;
  return [at, message_id, type, timer_id, `${attempt.attempt}`, `${duration_ms} ms`].concat(
    onOneLine(resultOf(attempt)),
  );
}

function resultOf({ success, status, error }: Attempt): string {
  return success ? `${status}` : `failed: ${error}`;
}

async function redeliverMessage(id: string, messageId: string, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const attempt = await api.redeliver(id, messageId);
  if (json) output.printJson(attempt);
  else if (attempt.success) output.print(`${messageId}: delivered`);
  if (!attempt.success) throw new RefusedError(onOneLine(`${messageId}: ${resultOf(attempt)}`));
}
