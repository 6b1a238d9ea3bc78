/** The routes of those who look after webhooks. */
import { z } from 'zod';
import { tellDeed } from '../access/deeds.js';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import type { RequestSchemas } from '../protocol/requests.js';
import { createWebhookSchema } from '../protocol/webhooks.js';
import { newSecret } from '../webhooks/signature.js';
import {
  newWebhookSeed,
  type WebhookSeed,
  type Webhooks,
  webhookSeedSchema,
} from '../webhooks/webhooks.js';
import type { Exchange, Handler } from './exchange.js';
import type { Idempotency } from './idempotency.js';
import { parameterOf, parse } from './parse.js';

export function webhookRoutes(
  webhooks: Webhooks,
  schemas: RequestSchemas,
  idempotency: Idempotency,
  clock: Clock,
  log: Log,
) {
  const createWebhook = idempotency.planned<WebhookSeed>({
    plan: () => newWebhookSeed(clock.now()),
    planSchema: webhookSeedSchema,
    make: async ({ request, caller }, seed) => {
      const body = parse(createWebhookSchema, request.body, 'body');
      const webhook = await webhooks.create(body, caller.credential, seed);
      const { id, events, timers } = webhook;
      // The rest of the address may be what only the receiver is to know.
      const { host } = new URL(webhook.url);
      tellDeed(log, caller, 'webhook created', { webhook: { id, host, events, timers } });
      return { status: 201, headers: { Location: `/webhooks/${webhook.id}` }, body: webhook };
    },
  });

  const deleteWebhook = idempotency.planned<boolean>({
    plan: ({ request }) => webhooks.has(idOf(request)),
    planSchema: z.boolean(),
    make: async ({ request, caller }, wasThere) => {
      const id = idOf(request);
      if (wasThere && !webhooks.has(id)) return { status: 204 };
      await webhooks.delete(id);
      tellDeed(log, caller, 'webhook deleted', { webhook: { id } });
      return { status: 204 };
    },
  });

  const rotateWebhook = idempotency.planned<string>({
    plan: newSecret,
    planSchema: z.string(),
    make: async ({ request, caller }, secret) => {
      const webhook = await webhooks.rotate(idOf(request), secret);
      tellDeed(log, caller, 'webhook secret rotated', { webhook: { id: webhook.id } });
      return { status: 200, body: webhook };
    },
  });

  const enableWebhook = idempotency.repeatable(async ({ request, caller }) => {
    const webhook = await webhooks.enable(idOf(request));
    tellDeed(log, caller, 'webhook enabled', { webhook: { id: webhook.id } });
    return { status: 200, body: webhook };
  });

  const listWebhooks: Handler = ({ response }) => {
    response.json(webhooks.list());
  };

  const getWebhook: Handler = ({ request, response }) => {
    response.json(webhooks.get(idOf(request)));
  };

  const listDeliveries: Handler = async ({ request, response }) => {
    const { limit } = parse(schemas.deliveries, request.query, 'query');
    response.json(await webhooks.attempts(idOf(request), limit));
  };

  // Receivers know a message that comes twice by its id.
  const redeliver = idempotency.repeatable(async ({ request, caller }) => {
    const id = idOf(request);
    const messageId = parameterOf(request, 'message_id');
    const attempt = await webhooks.redeliver(id, messageId);
    tellDeed(log, caller, 'webhook message redelivered', { webhook: { id }, messageId });
    return { status: 200, body: attempt };
  });

  return {
    createWebhook,
    deleteWebhook,
    rotateWebhook,
    enableWebhook,
    listWebhooks,
    getWebhook,
    listDeliveries,
    redeliver,
  };
}

function idOf(request: Exchange['request']): string {
  return parameterOf(request, 'webhook_id');
}
