/** The console as a whole: shows the store's state, and turns what a person wants into actions. */
import { html, LitElement, nothing, type TemplateResult } from 'lit';
import type { Timer } from '../../client/messages.js';
import { recall, remember } from '../memory.js';
import { type Actions, partsText, subjectOf } from './actions.js';
import './activity-feed.js';
import { type Api, displayUrl } from './api.js';
import type { Question } from './confirm-dialog.js';
import './confirm-dialog.js';
import './connection-state.js';
import { consoleStyles } from './console-styles.js';
import './create-dialog.js';
import './details-dialog.js';
import './displays-dialog.js';
import './extend-dialog.js';
import './help-dialog.js';
import { ICONS } from './icons.js';
import { ListToolbar, type SelectAllEvent, type ViewEvent } from './list-toolbar.js';
import type { Caller } from './messages.js';
import './notice-bar.js';
import { isSignedIn, mayControl } from './people.js';
import { REASON_KEPT_MS, type Reason } from './reason.js';
import type { ReasonEvent } from './reason-fields.js';
import { allOf, extendedTo, NOTHING_SELECTED, toggled } from './selection.js';
import './share-dialog.js';
import type { DisplayLink } from './share-dialog.js';
import type { SignIn } from './sign-in.js';
import './sign-in-dialog.js';
import './signed-in.js';
import { isFor, type Shortcut, shortcutOf } from './shortcuts.js';
import type { ConsoleState, ConsoleStore } from './store.js';
import { controls } from './styles.js';
import type { Ticker } from './ticker.js';
import './timer-list.js';
import type { Emptiness } from './timer-list.js';
import type { SelectEvent, Wish, WishEvent } from './wish.js';

type OpenDialog =
  | { readonly kind: 'create' | 'help' }
  | { readonly kind: 'details' | 'share' | 'displays'; readonly timer: Timer }
  | { readonly kind: 'extend'; readonly timers: readonly Timer[] }
  | { readonly kind: 'confirm'; readonly question: Question };

const FEED_MEMORY = 'timer-console.feed';

export interface ConsoleParts {
  readonly store: ConsoleStore;
  readonly api: Api;
  readonly actions: Actions;
  readonly signIn: SignIn;
  readonly ticker: Ticker;
  readonly reconnect: () => void;
}

export class TimerConsole extends LitElement {
  static override properties = {
    parts: { attribute: false },
    dialog: { state: true },
    isFeedOpen: { state: true },
  };
  static override styles = [controls, consoleStyles];

  declare parts: ConsoleParts | undefined;
  declare dialog: OpenDialog | undefined;
  declare isFeedOpen: boolean;

