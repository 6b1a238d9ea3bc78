/** Asks why something is done, which nobody has to say: a category, and then words if there is time. */
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { ICONS } from './icons.js';
import { LONGEST_REASON, REASON_CATEGORIES, type Reason } from './reason.js';
import { controls } from './styles.js';

export class ReasonEvent extends Event {
  readonly reason: Reason | undefined;

  constructor(reason: Reason | undefined) {
    super('reason', { bubbles: true, composed: true });
    this.reason = reason;
  }
}

export class ReasonFields extends LitElement {
  static override properties = { reason: { attribute: false } };
  static override styles = [
    controls,
    css`
      :host {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
      }
      .text {
        flex: 1 1 12rem;
        min-width: 0;
      }
    `,
  ];

  declare reason: Reason | undefined;

  protected override render(): TemplateResult {
    const { reason } = this;
    return html`
      <span aria-hidden="true">Reason</span>
      <select aria-label="Reason" @change=${this.#choose}>
        <option .selected=${reason === undefined}>None given</option>
        ${REASON_CATEGORIES.map(
          ([category, words]) =>
            html`<option .selected=${category === reason?.category}>${words}</option>`,
        )}
      </select>
      ${reason === undefined ? nothing : this.#text(reason)}
    `;
  }

  #text(reason: Reason): TemplateResult {
    const write = ({ target }: Event): void => {
      if (target instanceof HTMLInputElement) this.#tell({ ...reason, text: target.value });
    };
    return html`
      <input class="text" aria-label="Reason in words" placeholder="In words, if you like"
        maxlength=${LONGEST_REASON} .value=${live(reason.text)} @input=${write} />
      <button class="quiet icon" type="button" title="Give no reason" aria-label="Give no reason"
        @click=${() => this.#tell(undefined)}>${ICONS.close}</button>
    `;
  }

  #choose({ target }: Event): void {
    if (!(target instanceof HTMLSelectElement)) return;
    const [category] = REASON_CATEGORIES[target.selectedIndex - 1] ?? [];
    this.#tell(category && { category, text: this.reason?.text ?? '' });
  }

  #tell(reason: Reason | undefined): void {
    this.dispatchEvent(new ReasonEvent(reason));
  }
}

customElements.define('reason-fields', ReasonFields);
