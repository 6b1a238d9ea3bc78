/** The client library in Node. */
import { WebSocket } from 'ws';
import { commonPlatform, type Platform, watchForSleep } from './platform.js';
import { TimerDisplay, type TimerOptions } from './timer-display.js';

export type * from './api.js';

const node: Platform = {
  ...commonPlatform,
  openWebSocket: (url, protocols) => new WebSocket(url, protocols),
  watchWakes: watchForSleep,
};

/** Follows a timer: connects, stays connected, and counts. */
export function connectTimer(options: TimerOptions): TimerDisplay {
  return new TimerDisplay(options, node);
}
