/** The client library in a browser. */
import { commonPlatform, type Platform, watchForSleep } from './platform.js';
import { TimerDisplay, type TimerOptions } from './timer-display.js';

export type * from './api.js';

const browser: Platform = {
  ...commonPlatform,
  openWebSocket: (url, protocols) => new WebSocket(url, protocols),
  watchWakes,
};

function watchWakes(onWake: () => void): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  // Timers of a hidden page are held back, which looks like sleep; what counts is that it is seen again.
  const wakeIfVisible = (): void => {
    if (document.visibilityState === 'visible') onWake();
  };
  document.addEventListener('visibilitychange', wakeIfVisible, { signal });
  document.addEventListener('resume', wakeIfVisible, { signal });
  addEventListener('pageshow', wakeIfVisible, { signal });
  addEventListener('online', onWake, { signal });
  signal.addEventListener('abort', watchForSleep(wakeIfVisible));
  return () => ending.abort();
}

/** Follows a timer: connects, stays connected, and counts. */
export function connectTimer(options: TimerOptions): TimerDisplay {
  return new TimerDisplay(options, browser);
}
