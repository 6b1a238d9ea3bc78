/**
 * The colours and fonts of the drawings. They follow the reader's light or dark scheme, and name only
 * fonts that readers have, because a picture in a page may load nothing.
 */
import { METRICS } from './layout.js';

interface Palette {
  readonly card: string;
  readonly edge: string;
  readonly state: string;
  readonly border: string;
  readonly rule: string;
  readonly dashes: string;
  readonly text: string;
  readonly guard: string;
  readonly muted: string;
  readonly arrow: string;
}

const LIGHT: Palette = {
  card: '#ffffff',
  edge: '#d0d7de',
  state: '#edf3ff',
  border: '#4a6fc3',
  rule: '#c5d2ee',
  dashes: '#93a7d4',
  text: '#1f2328',
  guard: '#8a4600',
  muted: '#59636e',
  arrow: '#5b6675',
};

const DARK: Palette = {
  card: '#0d1117',
  edge: '#3d444d',
  state: '#16233d',
  border: '#6c93e8',
  rule: '#2f4675',
  dashes: '#4d679f',
  text: '#f0f6fc',
  guard: '#e3a45a',
  muted: '#9aa4af',
  arrow: '#8b96a3',
};

/** The width of the lines in pixels. */
export const STROKE = 1.3;

const FONTS =
  "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";
/** The style sheet of a drawing. */
export function styleOf(): string {
  return [
    '',
    `text{font:${METRICS.labelSize}px ${FONTS}}`,
    `.name{font-size:${METRICS.nameSize}px;font-weight:700}`,
    '.title{font-size:16px;font-weight:700}',
    '.trigger{font-weight:700}',
    `rect,path{stroke-width:${STROKE}}`,
    '.line,.inner{fill:none}',
    '.region,.any{stroke-dasharray:5 4}',
    ...coloursOf(LIGHT),
    '@media (prefers-color-scheme:dark){',
    ...coloursOf(DARK),
    '}',
    '',
  ].join('\n');
}

function coloursOf(palette: Palette): string[] {
  const { card, edge, state, border, rule, dashes, text, guard, muted, arrow } = palette;
  return [
    `text{fill:${text}}.guard{fill:${guard}}.actions{fill:${muted}}`,
    `.machine{fill:${card};stroke:${edge}}.label{fill:${card}}`,
    `.state{fill:${state};stroke:${border}}.inner{stroke:${border}}.rule{stroke:${rule}}`,
    `.region,.any{fill:${card};stroke:${dashes}}.body{fill:${card}}`,
    `.line{stroke:${arrow}}.solid{fill:${arrow}}`,
  ];
}
