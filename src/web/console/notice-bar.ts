/** Tells how an action went, to eyes and to screen readers, and how far a long one is. */
import { css, html, LitElement, type PropertyValues, type TemplateResult } from 'lit';
import { ICONS } from './icons.js';
import type { Notice, Progress } from './store.js';
import { controls } from './styles.js';

/** What went well needs no answer; what failed stays until it is closed. */
const SHOWN_MS = 6000;

export class NoticeBar extends LitElement {
  static override properties = { notice: { attribute: false }, progress: { attribute: false } };
  static override styles = [
    controls,
    css`
      :host {
        position: fixed;
        inset: auto 1rem 1rem;
        z-index: 3;
        display: grid;
        justify-items: center;
        gap: 0.5rem;
        pointer-events: none;
      }
      .notice {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        max-width: 44rem;
        padding: 0.35rem 0.35rem 0.35rem 1rem;
        border-radius: var(--radius);
        background: var(--text);
        color: var(--page);
        box-shadow: var(--shadow);
        pointer-events: auto;
      }
      .notice.failed {
        background: var(--critical);
        color: var(--on-critical);
      }
      .notice button:hover:not(:disabled) {
        background: rgb(127 127 127 / 0.35);
      }
      .notice :focus-visible {
        outline-color: currentColor;
        outline-offset: -3px;
      }
      .progress {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        padding: 0.75rem 1rem;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--surface);
        box-shadow: var(--shadow);
        font-variant-numeric: tabular-nums;
      }
      progress {
        width: 10rem;
        accent-color: var(--accent);
      }
    `,
  ];

  declare notice: Notice | undefined;
  declare progress: Progress | undefined;

  #timeout: ReturnType<typeof setTimeout> | undefined;

  protected override updated(changed: PropertyValues<this>): void {
    if (!changed.has('notice')) return;
    clearTimeout(this.#timeout);
    if (this.notice?.kind === 'done') this.#timeout = setTimeout(() => this.#dismiss(), SHOWN_MS);
  }

  protected override render(): TemplateResult {
    const { notice } = this;
    return html`
      ${this.progress === undefined ? '' : progressOf(this.progress)}
      <div role="status">${notice?.kind === 'done' ? this.#notice(notice) : ''}</div>
      <div role="alert">${notice?.kind === 'failed' ? this.#notice(notice) : ''}</div>
    `;
  }

  #notice({ kind, text }: Notice): TemplateResult {
    return html`
      <div class="notice ${kind}">
        <span>${text}</span>
        <button class="quiet icon" type="button" aria-label="Close message" @click=${this.#dismiss}>
          ${ICONS.close}
        </button>
      </div>
    `;
  }

  #dismiss(): void {
    this.dispatchEvent(new Event('dismiss', { bubbles: true, composed: true }));
  }
}

function progressOf({ text, done, total }: Progress): TemplateResult {
  return html`
    <div class="progress">
      <span>${text}: ${done} of ${total}</span>
      <progress aria-label=${text} max=${total} .value=${done}></progress>
    </div>
  `;
}

customElements.define('notice-bar', NoticeBar);
