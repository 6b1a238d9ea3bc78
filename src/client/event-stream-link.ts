/**
 * The link for networks that refuse WebSocket: Server-Sent Events from `/timers/{timer_id}/events`, and
 * single requests for what the display says. By `fetch`, because an `EventSource` takes no token.
 */
import { createParser } from 'eventsource-parser';
import type { Link, LinkOptions } from './link.js';
import { queryOf } from './link.js';
import { parseServerMessage, timerSchema, timeSchema } from './messages.js';

/** Answers after which the same request would be refused again. */
const FINAL_STATUSES: readonly number[] = [401, 403, 404, 422];
/** As a WebSocket says that a connection broke without a farewell. */
const BROKEN = 1006;
/** What other requests know, the stream has told after this long, or it is dead. */
const LONGEST_SILENCE_MS = 3000;
/** A balancer may lead one request to a node that was just lost, and the next to one that lives. */
const RETRY_MS = 500;
/** A timer that is gone ends its stream with this message. */
const DELETED = 4000;

export function openEventStreamLink(options: LinkOptions): Link {
  const { platform, server, timerId, token, lastRevision } = options;
  const timerUrl = `${server}/timers/${encodeURIComponent(timerId)}`;
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const ending = new AbortController();
  let displayId: string | undefined;
  let isDeleted = false;
  /** The latest revision the stream has told. */
  let revision = 0;
  let heardMs = platform.now();

  async function follow(): Promise<void> {
    const response = await platform.fetch(`${timerUrl}/events?${queryOf(options)}`, {
      signal: ending.signal,
      headers: {
        ...authorization,
        Accept: 'text/event-stream',
        ...(lastRevision === undefined ? {} : { 'Last-Event-ID': `${lastRevision}` }),
      },
    });
    if (!response.ok || response.body === null) {
      const isFinal = FINAL_STATUSES.includes(response.status);
      close(response.status, response.statusText, isFinal);
      return;
    }
    const parser = createParser({ onEvent: ({ data }) => hear(data) });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parser.feed(decoder.decode(value, { stream: true }));
    }
    close(isDeleted ? DELETED : BROKEN, 'The event stream ended', isDeleted);
  }

  function hear(data: string): void {
    const receivedMs = platform.now();
    heardMs = receivedMs;
    const message = parseServerMessage(data);
    if (message === undefined || ending.signal.aborted) return;
    if (message.type === 'connected') displayId = message.display_id;
    if (message.type === 'connected') revision = message.timer.revision;
    if ('revision' in message) revision = Math.max(revision, message.revision);
    if (message.type === 'timer_deleted') isDeleted = true;
    options.onMessage(message, receivedMs);
  }

  function close(code: number, message: string, isFinal: boolean): void {
    if (ending.signal.aborted) return;
    ending.abort();
    options.onClosed({ code, message }, isFinal);
  }

  /** A network that swallows the stream lets other requests pass: they show what it did not tell. */
  async function checkStream(): Promise<void> {
    const response = await platform.fetch(timerUrl, {
      signal: ending.signal,
      headers: authorization,
    });
    if (!response.ok) return;
    const known = timerSchema.parse(await response.json());
    platform.setTimeout(() => {
      if (revision < known.revision) close(BROKEN, 'The event stream is silent', false);
    }, LONGEST_SILENCE_MS);
  }

  async function exchange(): Promise<void> {
    const sentMs = platform.now();
    const response = await platform.fetch(`${server}/time`, {
      signal: ending.signal,
      headers: authorization,
    });
    const receivedMs = platform.now();
    const time = timeSchema.parse(await response.json());
    options.onExchange({
      sentMs,
      serverReceivedMs: time.server_received_ms,
      serverSentMs: time.server_sent_ms,
      receivedMs,
    });
    // What cannot be checked now is checked after the next exchange.
    if (receivedMs - heardMs > LONGEST_SILENCE_MS) checkStream().catch(() => {});
  }

  /** The connection's statechart waits for an answer no longer than it should, and then ends the link. */
  function exchangeUntilAnswered(): void {
    exchange().catch(() => {
      if (!ending.signal.aborted) platform.setTimeout(exchangeUntilAnswered, RETRY_MS);
    });
  }

  follow().catch((error: unknown) => close(BROKEN, String(error), false));
  // An acknowledgement that fails is one that was never made.
  return {
    exchange: exchangeUntilAnswered,
    acknowledge: (acknowledgement) => {
      if (displayId === undefined) return;
      const request = platform.fetch(`${timerUrl}/displays/${displayId}/acknowledgement`, {
        method: 'POST',
        signal: ending.signal,
        headers: { ...authorization, 'Content-Type': 'application/json' },
        body: JSON.stringify(acknowledgement),
      });
      request.catch(() => {});
    },
    close: () => ending.abort(),
  };
}
