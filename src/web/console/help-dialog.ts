/** Explains the keys and the figures of the console. */
import { css, html, type TemplateResult } from 'lit';
import { ConsoleDialog } from './console-dialog.js';
import { areShortcutsOn, LIST_KEYS, SHORTCUTS, switchShortcuts } from './shortcuts.js';
import { controls, dialogStyles } from './styles.js';

export class HelpDialog extends ConsoleDialog {
  static override styles = [
    controls,
    dialogStyles,
    css`
      dl {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 0.45rem 1rem;
        margin: 0;
        align-items: baseline;
      }
      dd {
        margin: 0;
      }
      kbd {
        display: inline-block;
        padding: 0 0.45rem;
        border: 1px solid var(--control-line);
        border-radius: 0.3rem;
        background: var(--raised);
        font: inherit;
        font-size: 0.9rem;
      }
      h3 {
        margin: 0 0 0.4rem;
        font-size: 1rem;
      }
      label {
        display: flex;
        gap: 0.5rem;
        align-items: center;
      }
    `,
  ];

  protected override heading(): string {
    return 'Help';
  }

  protected override content(): TemplateResult {
    return html`
      <section>
        <h3>Keys</h3>
        <dl>
          ${[...SHORTCUTS, ...LIST_KEYS].map(
            ({ keys, words }) => html`
              <dt>${keys.map((key) => html`<kbd>${key === 'Escape' ? 'Esc' : key}</kbd> `)}</dt>
              <dd>${words}</dd>
            `,
          )}
        </dl>
      </section>
      <label>
        <input type="checkbox" .checked=${areShortcutsOn()} @change=${switchFrom} />
        <span>Use these keys (<kbd>?</kbd> works always)</span>
      </label>
      <section>
        <h3>Displays</h3>
        <p>
          Every display says which change of its timer it shows, and by how much its time may be off at
          most. “28 of 28 displays show this” means that everybody sees what you see.
        </p>
      </section>
    `;
  }
}

function switchFrom({ target }: Event): void {
  if (target instanceof HTMLInputElement) switchShortcuts(target.checked);
}

customElements.define('help-dialog', HelpDialog);
