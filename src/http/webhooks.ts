/** The routes of those who look after webhooks. */
import { tellDeed } from '../access/deeds.js';
import type { Log } from '../log.js';
import type { RequestSchemas } from '../protocol/requests.js';
import { createWebhookSchema } from '../protocol/webhooks.js';
import type { Webhooks } from '../webhooks/webhooks.js';
import type { Exchange, Handler } from './exchange.js';
import type { Idempotency } from './idempotency.js';
import { parameterOf, parse } from './parse.js';

export function webhookRoutes(
  webhooks: Webhooks,
  schemas: RequestSchemas,
  idempotency: Idempotency,
  log: Log,
) {
  const createWebhook = idempotency.handler({
    make: async ({ request, caller }, requestId) => {
      const body = parse(createWebhookSchema, request.body, 'body');
      const webhook = await webhooks.create(body, caller.credential, requestId);
      const { id, events, timers } = webhook;
      // The rest of the address may be what only the receiver is to know.
      const { host } = new URL(webhook.url);
      tellDeed(log, caller, 'webhook created', { webhook: { id, host, events, timers } });
      return { status: 201, headers: { Location: `/webhooks/${webhook.id}` }, body: webhook };
    },
  });

  const deleteWebhook = idempotency.handler({
    make: async ({ request, caller }) => {
      const id = idOf(request);
      await webhooks.delete(id);
      tellDeed(log, caller, 'webhook deleted', { webhook: { id } });
      return { status: 204 };
    },
  });

  const rotateWebhook = idempotency.handler({
    make: async ({ request, caller }, requestId) => {
      const webhook = await webhooks.rotate(idOf(request), requestId);
      tellDeed(log, caller, 'webhook secret rotated', { webhook: { id: webhook.id } });
      return { status: 200, body: webhook };
    },
  });

  const enableWebhook = idempotency.handler({
    make: async ({ request, caller }) => {
      const webhook = await webhooks.enable(idOf(request));
      tellDeed(log, caller, 'webhook enabled', { webhook: { id: webhook.id } });
      return { status: 200, body: webhook };
    },
  });

  const listWebhooks: Handler = ({ response }) => {
    response.json(webhooks.list());
  };

  const getWebhook: Handler = ({ request, response }) => {
    response.json(webhooks.get(idOf(request)));
  };

  const listDeliveries: Handler = ({ request, response }) => {
    const { limit } = parse(schemas.deliveries, request.query, 'query');
    response.json(webhooks.attempts(idOf(request), limit));
  };

  const redeliver = idempotency.handler({
    make: async ({ request, caller }) => {
      const id = idOf(request);
      const messageId = parameterOf(request, 'message_id');
      const attempt = await webhooks.redeliver(id, messageId);
      tellDeed(log, caller, 'webhook message redelivered', { webhook: { id }, messageId });
      return { status: 200, body: attempt };
    },
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
