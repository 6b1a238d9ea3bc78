/** The few icons of the console, drawn with the colour of the text beside them. */
import { svg, type TemplateResult } from 'lit';

function icon(path: string): TemplateResult {
  return svg`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor"
    stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=${path} /></svg>`;
}

export const ICONS = {
  start: icon('M7 4.5v15l12-7.5z'),
  pause: icon('M8 5v14M16 5v14'),
  stop: icon('M6 6h12v12H6z'),
  remove: icon('M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5'),
  share: icon('M9 15l6-6M10 6l2-2a5 5 0 0 1 7 7l-2 2M14 18l-2 2a5 5 0 0 1-7-7l2-2'),
  close: icon('M6 6l12 12M18 6L6 18'),
  add: icon('M12 5v14M5 12h14'),
  list: icon('M4 6h1M9 6h11M4 12h1M9 12h11M4 18h1M9 18h11'),
  screen: icon('M3 5h18v11H3zM8 20h8M12 16v4'),
  warning: icon('M12 4l9 16H3zM12 10v4M12 17v.01'),
} as const;
