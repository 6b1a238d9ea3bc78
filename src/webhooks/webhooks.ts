/**
 * Webhooks: the receivers that are told what happens to timers, what is kept of them, and their couriers.
 * A webhook that is enabled has a courier; one that is disabled has a cursor from which a new one goes on. What its
 * document says is what counts, whichever node changed it, and couriers follow; of nodes that share a log one has them.
 */
import { setMaxListeners } from 'node:events';
import { z } from 'zod';
import type { Clock, Timeout } from '../clock.js';
import type { Config } from '../config.js';
import { sortableId } from '../ids.js';
import type { Document, Documents, Journal } from '../journal/journal.js';
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
import { Duty } from './duty.js';
import { eventsOf, messageIdOf, typeOf } from './events.js';
import { Sender } from './sender.js';
import { newSecret } from './signature.js';

const DRAWER = 'webhooks';
const CURSOR_DRAWER = 'webhook-cursors';
const DELETED_DRAWER = 'deleted-webhooks';
/** As long as a request that made a webhook may be repeated, which is not to bring it back. */
const DELETED_KEPT_MS = 24 * 60 * 60 * 1000;
const MOST_WEBHOOKS = 100;
/** A receiver has this long to learn a new secret; the one before it signs as well until then. */
const ROTATION_MS = 24 * 60 * 60 * 1000;
/** Every one of them makes the head of each message longer. */
const MOST_SECRETS = 5;
/** What should be delivered and cannot be begun is begun after this. */
const BEGIN_AGAIN_MS = 1000;
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
  /** When somebody last asked to try all that waits, in epoch ms. */
  enabledAtMs: z.number().default(0),
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
  readonly destination: Destination;
  delivery: Delivery | undefined;
}

/** What this node delivers to a webhook. */
interface Delivery {
  readonly courier: Courier;
  readonly deliveries: DeliveryLog;
  readonly enabledAtMs: number;
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
  readonly #duty: Duty;
  #webhooks: ReadonlyMap<string, Webhook> = new Map();
  readonly #stopped = new AbortController();
  #unwatch: (() => void) | undefined;
  /** Changes of webhooks are made one after the other. */
  #changes: Promise<unknown> = Promise.resolve();
  #changesUnderWay = 0;
  #beginAgain: Timeout;

