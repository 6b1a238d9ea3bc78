/**
 * Draws a diagram as an SVG that stands alone, with no script and nothing from elsewhere. It turns a
 * diagram into text and touches nothing else.
 */
import {
  type Box,
  headerHeightOf,
  type Layout,
  METRICS,
  type PlacedArrow,
  type PlacedState,
  type Point,
} from './layout.js';
import { type Diagram, type DiagramState, type Label, partsOf } from './model.js';
import { STROKE, styleOf } from './style.js';

const MARGIN = 1;
const CORNER = 8;
const TITLE_MARGIN = 16;
/** The distance between the two borders of a final state. */
const FINAL_GAP = 3;
/** Where letters stand in a line, counted from its top in lines. */
const BASELINE = 0.74;

/** Draws a diagram whose parts have their places. */
export function svgOf(diagram: Diagram, { box, states, arrows }: Layout): string {
  const width = box.width + 2 * MARGIN;
  const height = box.height + 2 * MARGIN;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" ` +
      `viewBox="${-MARGIN} ${-MARGIN} ${round(width)} ${round(height)}" role="img">`,
    '<!-- Written by "npm run visualize" from the machine itself. -->',
    `<title>States and transitions of the ${escaped(diagram.name)} machine</title>`,
    `<style>${styleOf()}</style>`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" ' +
      'markerUnits="userSpaceOnUse" orient="auto"><path class="solid" d="M0 .5 8 4 0 7.5z"/></marker></defs>',
    ...states.map(drawState),
    ...arrows.map(drawArrow),
    ...arrows.filter(({ lines }) => lines.length > 0).map(drawLabel),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function drawState({ state, box, start }: PlacedState, index: number): string {
  const { children, description, kind, name } = state;
  const role = index === 0 ? 'machine' : roleOf(state);
  const parts = [
    description === undefined ? '' : `<title>${escaped(description)}</title>`,
    drawBox(box, role),
    role === 'state' && children.length > 0 ? drawBody(state, box) : '',
    kind === 'final' ? drawBox(shrink(box, FINAL_GAP), 'inner', CORNER - FINAL_GAP) : '',
    role === 'machine' ? drawTitle(name, box) : drawName(name, box),
    drawInside(state, box),
    start === undefined ? '' : drawStart(start),
  ];
  return `<g>${parts.join('')}</g>`;
}

function roleOf({ kind, isRegion }: DiagramState): 'any' | 'region' | 'state' {
  if (kind === 'any') return 'any';
  return isRegion ? 'region' : 'state';
}

function drawBox({ x, y, width, height }: Box, role: string, corner: number = CORNER): string {
  const size = `width="${round(width)}" height="${round(height)}"`;
  return `<rect class="${role}" x="${round(x)}" y="${round(y)}" ${size} rx="${corner}"/>`;
}

function shrink({ x, y, width, height }: Box, gap: number): Box {
  return { x: x + gap, y: y + gap, width: width - 2 * gap, height: height - 2 * gap };
}

/** The part of a state that holds other states, below the part that tells about itself. */
function drawBody(state: DiagramState, box: Box): string {
  const top = headerHeightOf(state);
  const side = round(box.height - top - CORNER);
  const bottom = round(box.width - 2 * CORNER);
  const start = pair({ x: box.x, y: box.y + top });
  const corners = [`0 0 1-${CORNER} ${CORNER}`, `0 0 1-${CORNER}-${CORNER}`];
  const arcs = corners.map((corner) => `a${CORNER} ${CORNER} ${corner}`);
  const path = `M${start}h${round(box.width)}v${side}${arcs[0]}h-${bottom}${arcs[1]}z`;
  return `<path class="body" d="${path}"/>${drawBox(box, 'inner')}`;
}

function drawName(name: string, { x, y, width }: Box): string {
  const baseline = y + METRICS.headerHeight / 2 + METRICS.nameSize * 0.36;
  return drawText(x + width / 2, baseline, 'middle', spanOf('name', name));
}

function drawTitle(name: string, { x, y }: Box): string {
  return drawText(
    x + TITLE_MARGIN,
    y + TITLE_MARGIN + METRICS.nameSize,
    'start',
    spanOf('title', name),
  );
}

function drawInside({ inside, kind }: DiagramState, { x, y, width }: Box): string {
  if (inside.length === 0) return '';
  const { headerHeight, padding } = METRICS;
  const top = y + headerHeight;
  const inset = STROKE / 2 + (kind === 'final' ? FINAL_GAP : 0);
  const rule = `M${pair({ x: x + inset, y: top })}h${round(width - 2 * inset)}`;
  const lines = drawLines(inside, x + padding, top + padding / 2, 'start');
  return `<path class="rule" d="${rule}"/>${lines}`;
}

function drawStart({ x, y }: Point): string {
  return `<circle class="solid" cx="${round(x)}" cy="${round(y)}" r="${METRICS.startRadius}"/>`;
}

function drawArrow({ points }: PlacedArrow): string {
  const steps = points.map((point, index) => drawStep(points[index - 1], point, points[index + 1]));
  return `<path class="line" marker-end="url(#head)" d="${steps.join('')}"/>`;
}

/** One point of an arrow; a bend is rounded, as far as the lines before and after it are long enough. */
function drawStep(before: Point | undefined, point: Point, after: Point | undefined): string {
  if (before === undefined) return `M${pair(point)}`;
  if (after === undefined) return `L${pair(point)}`;
  const radius = Math.min(CORNER, distance(before, point) / 2, distance(point, after) / 2);
  if (radius === 0) return `L${pair(point)}`;
  const [start, end] = [towards(point, before, radius), towards(point, after, radius)];
  return `L${pair(start)}Q${pair(point)} ${pair(end)}`;
}

function towards(from: Point, to: Point, length: number): Point {
  const share = length / distance(from, to);
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

/** The length of a line, all of which run either across or down. */
function distance(from: Point, to: Point): number {
  return Math.abs(to.x - from.x) + Math.abs(to.y - from.y);
}

/** What is written on an arrow, on a ground that hides the line below it. */
function drawLabel({ lines, box }: PlacedArrow): string {
  return drawBox(box, 'label', 0) + drawLines(lines, box.x + box.width / 2, box.y, 'middle');
}

type Anchor = 'start' | 'middle';

function drawLines(labels: readonly Label[], x: number, top: number, anchor: Anchor): string {
  const baselineOf = (index: number) => top + (index + BASELINE) * METRICS.lineHeight;
  return labels
    .map((label, index) => drawText(x, baselineOf(index), anchor, spansOf(label)))
    .join('');
}

/** A label with its parts marked by class. */
function spansOf(label: Label): string {
  return partsOf(label)
    .map(([part, text]) => spanOf(part, text))
    .join(' ');
}

function spanOf(role: string, text: string): string {
  return `<tspan class="${role}">${escaped(text)}</tspan>`;
}

function drawText(x: number, y: number, anchor: Anchor, content: string): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${content}</text>`;
}

function pair({ x, y }: Point): string {
  return `${round(x)} ${round(y)}`;
}

/** Hundredths of a pixel are enough, and keep the file free of the noise of floating-point numbers. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
