/**
 * `<synchronized-timer timer="..." server="..." token="...">`: one timer of the service, in any page. It
 * shows the digits, a ring, the state and how well it is synchronized, and announces what people who do
 * not see it must know. It dispatches `timer-warning`, `timer-expired` and `timer-change`.
 */
import { html, LitElement, type PropertyValues } from 'lit';
import { connectTimer } from '../../client/browser.js';
import { clockText, phaseOf, untilNextDigitMs, wholeSeconds } from '../../client/digits.js';
import type { DisplayEvents, TimerDisplay } from '../../client/timer-display.js';
import { styles } from './styles.js';
import { ENGLISH, type Texts } from './texts.js';

/** The service that this script came from. */
const HOME = new URL(import.meta.url).origin;
const RADIUS = 46;
const CIRCUMFERENCE = 2 * Math.PI * RADIUS;
/** A change of any of these means another connection. */
const ADDRESS = ['timer', 'server', 'token', 'tokenProvider', 'label'] as const;
/** While nothing counts, what is known of the clock is still shown anew from time to time. */
const IDLE_MS = 1000;
const UNKNOWN_TIMER: readonly number[] = [4004, 404];
const DELETED_TIMER: readonly number[] = [4000, 4001];
const UNAUTHENTICATED: readonly number[] = [401, 4401];
const FORBIDDEN = 403;

export class SynchronizedTimer extends LitElement {
  static override styles = styles;

  static override properties = {
    timer: { type: String },
    server: { type: String },
    token: { type: String },
    label: { type: String },
    tokenProvider: { attribute: false },
    texts: { attribute: false },
    announcement: { state: true },
  };

  /** The timer's id. */
  declare timer: string | null;
  /** Where the service is; by default where this script came from. */
  declare server: string | null;
  /** What the service knows this display by. */
  declare token: string | null;
  /** Gets a token, and another one when that has ended; instead of `token`, which stays what it is. */
  declare tokenProvider: (() => string | Promise<string>) | undefined;
  /** Who or where this display is, such as a seat. */
  declare label: string | null;
  /** Other words than the English ones. */
  declare texts: Partial<Texts>;
  declare announcement: string;

