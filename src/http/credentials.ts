/**
 * The routes that make credentials, and of those who look after keys. They take no Idempotency-Key: the answer to
 * a repeated request would have to be kept, and a credential is kept nowhere.
 */
import type { z } from 'zod';
import type { Access } from '../access/access.js';
import type { ApiKey } from '../access/api-keys.js';
import type { Clock } from '../clock.js';
import { createKeySchema, createTokenSchema, type keySchema } from '../protocol/credentials.js';
import { problemOf } from '../protocol/problems.js';
import { isoTime } from '../protocol/timer.js';
import type { Registry } from '../registry.js';
import type { Handler } from './exchange.js';
import { parameterOf, parse, timerIdOf } from './parse.js';

export function credentialRoutes(registry: Registry, access: Access, clock: Clock) {
  const createKey: Handler = async ({ request, response, caller }) => {
    const { role, label, timers, expires_in_seconds } = parse(
      createKeySchema,
      request.body,
      'body',
    );
    const expiresAtMs =
      expires_in_seconds === null ? null : clock.now() + expires_in_seconds * 1000;
    const definition = { role, label, timers, expiresAtMs };
    const { key, text } = await access.createKey(definition, caller);
    response.set('Cache-Control', 'no-store');
    response.status(201).json({ ...keyResource(key), key: text });
  };

  const listKeys: Handler = ({ response }) => {
    response.json(access.listKeys().map(keyResource));
  };

  const revokeKey: Handler = async ({ request, response }) => {
    await access.revokeKey(parameterOf(request, 'key_id'));
    response.status(204).end();
  };

  const createToken: Handler = async ({ request, response }) => {
    const timerId = timerIdOf(request);
    const { label, expires_in_seconds } = parse(createTokenSchema, request.body, 'body');
    const found = registry.lookUp(timerId);
    if (!found.ok) throw problemOf(found.refusal, timerId);
    // A token tells its end in whole seconds.
    const expiresAtMs = (Math.floor(clock.now() / 1000) + expires_in_seconds) * 1000;
    const token = await access.issueToken(timerId, label, expiresAtMs);
    const answer = { token, timer_id: timerId, label, expires_at: isoTime(expiresAtMs) };
    response.set('Cache-Control', 'no-store').status(201).json(answer);
  };

  return { createKey, listKeys, revokeKey, createToken };
}

function keyResource(key: ApiKey): z.output<typeof keySchema> {
  return {
    id: key.id,
    role: key.role,
    label: key.label,
    timers: key.timers,
    created_at: isoTime(key.createdAtMs),
    created_by: key.createdBy,
    expires_at: key.expiresAtMs === null ? null : isoTime(key.expiresAtMs),
  };
}
