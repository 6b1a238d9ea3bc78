/** The types that users of the client library see. */
export type { CloseReason, ConnectionState, Transport } from '../../machines/connection.machine.js';
export type { Announcement } from './announcer.js';
export type { ServerMessage, ServerMessageOf, Timer, TimerState } from './messages.js';
export type { DisplayEvents, TimerDisplay, TimerOptions } from './timer-display.js';