  #reasonTimeout: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.isFeedOpen = (recall(FEED_MEMORY) ?? defaultFeed()) === 'open';
  }

  /** Brings the console to life. */
  start(parts: ConsoleParts): void {
    this.parts = parts;
    parts.store.subscribe(() => this.requestUpdate());
    document.addEventListener('keydown', (event) => this.#onKey(event, parts));
  }

  protected override render(): TemplateResult | typeof nothing {
    const { parts } = this;
    if (parts === undefined) return nothing;
    return html`
      ${this.#header(parts)}
      <div class="columns ${this.isFeedOpen ? 'with-feed' : ''}"
        @wish=${(event: WishEvent) => this.#onWish(event, parts)}
        @reason=${({ reason }: ReasonEvent) => this.#give(reason, parts)}
        @create=${() => this.#open({ kind: 'create' })}>
        ${this.#main(parts)}
        <aside aria-label="What happened" ?hidden=${!this.isFeedOpen}>
          <activity-feed .feed=${parts.store.state.feed}></activity-feed>
        </aside>
      </div>
      <notice-bar .notice=${parts.store.state.notice} .progress=${parts.store.state.progress}
        @dismiss=${() => parts.store.dispatch({ type: 'noticed', notice: undefined })}></notice-bar>
      <div @dialog-closed=${() => this.#open(undefined)}
        @reason=${({ reason }: ReasonEvent) => this.#give(reason, parts)}>${this.#dialogOf(parts)}</div>
      ${signInDialogOf(parts)}
    `;
  }

  #header({ store, signIn, reconnect }: ConsoleParts): TemplateResult {
    const { caller, connection } = store.state;
    return html`
      <header>
        <h1>Timers</h1>
        <connection-state .connection=${connection} @retry=${reconnect}></connection-state>
        <span class="space"></span>
        <button class="quiet icon" type="button" aria-label="What happened" title="What happened"
          aria-expanded=${this.isFeedOpen ? 'true' : 'false'} @click=${this.#toggleFeed}>
          ${ICONS.list}<span class="wide">What happened</span>
        </button>
        <button class="quiet icon" type="button" aria-label="Help" title="Help"
          @click=${() => this.#open({ kind: 'help' })}>?</button>
        ${
          isSignedIn(caller)
            ? html`<signed-in .caller=${caller} @sign-out=${() => signIn.signOut()}></signed-in>`
            : nothing
        }
        ${mayControl(caller) ? this.#createButton() : nothing}
      </header>
    `;
  }

  #createButton(): TemplateResult {
    return html`
      <button class="primary" type="button" aria-label="Create timers"
        @click=${() => this.#open({ kind: 'create' })}>
        ${ICONS.add}<span>Create<span class="wide"> timers</span></span>
      </button>
    `;
  }

  #main({ store, ticker }: ConsoleParts): TemplateResult {
    const { state, shown } = store;
    const isInControl = mayControl(state.caller);
    return html`
      <main>
        <list-toolbar ?hidden=${state.timers.size === 0} .view=${state.view}
          .shownCount=${shown.length} .totalCount=${state.timers.size}
          .selectedCount=${store.selected.length} .mayControl=${isInControl} .reason=${state.reason}
          @view=${({ view }: ViewEvent) => store.dispatch({ type: 'viewed', view })}
          @select-all=${({ isAll }: SelectAllEvent) => this.#selectAll(store, isAll)}></list-toolbar>
        <timer-list .ticker=${ticker} .shown=${shown} .displays=${state.displays}
          .problems=${state.problems} .selection=${state.selection} .busy=${state.busy}
          .emptiness=${emptinessOf(state)} .mayControl=${isInControl}
          @select-timer=${(event: SelectEvent) => this.#select(store, event)}></timer-list>
      </main>
    `;
  }

  #dialogOf({ actions, api, store }: ConsoleParts): TemplateResult | typeof nothing {
    const { dialog } = this;
    const { reason, caller, timers, keepaliveSeconds } = store.state;
    switch (dialog?.kind) {
      case undefined:
        return nothing;
      case 'create':
        return html`<create-dialog .onCreate=${actions.create.bind(actions)}></create-dialog>`;
      case 'help':
        return html`<help-dialog></help-dialog>`;
      case 'share':
        return html`
          <share-dialog .timer=${dialog.timer} .onShare=${sharing(api, caller)}></share-dialog>
        `;
      case 'displays':
        return html`
          <displays-dialog .timer=${dialog.timer} .api=${api}
            .keepaliveSeconds=${keepaliveSeconds}></displays-dialog>
        `;
      case 'details':
        return html`
          <details-dialog .timer=${timers.get(dialog.timer.id) ?? dialog.timer}
            .onLoad=${api.history.bind(api)}></details-dialog>
        `;
      case 'confirm':
        return html`
          <confirm-dialog .question=${dialog.question} .reason=${reason}></confirm-dialog>
        `;
      case 'extend': {
        const extend = (seconds: number): Promise<string | undefined> =>
          actions.control(present(store, dialog.timers), 'extend', seconds);
        return html`
          <extend-dialog .subject=${subjectOf(dialog.timers)} .onExtend=${extend}
            .reason=${reason}></extend-dialog>
        `;
      }
    }
  }

  #onWish({ wish, timerId }: WishEvent, parts: ConsoleParts): void {
    const { store } = parts;
    const timer = timerId === undefined ? undefined : store.state.timers.get(timerId);
    this.#fulfil(wish, timerId === undefined ? store.selected : [timer].filter(isThere), parts);
  }

  #fulfil(wish: Wish, timers: readonly Timer[], { store, actions }: ConsoleParts): void {
    const [first] = timers;
    if (first === undefined) {
      const notice = { kind: 'failed', text: 'Select timers first' } as const;
      store.dispatch({ type: 'noticed', notice });
      return;
    }
    switch (wish.what) {
      case 'details':
      case 'share':
      case 'displays':
        this.#open({ kind: wish.what, timer: first });
        break;
      case 'dismiss':
        store.dispatch({ type: 'problem_dismissed', timerId: first.id });
        break;
      case 'stop':
        this.#ask(
          stopQuestion(timers, store.state.largestBulk, () => void actions.control(timers, 'stop')),
        );
        break;
      case 'delete':
        this.#ask(deleteQuestion(timers, () => void actions.remove(timers)));
        break;
      case 'extend':
        if (wish.seconds === undefined) this.#open({ kind: 'extend', timers });
        else void actions.control(timers, 'extend', wish.seconds);
        break;
      default:
        void actions.control(timers, wish.what);
    }
  }

  #onKey(event: KeyboardEvent, parts: ConsoleParts): void {
    const { caller, connection } = parts.store.state;
    if (this.dialog !== undefined || connection.phase === 'locked') return;
    const shortcut = shortcutOf(event);
    if (shortcut === undefined || !isFor(shortcut, mayControl(caller))) return;
    event.preventDefault();
    this.#obey(shortcut, parts);
  }

  #obey(shortcut: Shortcut, parts: ConsoleParts): void {
    switch (shortcut) {
      case 'create':
      case 'help':
        this.#open({ kind: shortcut });
        break;
      case 'search':
        this.#focusSearch();
        break;
      case 'select-all':
      case 'select-none':
        this.#selectAll(parts.store, shortcut === 'select-all');
        break;
      case 'feed':
        this.#toggleFeed();
        break;
      default:
        this.#fulfil({ what: shortcut }, parts.store.selected, parts);
    }
  }

  #focusSearch(): void {
    const toolbar = this.renderRoot.querySelector('list-toolbar');
    if (toolbar instanceof ListToolbar) toolbar.focusSearch();
  }

  #select(store: ConsoleStore, { timerId, isRange }: SelectEvent): void {
    const before = store.state.selection;
    const selection = isRange ? extendedTo(before, timerId, store.shown) : toggled(before, timerId);
    store.dispatch({ type: 'selected', selection });
  }

  #selectAll(store: ConsoleStore, isAll: boolean): void {
    const selection = isAll ? allOf(store.shown) : NOTHING_SELECTED;
    store.dispatch({ type: 'selected', selection });
  }

  #give(reason: Reason | undefined, { store }: ConsoleParts): void {
    store.dispatch({ type: 'reasoned', reason });
    clearTimeout(this.#reasonTimeout);
    this.#reasonTimeout = setTimeout(
      () => store.dispatch({ type: 'reasoned', reason: undefined }),
      REASON_KEPT_MS,
    );
  }

  #toggleFeed(): void {
    this.isFeedOpen = !this.isFeedOpen;
    remember(FEED_MEMORY, this.isFeedOpen ? 'open' : 'closed');
  }

  #ask(question: Question): void {
    this.#open({ kind: 'confirm', question });
  }

  #open(dialog: OpenDialog | undefined): void {
    this.dialog = dialog;
  }
}

