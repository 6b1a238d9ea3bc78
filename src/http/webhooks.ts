/** The routes of those who look after webhooks. */

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
) {
  const createWebhook = idempotency.handler({
    make: async ({ request, caller }, requestId) => {
      const body = parse(createWebhookSchema, request.body, 'body');
      const webhook = await webhooks.create(body, caller.credential, requestId);
      return { status: 201, headers: { Location: `/webhooks/${webhook.id}` }, body: webhook };
    },
  });

  const deleteWebhook = idempotency.handler({
    make: async ({ request }) => {
      await webhooks.delete(idOf(request));
      return { status: 204 };
    },
  });

  const rotateWebhook = idempotency.handler({
    make: async ({ request }, requestId) => ({
      status: 200,
      body: await webhooks.rotate(idOf(request), requestId),
    }),
  });

  const enableWebhook = idempotency.handler({
    make: async ({ request }) => ({
      status: 200,
      body: await webhooks.enable(idOf(request)),
    }),
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

  const redeliver: Handler = async ({ request, response }) => {
    const messageId = parameterOf(request, 'message_id');
    response.json(await webhooks.redeliver(idOf(request), messageId));
  };

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
