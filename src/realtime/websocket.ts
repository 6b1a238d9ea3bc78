/** The WebSocket endpoint: `/ws/{timer_id}`. What displays may ask, and how they are refused. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { z } from 'zod';
import type { Access } from '../access/access.js';
import { type Caller, givenLabelOf } from '../access/caller.js';
import { SUBPROTOCOL } from '../access/credential.js';
import type { Limits } from '../access/limits.js';
import { bucketFor } from '../access/token-bucket.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import { refuse } from '../protocol/answers.js';
import { connectedMessage, parseClientMessage, syncResponse } from '../protocol/messages.js';
import { PROBLEMS, Problem } from '../protocol/problems.js';
import { followSchema } from '../protocol/requests.js';
import type { LookUp, Registry } from '../registry.js';
import { admit } from './admission.js';
import { frameOf, type Hub, type Joined } from './hub.js';
import type { WebSocketDisplay } from './websocket-display.js';

const LARGEST_MESSAGE_BYTES = 4096;
/** Of one message; each costs about as much as a message. */
const MOST_FRAGMENTS = 16;
/** What may have been on its way when a display was told that it said too much; reading on costs us. */
const MOST_EXCESS = 200;
/** How long closing handshakes may take at shutdown. */
const FAREWELL_MS = 2000;
const VERSION = { 'Sec-WebSocket-Version': '13' };
const NO_TEXT = { type: 'error', message: 'Messages are text frames, not binary ones' } as const;
const FAILED = 'The service failed; the log says why';

export interface WebSocketsOptions {
  readonly server: Server;
  readonly registry: Registry;
  readonly access: Access;
  readonly limits: Limits;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly config: Config;
  readonly log: Log;
}

export interface WebSockets {
  /** Settles when the displays, which have been told to go, are gone. */
  close(): Promise<void>;
}

interface Request {
  readonly caller: Caller;
  readonly timerId: string;
  /** It says of a timer that is unknown here whether it is so everywhere. */
  readonly lookUp: (timerId: string) => LookUp;
  readonly wantsTicks: boolean;
  readonly label: string | undefined;
}

