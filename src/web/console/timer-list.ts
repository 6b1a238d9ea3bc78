/** The list of timers, or what to do first where there are none. */
import { css, html, LitElement, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Timer } from '../../client/messages.js';
import type { ConsoleState } from './store.js';
import { controls } from './styles.js';
import type { Ticker } from './ticker.js';
import './timer-row.js';
import { TimerRow } from './timer-row.js';
import { SelectEvent } from './wish.js';

export type Emptiness = 'none' | 'filtered' | 'loading' | 'offline' | 'locked';

export class TimerList extends LitElement {
  static override properties = {
    shown: { attribute: false },
    displays: { attribute: false },
    problems: { attribute: false },
    selection: { attribute: false },
    busy: { attribute: false },
    mayControl: { attribute: false },
    emptiness: { attribute: false },
  };
  static override styles = [
    controls,
    css`
      :host {
        display: block;
        container: list / inline-size;
      }
      .empty {
        display: grid;
        justify-items: center;
        gap: 0.75rem;
        padding: 4rem 1.5rem;
        text-align: center;
      }
      .empty h2,
      .empty p {
        margin: 0;
        max-width: 34rem;
      }
      .empty p {
        color: var(--muted);
      }
    `,
  ];

  declare ticker: Ticker;
  declare shown: readonly Timer[];
  // Parts of the state rather than all of it, so that nothing else makes a thousand rows look.
  declare displays: ConsoleState['displays'];
  declare problems: ConsoleState['problems'];
  declare selection: ConsoleState['selection'];
  declare busy: ConsoleState['busy'];
  declare mayControl: boolean;
  /** Why there is nothing to show, if there is nothing. */
  declare emptiness: Emptiness;

  /** Which row had the focus before the list changed. */
  #focusedRow: TimerRow | undefined;
  #focusedIndex = 0;

  protected override willUpdate(): void {
    const focused = this.shadowRoot?.activeElement;
    this.#focusedRow = focused instanceof TimerRow ? focused : undefined;
    if (this.#focusedRow !== undefined) this.#focusedIndex = this.#rows().indexOf(this.#focusedRow);
  }

  /** A timer that goes leaves the focus to the one that takes its place. */
  protected override updated(): void {
    if (this.#focusedRow?.isConnected === false) this.#focusRow(this.#focusedIndex);
  }

  protected override render(): TemplateResult {
    if (this.shown.length === 0) return this.#empty();
    return html`
      <div role="list" aria-label="Timers" @keydown=${this.#move}>
        ${repeat(
          this.shown,
          ({ id }) => id,
          (timer) => this.#row(timer),
        )}
      </div>
    `;
  }

  #row(timer: Timer): TemplateResult {
    const { displays, problems, selection, busy } = this;
    return html`
      <timer-row role="listitem" aria-label=${timer.name} .ticker=${this.ticker} .timer=${timer}
        .displays=${displays.get(timer.id)} .problem=${problems.get(timer.id)}
        .isSelected=${selection.timerIds.has(timer.id)} .isBusy=${busy.has(timer.id)}
        .mayControl=${this.mayControl}></timer-row>
    `;
  }

  #empty(): TemplateResult {
    switch (this.emptiness) {
      case 'filtered':
        return html`<div class="empty"><h2>No timer matches</h2>
          <p>Change the search or the filter to see others.</p></div>`;
      case 'loading':
        return html`<div class="empty"><p>Loading the timers…</p></div>`;
      case 'offline':
        return html`<div class="empty">
          <p>The timers appear as soon as the service answers.</p></div>`;
      case 'locked':
        return html`<div class="empty"><p>Sign in to see the timers.</p></div>`;
      case 'none':
        return this.#invitation();
    }
  }

  #invitation(): TemplateResult {
    return html`
      <div class="empty">
        <h2>No timers yet</h2>
        ${this.mayControl ? this.#howToBegin() : html`<p>They appear here as soon as somebody creates one.</p>`}
      </div>
    `;
  }

  #howToBegin(): TemplateResult {
    return html`
        <p>
          Create one timer for everybody, or one for each seat. Then open its link, or scan its code, on
          the devices that are to show it, and start it when all are ready.
        </p>
        <button class="primary" type="button" @click=${this.#askToCreate}>Create the first timer</button>
    `;
  }

  #askToCreate(): void {
    this.dispatchEvent(new Event('create', { bubbles: true, composed: true }));
  }

  /** With the arrows from timer to timer; with Shift the ones passed are selected. */
  #move(event: KeyboardEvent): void {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const row = this.shadowRoot?.activeElement;
    if (step === undefined || !(row instanceof TimerRow)) return;
    event.preventDefault();
    const next = this.#focusRow(this.#rows().indexOf(row) + step);
    if (!event.shiftKey || next === undefined || !this.mayControl) return;
    if (!row.isSelected) this.dispatchEvent(new SelectEvent(row.timer.id, false));
    this.dispatchEvent(new SelectEvent(next.timer.id, true));
  }

  /** Focuses the row at an index, or the nearest there is. */
  #focusRow(index: number): TimerRow | undefined {
    const rows = this.#rows();
    const row = rows[Math.max(0, Math.min(index, rows.length - 1))];
    row?.focus();
    return row;
  }

  #rows(): TimerRow[] {
    return [...this.renderRoot.querySelectorAll('timer-row')].filter(
      (row) => row instanceof TimerRow,
    );
  }
}

customElements.define('timer-list', TimerList);
