/** How a row of the list looks: one line on a wide screen, two beside the feed, three on a phone. */
import { css } from 'lit';

export const rowStyles = css`
  :host {
    display: block;
    /* Rows out of sight cost no layout, so a thousand of them scroll like ten. */
    content-visibility: auto;
    contain-intrinsic-block-size: auto 4.25rem;
    border-bottom: 1px solid var(--line);
  }
  .row {
    display: grid;
    grid-template-columns: auto minmax(7rem, 1.2fr) minmax(8rem, 11rem) minmax(9rem, 12rem) 22.5rem;
    grid-template-areas: 'select who time displays actions';
    align-items: center;
    gap: 0.35rem 1rem;
    padding: 0.55rem 1rem;
    --mood: var(--accent);
  }
  .row.warning {
    --mood: var(--warning);
    background: var(--warning-tint);
  }
  .row.urgent {
    --mood: var(--critical);
    background: var(--critical-tint);
  }
  .row.over {
    --mood: var(--critical);
  }
  .row.still {
    --mood: var(--muted);
  }
  .row.selected {
    box-shadow: inset 4px 0 var(--accent);
  }
  .row.selected:is(.calm, .still, .over) {
    background: var(--accent-tint);
  }
  .row[aria-busy='true'] .actions {
    opacity: 0.5;
  }
  .select {
    grid-area: select;
    display: grid;
    place-items: center;
    width: 2.25rem;
    height: 2.25rem;
    margin-inline: -0.5rem;
    cursor: pointer;
    user-select: none;
  }
  .who {
    grid-area: who;
    min-width: 0;
  }
  button.name {
    display: block;
    max-width: 100%;
    min-height: 0;
    padding: 0;
    border: 0;
    font-weight: 650;
    text-align: start;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  button.name:hover {
    background: transparent;
    text-decoration: underline;
  }
  .state {
    color: var(--muted);
    font-size: 0.85rem;
  }
  .warning .state,
  .urgent .state,
  .over .state {
    color: var(--mood);
    font-weight: 600;
  }
  .time {
    grid-area: time;
    display: grid;
    gap: 0.2rem;
  }
  .digits {
    font-size: 1.5rem;
    font-weight: 650;
    line-height: 1.15;
    font-variant-numeric: tabular-nums;
    letter-spacing: -0.01em;
  }
  .still .digits {
    color: var(--muted);
  }
  .warning .digits,
  .urgent .digits,
  .over .digits {
    color: var(--mood);
  }
  progress {
    appearance: none;
    width: 100%;
    height: 0.3rem;
    border: 0;
    border-radius: 1rem;
    overflow: hidden;
    background: color-mix(in srgb, var(--control-line) 45%, transparent);
  }
  progress::-webkit-progress-bar {
    background: transparent;
  }
  progress::-webkit-progress-value {
    background: var(--mood);
  }
  progress::-moz-progress-bar {
    background: var(--mood);
  }
  .displays {
    grid-area: displays;
    justify-content: start;
    justify-self: start;
    max-width: 100%;
    font-size: 0.85rem;
    line-height: 1.25;
    text-align: start;
    white-space: normal;
  }
  button.displays {
    margin-inline: -0.5rem;
    padding-inline: 0.5rem;
    font-weight: 500;
  }
  .displays small {
    display: block;
    color: var(--muted);
    font-size: 0.8rem;
  }
  .displays.none {
    color: var(--muted);
  }
  .displays.current .icon {
    color: var(--good);
  }
  .displays.stale {
    color: var(--warning);
    font-weight: 650;
  }
  .actions {
    grid-area: actions;
    display: flex;
    justify-content: end;
    align-items: center;
    gap: 0.25rem;
  }
  .main {
    min-width: 6.6rem;
    margin-inline-end: 0.25rem;
  }
  .problem {
    grid-column: 2 / -1;
    display: flex;
    align-items: center;
    gap: 0.5rem;
    margin: 0;
    color: var(--critical);
    font-size: 0.9rem;
  }
  .problem button {
    min-width: 1.75rem;
    min-height: 1.75rem;
    padding: 0;
  }

  @media (forced-colors: active) {
    progress {
      appearance: auto;
    }
  }
  @container list (width < 62rem) {
    .row {
      grid-template-columns: auto 1fr 14rem minmax(7rem, auto);
      grid-template-areas:
        'select who displays time'
        '. actions actions actions';
    }
    .actions {
      justify-content: start;
      flex-wrap: wrap;
    }
  }
  @container list (width < 40rem) {
    .row {
      grid-template-columns: auto 1fr minmax(7rem, auto);
      grid-template-areas:
        'select who time'
        '. displays displays'
        '. actions actions';
    }
  }
  @container list (width < 30rem) {
    .row {
      grid-template-areas:
        'select who time'
        'displays displays displays'
        'actions actions actions';
      padding-inline: 0.75rem;
    }
    .actions {
      gap: 0.1rem;
      font-size: 0.9rem;
    }
    .main {
      min-width: 0;
      flex: 1 0 auto;
      padding-inline: 0.4rem;
    }
    .main svg {
      display: none;
    }
    .extensions button {
      min-width: 2rem;
      padding-inline: 0.2rem;
    }
    button.icon {
      min-width: 2rem;
    }
  }
`;
