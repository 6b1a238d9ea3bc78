/** The display's layout: the timer as large as the screen allows, everything else beside it. */
import { css } from 'lit';

export const displayStyles = css`
  :host {
    display: grid;
    grid-template-rows: auto 1fr auto;
    min-height: 100dvh;
    box-sizing: border-box;
    padding: clamp(0.75rem, 2vmin, 2rem);
  }
  header {
    display: flex;
    flex-wrap: wrap;
    align-items: start;
    justify-content: space-between;
    gap: 0.5rem 1.5rem;
  }
  h1 {
    margin: 0;
    min-height: 1.2em;
    font-size: clamp(1.4rem, 5vmin, 4rem);
    line-height: 1.2;
    overflow-wrap: anywhere;
  }
  main {
    display: grid;
    place-items: center;
    min-height: 0;
  }
  synchronized-timer {
    --synchronized-timer-size: min(94vw, calc(100dvh - 9rem));
  }
  footer {
    min-height: 1.4em;
    color: var(--muted);
    font-size: clamp(1rem, 3vmin, 2rem);
    text-align: center;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    margin-inline-start: auto;
  }
  button {
    min-height: 2.5rem;
    padding: 0.25rem 0.9rem;
    border: 1px solid var(--control-line);
    border-radius: var(--radius);
    background: var(--surface);
    color: var(--text);
    font: inherit;
    cursor: pointer;
  }
  button:hover {
    background: var(--raised);
  }
  button[aria-checked='true'] {
    border-color: var(--accent);
    background: var(--accent-tint);
  }
  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
`;
