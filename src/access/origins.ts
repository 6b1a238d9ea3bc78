/** Which hosts and web origins are the service's own. Pure rules; who applies them is in `access.ts`. */
import type { IncomingHttpHeaders } from 'node:http';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/** Whether an address to listen on is reached from this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Whether a request asks for this machine by a name that always means it. A page that made its own name
 * lead here (DNS rebinding) still sends that name.
 */
export function namesLoopback({ host }: IncomingHttpHeaders): boolean {
  if (host === undefined) return true;
  if (!URL.canParse(`http://${host}`)) return false;
  const { hostname } = new URL(`http://${host}`);
  return isLoopback(hostname.replace(/^\[|\]$/g, '')) || hostname.endsWith('.localhost');
}

/**
 * Whether a request comes from a page of another web origin. Programs that are no pages name none, and the
 * service's own pages are at home wherever they were served.
 */
export function isForeign(
  { origin, host }: IncomingHttpHeaders,
  origins: readonly string[],
): boolean {
  if (origin === undefined || origins.includes(origin)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}
