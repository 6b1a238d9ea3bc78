/** How somebody comes to use the console, and leaves it: with a key or token where the service wants one. */
import { wordsOf } from './actions.js';
import { type Api, ApiError } from './api.js';
import type { LiveConnection } from './live.js';
import { mayUseConsole, NOT_FOR_CONSOLE } from './people.js';
import type { Session } from './session.js';
import type { ConsoleStore } from './store.js';

const UNKNOWN =
  'The service does not know this key or token, or it has ended. Check that it was pasted as a whole.';
const UNREADABLE = 'A key or token is one word of letters, digits and signs, without spaces.';
const ENDED = 'Your key or token has ended. Sign in again; what is on this page stays.';

export interface SignInParts {
  readonly store: ConsoleStore;
  readonly api: Api;
  readonly session: Session;
  readonly live: Pick<LiveConnection, 'connect' | 'close'>;
  /** Begins with an empty page. */
  readonly restart: () => void;
}

export class SignIn {
  readonly #parts: SignInParts;
  #words: string | undefined;

  constructor(parts: SignInParts) {
    this.#parts = parts;
    parts.session.onRefused = () => this.#refused();
  }

  /** Gives the words for why the credential cannot be used; nothing when it can. */
  async signIn(text: string, isForDevice: boolean): Promise<string | undefined> {
    const { store, api, session, live, restart } = this.#parts;
    const credential = text.trim();
    if (!/^[\x21-\x7e]+$/.test(credential)) return UNREADABLE;
    const before = store.state.caller;
    try {
      const caller = await api.me(credential);
      if (!mayUseConsole(caller)) return NOT_FOR_CONSOLE;
      session.keep(credential, isForDevice);
      // What one person has on the page is not for another.
      if (before !== undefined && before.credential !== caller.credential) restart();
      else live.connect();
      return undefined;
    } catch (error) {
      return error instanceof ApiError && error.status === 401 ? UNKNOWN : wordsOf(error);
    }
  }

  signOut(): void {
    this.#parts.session.forget();
    this.#parts.restart();
  }

  /** A service that wants no credential still refuses a wrong one, so it is asked once more without. */
  #refused(): void {
    const { store, session, live } = this.#parts;
    live.close();
    if (session.credential === undefined) {
      store.dispatch({ type: 'locked', words: this.#words });
      return;
    }
    session.forget();
    this.#words = ENDED;
    live.connect();
  }
}
