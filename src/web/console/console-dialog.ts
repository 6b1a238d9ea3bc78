/**
 * What all dialogs share. A dialog is rendered when it is wanted, opens itself, and says when it was closed,
 * by a button, Escape or a click beside it; the focus then goes back to where it was.
 */
import { html, LitElement, type TemplateResult } from 'lit';
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
      <dialog aria-labelledby="heading" @close=${this.#onClose} @click=${this.#onClick}>
        <div class="body">
          <div class="head">
            <h2 id="heading">${this.heading()}</h2>
            <button class="quiet icon" type="button" aria-label="Close" @click=${this.close}>
              ${ICONS.close}
            </button>
          </div>
          ${this.content()}
        </div>
      </dialog>
    `;
  }

  #onClose(): void {
    this.dispatchEvent(new DialogClosedEvent());
  }

  /** The backdrop belongs to the dialog itself, everything else is inside of it. */
  #onClick(event: Event): void {
    if (event.target === event.currentTarget) this.close();
  }
}
