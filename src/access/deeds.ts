/**
 * What those who look after credentials and webhooks do, told in the log: the journal knows timers only. Logs
 * who did what, and never what is secret; touches nothing else.
 */
import type { Log } from '../log.js';
import { authorOf, type Caller } from './caller.js';

export type Deed =
  | 'key created'
  | 'key revoked'
  | 'display token issued'
  | 'webhook created'
  | 'webhook deleted'
  | 'webhook secret rotated'
  | 'webhook enabled'
  | 'webhook message redelivered';

/** Tells of something that was done; `what` says to what, and has no secret in it. */
export function tellDeed(log: Log, caller: Caller, deed: Deed, what: object): void {
  log.info({ by: authorOf(caller), ...what }, deed);
}
