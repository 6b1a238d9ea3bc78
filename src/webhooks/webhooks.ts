/**
 * Webhooks: the receivers that are told what happens to timers, what is kept of them, and their couriers.
 * A webhook that is enabled has a courier; one that is disabled has a cursor from which a new one goes on.
 */
import { setMaxListeners } from 'node:events';
import { z } from 'zod';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import { sortableId } from '../ids.js';
import type { Documents, Journal } from '../journal/journal.js';
import type { Log } from '../log.js';
import { noRoom, Problem } from '../protocol/problems.js';
import { isoTime } from '../protocol/timer.js';
import {
  type Attempt,
  type CreateWebhook,
  type WebhookResource,
  type WebhookWithSecret,
  webhookEventSchema,
} from '../protocol/webhooks.js';
import type { Change, Registry, Warning, Watcher } from '../registry.js';
import { faultOf, type NameLookup } from './addresses.js';
import { attempt, type Destination, type WebhookMeasures } from './attempt.js';
import { Courier, type Cursor } from './courier.js';
import { DeliveryLog } from './delivery-log.js';
import { eventsOf, messageIdOf, typeOf } from './events.js';
import { Sender } from './sender.js';
import { newSecret } from './signature.js';

const DRAWER = 'webhooks';
const CURSOR_DRAWER = 'webhook-cursors';
const MOST_WEBHOOKS = 100;
/** A receiver has this long to learn a new secret; the one before it signs as well until then. */
const ROTATION_MS = 24 * 60 * 60 * 1000;
/** Every one of them makes the head of each message longer. */
const MOST_SECRETS = 5;
/** What is under way at the end gets this long. */
const GRACE_MS = 2000;

const secretSchema = z.object({ secret: z.string(), untilMs: z.number().nullable() });

/** What chance decides of a webhook. */
export const webhookSeedSchema = z.object({ id: z.string(), secret: z.string() });
export type WebhookSeed = z.output<typeof webhookSeedSchema>;

export function newWebhookSeed(nowMs: number): WebhookSeed {
  return { id: sortableId('webhook', nowMs), secret: newSecret() };
}

const endpointSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(webhookEventSchema),
  timers: z.array(z.string()).nullable(),
  createdBy: z.string(),
  createdAtMs: z.number(),
  /** The newest first; all but that end. */
  secrets: z.array(secretSchema),
  disabled: z
    .object({
      atMs: z.number(),
      why: z.string(),
      /** Since when the oldest event that it was not told of waits. */
      waitingSinceMs: z.number().optional(),
    })
    .nullable(),
});
type Endpoint = z.output<typeof endpointSchema>;

const cursorSchema = z.object({ position: z.number(), warnedUntilMs: z.number() });

interface Webhook {
  endpoint: Endpoint;
  cursor: Cursor;
  readonly deliveries: DeliveryLog;
  readonly destination: Destination;
  courier: Courier | undefined;
}

/** What can be seen of all webhooks together. */
export interface WebhookFigures {
  readonly enabled: number;
  readonly disabled: number;
  /** How long the oldest event that is not delivered has been waiting, over both. */
  readonly lagMs: number;
}

export interface WebhooksOptions {
  readonly config: Config;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly measures: WebhookMeasures;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** How names of hosts are looked up, if not as usual. */
  readonly lookUp?: NameLookup | undefined;
}

/** The place up to which every webhook has been told all it wants. */
export async function undeliveredAfter(documents: Documents): Promise<number> {
  const cursors = await documents.list(CURSOR_DRAWER);
  const positions = cursors.map(({ text }) => cursorSchema.parse(JSON.parse(text)).position);
  return Math.min(Number.POSITIVE_INFINITY, ...positions);
}

export class Webhooks implements Watcher {
  readonly #options: WebhooksOptions;
  readonly #sender: Sender;
  readonly #webhooks = new Map<string, Webhook>();
  readonly #stopped = new AbortController();
  #isStarted = false;
  #unwatch: (() => void) | undefined;
  /** Changes of webhooks are made one after the other. */
  #changes: Promise<unknown> = Promise.resolve();

