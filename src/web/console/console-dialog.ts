/**
 * What all dialogs share. A dialog is rendered when it is wanted, opens itself, and says when it was closed,
 * by a button, Escape or a click beside it; the focus then goes back to where it was.
 */
import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ICONS } from './icons.js';

export class DialogClosedEvent extends Event {
  constructor() {
    super('dialog-closed', { bubbles: true, composed: true });
  }
}

export abstract class ConsoleDialog extends LitElement {
  /** What the dialog is about; its accessible name. */
  protected abstract heading(): string;
  protected abstract content(): TemplateResult;

  /** Whether people may close it without an answer. */
  protected get isOptional(): boolean {
    return true;
  }

  protected override firstUpdated(): void {
    this.#dialog?.showModal();
  }

  close(): void {
    this.#dialog?.close();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  protected override render(): TemplateResult {
    return html`
      <dialog aria-labelledby="heading" @cancel=${this.#onCancel} @close=${this.#onClose}
        @click=${this.#onClick}>
        <div class="body">
          <div class="head">
            <h2 id="heading">${this.heading()}</h2>
            ${this.isOptional ? this.#closeButton() : nothing}
          </div>
          ${this.content()}
        </div>
      </dialog>
    `;
  }

  #closeButton(): TemplateResult {
    return html`
      <button class="quiet icon" type="button" aria-label="Close" @click=${this.close}>
        ${ICONS.close}
      </button>
    `;
  }

  #onCancel(event: Event): void {
    if (!this.isOptional) event.preventDefault();
  }

  /** Browsers close every dialog when somebody insists. */
  #onClose(): void {
    if (!this.isOptional) {
      this.#dialog?.showModal();
      return;
    }
    this.dispatchEvent(new DialogClosedEvent());
  }

  /** The backdrop belongs to the dialog itself, everything else is inside of it. */
  #onClick(event: Event): void {
    if (this.isOptional && event.target === event.currentTarget) this.close();
  }
}
