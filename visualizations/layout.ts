/**
 * Finds a place for every state, arrow and label of a diagram. The Eclipse Layout Kernel does it,
 * because it keeps nested states, the arrows between them and their labels apart. Sizes are counted in
 * characters and not measured, so a diagram gets the same places on every machine.
 */
import elk, {
  type ElkExtendedEdge,
  type ElkNode,
  type LayoutOptions,
} from 'elkjs/lib/elk.bundled.js';
import {
  type Diagram,
  type DiagramState,
  type DiagramTransition,
  type Label,
  textOf,
} from './model.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface PlacedState {
  readonly state: DiagramState;
  readonly box: Box;
  /** The dot from which an arrow leads to the state that is entered first. */
  readonly start: Point | undefined;
}

export interface PlacedArrow {
  readonly points: readonly Point[];
  /** What is written on the arrow, one line after the other. */
  readonly lines: readonly Label[];
  /** The place of those lines. */
  readonly box: Box;
}

export interface Layout {
  /** What the search for it started from. */
  readonly seed: number;
  readonly box: Box;
  /** Outer states come before the states inside of them. */
  readonly states: readonly PlacedState[];
  readonly arrows: readonly PlacedArrow[];
}

/** Measures in pixels that the drawing shares with the layout. */
export const METRICS = {
  nameSize: 13,
  labelSize: 11,
  lineHeight: 15,
  /** The height of a state's name with the space around it. */
  headerHeight: 30,
  /** The space between a state's border and what is written in it. */
  padding: 10,
  startRadius: 6,
} as const;

/** One for all layouts, because what it sets up at first takes as long as some of them. */
const KERNEL = new elk.default();
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
/** The width of a character for each pixel of its height, in the widest font that readers may have. */
const CHARACTER_WIDTH = 0.605;
const SMALLEST_STATE_WIDTH = 90;
const LABEL_MARGIN = 6;
/** The space between the border of a state and the states inside of it. */
const SIDE_PADDING = 16;
const HEADER_MARGIN = 14;

const OPTIONS: LayoutOptions = {
  'elk.algorithm': 'layered',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.spacing.nodeNode': '20',
  'elk.spacing.edgeNode': '14',
  'elk.spacing.edgeEdge': '12',
  'elk.spacing.nodeSelfLoop': '14',
  'elk.layered.spacing.nodeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
  'elk.layered.cycleBreaking.strategy': 'DEPTH_FIRST',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.edgeLabels.centerLabelPlacementStrategy': 'TAIL_LAYER',
  // All coordinates count from the corner of the picture.
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
};

/** The regions of a parallel state are stacked in the order of the machine, each read from the left. */
const STACK_OPTIONS: LayoutOptions = {
  'elk.hierarchyHandling': 'SEPARATE_CHILDREN',
  'elk.separateConnectedComponents': 'false',
  'elk.spacing.nodeNode': '12',
};
const REGION_OPTIONS: LayoutOptions = {
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
};

/** An arrow stands for all transitions between the same two states, or leads to an initial state. */
interface Arrow {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly lines: readonly Label[];
}

/**
 * Places everything in a diagram. The search for a layout starts from an order that its seed decides and
 * ends in one of several good ones; the smallest is kept, because a page shrinks a wide picture.
 */
export async function layOut(diagram: Diagram, seeds: readonly number[] = SEEDS): Promise<Layout> {
  const layouts: Layout[] = [];
  for (const seed of seeds) layouts.push(await layOutFrom(seed, diagram));
  return layouts.reduce((best, layout) => (areaOf(layout) < areaOf(best) ? layout : best));
}

async function layOutFrom(seed: number, diagram: Diagram): Promise<Layout> {
  const arrows = [...startArrowsOf(diagram.root), ...arrowsOf(diagram.transitions)];
  const graph = nodeOf(diagram.root, diagram.transitions, 'DOWN');
  const layoutOptions = { ...graph.layoutOptions, 'elk.randomSeed': String(seed) };
  const placed = await KERNEL.layout({
    ...graph,
    layoutOptions,
    edges: arrows.map(edgeOf),
  });
  const edges = new Map(placed.edges?.map((edge) => [edge.id, edge]));
  return {
    seed,
    box: boxOf(placed),
    states: placeStates(diagram.root, placed, boxOf(placed), diagram.transitions),
    arrows: arrows.map((arrow) => placeArrow(arrow, edges.get(arrow.id))),
  };
}

/** The height that a state's name takes, with what happens inside of the state. */
export function headerHeightOf({ inside }: DiagramState): number {
  const { headerHeight, lineHeight, padding } = METRICS;
  return headerHeight + (inside.length === 0 ? 0 : inside.length * lineHeight + padding);
}

function startArrowsOf({ id, initial, children }: DiagramState): Arrow[] {
  const inner = children.flatMap(startArrowsOf);
  if (initial === undefined) return inner;
  const source = startIdOf(id);
  return [{ id: `${source} -> ${initial}`, source, target: initial, lines: [] }, ...inner];
}

