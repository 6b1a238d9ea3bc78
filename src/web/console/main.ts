/** Puts the console together and connects it to the service that served the page. */
import * as z from 'zod/mini';
import * as memory from '../memory.js';
import { Actions } from './actions.js';
import { Api } from './api.js';
import { ClockSync } from './clock-sync.js';
import { LiveConnection } from './live.js';
import { Session } from './session.js';
import { SignIn } from './sign-in.js';
import { ConsoleStore } from './store.js';
import { Ticker } from './ticker.js';
import { TimerConsole } from './timer-console.js';

// The page's content policy forbids code that is made at run time; zod does without.
z.config({ jitless: true });

function start(element: TimerConsole): void {
  const store = new ConsoleStore();
  const session = new Session(memory);
  const api = new Api('', session);
  const clock = new ClockSync({ exchange: () => api.time(), onLost: () => live.lose() });
  const live = new LiveConnection({ store, api, clock });
  const restart = (): void => location.reload();
  element.start({
    store,
    api,
    actions: new Actions(store, api),
    signIn: new SignIn({ store, api, session, live, restart }),
    ticker: new Ticker(() => clock.now()),
    reconnect: () => live.connect(),
  });
  live.connect();
  addEventListener('online', () => live.connect());
  addEventListener('pageshow', ({ persisted }) => persisted && live.connect());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') clock.refresh();
  });
}

const element = document.querySelector('timer-console');
if (element instanceof TimerConsole) start(element);
