/** Styles that several components of the console share. Colours come from theme.css. */
import { css } from 'lit';

export const controls = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  button,
  input,
  select {
    font: inherit;
    color: inherit;
  }
  button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.4em;
    min-height: 2.25rem;
    padding: 0.25rem 0.75rem;
    border: 1px solid var(--control-line);
    border-radius: var(--radius);
    background: var(--surface);
    font-weight: 550;
    white-space: nowrap;
    cursor: pointer;
  }
  button:hover:not(:disabled) {
    background: var(--raised);
  }
  button:disabled {
    opacity: 0.5;
    cursor: default;
  }
  button.primary {
    background: var(--accent);
    border-color: var(--accent);
    color: var(--on-accent);
  }
  button.primary:hover:not(:disabled) {
    background: color-mix(in srgb, var(--accent) 88%, var(--text));
  }
  button.danger {
    background: var(--critical);
    border-color: var(--critical);
    color: var(--on-critical);
  }
  button.danger:hover:not(:disabled) {
    background: color-mix(in srgb, var(--critical) 88%, var(--text));
  }
  button.quiet {
    border-color: transparent;
    background: transparent;
  }
  button.icon {
    padding: 0.25rem;
    min-width: 2.25rem;
  }
  input:not([type='checkbox'], [type='radio']),
  select {
    min-height: 2.25rem;
    padding: 0.25rem 0.6rem;
    border: 1px solid var(--control-line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  ::placeholder {
    color: var(--muted);
    opacity: 1;
  }
  input[type='checkbox'],
  input[type='radio'] {
    width: 1.15rem;
    height: 1.15rem;
    margin: 0;
    accent-color: var(--accent);
  }
  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
  svg.icon {
    width: 1.15em;
    height: 1.15em;
    flex: none;
  }
  .hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  [hidden] {
    display: none !important;
  }
`;

/** What happened, one line each, behind the time of day. */
export const storyStyles = css`
  ol {
    margin: 0;
    list-style: none;
  }
  li {
    display: grid;
    grid-template-columns: auto 1fr;
    border-top: 1px solid var(--line);
    overflow-wrap: anywhere;
  }
  time {
    color: var(--muted);
    font-variant-numeric: tabular-nums;
  }
`;

export const dialogStyles = css`
  form:not(.row) {
    display: grid;
    gap: 1.1rem;
  }
  dialog {
    width: min(36rem, calc(100vw - 1.5rem));
    max-height: calc(100dvh - 2rem);
    padding: 0;
    border: 1px solid var(--line);
    border-radius: 0.75rem;
    background: var(--surface);
    color: var(--text);
    box-shadow: var(--shadow);
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 0.5);
  }
  .body {
    display: grid;
    gap: 1.1rem;
    padding: 1.25rem;
  }
  .head {
    display: flex;
    align-items: start;
    justify-content: space-between;
    gap: 1rem;
  }
  h2 {
    margin: 0;
    font-size: 1.25rem;
    line-height: 1.3;
    overflow-wrap: anywhere;
  }
  p {
    margin: 0;
  }
  fieldset {
    margin: 0;
    padding: 0;
    border: 0;
    min-width: 0;
  }
  legend,
  .label {
    display: block;
    margin-bottom: 0.35rem;
    padding: 0;
    font-weight: 600;
  }
  .hint {
    color: var(--muted);
    font-size: 0.9rem;
  }
  /* A live region must be there before it speaks, but it takes no room. */
  .blank {
    position: absolute;
  }
  .problem {
    padding: 0.6rem 0.75rem;
    border-radius: var(--radius);
    background: var(--critical-tint);
    color: var(--critical);
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    justify-content: flex-end;
    gap: 0.6rem;
  }
  .chip {
    display: inline-flex;
    align-items: center;
    gap: 0.4rem;
    min-height: 2.25rem;
    padding: 0.25rem 0.7rem;
    border: 1px solid var(--control-line);
    border-radius: 2rem;
    cursor: pointer;
  }
  .chip:has(:checked) {
    border-color: var(--accent);
    background: var(--accent-tint);
  }
  a {
    color: var(--accent);
  }
  .short {
    width: 6rem;
  }
`;