  #display: TimerDisplay | undefined;
  #nextPaint: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.timer = '';
    this.server = HOME;
    this.token = null;
    this.tokenProvider = undefined;
    this.label = null;
    this.texts = {};
    this.announcement = '';
  }

  /** The connection behind the component, for pages that want to know more. */
  get display(): TimerDisplay | undefined {
    return this.#display;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#connect();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#disconnect();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const isOther = ADDRESS.some((name) => changed.has(name));
    if (isOther && this.isConnected) this.#connect();
    const timer = this.#display?.timer;
    const leftMs = this.#display?.remaining() ?? 0;
    const phase = timer === undefined ? 'calm' : phaseOf(leftMs, timer.warning_thresholds);
    const isCounting = timer?.state === 'running' || timer?.state === 'paused';
    this.setAttribute('phase', isCounting || timer?.state === 'expired' ? phase : 'calm');
    this.toggleAttribute('unverified', timer !== undefined && this.#isUnverified);
  }

  protected override updated(): void {
    clearTimeout(this.#nextPaint);
    if (this.#display === undefined) return;
    const leftMs = this.#display.remaining() ?? 0;
    const isCounting = this.#display.state === 'running' && leftMs > 0;
    // A timeout may be early by a fraction of a millisecond, and the digits must not be.
    const waitMs = isCounting ? Math.ceil(untilNextDigitMs(leftMs)) : IDLE_MS;
    this.#nextPaint = setTimeout(() => this.requestUpdate(), waitMs);
  }

  protected override render() {
    const timer = this.#display?.timer;
    const seconds = wholeSeconds(this.#display?.remaining() ?? 0);
    const digits = timer === undefined ? '–:––' : clockText(seconds);
    const part = timer === undefined ? 0 : Math.min(1, seconds / timer.duration_seconds);
    const digitsClass = digits.length > 5 ? 'digits long' : 'digits';
    const progressClass = part === 0 ? 'progress empty' : 'progress';
    return html`
      <div class="face" part="face" role="timer" aria-live="off" aria-label=${timer?.name ?? ''}>
        <svg viewBox="0 0 100 100" aria-hidden="true">
          <circle class="track" part="track" cx="50" cy="50" r=${RADIUS}></circle>
          <circle
            class=${progressClass}
            part="progress"
            cx="50"
            cy="50"
            r=${RADIUS}
            stroke-dasharray=${CIRCUMFERENCE}
            stroke-dashoffset=${CIRCUMFERENCE * (1 - part)}
          ></circle>
        </svg>
        <span class=${digitsClass} part="digits">${digits}</span>
        <div class="words">
          <div class="state" part="state">${this.#stateText()}</div>
          <div class="sync" part="sync">${this.#syncText()}</div>
        </div>
      </div>
      <div class="announcer" aria-live="assertive">${this.announcement}</div>
    `;
  }

  get #words(): Texts {
    return { ...ENGLISH, ...this.texts };
  }

  get #isUnverified(): boolean {
    const display = this.#display;
    return display?.timer !== undefined && display.state === 'running' && !display.isVerified;
  }

  #connect(): void {
    this.#disconnect();
    if (this.timer === null || this.timer === '') return;
    const display = connectTimer({
      timer: this.timer,
      server: this.server ?? HOME,
      label: this.label ?? undefined,
      token: this.tokenProvider ?? this.token ?? undefined,
    });
    this.#display = display;
    display.on('change', () => {
      this.requestUpdate();
      this.#dispatch('timer-change', undefined);
    });
    display.on('warning', (warning) => {
      this.announcement = this.#words.left(warning.thresholdSeconds);
      this.#dispatch('timer-warning', warning);
    });
    display.on('end', (end) => this.#announceEnd(end));
    display.on('timer_started', ({ remaining_seconds }) => {
      this.announcement = this.#words.started(remaining_seconds);
    });
    display.on('timer_paused', () => {
      this.announcement = this.#words.paused;
    });
    display.on('timer_extended', ({ added_seconds, remaining_seconds }) => {
      this.announcement = this.#words.extended(added_seconds, remaining_seconds);
    });
  }

  #announceEnd(end: DisplayEvents['end']): void {
    const { timeIsUp, stopped, deleted } = this.#words;
    this.announcement = { expired: timeIsUp, stopped, deleted }[end.reason];
    if (end.reason === 'expired') this.#dispatch('timer-expired', end);
  }

  #disconnect(): void {
    clearTimeout(this.#nextPaint);
    this.#display?.close();
    this.#display = undefined;
  }

  #dispatch(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #stateText(): string {
    const words = this.#words;
    const display = this.#display;
    const code = display?.connection === 'closed' ? display.closeReason?.code : undefined;
    if (code !== undefined) return this.#refusalText(code);
    switch (display?.state) {
      case undefined:
        return words.connecting;
      case 'created':
        return words.notStarted;
      case 'paused':
        return words.paused;
      case 'expired':
        return words.timeIsUp;
      case 'completed':
        return words.stopped;
      case 'running':
        if (!this.#isUnverified) return words.running;
        return display?.remaining() === 0 ? words.timeIsUpUnverified : words.unverified;
    }
  }

  /** Why the connection is over for good. */
  #refusalText(code: number): string {
    const words = this.#words;
    if (DELETED_TIMER.includes(code)) return words.deleted;
    if (UNKNOWN_TIMER.includes(code)) return words.unknown;
    if (UNAUTHENTICATED.includes(code)) return words.unauthenticated;
    return code === FORBIDDEN ? words.forbidden : words.refused;
  }

  #syncText(): string {
    const boundMs = this.#display?.errorBound();
    const connection = this.#display?.connection;
    if (connection === 'synchronizing' && boundMs === undefined) return this.#words.synchronizing;
    if (connection !== 'live' && connection !== 'synchronizing') return '';
    return boundMs === undefined ? '' : this.#words.inSync(boundMs);
  }
}

// A page may have loaded this script twice.
if (customElements.get('synchronized-timer') === undefined) {
  customElements.define('synchronized-timer', SynchronizedTimer);
}

declare global {
  interface HTMLElementTagNameMap {
    'synchronized-timer': SynchronizedTimer;
  }
}
