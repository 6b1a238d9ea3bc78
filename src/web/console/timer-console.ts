/** The console as a whole: shows the store's state, and turns what a person wants into actions. */
import { html, LitElement, nothing, type TemplateResult } from 'lit';
import type { Timer } from '../../client/messages.js';
import { recall, remember } from '../memory.js';
import { type Actions, subjectOf } from './actions.js';
import './activity-feed.js';
import type { Question } from './confirm-dialog.js';
import './confirm-dialog.js';
import './connection-state.js';
import { consoleStyles } from './console-styles.js';
import './create-dialog.js';
import './displays-dialog.js';
import './extend-dialog.js';
import './help-dialog.js';
import { ICONS } from './icons.js';
import { ListToolbar, type SelectAllEvent, type ViewEvent } from './list-toolbar.js';
import './notice-bar.js';
import { allOf, extendedTo, NOTHING_SELECTED, toggled } from './selection.js';
import './share-dialog.js';
import { type Shortcut, shortcutOf } from './shortcuts.js';
import type { ConsoleState, ConsoleStore } from './store.js';
import { controls } from './styles.js';
import type { Ticker } from './ticker.js';
import './timer-list.js';
import type { Emptiness } from './timer-list.js';
import type { SelectEvent, Wish, WishEvent } from './wish.js';

type OpenDialog =
  | { readonly kind: 'create' | 'help' }
  | { readonly kind: 'share' | 'displays'; readonly timer: Timer }
  | { readonly kind: 'extend'; readonly timers: readonly Timer[] }
  | { readonly kind: 'confirm'; readonly question: Question };

const FEED_MEMORY = 'timer-console.feed';

export interface ConsoleParts {
  readonly store: ConsoleStore;
  readonly actions: Actions;
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
        @create=${() => this.#open({ kind: 'create' })}>
        ${this.#main(parts)}
        <aside aria-label="What happened" ?hidden=${!this.isFeedOpen}>
          <activity-feed .feed=${parts.store.state.feed}></activity-feed>
        </aside>
      </div>
      <notice-bar .notice=${parts.store.state.notice} .progress=${parts.store.state.progress}
        @dismiss=${() => parts.store.dispatch({ type: 'noticed', notice: undefined })}></notice-bar>
      <div @dialog-closed=${() => this.#open(undefined)}>${this.#dialogOf(parts)}</div>
    `;
  }

  #header({ store, reconnect }: ConsoleParts): TemplateResult {
    return html`
      <header>
        <h1>Timers</h1>
        <connection-state .connection=${store.state.connection} @retry=${reconnect}></connection-state>
        <span class="space"></span>
        <button class="quiet icon" type="button" aria-label="What happened" title="What happened"
          aria-expanded=${this.isFeedOpen ? 'true' : 'false'} @click=${this.#toggleFeed}>
          ${ICONS.list}<span class="wide">What happened</span>
        </button>
        <button class="quiet icon" type="button" aria-label="Help" title="Help"
          @click=${() => this.#open({ kind: 'help' })}>?</button>
        <button class="primary" type="button" aria-label="Create timers"
          @click=${() => this.#open({ kind: 'create' })}>
          ${ICONS.add}<span>Create<span class="wide"> timers</span></span>
        </button>
      </header>
    `;
  }

  #main({ store, ticker }: ConsoleParts): TemplateResult {
    const { state, shown } = store;
    return html`
      <main>
        <list-toolbar ?hidden=${state.timers.size === 0} .view=${state.view}
          .shownCount=${shown.length} .totalCount=${state.timers.size}
          .selectedCount=${store.selected.length}
          @view=${({ view }: ViewEvent) => store.dispatch({ type: 'viewed', view })}
          @select-all=${({ isAll }: SelectAllEvent) => this.#selectAll(store, isAll)}></list-toolbar>
        <timer-list .ticker=${ticker} .shown=${shown} .displays=${state.displays}
          .problems=${state.problems} .selection=${state.selection} .busy=${state.busy}
          .emptiness=${emptinessOf(state)}
          @select-timer=${(event: SelectEvent) => this.#select(store, event)}></timer-list>
      </main>
    `;
  }

  #dialogOf({ actions, store }: ConsoleParts): TemplateResult | typeof nothing {
    const { dialog } = this;
    switch (dialog?.kind) {
      case undefined:
        return nothing;
      case 'create':
        return html`<create-dialog .onCreate=${actions.create.bind(actions)}></create-dialog>`;
      case 'help':
        return html`<help-dialog></help-dialog>`;
      case 'share':
        return html`<share-dialog .timer=${dialog.timer}></share-dialog>`;
      case 'displays':
        return html`<displays-dialog .timer=${dialog.timer}></displays-dialog>`;
      case 'confirm':
        return html`<confirm-dialog .question=${dialog.question}></confirm-dialog>`;
      case 'extend': {
        const extend = (seconds: number): Promise<string | undefined> =>
          actions.control(present(store, dialog.timers), 'extend', seconds);
        return html`
          <extend-dialog .subject=${subjectOf(dialog.timers)} .onExtend=${extend}></extend-dialog>
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
      case 'share':
      case 'displays':
        this.#open({ kind: wish.what, timer: first });
        break;
      case 'dismiss':
        store.dispatch({ type: 'problem_dismissed', timerId: first.id });
        break;
      case 'stop':
        this.#ask(stopQuestion(timers, () => void actions.control(timers, 'stop')));
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
    if (this.dialog !== undefined) return;
    const shortcut = shortcutOf(event);
    if (shortcut === undefined) return;
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

function stopQuestion(timers: readonly Timer[], onConfirmed: () => void): Question {
  const subject = subjectOf(timers);
  return {
    heading: `Stop ${subject}?`,
    text: 'The time ends now for everybody who sees it. A stopped timer cannot be started again.',
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
  return connection.phase === 'offline' ? 'offline' : 'loading';
}

function defaultFeed(): 'open' | 'closed' {
  return matchMedia('(width >= 80rem)').matches ? 'open' : 'closed';
}

customElements.define('timer-console', TimerConsole);