function arrowsOf(transitions: readonly DiagramTransition[]): Arrow[] {
  const arrows = new Map<string, Arrow>();
  for (const { source, target, label } of transitions) {
    const id = `${source} -> ${target}`;
    const lines = [...(arrows.get(id)?.lines ?? []), ...linesOf(label)];
    arrows.set(id, { id, source, target, lines });
  }
  return [...arrows.values()];
}

/** Above what a transition waits for, below what it does: labels side by side need to be narrow. */
function linesOf(label: Label): Label[] {
  const lines = [
    { ...label, actions: [] },
    { ...label, trigger: '', guard: '' },
  ];
  return lines.filter((line) => textOf(line) !== '');
}

function nodeOf(
  state: DiagramState,
  transitions: readonly DiagramTransition[],
  direction: 'DOWN' | 'RIGHT',
): ElkNode {
  const { id, initial, children } = state;
  const size = smallestSizeOf(state);
  if (children.length === 0) return { id, ...size };
  const top = headerHeightOf(state) + HEADER_MARGIN;
  const isStack = isStackOf(state, transitions);
  const innerDirection = isStack ? 'RIGHT' : direction;
  return {
    id,
    children: [
      ...(initial === undefined ? [] : [startNodeOf(id)]),
      ...children.map((child) => nodeOf(child, transitions, innerDirection)),
    ],
    layoutOptions: {
      ...OPTIONS,
      ...(isStack ? STACK_OPTIONS : {}),
      ...(innerDirection === 'RIGHT' ? REGION_OPTIONS : {}),
      'elk.direction': innerDirection,
      'elk.padding': `[top=${top},left=${SIDE_PADDING},bottom=${SIDE_PADDING},right=${SIDE_PADDING}]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${size.width},${size.height})`,
    },
  };
}

/** Regions are stacked if no transition crosses their borders: then each can be laid out on its own. */
function isStackOf(
  { kind, children }: DiagramState,
  transitions: readonly DiagramTransition[],
): boolean {
  const isClosed = ({ id }: DiagramState) => {
    const isWithin = (other: string) => other === id || other.startsWith(`${id}.`);
    return transitions.every(({ source, target }) => isWithin(source) === isWithin(target));
  };
  return kind === 'parallel' && children.every(isClosed);
}

function startNodeOf(stateId: string): ElkNode {
  const size = 2 * METRICS.startRadius;
  return { id: startIdOf(stateId), width: size, height: size };
}

function startIdOf(stateId: string): string {
  return `start of ${stateId}`;
}

function smallestSizeOf(state: DiagramState): { width: number; height: number } {
  const widths = [
    widthOf(state.name, METRICS.nameSize),
    ...state.inside.map((label) => widthOf(textOf(label), METRICS.labelSize)),
  ];
  const width = Math.max(...widths) + 2 * METRICS.padding;
  return { width: Math.max(width, SMALLEST_STATE_WIDTH), height: headerHeightOf(state) };
}

function widthOf(text: string, fontSize: number): number {
  return Math.ceil(text.length * fontSize * CHARACTER_WIDTH);
}

function edgeOf({ id, source, target, lines }: Arrow): ElkExtendedEdge {
  const edge = { id, sources: [source], targets: [target] };
  if (lines.length === 0) return edge;
  const widths = lines.map((line) => widthOf(textOf(line), METRICS.labelSize));
  const label = {
    text: lines.map(textOf).join('\n'),
    width: Math.max(...widths) + 2 * LABEL_MARGIN,
    height: lines.length * METRICS.lineHeight,
    layoutOptions: { 'elk.edgeLabels.inline': 'true' },
  };
  return { ...edge, labels: [label] };
}

function placeStates(
  state: DiagramState,
  node: ElkNode,
  box: Box,
  transitions: readonly DiagramTransition[],
): PlacedState[] {
  const isStack = isStackOf(state, transitions);
  const nodes = new Map(node.children?.map((child) => [child.id, child]));
  const start = nodes.get(startIdOf(state.id));
  const inner = state.children.flatMap((child) => {
    const childNode = nodes.get(child.id);
    if (childNode === undefined) return [];
    const childBox = isStack ? widened(boxOf(childNode), box) : boxOf(childNode);
    return placeStates(child, childNode, childBox, transitions);
  });
  return [{ state, box, start: start && centreOf(boxOf(start)) }, ...inner];
}

/** Gives a stacked region the width of the state around it, so that it looks like a part of it. */
function widened(region: Box, { x, width }: Box): Box {
  return { ...region, x: x + SIDE_PADDING, width: width - 2 * SIDE_PADDING };
}

function placeArrow({ lines }: Arrow, edge: ElkExtendedEdge | undefined): PlacedArrow {
  const points = (edge?.sections ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) => [
    startPoint,
    ...bendPoints,
    endPoint,
  ]);
  return { points, lines, box: boxOf(edge?.labels?.[0] ?? {}) };
}

function boxOf({ x = 0, y = 0, width = 0, height = 0 }: Partial<Box>): Box {
  return { x, y, width, height };
}

function centreOf({ x, y, width, height }: Box): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

function areaOf({ box }: Layout): number {
  return box.width * box.height;
}
