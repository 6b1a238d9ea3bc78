/** Whether what the console shows is what the service knows. */
import { css, html, LitElement, type TemplateResult } from 'lit';
import { timeOfDay } from './figures.js';
import type { Connection } from './store.js';
import { controls } from './styles.js';

export class ConnectionState extends LitElement {
  static override properties = { connection: { attribute: false } };
  static override styles = [
    controls,
    css`
      :host {
        display: inline-flex;
        align-items: center;
        gap: 0.5rem;
      }
      .state {
        display: inline-flex;
        align-items: center;
        gap: 0.5rem;
        font-size: 0.95rem;
      }
      .state::before {
        content: '';
        width: 0.7rem;
        height: 0.7rem;
        border-radius: 50%;
        background: var(--warning);
      }
      .live::before {
        background: var(--good);
      }
      .offline {
        color: var(--critical);
        font-weight: 600;
      }
      .offline::before {
        border-radius: 0.1rem;
        background: var(--critical);
      }
    `,
  ];

  declare connection: Connection;

  protected override render(): TemplateResult {
    const { connection } = this;
    const isOffline = connection.phase === 'offline';
    return html`
      <span class="state ${connection.phase}" role="status" aria-label="Connection">${wordsOf(connection)}</span>
      ${isOffline ? html`<button type="button" @click=${this.#retry}>Try now</button>` : ''}
    `;
  }

  #retry(): void {
    this.dispatchEvent(new Event('retry', { bubbles: true, composed: true }));
  }
}

function wordsOf(connection: Connection): string {
  switch (connection.phase) {
    case 'connecting':
      return 'Connecting…';
    case 'loading':
      return 'Loading…';
    case 'live':
      return 'Live';
    case 'locked':
      return 'Signed out';
    case 'offline': {
      const { sinceMs } = connection;
      return sinceMs === undefined ? 'Offline' : `Offline since ${timeOfDay(sinceMs)}`;
    }
  }
}

customElements.define('connection-state', ConnectionState);
