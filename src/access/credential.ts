/** Where a request carries its credential. Nothing here is ever logged. */
import { Problem } from '../protocol/problems.js';
import type { Incoming } from './address.js';

/** The subprotocol of displays; beside it a page names its token, because it can set no header. */
export const SUBPROTOCOL = 'synchronized-timer';
const BEARER_PROTOCOL = 'bearer.';
export const QUERY_PARAMETER = 'access_token';

/**
 * The key or token that a request shows, if any. In the address only where a link must be enough, because
 * addresses end up in histories and in the logs of proxies.
 * @throws {Problem} if it shows something that is no bearer credential.
 */
export function credentialIn(request: Incoming, mayBeInQuery: boolean): string | undefined {
  const { authorization, upgrade } = request.headers;
  if (authorization !== undefined) return bearerIn(authorization);
  const offered = upgrade === undefined ? undefined : offeredToken(request);
  return offered ?? (mayBeInQuery ? tokenInQuery(request) : undefined);
}

/** Whatever a request shows that is meant to be a credential, be it one or not. */
export function shownIn(request: Incoming): string | undefined {
  return request.headers.authorization ?? offeredToken(request) ?? tokenInQuery(request);
}

/** The names of the protocols that a WebSocket client offers. */
function protocolsOf({ headers }: Incoming): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
}

function bearerIn(authorization: string): string {
  const [, token] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw new Problem('unauthenticated', 'A credential is shown as: Authorization: Bearer <token>');
}

function offeredToken(request: Incoming): string | undefined {
  const name = protocolsOf(request).find((protocol) => protocol.startsWith(BEARER_PROTOCOL));
  return name?.slice(BEARER_PROTOCOL.length);
}

function tokenInQuery({ url = '' }: Incoming): string | undefined {
  const start = url.indexOf('?');
  if (start === -1) return undefined;
  return new URLSearchParams(url.slice(start)).get(QUERY_PARAMETER) ?? undefined;
}
