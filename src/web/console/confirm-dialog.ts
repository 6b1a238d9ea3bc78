/** Asks before something that cannot be undone. */
import { html, type TemplateResult } from 'lit';
import { ConsoleDialog } from './console-dialog.js';
import type { Reason } from './reason.js';
import './reason-fields.js';
import { controls, dialogStyles } from './styles.js';

export interface Question {
  readonly heading: string;
  readonly text: string;
  /** The words of the button that does it. */
  readonly verb: string;
  readonly onConfirmed: () => void;
}

export class ConfirmDialog extends ConsoleDialog {
  static override properties = { question: { attribute: false }, reason: { attribute: false } };
  static override styles = [controls, dialogStyles];

  declare question: Question;
  declare reason: Reason | undefined;

  protected override heading(): string {
    return this.question.heading;
  }

  protected override content(): TemplateResult {
    return html`
      <p>${this.question.text}</p>
      <reason-fields .reason=${this.reason}></reason-fields>
      <div class="buttons">
        <button type="button" autofocus @click=${this.close}>Cancel</button>
        <button class="danger" type="button" @click=${this.#confirm}>${this.question.verb}</button>
      </div>
    `;
  }

  #confirm(): void {
    this.close();
    this.question.onConfirmed();
  }
}

customElements.define('confirm-dialog', ConfirmDialog);
