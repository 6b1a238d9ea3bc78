/** Shows who follows a timer, and which displays do not show its last change yet. */
import { css, html, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Timer } from '../../client/messages.js';
import type { Api } from './api.js';
import { ConsoleDialog } from './console-dialog.js';
import { boundText, counted } from './figures.js';
import { LastingStream } from './lasting-stream.js';
import { type Display, type Displays, displaysSchema, parseMessage } from './messages.js';
import { controls, dialogStyles } from './styles.js';

const TRANSPORTS: Record<string, string> = { websocket: 'WebSocket', sse: 'Event stream' };

export class DisplaysDialog extends ConsoleDialog {
  static override properties = {
    timer: { attribute: false },
    api: { attribute: false },
    displays: { state: true },
    isInterrupted: { state: true },
  };
  static override styles = [
    controls,
    dialogStyles,
    css`
      dialog {
        width: min(48rem, calc(100vw - 1.5rem));
      }
      .scroll {
        overflow: auto;
        max-height: 60dvh;
      }
      table {
        width: 100%;
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 0.45rem 0.6rem;
        border-bottom: 1px solid var(--line);
        text-align: start;
      }
      th {
        color: var(--muted);
        font-size: 0.85rem;
      }
      .stale {
        color: var(--warning);
        font-weight: 600;
      }
      .current {
        color: var(--good);
      }
    `,
  ];

  declare timer: Timer;
  declare api: Api;
  /** How long the service is silent at the most. */
  declare keepaliveSeconds: number;
  declare displays: Displays | undefined;
  declare isInterrupted: boolean;

  #stream: LastingStream | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.isInterrupted = false;
    this.#stream = new LastingStream({
      api: this.api,
      path: `/timers/${encodeURIComponent(this.timer.id)}/displays/events`,
      onMessage: (text) => this.#hear(text),
      onLost: () => {
        this.isInterrupted = true;
      },
    });
    this.#stream.connect();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stream?.close();
  }

  #hear(text: string): void {
    this.#stream?.learn(this.keepaliveSeconds);
    this.#stream?.settle();
    this.isInterrupted = false;
    this.displays = parseMessage(displaysSchema, text) ?? this.displays;
  }

  protected override heading(): string {
    return `Displays of ${this.timer.name}`;
  }

  protected override content(): TemplateResult {
    const { displays } = this;
    return html`
      <p role="alert" class=${this.isInterrupted ? 'problem' : 'blank'}>
        ${this.isInterrupted ? 'The connection is interrupted; this may not be the present state.' : ''}
      </p>
      ${displays === undefined ? html`<p>Asking the service…</p>` : this.#table(displays)}
    `;
  }

  #table(displays: Displays): TemplateResult {
    if (displays.connected === 0) {
      return html`<p>No display follows this timer. Open its link on the devices that are to show it.</p>`;
    }
    const sorted = displays.displays.toSorted(
      (a, b) => Number(a.is_current) - Number(b.is_current) || nameOf(a).localeCompare(nameOf(b)),
    );
    return html`
      <p>${summaryOf(displays)}</p>
      <div class="scroll" tabindex="0" role="region" aria-label="List of displays">
        <table>
          <thead>
            <tr>
              <th scope="col">Display</th>
              <th scope="col">Shows</th>
              <th scope="col">Off by at most</th>
              <th scope="col">Connected by</th>
            </tr>
          </thead>
          <tbody>
            ${repeat(
              sorted,
              ({ display_id }) => display_id,
              (display) => rowOf(display, displays.revision),
            )}
          </tbody>
        </table>
      </div>
    `;
  }
}

function summaryOf({ connected, current, worst_error_bound_ms }: Displays): string {
  const worst = worst_error_bound_ms === null ? '' : `, within ${boundText(worst_error_bound_ms)}`;
  return `${current} of ${counted(connected, 'display')} show the last change${worst}.`;
}

function rowOf(display: Display, revision: number): TemplateResult {
  const { error_bound_ms, is_current, transport } = display;
  const told =
    display.revision === null ? 'Has not said' : `Change ${display.revision} of ${revision}`;
  return html`
    <tr>
      <th scope="row">${nameOf(display)}</th>
      <td class=${is_current ? 'current' : 'stale'}>${is_current ? 'Up to date' : told}</td>
      <td>${error_bound_ms === null ? 'Unknown' : boundText(error_bound_ms)}</td>
      <td>${TRANSPORTS[transport] ?? transport}</td>
    </tr>
  `;
}

function nameOf({ label, display_id }: Display): string {
  return label ?? `Display ${display_id.slice(-6)}`;
}

customElements.define('displays-dialog', DisplaysDialog);
