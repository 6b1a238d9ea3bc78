/** A link: one connection to the service, by whichever transport, from its opening to its end. */
import type { CloseReason } from '../../machines/connection.machine.js';
import type { Acknowledgement, ServerMessage } from './messages.js';
import type { Platform } from './platform.js';
import type { Exchange } from './server-clock.js';

export interface LinkOptions {
  readonly platform: Platform;
  /** Where the service is, without a slash at the end. */
  readonly server: string;
  readonly timerId: string;
  readonly wantsTicks: boolean;
  readonly label: string | undefined;
  readonly token: string | undefined;
  /** The revision known before, from which an event stream goes on. */
  readonly lastRevision: number | undefined;
  readonly onMessage: (message: ServerMessage, receivedMs: number) => void;
  readonly onExchange: (exchange: Exchange) => void;
  /** Called once, unless `close` was. */
  readonly onClosed: (reason: CloseReason, isFinal: boolean) => void;
}

export interface Link {
  /** Asks for the server's time; answered by `onExchange`, or never. */
  exchange(): void;
  acknowledge(acknowledgement: Acknowledgement): void;
  close(): void;
}

/** The part of the address that says what a display wants. */
export function queryOf({ wantsTicks, label }: LinkOptions): URLSearchParams {
  return new URLSearchParams({
    ticks: `${wantsTicks}`,
    ...(label === undefined ? {} : { label }),
  });
}
