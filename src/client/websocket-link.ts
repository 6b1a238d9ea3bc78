/** The usual link: a WebSocket to `/ws/{timer_id}`. */
import { CREDENTIAL_ENDED } from '../../machines/connection.machine.js';
import { type Link, type LinkOptions, queryOf } from './link.js';
import { parseServerMessage } from './messages.js';

/** Close codes after which the same connection would be refused again: gone, not known, not let in. */
const FINAL_CODES: readonly number[] = [4000, 4001, 4004, CREDENTIAL_ENDED];
/** Browsers can send no header with a WebSocket, so the token goes with the names of protocols. */
const PROTOCOL = 'synchronized-timer';

export function openWebSocketLink(options: LinkOptions): Link {
  const { platform, server, timerId, token, onMessage, onExchange, onClosed } = options;
  const url = new URL(`${server}/ws/${encodeURIComponent(timerId)}?${queryOf(options)}`);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const protocols = token === undefined ? [] : [PROTOCOL, `bearer.${token}`];
  const socket = platform.openWebSocket(url.href, protocols);
  let isOpen = false;
  let isEnded = false;

  socket.addEventListener('message', ({ data }) => {
    const receivedMs = platform.now();
    if (isEnded) return;
    const message = typeof data === 'string' ? parseServerMessage(data) : undefined;
    if (message === undefined) return;
    if (message.type === 'connected') isOpen = true;
    onMessage(message, receivedMs);
    if (message.type === 'sync_response' && typeof message.client_time === 'number') {
      onExchange({
        sentMs: message.client_time,
        serverReceivedMs: message.server_received_ms,
        serverSentMs: message.server_sent_ms,
        receivedMs,
      });
    }
  });
  socket.addEventListener('close', ({ code, reason }) => {
    if (!isEnded) onClosed({ code, message: reason }, FINAL_CODES.includes(code));
  });
  // A close follows every error and says more.
  socket.addEventListener('error', () => {});

  function say(message: Readonly<Record<string, unknown>>): void {
    if (isOpen) socket.send(JSON.stringify(message));
  }

  return {
    exchange: () => say({ type: 'sync', client_time: platform.now() }),
    acknowledge: (acknowledgement) => say({ type: 'acknowledge', ...acknowledgement }),
    close: () => {
      isOpen = false;
      isEnded = true;
      socket.close();
    },
  };
}
