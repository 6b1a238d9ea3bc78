/** After which refusals a display tries no more, on a network that a test makes up. */
import { describe, expect, it } from 'vitest';
import type { CloseReason } from '../../machines/connection.machine.js';
import { openEventStreamLink } from '../../src/client/event-stream-link.js';
import type { Link, LinkOptions } from '../../src/client/link.js';
import type { Platform, WebSocketLike } from '../../src/client/platform.js';
import { openWebSocketLink } from '../../src/client/websocket-link.js';

const nowhere: Platform = {
  now: () => 0,
  setTimeout: () => () => {},
  openWebSocket: () => {
    throw new Error('There is no network');
  },
  fetch: async () => {
    throw new TypeError('There is no network');
  },
  watchWakes: () => () => {},
};

interface End {
  readonly reason: CloseReason;
  readonly isFinal: boolean;
}

/** Opens a link, and gives how it ended. */
function endOf(open: (options: LinkOptions) => Link, platform: Partial<Platform>): Promise<End> {
  return new Promise((resolve) => {
    open({
      platform: { ...nowhere, ...platform },
      server: 'http://service.test',
      timerId: 'timer_1',
      wantsTicks: false,
      label: undefined,
      token: undefined,
      lastRevision: undefined,
      onMessage: () => {},
      onExchange: () => {},
      onClosed: (reason, isFinal) => resolve({ reason, isFinal }),
    });
  });
}

/** A WebSocket that is closed with a code as soon as somebody listens. */
function closedSocket(code: number): WebSocketLike {
  const event = { code, reason: 'why', data: undefined };
  return {
    addEventListener: (type: string, listener: (closed: typeof event) => void) => {
      if (type === 'close') queueMicrotask(() => listener(event));
    },
    send: () => {},
    close: () => {},
  };
}

describe('C4: a display tries again', () => {
  it.each([
    [4000, 'never: the timer was deleted'],
    [4001, 'never: it left memory'],
    [4004, 'never: there is no such timer'],
    [4401, 'never: its token has ended'],
    [1006, 'when the network broke'],
    [1009, 'when a message was too large'],
    [1012, 'when the service restarts'],
    [1013, 'when the service starts'],
    [4008, 'when it was too slow'],
    [4029, 'when there were too many'],
    [4030, 'when it said too much'],
  ])('after a WebSocket was closed with %d: %s', async (code, when) => {
    const { reason, isFinal } = await endOf(openWebSocketLink, {
      openWebSocket: () => closedSocket(code),
    });
    expect(reason).toEqual({ code, message: 'why' });
    expect(isFinal).toBe(when.startsWith('never'));
  });

  it.each([
    [401, 'never: it is not known'],
    [403, 'never: it may not'],
    [404, 'never: there is no such timer'],
    [422, 'never: what it asks for makes no sense'],
    [429, 'when there were too many'],
    [500, 'when the service failed'],
    [502, 'when something between failed'],
    [503, 'when the service starts'],
  ])('after an event stream was answered with %d: %s', async (status, when) => {
    const { reason, isFinal } = await endOf(openEventStreamLink, {
      fetch: async () => new Response(null, { status, statusText: 'why' }),
    });
    expect(reason).toEqual({ code: status, message: 'why' });
    expect(isFinal).toBe(when.startsWith('never'));
  });

  it.each([
    ['data: {"type":"timer_deleted","server_time_ms":1,"revision":2}\n\n', 4000],
    [': nothing\n\n', 1006],
  ])('after an event stream that ended with %j, or not: %d', async (text, code) => {
    const { reason, isFinal } = await endOf(openEventStreamLink, {
      fetch: async () => new Response(text),
    });
    expect([reason.code, isFinal]).toEqual([code, code === 4000]);
  });

  it('when there is no network', async () => {
    const { reason, isFinal } = await endOf(openEventStreamLink, {});
    expect([reason.code, isFinal]).toEqual([1006, false]);
  });
});
