/** The buttons that add time: the usual times with one click, and another time. */
import { css, html, type TemplateResult } from 'lit';
import type { Wish } from './wish.js';

const USUAL_MINUTES = [1, 5, 15];

/** `subject` says in words what is extended. */
export function extensionButtons(subject: string, wish: (wish: Wish) => void): TemplateResult {
  return html`
    <div class="extensions" role="group" aria-label="Extend ${subject}">
      ${USUAL_MINUTES.map((minutes) => {
        const words = `Extend by ${minutes} min`;
        const extend = (): void => wish({ what: 'extend', seconds: minutes * 60 });
        return html`
          <button type="button" title=${words} aria-label=${words} @click=${extend}>+${minutes}</button>
        `;
      })}
      <button type="button" title="Extend by another time" aria-label="Extend by another time"
        @click=${() => wish({ what: 'extend' })}>+…</button>
    </div>
  `;
}

export const extensionStyles = css`
  .extensions {
    display: flex;
  }
  .extensions button {
    min-width: 2.5rem;
    padding-inline: 0.35rem;
    border-radius: 0;
    margin-inline-start: -1px;
    font-variant-numeric: tabular-nums;
  }
  .extensions button:focus-visible {
    z-index: 1;
    position: relative;
  }
  .extensions button:first-child {
    border-start-start-radius: var(--radius);
    border-end-start-radius: var(--radius);
    margin-inline-start: 0;
  }
  .extensions button:last-child {
    border-start-end-radius: var(--radius);
    border-end-end-radius: var(--radius);
  }
`;
