/** Asks by how much one timer or several are to be extended. */
import { html, nothing, type TemplateResult } from 'lit';
import { ConsoleDialog } from './console-dialog.js';
import type { Reason } from './reason.js';
import './reason-fields.js';
import { controls, dialogStyles } from './styles.js';

export class ExtendDialog extends ConsoleDialog {
  static override properties = {
    subject: { attribute: false },
    onExtend: { attribute: false },
    reason: { attribute: false },
    problem: { state: true },
  };
  static override styles = [controls, dialogStyles];

  /** A timer's name, or how many there are. */
  declare subject: string;
  /** Gives the words for why it failed. */
  declare onExtend: (seconds: number) => Promise<string | undefined>;
  declare reason: Reason | undefined;
  declare problem: string | undefined;

  protected override heading(): string {
    return `Extend ${this.subject}`;
  }

  protected override content(): TemplateResult {
    return html`
      <form @submit=${this.#submit} novalidate>
        <div class="row">
          <label><span class="label">Minutes</span>
            <input class="short" name="minutes" type="number" min="0" max="1440" value="10" autofocus
              aria-describedby="problem" />
          </label>
          <label><span class="label">Seconds</span>
            <input class="short" name="seconds" type="number" min="0" max="59" value="0"
              aria-describedby="problem" />
          </label>
        </div>
        <reason-fields .reason=${this.reason}></reason-fields>
        <p id="problem" role="alert" class=${this.problem === undefined ? 'blank' : 'problem'}>
          ${this.problem ?? nothing}
        </p>
        <div class="buttons">
          <button type="button" @click=${this.close}>Cancel</button>
          <button class="primary" type="submit">Extend</button>
        </div>
      </form>
    `;
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!(event.target instanceof HTMLFormElement)) return;
    const data = new FormData(event.target);
    const seconds = Number(data.get('minutes')) * 60 + Number(data.get('seconds'));
    if (!Number.isInteger(seconds) || seconds < 1) {
      this.problem = 'Say how many whole minutes and seconds to add, at least one second.';
      return;
    }
    this.problem = await this.onExtend(seconds);
    if (this.problem === undefined) this.close();
  }
}

customElements.define('extend-dialog', ExtendDialog);
