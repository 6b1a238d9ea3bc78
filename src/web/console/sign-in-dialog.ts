/** Asks for a key or token, before everything else on the page, which stays as it is below. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { ConsoleDialog } from './console-dialog.js';
import { controls, dialogStyles } from './styles.js';

export class SignInDialog extends ConsoleDialog {
  static override properties = {
    words: { attribute: false },
    onSignIn: { attribute: false },
    problem: { state: true },
    isAsking: { state: true },
  };
  static override styles = [
    controls,
    dialogStyles,
    css`
      input[type='password'] {
        width: 100%;
      }
      .keep {
        display: flex;
        gap: 0.6rem;
        align-items: center;
      }
    `,
  ];

  /** Why the credential before was not taken, if there was one. */
  declare words: string | undefined;
  /** Gives the words for why it failed. */
  declare onSignIn: (credential: string, isForDevice: boolean) => Promise<string | undefined>;
  declare problem: string | undefined;
  declare isAsking: boolean;

  protected override get isOptional(): boolean {
    return false;
  }

  protected override heading(): string {
    return 'Sign in to the timers';
  }

  protected override content(): TemplateResult {
    const problem = this.problem ?? this.words;
    return html`
      <form @submit=${this.#submit} novalidate>
        <label><span class="label">Key or token</span>
          <input name="credential" type="password" autocomplete="current-password" autocapitalize="none"
            spellcheck="false" autofocus aria-describedby="problem hint" />
        </label>
        <label class="keep">
          <input name="keep" type="checkbox" />
          <span>Keep me signed in on this device</span>
        </label>
        <p id="problem" role="alert" class=${problem === undefined ? 'blank' : 'problem'}>
          ${problem ?? nothing}
        </p>
        <p id="hint" class="hint">
          Whoever runs the service gives you a key, which begins with <code>sts_</code>, or a token of your
          organization. Without the tick above, this window forgets it when it is closed.
        </p>
        <div class="buttons">
          <button class="primary" type="submit" aria-busy=${this.isAsking ? 'true' : 'false'}>Sign in</button>
        </div>
      </form>
    `;
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!(event.target instanceof HTMLFormElement) || this.isAsking) return;
    const data = new FormData(event.target);
    const credential = String(data.get('credential') ?? '');
    if (credential.trim() === '') {
      this.problem = 'Paste your key or token into the field.';
      return;
    }
    this.isAsking = true;
    this.problem = await this.onSignIn(credential, data.get('keep') !== null);
    this.isAsking = false;
  }
}

customElements.define('sign-in-dialog', SignInDialog);
