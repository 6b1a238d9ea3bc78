/** How the component looks. Every colour and size is a custom property that the page may set. */
import { css } from 'lit';

export const styles = css`
  :host {
    --_color: var(--synchronized-timer-color, light-dark(#14213d, #f4f6fb));
    --_muted: var(--synchronized-timer-muted-color, light-dark(#4a5568, #b8c1d1));
    --_track: var(--synchronized-timer-track-color, light-dark(#d9dfea, #33405a));
    --_calm: var(--synchronized-timer-calm-color, light-dark(#1f6f54, #4cc38a));
    --_warning: var(--synchronized-timer-warning-color, light-dark(#9a5b00, #ffb224));
    --_urgent: var(--synchronized-timer-urgent-color, light-dark(#b3261e, #ff8077));
    --_size: var(--synchronized-timer-size, 16rem);
    --_phase: var(--_calm);
    color: var(--_color);
    color-scheme: inherit;
    display: inline-block;
    font-family: var(--synchronized-timer-font, system-ui, sans-serif);
    inline-size: var(--_size);
    line-height: 1.2;
  }

  :host([hidden]) {
    display: none;
  }

  :host([phase='warning']) {
    --_phase: var(--_warning);
  }

  :host([phase='urgent']) {
    --_phase: var(--_urgent);
  }

  .face {
    aspect-ratio: 1;
    container-type: inline-size;
    display: grid;
    inline-size: 100%;
    place-items: center;
    position: relative;
  }

  svg {
    block-size: 100%;
    inline-size: 100%;
    inset: 0;
    position: absolute;
    transform: rotate(-90deg);
  }

  circle {
    fill: none;
    stroke-width: 4;
  }

  .track {
    stroke: var(--_track);
  }

  .progress {
    stroke: var(--_phase);
    stroke-linecap: round;
    transition:
      stroke-dashoffset 0.3s ease-out,
      stroke 0.3s;
  }

  .progress.empty {
    stroke: transparent;
  }

  .digits {
    font-size: 25cqi;
    font-variant-numeric: tabular-nums;
    font-weight: 600;
    letter-spacing: -0.02em;
  }

  .digits.long {
    font-size: 18.5cqi;
  }

  :host([phase='warning']) .digits,
  :host([phase='urgent']) .digits {
    color: var(--_phase);
  }

  .words {
    inset-block-start: 66%;
    inset-inline: 12%;
    position: absolute;
    text-align: center;
  }

  .state {
    font-size: 6.5cqi;
    font-weight: 600;
    min-block-size: 1.2em;
  }

  .sync {
    color: var(--_muted);
    font-size: 4.6cqi;
  }

  :host([unverified]) .digits {
    opacity: 0.75;
  }

  :host([unverified]) .state {
    font-size: 5cqi;
  }

  .announcer {
    block-size: 1px;
    clip-path: inset(50%);
    inline-size: 1px;
    overflow: hidden;
    position: absolute;
    white-space: nowrap;
  }

  @media (prefers-reduced-motion: reduce) {
    .progress {
      transition: none;
    }
  }
`;