  private constructor(options: WebhooksOptions) {
    const { clock, config, version, lookUp } = options;
    this.#options = options;
    setMaxListeners(0, this.#stopped.signal);
    this.#sender = new Sender({
      clock,
      timeoutMs: config.webhookTimeoutSeconds * 1000,
      allowsPrivate: config.webhookAllowPrivate,
      version,
      lookUp,
    });
  }

  /** Reads what is kept; nothing is sent before `start`. */
  static async open(options: WebhooksOptions): Promise<Webhooks> {
    const webhooks = new Webhooks(options);
    const { documents } = options.journal;
    for (const { text } of await documents.list(DRAWER)) {
      const endpoint = endpointSchema.parse(JSON.parse(text));
      const cursor = await documents.get(CURSOR_DRAWER, endpoint.id, 0);
      if (cursor === undefined) continue;
      await webhooks.#add(endpoint, cursorSchema.parse(JSON.parse(cursor)));
    }
    return webhooks;
  }

  /** Begins to deliver; the registry must have recovered. */
  start(): void {
    if (this.#stopped.signal.aborted) return;
    this.#isStarted = true;
    for (const webhook of this.#webhooks.values()) this.#startCourier(webhook);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#stopped.abort();
    await this.#inTurn(async () => {
      await Promise.all([...this.#webhooks.values()].map((webhook) => this.#stopCourier(webhook)));
    });
  }

  figures(): WebhookFigures {
    const webhooks = [...this.#webhooks.values()];
    const disabled = webhooks.filter(({ endpoint }) => endpoint.disabled !== null).length;
    const lagMs = Math.max(0, ...webhooks.map((webhook) => this.#lagMsOf(webhook)));
    return { enabled: webhooks.length - disabled, disabled, lagMs };
  }

  /** Whether nothing is being sent; what is to be tried again later may wait. */
  get isIdle(): boolean {
    return this.#couriers().every((courier) => courier.isIdle);
  }

  list(): WebhookResource[] {
    return [...this.#webhooks.values()].map(({ endpoint }) => resourceOf(endpoint));
  }

  get(id: string): WebhookResource {
    return resourceOf(this.#find(id).endpoint);
  }

  has(id: string): boolean {
    return this.#webhooks.has(id);
  }

  /** Makes a webhook, once of each seed. */
  create(
    { url, events, timers }: CreateWebhook,
    credential: string,
    { id, secret }: WebhookSeed,
  ): Promise<WebhookWithSecret> {
    const fault = faultOf(url, this.#options.config.webhookAllowPrivate);
    if (fault !== undefined) {
      const errors = [{ field: 'body.url', message: fault }];
      throw new Problem('invalid_request', `body.url: ${fault}`, { errors });
    }
    return this.#inTurn(async () => {
      const made = this.#webhooks.get(id);
      if (made !== undefined) return { ...resourceOf(made.endpoint), secret };
      if (this.#webhooks.size >= MOST_WEBHOOKS) {
        const detail = `There are ${MOST_WEBHOOKS} already; delete some`;
        throw noRoom('too_many_webhooks', MOST_WEBHOOKS, detail);
      }
      const { clock, journal } = this.#options;
      const createdAtMs = clock.now();
      const endpoint: Endpoint = {
        id,
        url,
        events,
        timers: timers ?? null,
        createdBy: credential,
        createdAtMs,
        secrets: [{ secret, untilMs: null }],
        disabled: null,
      };
      const position = await journal.positionBefore(Number.MAX_SAFE_INTEGER);
      const cursor = { position, warnedUntilMs: createdAtMs };
      await this.#keepCursor(endpoint.id, cursor);
      await this.#keep(endpoint);
      this.#startCourier(await this.#add(endpoint, cursor));
      return { ...resourceOf(endpoint), secret };
    });
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const webhook = this.#find(id);
      const { log, journal } = this.#options;
      const { documents } = journal;
      await documents.remove(DRAWER, id);
      this.#webhooks.delete(id);
      await this.#stopCourier(webhook, 0);
      try {
        await documents.remove(CURSOR_DRAWER, id);
        await webhook.deliveries.remove();
      } catch (err) {
        // It is deleted all the same, and nothing of it is ever used again.
        log.error({ webhook: id, err }, 'what was kept of a deleted webhook could not be removed');
      }
    });
  }

  /** Makes this its new secret, once. */
  rotate(id: string, secret: string): Promise<WebhookWithSecret> {
    return this.#inTurn(async () => {
      const webhook = this.#find(id);
      const { secrets } = webhook.endpoint;
      if (secrets.some((known) => known.secret === secret)) {
        return { ...resourceOf(webhook.endpoint), secret };
      }
      const nowMs = this.#options.clock.now();
      const before = secrets.map((old) => ({
        ...old,
        untilMs: old.untilMs ?? nowMs + ROTATION_MS,
      }));
      const valid = before.filter(({ untilMs }) => untilMs > nowMs);
      if (valid.length >= MOST_SECRETS) {
        const detail = `${MOST_SECRETS} secrets sign already, all but the newest for 24 hours at the most`;
        throw noRoom('too_many_secrets', MOST_SECRETS, detail);
      }
      await this.#change(webhook, { secrets: [{ secret, untilMs: null }, ...valid] });
      return { ...resourceOf(webhook.endpoint), secret };
    });
  }

  /** Goes on where it stopped, and at once: whatever was to be tried again later is tried now. */
  enable(id: string): Promise<WebhookResource> {
    return this.#inTurn(async () => {
      const webhook = this.#find(id);
      await this.#change(webhook, { disabled: null });
      await this.#stopCourier(webhook, 0);
      webhook.deliveries.forgive();
      this.#startCourier(webhook);
      return resourceOf(webhook.endpoint);
    });
  }

  /** The last attempts, newest first. */
  attempts(id: string, limit: number): Attempt[] {
    return this.#find(id).deliveries.list(limit);
  }

  /** Sends a message of the delivery log once more, at once and out of order; gives the attempt. */
  async redeliver(id: string, messageId: string): Promise<Attempt> {
    const { clock, journal, measures } = this.#options;
    const { deliveries, destination } = this.#find(id);
    const last = deliveries.find(messageId);
    if (last === undefined) throw unknownMessage(messageId);
    const events = eventsOf(await journal.history(last.timer_id), clock.now());
    const found = events.find(({ event }) => messageIdOf(id, event) === messageId);
    if (found === undefined) throw unknownMessage(messageId);
    const { signal } = this.#stopped;
    const options = { destination, clock, sender: this.#sender, deliveries, measures, signal };
    // It is none of those that the schedule counts.
    await attempt(options, found.event, last.attempt);
    return deliveries.find(messageId) ?? last;
  }

  changed(changes: readonly Change[]): void {
    for (const courier of this.#couriers()) courier.changed(changes);
  }

  warned(warning: Warning): void {
    for (const courier of this.#couriers()) courier.warned(warning);
  }

  /** A timer that runs is touched when it was restarted, and it may not have told of a warning. */
  touched(timerId: string): void {
    const found = this.#options.registry.lookUp(timerId);
    if (!found.ok || found.timer.state !== 'RUNNING') return;
    for (const courier of this.#couriers()) courier.recover(timerId);
  }

  #lagMsOf({ endpoint: { disabled }, courier }: Webhook): number {
    if (disabled === null) return courier?.lagMs() ?? 0;
    return this.#options.clock.now() - (disabled.waitingSinceMs ?? disabled.atMs);
  }

  #couriers(): Courier[] {
    return [...this.#webhooks.values()].flatMap(({ courier }) => courier ?? []);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changes.then(change);
    this.#changes = changed.catch(() => {});
    return changed;
  }

  #find(id: string): Webhook {
    const webhook = this.#webhooks.get(id);
    if (webhook === undefined) throw new Problem('unknown_webhook', `Webhook not found: ${id}`);
    return webhook;
  }

  async #add(endpoint: Endpoint, cursor: Cursor): Promise<Webhook> {
    const { clock, journal } = this.#options;
    const { id, url, events, timers } = endpoint;
    const deliveries = await DeliveryLog.open(journal.documents, id, clock.now());
    const destination: Destination = {
      id,
      url,
      secrets: (nowMs) =>
        webhook.endpoint.secrets
          .filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
          .map(({ secret }) => secret),
      wants: (event) =>
        events.includes(typeOf(event)) && (timers === null || timers.includes(event.record.id)),
    };
    const webhook: Webhook = { endpoint, cursor, deliveries, destination, courier: undefined };
    this.#webhooks.set(id, webhook);
    return webhook;
  }

  #startCourier(webhook: Webhook): void {
    const { config, registry, journal, measures, clock, log } = this.#options;
    const { endpoint, cursor, deliveries, destination } = webhook;
    if (!this.#isStarted || endpoint.disabled !== null) return;
    this.#unwatch ??= registry.watch(this);
    webhook.courier = new Courier({
      destination,
      cursor,
      clock,
      journal,
      registry,
      sender: this.#sender,
      deliveries,
      measures,
      log,
      retryMs: config.webhookRetrySeconds.map((seconds) => seconds * 1000),
      random: Math.random,
      onSave: async (saved) => {
        webhook.cursor = saved;
        await this.#keepCursor(endpoint.id, saved);
      },
      onGivenUp: (why) => void this.#disable(webhook, why),
    });
    webhook.courier.start();
  }

  async #stopCourier(webhook: Webhook, graceMs = GRACE_MS): Promise<void> {
    const { courier } = webhook;
    webhook.courier = undefined;
    if (this.#couriers().length === 0) {
      this.#unwatch?.();
      this.#unwatch = undefined;
    }
    await courier?.stop(graceMs);
  }

  async #disable(webhook: Webhook, why: string): Promise<void> {
    const { clock, log } = this.#options;
    const { courier } = webhook;
    await this.#inTurn(async () => {
      if (webhook.courier !== courier || courier === undefined) return;
      log.warn({ webhook: webhook.endpoint.id, why }, 'a webhook was disabled');
      const atMs = clock.now();
      const waitingSinceMs = atMs - courier.lagMs();
      await this.#stopCourier(webhook, 0);
      await this.#change(webhook, { disabled: { atMs, why, waitingSinceMs } });
    }).catch((err: unknown) => {
      log.error({ webhook: webhook.endpoint.id, err }, 'that it is disabled could not be kept');
    });
  }

  async #change(webhook: Webhook, change: Partial<Endpoint>): Promise<void> {
    const endpoint = { ...webhook.endpoint, ...change };
    await this.#keep(endpoint);
    webhook.endpoint = endpoint;
  }

  async #keep(endpoint: Endpoint): Promise<void> {
    const { documents } = this.#options.journal;
    await documents.put(DRAWER, { name: endpoint.id, text: JSON.stringify(endpoint) }, null);
  }

  async #keepCursor(id: string, cursor: Cursor): Promise<void> {
    const { documents } = this.#options.journal;
    await documents.put(CURSOR_DRAWER, { name: id, text: JSON.stringify(cursor) }, null);
  }
}

function unknownMessage(messageId: string): Problem {
  return new Problem('unknown_delivery', `The delivery log has no message ${messageId}`);
}

function resourceOf(endpoint: Endpoint): WebhookResource {
  const { id, url, events, timers, createdAtMs, createdBy, disabled } = endpoint;
  return {
    id,
    url,
    events,
    timers,
    created_at: isoTime(createdAtMs),
    created_by: createdBy,
    disabled: disabled && { at: isoTime(disabled.atMs), why: disabled.why },
  };
}
