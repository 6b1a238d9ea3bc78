/** Puts the console together and connects it to the service that served the page. */
import * as z from 'zod/mini';
import { Actions } from './actions.js';
import { Api } from './api.js';
import { ClockSync } from './clock-sync.js';
import { LiveConnection } from './live.js';
import { ConsoleStore } from './store.js';
import { Ticker } from './ticker.js';
import { TimerConsole } from './timer-console.js';

// The page's content policy forbids code that is made at run time; zod does without.
z.config({ jitless: true });

function start(element: TimerConsole): void {
  const store = new ConsoleStore();
  const api = new Api();
  const clock = new ClockSync({ exchange: () => api.time(), onLost: () => live.lose() });
  const live = new LiveConnection({ store, api, clock });
  element.start({
    store,
    actions: new Actions(store, api),
    ticker: new Ticker(() => clock.now()),
    reconnect: () => live.connect(),
  });
  live.connect();
  addEventListener('online', () => live.connect());
  addEventListener('pageshow', ({ persisted }) => persisted && live.connect());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') clock.synchronize();
  });
}

const element = document.querySelector('timer-console');
if (element instanceof TimerConsole) start(element);
