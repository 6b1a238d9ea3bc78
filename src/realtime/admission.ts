/** What every connection that is to stay is checked for, whatever its transport. */
import type { IncomingMessage } from 'node:http';
import { isForeign } from '../access/origins.js';
import type { Config } from '../config.js';
import { Problem, problemOf } from '../protocol/problems.js';
import type { Registry } from '../registry.js';

/**
 * Browsers let any page open a connection, and hide at most the answer: so the service itself refuses
 * pages of other origins.
 * @throws {Problem} if the connection is not to be.
 */
export function admit(
  { headers }: IncomingMessage,
  { phase }: Registry,
  { corsOrigins }: Config,
): void {
  if (phase === 'recovering') throw problemOf({ reason: 'recovering' }, '');
  if (phase !== 'serving') throw problemOf({ reason: 'shutting_down' }, '');
  if (corsOrigins.includes('*') || !isForeign(headers, corsOrigins)) return;
  throw new Problem('foreign_origin', `${headers.origin} is not among CORS_ORIGINS`);
}
