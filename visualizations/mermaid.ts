/**
 * Writes a diagram in the language of Mermaid, which GitHub draws wherever it stands in a page. It
 * turns a diagram into text and touches nothing else.
 */
import { type Diagram, type DiagramState, type DiagramTransition, textOf } from './model.js';

/** Writes a diagram as a Mermaid state diagram. */
export function mermaidOf({ root, transitions }: Diagram): string {
  const lines = [
    '%% Written by "npm run visualize" from the machine itself.',
    'stateDiagram-v2',
    ...indent(bodyOf(root, transitions)),
  ];
  return `${lines.join('\n')}\n`;
}

/** What stands between the braces of a state: its states, then the transitions among them. */
function bodyOf(state: DiagramState, transitions: readonly DiagramTransition[]): string[] {
  const { children, initial, kind } = state;
  const blocks = children.map((child) => blockOf(child, transitions));
  const separator = kind === 'parallel' ? ['--'] : [];
  return [
    ...(initial === undefined ? [] : [`[*] --> ${idOf(initial)}`]),
    ...blocks.flatMap((block, index) => (index === 0 ? block : [...separator, ...block])),
    ...transitions
      .filter((transition) => isHome(state, transition))
      .filter((transition) => !children.some((child) => isReturn(child, transition)))
      .map(arrowOf),
    ...children.filter((child) => child.kind === 'final').map(({ id }) => `${idOf(id)} --> [*]`),
  ];
}

function blockOf(state: DiagramState, transitions: readonly DiagramTransition[]): string[] {
  const id = idOf(state.id);
  const title = `state "${plain(state.name)}" as ${id}`;
  const inside = state.inside.map((label) => plain(textOf(label)));
  if (state.children.length === 0) return [title, ...inside.map((line) => `${id} : ${line}`)];
  const body = [`${title} {`, ...indent(bodyOf(state, transitions)), '}'];
  const lines = [...inside, ...returnsOf(state, transitions)];
  // Mermaid has no room for lines in a state that holds others.
  const note = [`note right of ${id}`, ...indent(lines), 'end note'];
  return lines.length === 0 ? body : [...body, ...note];
}

function returnsOf(state: DiagramState, transitions: readonly DiagramTransition[]): string[] {
  return transitions
    .filter((transition) => isReturn(state, transition))
    .map(({ label }) => plain(`${textOf(label)}, back to ${state.name}`));
}

/**
 * Whether a transition leads a state that holds others back to itself. Mermaid fails on such an arrow,
 * or hides what is written on it, so it becomes a line.
 */
function isReturn({ id, children }: DiagramState, transition: DiagramTransition): boolean {
  return children.length > 0 && transition.source === id && transition.target === id;
}

/** Whether a state is the innermost one around both ends of a transition; Mermaid draws it there. */
function isHome(state: DiagramState, { source, target }: DiagramTransition): boolean {
  const isAround = ({ id }: DiagramState) =>
    source.startsWith(`${id}.`) && target.startsWith(`${id}.`);
  return isAround(state) && !state.children.some(isAround);
}

function arrowOf({ source, target, label }: DiagramTransition): string {
  const text = plain(textOf(label));
  return `${idOf(source)} --> ${idOf(target)}${text === '' ? '' : ` : ${text}`}`;
}

/** Mermaid's ids are words, so the parts of a path are joined by underscores. */
function idOf(id: string): string {
  return id.replaceAll(/\W/g, '_');
}

/** Writes the characters that would end a text in Mermaid's own way of naming them. */
function plain(text: string): string {
  return text.replaceAll(/[#:;"]/g, (character) => `#${character.charCodeAt(0)};`);
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
