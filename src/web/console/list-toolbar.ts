/** Above the list: search, filter and order; and while timers are selected, what can be done with them. */
import { css, html, LitElement, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { extensionButtons, extensionStyles } from './extension-buttons.js';
import { counted } from './figures.js';
import { ICONS } from './icons.js';
import type { Reason } from './reason.js';
import './reason-fields.js';
import type { View } from './selection.js';
import { controls } from './styles.js';
import { type Wish, WishEvent } from './wish.js';

const STATES = [
  ['all', 'All states'],
  ['created', 'Not started'],
  ['running', 'Running'],
  ['paused', 'Paused'],
  ['expired', 'Time is up'],
  ['completed', 'Stopped'],
] as const;

const SORTS = [
  ['name', 'By name'],
  ['newest', 'Newest first'],
  ['ending', 'Ending first'],
] as const;

export class ViewEvent extends Event {
  readonly view: Partial<View>;

  constructor(view: Partial<View>) {
    super('view', { bubbles: true, composed: true });
    this.view = view;
  }
}

/** All that are shown are to be selected, or none. */
export class SelectAllEvent extends Event {
  readonly isAll: boolean;

  constructor(isAll: boolean) {
    super('select-all', { bubbles: true, composed: true });
    this.isAll = isAll;
  }
}

export class ListToolbar extends LitElement {
  static override properties = {
    view: { attribute: false },
    shownCount: { attribute: false },
    totalCount: { attribute: false },
    selectedCount: { attribute: false },
    mayControl: { attribute: false },
    reason: { attribute: false },
  };
  static override styles = [
    controls,
    extensionStyles,
    css`
      :host {
        display: block;
        border-bottom: 1px solid var(--line);
        background: var(--surface);
      }
      .line {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
        padding: 0.6rem 1rem;
      }
      .line + .line {
        border-top: 1px solid var(--line);
      }
      .line.selection {
        background: var(--accent-tint);
      }
      .search {
        flex: 1 1 12rem;
        min-width: 0;
      }
      .search input {
        width: 100%;
      }
      .all {
        display: inline-flex;
        align-items: center;
        gap: 0.6rem;
        min-height: 2.25rem;
        cursor: pointer;
      }
      .count {
        margin-inline-start: auto;
        color: var(--muted);
        font-size: 0.9rem;
      }
      .group {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        margin-inline-start: auto;
      }
      /* In the line as long as there is room, and below it when more is in the line. */
      reason-fields {
        order: 1;
        margin-inline-start: 1rem;
      }
      .count {
        order: 2;
      }
      reason-fields.wide {
        flex: 1 0 100%;
        order: 3;
        margin: 0;
      }
      reason-fields.given {
        padding: 0.4rem 0.6rem;
        border-radius: var(--radius);
        background: var(--warning-tint);
      }
      @media (width < 40rem) {
        .line {
          padding-inline: 0.75rem;
        }
      }
    `,
  ];

  declare view: View;
  declare shownCount: number;
  declare totalCount: number;
  declare selectedCount: number;
  declare mayControl: boolean;
  declare reason: Reason | undefined;

  #focused: Element | null = null;

  focusSearch(): void {
    this.renderRoot.querySelector('input')?.focus();
  }

  protected override willUpdate(): void {
    this.#focused = this.shadowRoot?.activeElement ?? null;
  }

  /** The buttons go with the selection, but the focus stays near them. */
  protected override updated(): void {
    if (this.#focused?.isConnected !== false) return;
    const box = this.renderRoot.querySelector('.all input');
    if (box instanceof HTMLElement) box.focus();
  }

  protected override render(): TemplateResult {
    return html`
      <div class="line" role="search">
        <label class="search">
          <span class="hidden">Search by name</span>
          <input type="search" placeholder="Search by name" .value=${live(this.view.search)}
            @input=${this.#search} />
        </label>
        ${this.#choice('Filter by state', 'state', STATES, this.view.state)}
        ${this.#choice('Order', 'sort', SORTS, this.view.sort)}
      </div>
      ${this.mayControl ? this.#control() : html`<div class="line">${this.#count()}</div>`}
    `;
  }

  /** The reason goes with whatever is done next, so that nobody in a hurry must stop to give one. */
  #control(): TemplateResult {
    const isBusy = this.selectedCount > 0;
    const isWide = isBusy || this.reason !== undefined;
    return html`
      <div class="line ${isBusy ? 'selection' : ''}">
        ${this.#selectAll()} ${isBusy ? this.#actions() : this.#count()}
        <reason-fields class="${isWide ? 'wide' : ''} ${this.reason === undefined ? '' : 'given'}"
          .reason=${this.reason}></reason-fields>
      </div>
    `;
  }

  #choice<K extends 'state' | 'sort'>(
    label: string,
    key: K,
    options: readonly (readonly [View[K], string])[],
    chosen: View[K],
  ): TemplateResult {
    const choose = ({ target }: Event): void => {
      if (!(target instanceof HTMLSelectElement)) return;
      const [option] = options[target.selectedIndex] ?? [];
      if (option !== undefined) this.dispatchEvent(new ViewEvent({ [key]: option }));
    };
    return html`
      <select aria-label=${label} @change=${choose}>
        ${options.map(
          ([value, words]) => html`<option .selected=${value === chosen}>${words}</option>`,
        )}
      </select>
    `;
  }

  #selectAll(): TemplateResult {
    const { selectedCount, shownCount } = this;
    const isAll = selectedCount > 0 && selectedCount === shownCount;
    const words =
      selectedCount > 0 ? `${selectedCount} selected` : `Select all shown (${shownCount})`;
    return html`
      <label class="all">
        <input type="checkbox" aria-label="Select all shown" ?disabled=${shownCount === 0}
          .checked=${live(isAll)} .indeterminate=${live(selectedCount > 0 && !isAll)}
          @change=${() => this.dispatchEvent(new SelectAllEvent(!isAll))} />
        <span>${words}</span>
      </label>
    `;
  }

  #count(): TemplateResult {
    const { shownCount, totalCount } = this;
    const words =
      shownCount === totalCount
        ? counted(totalCount, 'timer')
        : `${shownCount} of ${counted(totalCount, 'timer')}`;
    return html`<span class="count">${words}</span>`;
  }

  #actions(): TemplateResult {
    return html`
      <button class="quiet icon" type="button" title="Select none" aria-label="Select none"
        @click=${() => this.dispatchEvent(new SelectAllEvent(false))}>${ICONS.close}</button>
      <div class="group" role="group" aria-label="What to do with the selected timers">
        ${this.#button({ what: 'start' }, html`${ICONS.start}Start`)}
        ${this.#button({ what: 'pause' }, html`${ICONS.pause}Pause`)}
        ${this.#button({ what: 'resume' }, html`${ICONS.start}Resume`)}
        ${extensionButtons('the selected timers', (wish) => this.#wish(wish))}
        ${this.#button({ what: 'stop' }, html`${ICONS.stop}Stop`)}
        ${this.#button({ what: 'delete' }, html`${ICONS.remove}Delete`)}
      </div>
    `;
  }

  #button(wish: Wish, words: TemplateResult): TemplateResult {
    return html`<button type="button" @click=${() => this.#wish(wish)}>${words}</button>`;
  }

  #wish(wish: Wish): void {
    this.dispatchEvent(new WishEvent(wish));
  }

  #search({ target }: Event): void {
    if (target instanceof HTMLInputElement)
      this.dispatchEvent(new ViewEvent({ search: target.value }));
  }
}

customElements.define('list-toolbar', ListToolbar);
