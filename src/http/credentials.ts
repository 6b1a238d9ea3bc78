/** The routes that make credentials, and of those who look after keys. */
import { z } from 'zod';
import type { Access } from '../access/access.js';
import { type KeySeed, keySeedSchema, newKeySeed } from '../access/api-keys.js';
import { tellDeed } from '../access/deeds.js';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { createKeySchema, createTokenSchema, keyResource } from '../protocol/credentials.js';
import { problemOf } from '../protocol/problems.js';
import { isoTime } from '../protocol/timer.js';
import type { Registry } from '../registry.js';
import type { Exchange, Handler } from './exchange.js';
import type { Idempotency } from './idempotency.js';
import { parameterOf, parse, timerIdOf } from './parse.js';

/** An answer with a credential in it is for whoever asked, and for no cache. */
const PRIVATE = { 'Cache-Control': 'no-store' };

export function credentialRoutes(
  registry: Registry,
  access: Access,
  idempotency: Idempotency,
  clock: Clock,
  log: Log,
) {
  const createKey = idempotency.planned<KeySeed>({
    plan: newKeySeed,
    planSchema: keySeedSchema,
    make: async ({ request, caller }, seed) => {
      const { role, label, timers, expires_in_seconds } = parse(
        createKeySchema,
        request.body,
        'body',
      );
      const expiresAtMs =
        expires_in_seconds === null ? null : clock.now() + expires_in_seconds * 1000;
      const definition = { role, label, timers, expiresAtMs };
      const { key, text } = await access.createKey(definition, seed, caller, request);
      const { id } = key;
      tellDeed(log, caller, 'key created', { key: { id, role, label, timers, expiresAtMs } });
      return { status: 201, headers: PRIVATE, body: { ...keyResource(key), key: text } };
    },
  });

  const revokeKey = idempotency.planned<boolean>({
    plan: (exchange) => access.hasKey(keyIdOf(exchange)),
    planSchema: z.boolean(),
    make: async (exchange, wasThere) => {
      const keyId = keyIdOf(exchange);
      if (wasThere && !access.hasKey(keyId)) return { status: 204 };
      const { id, role, label } = await access.revokeKey(keyId);
      tellDeed(log, exchange.caller, 'key revoked', { key: { id, role, label } });
      return { status: 204 };
    },
  });

  // A token changes nothing by being made.
  const createToken = idempotency.repeatable(async ({ request, caller }) => {
    const timerId = timerIdOf(request);
    const { label, expires_in_seconds } = parse(createTokenSchema, request.body, 'body');
    const found = registry.lookUp(timerId);
    if (!found.ok) throw problemOf(found.refusal, timerId);
    // A token tells its end in whole seconds.
    const expiresAtMs = (Math.floor(clock.now() / 1000) + expires_in_seconds) * 1000;
    const token = await access.issueToken(timerId, label, expiresAtMs);
    tellDeed(log, caller, 'display token issued', { timerId, label, expiresAtMs });
    const body = { token, timer_id: timerId, label, expires_at: isoTime(expiresAtMs) };
    return { status: 201, headers: PRIVATE, body };
  });

  const listKeys: Handler = ({ response }) => {
    response.json(access.listKeys().map(keyResource));
  };

  return { createKey, listKeys, revokeKey, createToken };
}

function keyIdOf({ request }: Exchange): string {
  return parameterOf(request, 'key_id');
}