export function serveWebSockets(options: WebSocketsOptions): WebSockets {
  const { server, registry, access, limits, hub, clock, config, log } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false,
    maxPayload: LARGEST_MESSAGE_BYTES,
    // Whoever listens for messages hears only of the last of them, so they cannot be counted with the messages.
    maxFragments: MOST_FRAGMENTS,
    autoPong: false,
    // What else a client offers is its token, which is not to be repeated.
    handleProtocols: (protocols) => protocols.has(SUBPROTOCOL) && SUBPROTOCOL,
  });

  webSockets.on('wsClientError', ({ message }, socket, { method }) => {
    if (method === 'GET') refuse(socket, new Problem('bad_handshake', message), VERSION);
    else refuse(socket, new Problem('method_not_allowed', message), { Allow: 'GET' });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      readAgainWithoutOffer(server, request, socket, head);
      return;
    }
    socket.on('error', (err) => log.debug({ err }, 'a connection broke'));
    void upgrade(request, socket, head);
  });

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const accepted = await accept(request, socket);
      permit(accepted);
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', (err) => log.debug({ err }, 'a display broke the protocol'));
        connect(accepted, webSocket, socket);
      });
    } catch (error) {
      refuse(socket, error instanceof Problem ? error : new Problem('internal_error', FAILED));
      if (!(error instanceof Problem)) log.error({ err: error }, 'an upgrade failed');
    }
  }

  /** Checks everything that can be refused in words, which is before the upgrade. */
  async function accept(request: IncomingMessage, socket: Duplex): Promise<Request> {
    access.checkHost(request);
    const asked = { right: 'follow', mayBeLink: true, leavesNothing: true } as const;
    const caller = await limits.identify(request, (beforeVerifying) =>
      access.identify(request, asked, beforeVerifying),
    );
    access.authorize(caller, request, asked);
    admit(request, registry, config);
    const url = urlOf(request);
    const timerId = timerIdOf(url);
    const query = followSchema.safeParse(Object.fromEntries(url.searchParams));
    if (!query.success) throw new Problem('invalid_request', complaint(query.error));
    const { ticks, label } = query.data;
    const lookUp = await registry.hear([timerId]);
    limits.connect(request, caller, socket);
    return { caller, timerId, lookUp, wantsTicks: ticks === 'true', label };
  }

  /** In the turn in which the display is connected: before, it may not be known whose the timer is. */
  function permit({ caller, timerId }: Request): void {
    access.confirm(caller);
    const found = registry.lookUp(timerId);
    if (found.ok) access.permit(caller, found.timer.record);
  }

  function connect(request: Request, webSocket: WebSocket, socket: Duplex): void {
    const { caller, timerId, lookUp } = request;
    const found = lookUp(timerId);
    if (!found.ok) {
      const { closeCode, title } = PROBLEMS[found.refusal.reason];
      webSocket.close(closeCode, title);
      return;
    }
    if (hub.isFull(timerId)) {
      const { closeCode, title } = PROBLEMS.too_many_displays;
      webSocket.close(closeCode, title);
      return;
    }
    const joined = hub.join(timerId, {
      ...request,
      webSocket,
      socket,
      givenLabel: givenLabelOf(caller),
      credential: caller.credential,
    });
    const { display, displayId } = joined;
    const budget = bucketFor(clock, config.maxMessagesPerSecond);
    let excess = 0;
    const isWithinBudget = (): boolean => {
      display.heard();
      if (budget === undefined || budget.take()) return true;
      if (excess === 0) limits.noteFlood();
      display.close('too_many_messages');
      excess += 1;
      if (excess > MOST_EXCESS) display.terminate();
      return false;
    };
    const forget = access.watch(caller, () => display.close('credential_ended'));
    webSocket.on('close', () => {
      forget();
      joined.leave();
    });
    webSocket.on('pong', () => {
      // The answer to a ping is no more than was asked for; others come as often as a display likes.
      if (display.isPinged) display.heard();
      else isWithinBudget();
    });
    webSocket.on('ping', (payload) => {
      if (isWithinBudget()) display.pong(payload);
    });
    webSocket.on('message', (data, isBinary) => {
      if (!isWithinBudget()) return;
      if (isBinary) display.send(frameOf(NO_TEXT));
      else answer(timerId, joined, String(data));
    });
    const present = registry.lookUp(timerId);
    if (present.ok) display.send(frameOf(connectedMessage(present.timer, displayId)));
  }

  /** Answers a message. Nothing a display says changes a timer (T1). */
  function answer(timerId: string, joined: Joined<WebSocketDisplay>, text: string): void {
    const { display, displayId } = joined;
    const receivedMs = clock.now();
    const message = parseClientMessage(text);
    switch (message.type) {
      case 'ping':
        display.send(frameOf({ type: 'pong' }));
        break;
      case 'sync': {
        const found = registry.lookUp(timerId);
        if (found.ok) {
          display.send(frameOf(syncResponse(found.timer, message.client_time, receivedMs)));
        }
        break;
      }
      case 'acknowledge':
        hub.acknowledge(timerId, displayId, message);
        break;
      case 'error':
        display.send(frameOf(message));
        break;
    }
  }

  return {
    close: async () => {
      const gone = [...webSockets.clients].map(
        (webSocket) => new Promise((resolve) => webSocket.once('close', resolve)),
      );
      const farewell = clock.setTimeout(() => {
        for (const webSocket of webSockets.clients) webSocket.terminate();
      }, FAREWELL_MS);
      await Promise.all(gone);
      clock.clearTimeout(farewell);
      webSockets.close();
    },
  };
}

function urlOf(request: IncomingMessage): URL {
  // The host is of no interest; put before the path, it keeps a path of two slashes from being one.
  const text = `ws://service${request.url ?? '/'}`;
  if (!URL.canParse(text)) throw new Problem('invalid_request', 'The address cannot be read');
  return new URL(text);
}

function complaint({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `query.${path.join('.')}: ${message}`).join('; ');
}

function timerIdOf(url: URL): string {
  const [, encoded] = /^\/ws\/([^/]+)$/.exec(url.pathname) ?? [];
  if (encoded === undefined) {
    throw new Problem('unknown_route', 'Displays connect to /ws/{timer_id}');
  }
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new Problem('invalid_request', 'The id of the timer cannot be read');
  }
}

/**
 * Some HTTP clients offer HTTP/2 with their first request, which a server that does not speak it ignores.
 * Node takes every offer out of its parser, so the request is put back, without the offer, and read again.
 */
function readAgainWithoutOffer(
  server: Server,
  { method, url, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (/^connection$/i.test(name)) lines.push(`${name}: ${withoutOffer(value)}`);
    else if (!/^(upgrade|http2-settings)$/i.test(name)) lines.push(`${name}: ${value}`);
  }
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  socket.unshift(Buffer.concat([text, head]));
  server.emit('connection', socket);
}

/** The value of a Connection header, less what belongs to the offer of another protocol. */
function withoutOffer(connection: string): string {
  const tokens = connection.split(',').map((token) => token.trim());
  return tokens.filter((token) => !/^(upgrade|http2-settings)$/i.test(token)).join(', ');
}
