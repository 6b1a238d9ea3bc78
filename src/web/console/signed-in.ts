/** Says who is signed in, and lets them sign out. */
import { css, html, LitElement, type TemplateResult } from 'lit';
import { dateAndTime } from './figures.js';
import type { Caller } from './messages.js';
import { nameOf, roleOf } from './people.js';
import { controls } from './styles.js';

export class SignedIn extends LitElement {
  static override properties = { caller: { attribute: false } };
  static override styles = [
    controls,
    css`
      :host {
        display: inline-flex;
        align-items: center;
        gap: 0.5rem;
        min-width: 0;
        font-size: 0.95rem;
      }
      .who {
        overflow: hidden;
        max-width: 16rem;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .role {
        color: var(--muted);
      }
      @media (width < 40rem) {
        .who {
          max-width: 7rem;
        }
        .role {
          display: none;
        }
      }
    `,
  ];

  declare caller: Caller;

  protected override render(): TemplateResult {
    const { caller } = this;
    const { expires_at } = caller;
    const until = expires_at === null ? '' : `, until ${dateAndTime(Date.parse(expires_at))}`;
    return html`
      <span class="who" title="Signed in as ${nameOf(caller)}${until}">
        <span class="hidden">Signed in as</span>
        ${nameOf(caller)} <span class="role">${roleOf(caller)}</span>
      </span>
      <button class="quiet" type="button" @click=${this.#signOut}>Sign out</button>
    `;
  }

  #signOut(): void {
    this.dispatchEvent(new Event('sign-out', { bubbles: true, composed: true }));
  }
}

customElements.define('signed-in', SignedIn);
