/** A timer on a whole screen, to be read from the back of a room. */
import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { SynchronizedTimer } from '../component/synchronized-timer.js';
import { recall, remember } from '../memory.js';
import { Chime } from './chime.js';
import { displayStyles } from './display-styles.js';

const SOUND_MEMORY = 'timer-display.sound';

export class DisplayPage extends LitElement {
  static override properties = {
    timer: { attribute: false },
    label: { attribute: false },
    token: { attribute: false },
    name: { state: true },
    isSoundOn: { state: true },
    isFullScreen: { state: true },
  };
  static override styles = displayStyles;

  declare timer: string;
  declare label: string | undefined;
  /** What the service lets this display in by, where it lets not everybody in. */
  declare token: string | undefined;
  declare name: string;
  declare isSoundOn: boolean;
  declare isFullScreen: boolean;

  readonly #chime = new Chime();

  constructor() {
    super();
    this.timer = '';
    this.name = '';
    this.isSoundOn = recall(SOUND_MEMORY) === 'on';
    this.isFullScreen = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('fullscreenchange', () => {
      this.isFullScreen = document.fullscreenElement !== null;
    });
    // After a reload the browser wants to be touched once before it makes a sound again.
    for (const gesture of ['pointerup', 'keydown']) {
      document.addEventListener(gesture, (event) => this.#onGesture(event));
    }
  }

  protected override render(): TemplateResult {
    return html`
      <header>
        <h1>${this.name || 'Timer'}</h1>
        <div class="buttons">${this.#soundButton()} ${this.#fullScreenButton()}</div>
      </header>
      <main>
        <synchronized-timer timer=${this.timer} server=${location.origin} label=${this.label ?? nothing}
          .token=${this.token ?? null}
          @timer-change=${this.#rename}
          @timer-warning=${() => this.isSoundOn && this.#chime.playWarning()}
          @timer-expired=${() => this.isSoundOn && this.#chime.playEnd()}></synchronized-timer>
      </main>
      <footer>${this.label ?? nothing}</footer>
    `;
  }

  #soundButton(): TemplateResult {
    const isWaiting = this.isSoundOn && !this.#chime.isAllowed;
    const state = isWaiting
      ? html`: touch the page to allow it`
      : html`<span aria-hidden="true">: ${this.isSoundOn ? 'on' : 'off'}</span>`;
    return html`
      <button id="sound" type="button" role="switch" aria-checked=${this.isSoundOn ? 'true' : 'false'}
        @click=${this.#toggleSound}>Sound${state}</button>
    `;
  }

  /** The button has its own way to allow sounds. */
  #onGesture(event: Event): void {
    const button = this.renderRoot.querySelector('#sound');
    const isOnButton = button !== null && event.composedPath().includes(button);
    if (this.isSoundOn && !isOnButton) void this.#allowSound();
  }

  #fullScreenButton(): TemplateResult | typeof nothing {
    if (!document.fullscreenEnabled) return nothing;
    return html`
      <button type="button" @click=${toggleFullScreen}>
        ${this.isFullScreen ? 'Leave full screen' : 'Full screen'}
      </button>
    `;
  }

  /** A button that waits for permission has it now, and stays on. */
  async #toggleSound(): Promise<void> {
    const isWaiting = this.isSoundOn && !this.#chime.isAllowed;
    this.isSoundOn = isWaiting || !this.isSoundOn;
    remember(SOUND_MEMORY, this.isSoundOn ? 'on' : 'off');
    if (!this.isSoundOn) return;
    await this.#allowSound();
    // What it sounds like, and that the loudspeaker is on, is known before it is needed.
    this.#chime.playWarning();
  }

  async #allowSound(): Promise<void> {
    await this.#chime.allow();
    this.requestUpdate();
  }

  #rename({ target }: Event): void {
    if (!(target instanceof SynchronizedTimer)) return;
    this.name = target.display?.timer?.name ?? this.name;
    if (this.name !== '') document.title = this.name;
  }
}

function toggleFullScreen(): void {
  const change =
    document.fullscreenElement === null
      ? document.documentElement.requestFullscreen()
      : document.exitFullscreen();
  // A browser that refuses leaves the page as it is.
  change.catch(() => {});
}

customElements.define('display-page', DisplayPage);
