/** Tells the story of a timer: everything that ever happened to it, by whom and why. */
import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type { Timer } from '../../client/messages.js';
import { wordsOf } from './actions.js';
import { ConsoleDialog } from './console-dialog.js';
import { dateAndTime } from './figures.js';
import type { HistoryItem } from './messages.js';
import { controls, dialogStyles, storyStyles } from './styles.js';

export class DetailsDialog extends ConsoleDialog {
  static override properties = {
    timer: { attribute: false },
    onLoad: { attribute: false },
    history: { state: true },
    problem: { state: true },
  };
  static override styles = [
    controls,
    dialogStyles,
    storyStyles,
    css`
      dialog {
        width: min(44rem, calc(100vw - 1.5rem));
      }
      .scroll {
        overflow: auto;
        max-height: 60dvh;
      }
      ol {
        padding: 0;
      }
      li {
        gap: 1rem;
        padding: 0.45rem 0;
      }
    `,
  ];

  declare timer: Timer;
  declare onLoad: (timerId: string) => Promise<readonly HistoryItem[]>;
  declare history: readonly HistoryItem[] | undefined;
  declare problem: string | undefined;

  #revision = 0;

  /** Each change of the timer adds to its story. */
  protected override willUpdate(changed: PropertyValues<this>): void {
    super.willUpdate(changed);
    if (this.timer.revision !== this.#revision) void this.#load();
  }

  protected override heading(): string {
    return this.timer.name;
  }

  protected override content(): TemplateResult {
    return html`
      <p role="alert" class=${this.problem === undefined ? 'blank' : 'problem'}>${this.problem ?? nothing}</p>
      ${this.history === undefined ? html`<p>Asking the service…</p>` : storyOf(this.history)}
    `;
  }

  async #load(): Promise<void> {
    const { id, revision } = this.timer;
    this.#revision = revision;
    try {
      const history = await this.onLoad(id);
      if (revision !== this.#revision) return;
      this.history = history;
      this.problem = undefined;
    } catch (error) {
      this.problem = wordsOf(error);
    }
  }
}

function storyOf(history: readonly HistoryItem[]): TemplateResult {
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label="What happened">
      <ol>
        ${history.map(
          ({ at, summary }) => html`
            <li><time datetime=${at}>${dateAndTime(Date.parse(at))}</time><span>${summary}</span></li>
          `,
        )}
      </ol>
    </div>
  `;
}

customElements.define('details-dialog', DetailsDialog);