  private constructor(options: WebhooksOptions) {
    const { clock, config, journal, log, version, lookUp } = options;
    this.#options = options;
    const onChange = (isOurs: boolean): void => {
      if (!isOurs) this.#breakOff();
      this.#followUp();
    };
    this.#duty = new Duty({ documents: journal.documents, clock, log, onChange });
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
    await options.journal.documents.follow(DRAWER, (documents) => webhooks.#take(documents));
    return webhooks;
  }

  /** Begins to deliver; the registry must have recovered. */
  start(): void {
    if (!this.#stopped.signal.aborted) this.#duty.start();
  }

  async stop(): Promise<void> {
    const { clock, log } = this.#options;
    this.#stopped.abort();
    this.#duty.pause();
    clock.clearTimeout(this.#beginAgain);
    await this.#inTurn(async () => {
      await Promise.all([...this.#webhooks.values()].map((webhook) => this.#stopCourier(webhook)));
      await this.#duty.giveBack().catch((err: unknown) => {
        log.warn({ err }, 'another node will deliver webhooks a little later');
      });
    });
    this.#sender.close();
  }

  figures(): WebhookFigures {
    const webhooks = [...this.#webhooks.values()];
    const disabled = webhooks.filter(({ endpoint }) => endpoint.disabled !== null).length;
    const lagMs = Math.max(0, ...webhooks.map((webhook) => this.#lagMsOf(webhook)));
    return { enabled: webhooks.length - disabled, disabled, lagMs };
  }

  /** Whether nothing is being sent; what is to be tried again later may wait. */
  get isIdle(): boolean {
    return this.#changesUnderWay === 0 && this.#couriers().every((courier) => courier.isIdle);
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

  /** Makes a webhook, once of each seed, also if it was deleted since. */
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
      const { clock, journal } = this.#options;
      const position = await journal.positionBefore(Number.MAX_SAFE_INTEGER);
      const made = await this.#everMade(id);
      if (made !== undefined) return { ...resourceOf(made), secret };
      if (this.#webhooks.size >= MOST_WEBHOOKS) {
        const detail = `There are ${MOST_WEBHOOKS} already; delete some`;
        throw noRoom('too_many_webhooks', MOST_WEBHOOKS, detail);
      }
      const createdAtMs = clock.now();
      const endpoint: Endpoint = {
        id,
        url,
        events,
        timers: timers ?? null,
        createdBy: credential,
        createdAtMs,
        secrets: [{ secret, untilMs: null }],
        enabledAtMs: 0,
        disabled: null,
      };
      const cursor: Cursor = { position, warnedUntilMs: createdAtMs };
      const { documents } = journal;
      const ifNone = { before: undefined, nowMs: 0 };
      // An attempt before may have got as far as this one, and the cursor have moved on since.
      const firstCursor = { name: id, text: JSON.stringify(cursor) };
      await documents.replace(CURSOR_DRAWER, firstCursor, null, ifNone);
      await documents.replace(DRAWER, documentOf(endpoint), null, ifNone);
      return { ...resourceOf(endpoint), secret };
    });
  }

  /** The webhook of an id, also if it was deleted not long ago. */
  async #everMade(id: string): Promise<Endpoint | undefined> {
    const { clock, journal } = this.#options;
    for (const drawer of [DELETED_DRAWER, DRAWER]) {
      const text = await journal.documents.get(drawer, id, clock.now());
      if (text !== undefined) return endpointSchema.parse(JSON.parse(text));
    }
    return undefined;
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const webhook = this.#find(id);
      const { clock, journal } = this.#options;
      // Nothing is signed any more with its secrets, so they are not kept.
      const deleted = documentOf({ ...webhook.endpoint, secrets: [] });
      await journal.documents.put(DELETED_DRAWER, deleted, clock.now() + DELETED_KEPT_MS);
      await journal.documents.remove(DRAWER, id);
      await this.#forget(webhook);
    });
  }

  /** Makes this its new secret, once. */
  rotate(id: string, secret: string): Promise<WebhookWithSecret> {
    return this.#inTurn(async () => {
      const endpoint = await this.#change(id, (before) => this.#rotated(before, secret));
      return { ...resourceOf(endpoint), secret };
    });
  }

  /** Goes on where it stopped, and at once: whatever was to be tried again later is tried now. */
  enable(id: string): Promise<WebhookResource> {
    return this.#inTurn(async () => {
      const nowMs = this.#options.clock.now();
      const endpoint = await this.#change(id, (before) => {
        return { ...before, disabled: null, enabledAtMs: Math.max(nowMs, before.enabledAtMs + 1) };
      });
      await this.#deliverAsDue();
      return resourceOf(endpoint);
    });
  }

  /** The last attempts, newest first; of other nodes those of the last second may be missing. */
  async attempts(id: string, limit: number): Promise<Attempt[]> {
    const { clock, journal } = this.#options;
    const webhook = this.#find(id);
    const ours = webhook.delivery?.deliveries;
    if (ours !== undefined && !journal.documents.areShared) return ours.list(limit);
    await ours?.write(clock.now());
    return (await this.#openLog(webhook)).list(limit);
  }

  /** Sends a message of the delivery log once more, at once and out of order; gives the attempt. */
  async redeliver(id: string, messageId: string): Promise<Attempt> {
    const { clock, journal, measures } = this.#options;
    const webhook = this.#find(id);
    const ours = webhook.delivery?.deliveries;
    const deliveries = ours ?? (await this.#openLog(webhook));
    const last = deliveries.find(messageId);
    if (last === undefined) throw unknownMessage(messageId);
    const events = eventsOf(await journal.history(last.timer_id), clock.now());
    const found = events.find(({ event }) => messageIdOf(id, event) === messageId);
    if (found === undefined) throw unknownMessage(messageId);
    const { destination } = webhook;
    const { signal } = this.#stopped;
    const options = { destination, clock, sender: this.#sender, deliveries, measures, signal };
    // It is none of those that the schedule counts.
    const { success } = await attempt(options, found.event, last.attempt);
    if (success) webhook.delivery?.courier.release();
    if (ours === undefined) await deliveries.write(clock.now());
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

  #lagMsOf({ endpoint: { disabled }, delivery }: Webhook): number {
    if (disabled === null) return delivery?.courier.lagMs() ?? 0;
    return this.#options.clock.now() - (disabled.waitingSinceMs ?? disabled.atMs);
  }

  #couriers(): Courier[] {
    return [...this.#webhooks.values()].flatMap(({ delivery }) => delivery?.courier ?? []);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    this.#changesUnderWay += 1;
    const changed = this.#changes.then(change).finally(() => {
      this.#changesUnderWay -= 1;
    });
    this.#changes = changed.catch(() => {});
    return changed;
  }

  #find(id: string): Webhook {
    const webhook = this.#webhooks.get(id);
    if (webhook === undefined) throw unknownWebhook(id);
    return webhook;
  }

  /** Takes in what the documents say, whoever changed them. */
  #take(documents: readonly Document[]): void {
    const webhooks = new Map<string, Webhook>();
    for (const { text } of documents) {
      const endpoint = endpointSchema.parse(JSON.parse(text));
      const known = this.#webhooks.get(endpoint.id);
      if (known !== undefined) known.endpoint = endpoint;
      webhooks.set(endpoint.id, known ?? webhookOf(endpoint));
    }
    const gone = [...this.#webhooks.values()].filter(({ endpoint }) => !webhooks.has(endpoint.id));
    this.#webhooks = webhooks;
    for (const webhook of gone) {
      if (webhook.delivery !== undefined) void this.#inTurn(() => this.#forget(webhook));
    }
    this.#followUp();
  }

  /** Ends and begins couriers as is due, when what is under way is done. */
  #followUp(): void {
    if (!this.#stopped.signal.aborted) void this.#inTurn(() => this.#deliverAsDue());
  }

  /** Never rejects: what cannot be begun is begun later. */
  async #deliverAsDue(): Promise<void> {
    const { clock, log } = this.#options;
    clock.clearTimeout(this.#beginAgain);
    for (const webhook of this.#webhooks.values()) {
      const { endpoint, delivery } = webhook;
      const isDue = this.#isDue(webhook);
      if (isDue && delivery?.enabledAtMs === endpoint.enabledAtMs) continue;
      try {
        await this.#stopCourier(webhook, 0);
        if (isDue) await this.#startCourier(webhook);
      } catch (err) {
        log.error({ webhook: endpoint.id, err }, 'a webhook cannot be delivered to yet');
        this.#beginAgain = clock.setTimeout(() => this.#followUp(), BEGIN_AGAIN_MS);
      }
    }
  }

  #isDue({ endpoint }: Webhook): boolean {
    const isOurs = this.#duty.isOurs && !this.#stopped.signal.aborted;
    return isOurs && endpoint.disabled === null && this.#webhooks.has(endpoint.id);
  }

  /** Another node may be about to deliver, so nothing is waited for. */
  #breakOff(): void {
    for (const webhook of this.#webhooks.values()) void this.#stopCourier(webhook, 0);
  }

  async #startCourier(webhook: Webhook): Promise<void> {
    const { config, registry, journal, measures, clock, log } = this.#options;
    const { destination, endpoint } = webhook;
    const { id, enabledAtMs } = endpoint;
    let kept = await journal.documents.get(CURSOR_DRAWER, id, 0);
    const deliveries = await this.#openLog(webhook);
    if (kept === undefined || !this.#isDue(webhook)) return;
    this.#unwatch ??= registry.watch(this);
    const courier = new Courier({
      destination,
      cursor: cursorSchema.parse(JSON.parse(kept)),
      clock,
      journal,
      registry,
      sender: this.#sender,
      deliveries,
      measures,
      log,
      retryMs: config.webhookRetrySeconds.map((seconds) => seconds * 1000),
      random: Math.random,
      onSave: async (cursor) => {
        kept = await this.#keepCursor(webhook, courier, cursor, kept);
      },
      onGivenUp: (why) => this.#disable(webhook, courier, why),
    });
    webhook.delivery = { courier, deliveries, enabledAtMs };
    courier.start();
  }

  /** Moves the cursor on, unless another node delivers by now and has moved it: then this one begins anew, or not. */
  async #keepCursor(
    webhook: Webhook,
    courier: Courier,
    cursor: Cursor,
    before: string | undefined,
  ): Promise<string | undefined> {
    const { id } = webhook.endpoint;
    const document = { name: id, text: JSON.stringify(cursor) };
    const condition = { before, nowMs: 0 };
    const { documents } = this.#options.journal;
    if (await documents.replace(CURSOR_DRAWER, document, null, condition)) return document.text;
    if (webhook.delivery?.courier === courier) {
      void this.#stopCourier(webhook, 0);
      this.#followUp();
    }
    return before;
  }

  async #stopCourier(webhook: Webhook, graceMs = GRACE_MS): Promise<void> {
    const { delivery } = webhook;
    webhook.delivery = undefined;
    if (this.#couriers().length === 0) {
      this.#unwatch?.();
      this.#unwatch = undefined;
    }
    await delivery?.courier.stop(graceMs);
  }

  /** Takes away what is kept of a webhook that was deleted. */
  async #forget(webhook: Webhook): Promise<void> {
    const { log, journal } = this.#options;
    const { id } = webhook.endpoint;
    await this.#stopCourier(webhook, 0);
    try {
      await journal.documents.remove(CURSOR_DRAWER, id);
      await (await this.#openLog(webhook)).remove();
    } catch (err) {
      // It is deleted all the same, and nothing of it is ever used again.
      log.error({ webhook: id, err }, 'what was kept of a deleted webhook could not be removed');
    }
  }

  /** The courier goes on until that is kept: one that is enabled has one. */
  #disable(webhook: Webhook, courier: Courier, why: string): void {
    const { clock, log } = this.#options;
    const { id } = webhook.endpoint;
    this.#inTurn(async () => {
      if (webhook.delivery?.courier !== courier) return;
      const atMs = clock.now();
      const waitingSinceMs = atMs - courier.lagMs();
      await this.#change(id, (before) => ({ ...before, disabled: { atMs, why, waitingSinceMs } }));
      log.warn({ webhook: id, why }, 'a webhook was disabled');
      await this.#stopCourier(webhook, 0);
    }).catch((err: unknown) => {
      log.error({ webhook: id, err }, 'that it is disabled could not be kept');
      clock.setTimeout(() => this.#disable(webhook, courier, why), BEGIN_AGAIN_MS);
    });
  }

  #rotated(endpoint: Endpoint, secret: string): Endpoint {
    const { secrets } = endpoint;
    if (secrets.some((known) => known.secret === secret)) return endpoint;
    const nowMs = this.#options.clock.now();
    const before = secrets.map((old) => ({ ...old, untilMs: old.untilMs ?? nowMs + ROTATION_MS }));
    const valid = before.filter(({ untilMs }) => untilMs > nowMs);
    if (valid.length >= MOST_SECRETS) {
      const detail = `${MOST_SECRETS} secrets sign already, all but the newest for 24 hours at the most`;
      throw noRoom('too_many_secrets', MOST_SECRETS, detail);
    }
    return { ...endpoint, secrets: [{ secret, untilMs: null }, ...valid] };
  }

  /** Changes what is kept of a webhook; decided again when another node was first. */
  async #change(id: string, change: (before: Endpoint) => Endpoint): Promise<Endpoint> {
    const { documents } = this.#options.journal;
    for (;;) {
      const before = await documents.get(DRAWER, id, 0);
      if (before === undefined) throw unknownWebhook(id);
      const endpoint = change(endpointSchema.parse(JSON.parse(before)));
      const condition = { before, nowMs: 0 };
      if (await documents.replace(DRAWER, documentOf(endpoint), null, condition)) return endpoint;
    }
  }

  #openLog({ endpoint: { id, enabledAtMs } }: Webhook): Promise<DeliveryLog> {
    const { journal, clock } = this.#options;
    return DeliveryLog.open(journal.documents, id, clock.now(), enabledAtMs);
  }
}

function webhookOf(endpoint: Endpoint): Webhook {
  const { id, url, events, timers } = endpoint;
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
  const webhook: Webhook = { endpoint, destination, delivery: undefined };
  return webhook;
}

function documentOf(endpoint: Endpoint): Document {
  return { name: endpoint.id, text: JSON.stringify(endpoint) };
}

function unknownWebhook(id: string): Problem {
  return new Problem('unknown_webhook', `Webhook not found: ${id}`);
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
