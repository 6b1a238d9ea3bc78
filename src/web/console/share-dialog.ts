/** Shows where a timer's display is: as a link, and as a code for the camera of a phone or tablet. */
import { css, html, nothing, svg, type TemplateResult } from 'lit';
import { encode } from 'uqr';
import type { Timer } from '../../client/messages.js';
import { wordsOf } from './actions.js';
import { ConsoleDialog } from './console-dialog.js';
import { dateAndTime } from './figures.js';
import { controls, dialogStyles } from './styles.js';

const LONG_LINK = 200;
const LOCAL_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** Where a display is found, and until when. */
export interface DisplayLink {
  readonly url: string;
  /** Undefined for a link that always leads there. */
  readonly expiresAtMs: number | undefined;
}

export class ShareDialog extends ConsoleDialog {
  static override properties = {
    timer: { attribute: false },
    onShare: { attribute: false },
    link: { state: true },
    result: { state: true },
    problem: { state: true },
  };
  static override styles = [
    controls,
    dialogStyles,
    css`
      .link {
        flex: 1 1 14rem;
        min-width: 0;
      }
      .code {
        display: block;
        width: min(100%, 18rem);
        margin: 0 auto;
        border-radius: var(--radius);
        background: #fff;
        color: #000;
      }
      .code.large {
        width: min(100%, 24rem, 60dvh);
      }
      label input {
        width: 100%;
      }
    `,
  ];

  declare timer: Timer;
  /** Makes the link of a display with a label, which may be empty. */
  declare onShare: (timerId: string, label: string) => Promise<DisplayLink>;
  declare link: DisplayLink | undefined;
  declare result: string | undefined;
  declare problem: string | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#share('');
  }

  protected override heading(): string {
    return `Display of ${this.timer.name}`;
  }

  protected override content(): TemplateResult {
    const { link, problem } = this;
    return html`
      <form class="row" @submit=${this.#submit} @change=${this.#relabel}>
        <label class="link"><span class="label">Label of this display</span>
          <input name="label" maxlength="100" placeholder="Such as Seat 14, if you like" />
        </label>
      </form>
      <p role="alert" class=${problem === undefined ? 'blank' : 'problem'}>${problem ?? nothing}</p>
      ${link === undefined ? html`<p>${problem === undefined ? 'Making a link…' : nothing}</p>` : this.#shown(link)}
    `;
  }

  #shown({ url, expiresAtMs }: DisplayLink): TemplateResult {
    const isLocal = LOCAL_HOSTS.includes(location.hostname);
    return html`
      <div class="row">
        <input class="link" readonly aria-label="Link to the display" .value=${url} />
        <button class="primary" type="button" autofocus @click=${() => this.#copy(url)}>
          Copy link
        </button>
        <a href=${url} target="_blank">Open</a>
      </div>
      <p role="status" class=${this.result === undefined ? 'blank' : 'hint'}>${this.result ?? nothing}</p>
      ${codeOf(url, this.timer.name)}
      <p class="hint">
        ${expiresAtMs === undefined ? nothing : `Whoever has this link sees this timer until ${dateAndTime(expiresAtMs)}, and can change nothing.`}
        ${
          isLocal
            ? 'This link works on this computer only. For other devices, open the console under the name or address of this computer in your network.'
            : 'Scan the code with the device that is to show the timer.'
        }
      </p>
    `;
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
  }

  #relabel({ target }: Event): void {
    if (target instanceof HTMLInputElement) void this.#share(target.value.trim());
  }

  async #share(label: string): Promise<void> {
    try {
      this.link = await this.onShare(this.timer.id, label);
      this.problem = undefined;
    } catch (error) {
      this.link = undefined;
      this.problem = `There is no link. ${wordsOf(error)}`;
    }
    this.result = undefined;
  }

  /** Pages that came without encryption may not use the clipboard; the old way still works there. */
  async #copy(url: string): Promise<void> {
    const input = this.renderRoot.querySelector('input.link');
    try {
      await navigator.clipboard.writeText(url);
      this.result = 'The link was copied.';
    } catch {
      if (input instanceof HTMLInputElement) input.select();
      const isCopied = document.execCommand('copy');
      this.result = isCopied
        ? 'The link was copied.'
        : 'Copy the selected link with your keyboard.';
    }
  }
}

/** One path for all dark squares: `h1` to the right, `v1` down, back. */
function codeOf(url: string, name: string): TemplateResult {
  // A token makes a long link: its squares are not to become too small for a camera.
  const isLong = url.length > LONG_LINK;
  const { data, size } = encode(url, { ecc: isLong ? 'L' : 'M', border: 3 });
  const squares = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])),
  );
  return html`
    <svg class="code ${isLong ? 'large' : ''}" viewBox="0 0 ${size} ${size}" role="img"
      aria-label="QR code of the link to the display of ${name}" shape-rendering="crispEdges">
      ${svg`<path fill="currentColor" d=${squares.join('')} />`}
    </svg>
  `;
}

customElements.define('share-dialog', ShareDialog);
