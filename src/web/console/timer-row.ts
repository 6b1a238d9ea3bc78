/** One timer in the list: what it is, what it shows, who follows it, and what can be done with it. */
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { clockText, phaseOf } from '../../client/digits.js';
import type { Timer } from '../../client/messages.js';
import { isOver } from '../../client/timer-state.js';
import { extensionButtons, extensionStyles } from './extension-buttons.js';
import {
  boundText,
  counted,
  durationText,
  passedThreshold,
  secondsLeft,
  untilNextDigitMs,
} from './figures.js';
import { ICONS } from './icons.js';
import type { DisplaySummary } from './messages.js';
import { controls } from './styles.js';
import type { Ticker, Ticking } from './ticker.js';
import { rowStyles } from './timer-row-styles.js';
import { SelectEvent, type Wish, WishEvent } from './wish.js';

const STATES: Record<Timer['state'], string> = {
  created: 'Not started',
  running: 'Running',
  paused: 'Paused',
  expired: 'Time is up',
  completed: 'Stopped',
};

export class TimerRow extends LitElement implements Ticking {
  static override properties = {
    timer: { attribute: false },
    displays: { attribute: false },
    problem: { attribute: false },
    isSelected: { attribute: false },
    isBusy: { attribute: false },
    mayControl: { attribute: false },
    seconds: { state: true },
  };
  static override styles = [controls, extensionStyles, rowStyles];

  declare ticker: Ticker;
  declare timer: Timer;
  declare displays: DisplaySummary | undefined;
  declare problem: string | undefined;
  declare isSelected: boolean;
  declare isBusy: boolean;
  declare mayControl: boolean;
  declare seconds: number;

  #focused: Element | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.ticker.add(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.ticker.remove(this);
  }

  /** Most ticks change nothing here, and then nothing is rendered. */
  tick(nowMs: number | undefined): number {
    this.seconds = secondsLeft(this.timer, nowMs);
    return untilNextDigitMs(this.timer, nowMs);
  }

  override focus(): void {
    const first = this.renderRoot.querySelector('input, button');
    if (first instanceof HTMLElement) first.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('timer')) {
      this.seconds = secondsLeft(this.timer, this.ticker.now);
      this.ticker.wake();
    }
    this.#focused = this.shadowRoot?.activeElement ?? null;
  }

  /** A button that goes because the timer's state changed must not take the focus with it. */
  protected override updated(): void {
    if (this.#focused?.isConnected === false) this.focus();
    this.#focused = null;
  }

  protected override render(): TemplateResult {
    const { timer } = this;
    return html`
      <div class="row ${this.#mood()} ${this.isSelected ? 'selected' : ''}" aria-busy=${this.isBusy ? 'true' : 'false'}>
        ${this.mayControl ? this.#checkbox() : nothing}
        <div class="who">
          <button class="name quiet" type="button" title="What happened to it"
            @click=${() => this.#wish({ what: 'details' })}>${timer.name}</button>
          <span class="state">${this.#stateWords()}</span>
        </div>
        <div class="time">
          <span class="digits" role="timer" aria-label="Time left of ${timer.name}">${clockText(this.seconds)}</span>
          <progress aria-label="Elapsed" max=${timer.duration_seconds}
            .value=${Math.max(0, timer.duration_seconds - this.seconds)}></progress>
        </div>
        ${this.#displays()}
        <div class="actions">${this.mayControl ? this.#actions() : nothing}</div>
        ${this.problem === undefined ? nothing : this.#problem(this.problem)}
      </div>
    `;
  }

  #checkbox(): TemplateResult {
    return html`
      <label class="select">
        <input type="checkbox" aria-label="Select ${this.timer.name}" .checked=${live(this.isSelected)}
          @click=${this.#select} />
      </label>
    `;
  }

  /** The notice announces it; here it says which timer it was. */
  #problem(problem: string): TemplateResult {
    return html`
      <p class="problem">
        ${problem} ${this.#iconButton({ what: 'dismiss' }, 'Close message', ICONS.close)}
      </p>
    `;
  }

  #mood(): string {
    const { timer } = this;
    if (timer.state === 'expired') return 'over';
    if (timer.state !== 'running') return 'still';
    return phaseOf(this.seconds * 1000, timer.warning_thresholds);
  }

  /** The colour alone would not tell everybody. */
  #stateWords(): string {
    const { timer } = this;
    const words = STATES[timer.state];
    const threshold = timer.state === 'running' ? passedThreshold(timer, this.seconds) : undefined;
    return threshold === undefined
      ? `${words} · ${durationText(timer.duration_seconds)}`
      : `${words} · under ${durationText(threshold)}`;
  }

  #displays(): TemplateResult {
    const { displays } = this;
    if (displays === undefined) return html`<span class="displays none">No displays</span>`;
    const { connected, current, worst_error_bound_ms: worstMs } = displays;
    const isCurrent = current === connected;
    const verb = connected === 1 ? 'shows' : 'show';
    const words = `${current} of ${counted(connected, 'display')} ${verb} this`;
    return html`
      <button class="displays quiet ${isCurrent ? 'current' : 'stale'}" type="button"
        title="Who follows this timer" @click=${() => this.#wish({ what: 'displays' })}>
        ${isCurrent ? ICONS.screen : ICONS.warning}
        <span>${words}<small>${worstMs === null ? nothing : `within ${boundText(worstMs)}`}</small></span>
      </button>
    `;
  }

  #actions(): TemplateResult {
    const { name, state } = this.timer;
    return html`
      ${this.#mainAction()}
      ${
        isOver(state)
          ? nothing
          : html`
            ${extensionButtons(name, (wish) => this.#wish(wish))}
            ${this.#iconButton({ what: 'stop' }, 'Stop', ICONS.stop)}
          `
      }
      ${this.#iconButton({ what: 'share' }, 'Link and code of the display', ICONS.share)}
      ${this.#iconButton({ what: 'delete' }, 'Delete', ICONS.remove)}
    `;
  }

  #mainAction(): TemplateResult | typeof nothing {
    switch (this.timer.state) {
      case 'created':
        return this.#mainButton('start', 'Start');
      case 'running':
        return this.#mainButton('pause', 'Pause');
      case 'paused':
        return this.#mainButton('resume', 'Resume');
      default:
        return nothing;
    }
  }

  #mainButton(what: 'start' | 'pause' | 'resume', words: string): TemplateResult {
    const icon = what === 'pause' ? ICONS.pause : ICONS.start;
    // After the first click of a double one the button means the opposite.
    const act = ({ detail }: MouseEvent): void => {
      if (detail <= 1) this.#wish({ what });
    };
    return html`<button class="main" type="button" @click=${act}>${icon}${words}</button>`;
  }

  #iconButton(wish: Wish, words: string, icon: TemplateResult): TemplateResult {
    return html`
      <button class="quiet icon" type="button" title=${words} aria-label=${words}
        @click=${() => this.#wish(wish)}>${icon}</button>
    `;
  }

  /** The store decides what is selected; the box only asks, and shows what was decided. */
  #select(event: MouseEvent): void {
    this.requestUpdate();
    this.dispatchEvent(new SelectEvent(this.timer.id, event.shiftKey));
  }

  #wish(wish: Wish): void {
    this.dispatchEvent(new WishEvent(wish, this.timer.id));
  }
}

customElements.define('timer-row', TimerRow);
