/** Shows where a timer's display is: as a link, and as a code for the camera of a phone or tablet. */
import { css, html, nothing, svg, type TemplateResult } from 'lit';
import { encode } from 'uqr';
import type { Timer } from '../../client/messages.js';
import { displayUrl } from './api.js';
import { ConsoleDialog } from './console-dialog.js';
import { controls, dialogStyles } from './styles.js';

const LOCAL_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

export class ShareDialog extends ConsoleDialog {
  static override properties = { timer: { attribute: false }, result: { state: true } };
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
    `,
  ];

  declare timer: Timer;
  declare result: string | undefined;

  protected override heading(): string {
    return `Display of ${this.timer.name}`;
  }

  protected override content(): TemplateResult {
    const url = displayUrl(location.origin, this.timer.id);
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
        ${
          isLocal
            ? 'This link works on this computer only. For other devices, open the console under the name or address of this computer in your network.'
            : 'Scan the code with the device that is to show the timer.'
        }
      </p>
    `;
  }

  /** Pages that came without encryption may not use the clipboard; the old way still works there. */
  async #copy(url: string): Promise<void> {
    const input = this.renderRoot.querySelector('input');
    try {
      await navigator.clipboard.writeText(url);
      this.result = 'The link was copied.';
    } catch {
      input?.select();
      const isCopied = document.execCommand('copy');
      this.result = isCopied
        ? 'The link was copied.'
        : 'Copy the selected link with your keyboard.';
    }
  }
}

/** One path for all dark squares: `h1` to the right, `v1` down, back. */
function codeOf(url: string, name: string): TemplateResult {
  const { data, size } = encode(url, { ecc: 'M', border: 3 });
  const squares = data.flatMap((row, y) =>
    row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])),
  );
  return html`
    <svg class="code" viewBox="0 0 ${size} ${size}" role="img"
      aria-label="QR code of the link to the display of ${name}" shape-rendering="crispEdges">
      ${svg`<path fill="currentColor" d=${squares.join('')} />`}
    </svg>
  `;
}

customElements.define('share-dialog', ShareDialog);