function signInDialogOf({ store, signIn }: ConsoleParts): TemplateResult | typeof nothing {
  const { connection } = store.state;
  if (connection.phase !== 'locked') return nothing;
  return html`
    <sign-in-dialog .words=${connection.words} .onSignIn=${signIn.signIn.bind(signIn)}></sign-in-dialog>
  `;
}

/** Where a service knows credentials, a display needs one: a token that is for its timer only. */
function sharing(api: Api, caller: Caller | undefined) {
  return async (timerId: string, label: string): Promise<DisplayLink> => {
    const { origin } = location;
    if (!isSignedIn(caller)) {
      return { url: displayUrl(origin, timerId, { label }), expiresAtMs: undefined };
    }
    const { token, expires_at } = await api.displayToken(timerId, label);
    const url = displayUrl(origin, timerId, { label, token });
    return { url, expiresAtMs: Date.parse(expires_at) };
  };
}

function stopQuestion(
  timers: readonly Timer[],
  largestBulk: number,
  onConfirmed: () => void,
): Question {
  const subject = subjectOf(timers);
  const parts = partsText(timers.length, largestBulk);
  const inParts = parts === '' ? '' : `They are stopped${parts}. `;
  return {
    heading: `Stop ${subject}?`,
    text: `The time ends now for everybody who sees it. ${inParts}A stopped timer cannot be started again.`,
    verb: timers.length === 1 ? 'Stop' : `Stop ${subject}`,
    onConfirmed,
  };
}

function deleteQuestion(timers: readonly Timer[], onConfirmed: () => void): Question {
  const subject = subjectOf(timers);
  const running = timers.filter(({ state }) => state === 'running').length;
  const warning = running === 0 ? '' : `${isOrAre(running, timers.length)} running. `;
  return {
    heading: `Delete ${subject}?`,
    text: `${warning}Displays lose their timer, and it cannot be brought back.`,
    verb: timers.length === 1 ? 'Delete' : `Delete ${subject}`,
    onConfirmed,
  };
}

function isOrAre(running: number, total: number): string {
  if (total === 1) return 'It is';
  if (running === total) return 'All of them are';
  return `${running} of them ${running === 1 ? 'is' : 'are'}`;
}

/** Timers that are still there after somebody thought about it. */
function present(store: ConsoleStore, timers: readonly Timer[]): Timer[] {
  return timers.filter(({ id }) => store.state.timers.has(id));
}

function isThere(timer: Timer | undefined): timer is Timer {
  return timer !== undefined;
}

function emptinessOf({ timers, isLoaded, connection }: ConsoleState): Emptiness {
  if (timers.size > 0) return 'filtered';
  if (isLoaded) return 'none';
  const { phase } = connection;
  return phase === 'offline' || phase === 'locked' ? phase : 'loading';
}

function defaultFeed(): 'open' | 'closed' {
  return matchMedia('(width >= 80rem)').matches ? 'open' : 'closed';
}

customElements.define('timer-console', TimerConsole);
