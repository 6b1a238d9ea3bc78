/**
 * A display's connection to the service: opens a link, synchronizes the clock, keeps both fresh, and
 * comes back after every loss. Runs in the display, on its monotonic clock; the link itself and the
 * times of exchanges belong to whoever provides the actor `link`.
 */
import { type AnyActorRef, assign, fromCallback, sendTo, setup } from 'xstate';

/** WebSocket is used where the network lets it pass, Server-Sent Events where it does not. */
export type Transport = 'websocket' | 'sse';

/** Why a connection is over for good. */
export interface CloseReason {
  /** The code of the WebSocket close or the status of the HTTP answer; 1000 when the display asked for it. */
  readonly code: number;
  readonly message: string;
}

export interface ConnectionInput {
  /** A number from 0 to below 1, another each time: displays must not all come back at once. */
  readonly random: () => number;
  /** How long after an exchange the next one is due, in ms. */
  readonly exchangePauseMs: () => number;
  /** Whether the clock is known so well that a burst need not go on. */
  readonly isSharp: () => boolean;
}

export interface ConnectionContext extends ConnectionInput {
  readonly transport: Transport;
  /** Attempts to connect that failed since the last one that did not. */
  readonly failures: number;
  /** Exchanges of the present burst that were answered. */
  readonly exchanges: number;
  readonly closeReason: CloseReason | undefined;
}

/** What the link is asked to do. */
export type LinkRequest = { readonly type: 'exchange' };

export interface LinkInput {
  readonly transport: Transport;
}

/** What the link reports. */
export type LinkReport =
  /** The service has told the state of the timer. */
  | { readonly type: 'link.opened' }
  /** An exchange of timestamps was answered. */
  | { readonly type: 'link.exchanged' }
  | {
      readonly type: 'link.closed';
      readonly reason: CloseReason;
      /** Connecting again would be refused again. */
      readonly isFinal: boolean;
    };

export type ConnectionEvent =
  | LinkReport
  /** The page became visible, came online, or the device slept: what is known may be old. */
  | { readonly type: 'wake' }
  | { readonly type: 'close' };

/** A network that lets packets vanish is given up after this long. */
const CONNECT_TIMEOUT_MS = 5000;
const EXCHANGE_TIMEOUT_MS = 4000;
const SHORTEST_BURST = 4;
const LONGEST_BURST = 10;
const SHORTEST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 30_000;
/** How much longer each failure makes the wait, and how much longer chance makes it at the most. */
const BACKOFF_FACTOR = 1.5;

/** The service closes a WebSocket with this code when the credential that it came with ends. */
export const CREDENTIAL_ENDED = 4401;

const ASKED_FOR: CloseReason = { code: 1000, message: 'Closed by the display' };

/** Stands for the link until `provide` gives the real one. */
const noLink = fromCallback<LinkRequest, LinkInput>(() => {
  throw new Error('A connection needs a link: connectionMachine.provide({ actors: { link } })');
});

export const connectionMachine = setup({
  types: {
    context: {} as ConnectionContext,
    input: {} as ConnectionInput,
    events: {} as ConnectionEvent,
  },
  actors: { link: noLink },
  actions: {
    useWebSocket: assign({ transport: 'websocket' }),
    useEventStream: assign({ transport: 'sse' }),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailures: assign({ failures: 0 }),
    beginBurst: assign({ exchanges: 0 }),
    countExchange: assign({ exchanges: ({ context }) => context.exchanges + 1 }),
    exchange: sendTo(linkOf, { type: 'exchange' }),
    noteReason: assign({
      closeReason: ({ event }) => (event.type === 'link.closed' ? event.reason : ASKED_FOR),
    }),
  },
  guards: {
    hasCredentialEnded: ({ event }) =>
      event.type === 'link.closed' && event.reason.code === CREDENTIAL_ENDED,
    isFinal: ({ event }) => event.type === 'link.closed' && event.isFinal,
    isWebSocket: ({ context }) => context.transport === 'websocket',
    isBurstOver: ({ context }) =>
      context.exchanges >= LONGEST_BURST ||
      (context.exchanges >= SHORTEST_BURST && context.isSharp()),
  },
  delays: {
    connectTimeout: CONNECT_TIMEOUT_MS,
    exchangeTimeout: EXCHANGE_TIMEOUT_MS,
    exchangePause: ({ context }) => context.exchangePauseMs(),
    backoff: ({ context }) => {
      const leastMs = SHORTEST_BACKOFF_MS * BACKOFF_FACTOR ** (context.failures - 1);
      const chance = 1 + context.random() * (BACKOFF_FACTOR - 1);
      return Math.min(LONGEST_BACKOFF_MS, leastMs * chance);
    },
  },
}).createMachine({
  id: 'connection',
  context: ({ input }) => ({
    ...input,
    transport: 'websocket',
    failures: 0,
    exchanges: 0,
    closeReason: undefined,
  }),
  initial: 'linked',
  on: { close: { target: '.closed', actions: 'noteReason' } },
  states: {
    linked: {
      invoke: {
        src: 'link',
        id: 'link',
        systemId: 'link',
        input: ({ context }) => ({ transport: context.transport }),
      },
      initial: 'connecting',
      on: {
        'link.closed': [
          { guard: 'isFinal', target: 'closed', actions: 'noteReason' },
          {
            description: 'Nothing is wrong with the network: a new credential is all it takes.',
            guard: 'hasCredentialEnded',
            target: 'linked',
            reenter: true,
          },
          { target: 'waiting' },
        ],
      },
      states: {
        connecting: {
          after: {
            connectTimeout: [
              {
                guard: 'isWebSocket',
                target: '#connection.linked',
                reenter: true,
                actions: 'useEventStream',
              },
              { target: '#connection.waiting', actions: 'useWebSocket' },
            ],
          },
          on: {
            'link.opened': { target: 'synchronizing', actions: 'forgetFailures' },
            'link.closed': [
              { guard: 'isFinal', target: '#connection.closed', actions: 'noteReason' },
              {
                description: 'A network that refuses WebSocket may let an event stream pass.',
                guard: 'isWebSocket',
                target: '#connection.linked',
                reenter: true,
                actions: 'useEventStream',
              },
              { target: '#connection.waiting', actions: 'useWebSocket' },
            ],
          },
        },
        synchronizing: {
          entry: 'beginBurst',
          initial: 'asking',
          states: {
            asking: {
              entry: 'exchange',
              after: { exchangeTimeout: '#connection.waiting' },
              on: { 'link.exchanged': { target: 'answered', actions: 'countExchange' } },
            },
            answered: {
              always: [
                { guard: 'isBurstOver', target: '#connection.linked.live' },
                { target: 'asking' },
              ],
            },
          },
        },
        live: {
          on: { wake: { target: 'synchronizing' } },
          initial: 'resting',
          states: {
            resting: { after: { exchangePause: 'asking' } },
            asking: {
              entry: 'exchange',
              after: { exchangeTimeout: '#connection.waiting' },
              on: { 'link.exchanged': 'resting' },
            },
          },
        },
      },
    },
    waiting: {
      description: 'Waits to retry, longer after each failure.',
      entry: 'countFailure',
      after: { backoff: 'linked' },
      on: { wake: 'linked' },
    },
    closed: { type: 'final' },
  },
});

function linkOf({
  system,
}: {
  system: { get(key: string): AnyActorRef | undefined };
}): AnyActorRef {
  const link = system.get('link');
  if (link === undefined) throw new Error('The link is gone');
  return link;
}

/** What people are told of a connection. */
export type ConnectionState = 'connecting' | 'synchronizing' | 'live' | 'waiting' | 'closed';
