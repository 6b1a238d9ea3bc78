/** Which hosts and web origins are the service's own. Pure rules; who applies them is in `access.ts`. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { Problem } from '../protocol/problems.js';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/** Whether an address to listen on is reached from this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** What is wrong with a request of HTTP/1.1 that names no host, which each has to (RFC 9112, section 3.2). */
export function problemOfHost({
  headers,
  httpVersion,
}: Pick<IncomingMessage, 'headers' | 'httpVersion'>): Problem | undefined {
  if (headers.host !== undefined || httpVersion !== '1.1') return undefined;
  return new Problem('unreadable_request', 'Every request names its host in "Host"');
}

/**
 * Whether a request asks for the service in a way that no page can have made lead here (DNS rebinding): by an
 * address, or by a name that is always this machine or is the one it listens on.
 */
export function namesService(headers: IncomingHttpHeaders, listensOn: string): boolean {
  const hostname = hostnameIn(headers);
  if (hostname === undefined || namesLoopback(headers)) return true;
  return isIP(hostname) !== 0 || hostname === listensOn.toLowerCase();
}

/**
 * Whether a request asks for this machine by a name that always means it. A page that made its own name
 * lead here (DNS rebinding) still sends that name.
 */
export function namesLoopback(headers: IncomingHttpHeaders): boolean {
  const hostname = hostnameIn(headers);
  if (hostname === undefined) return true;
  return isLoopback(hostname) || hostname.endsWith('.localhost');
}

/** The host that is asked for, without its port; `undefined` where none is named, and '' for what is none. */
function hostnameIn({ host }: IncomingHttpHeaders): string | undefined {
  if (host === undefined) return undefined;
  if (!URL.canParse(`http://${host}`)) return '';
  return new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '');
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
