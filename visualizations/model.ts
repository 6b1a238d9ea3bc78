/**
 * A statechart as a picture needs it: states, transitions and the words written on them. Everything is
 * read from the machine object, so that no diagram can say something else than the machine does. This
 * file knows nothing about Mermaid, SVG or the disk.
 */
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { z } from 'zod';

export type StateKind = 'atomic' | 'compound' | 'parallel' | 'final' | 'history' | 'any';

export interface DiagramState {
  /** The names of all states down to this one, so it is unique where a name alone is not. */
  readonly id: string;
  readonly name: string;
  /** `any` is not a state of the machine: it stands for all states that surround it in the picture. */
  readonly kind: StateKind;
  /** One of the parts of a parallel state, which are all active at once. */
  readonly isRegion: boolean;
  readonly description: string | undefined;
  /** The child that is entered first. */
  readonly initial: string | undefined;
  /** What happens without leaving the state. */
  readonly inside: readonly Label[];
  readonly children: readonly DiagramState[];
}

export interface DiagramTransition {
  readonly source: string;
  readonly target: string;
  readonly label: Label;
}

/** What is written on a transition; parts that the machine leaves out are empty. */
export interface Label {
  readonly trigger: string;
  readonly guard: string;
  readonly actions: readonly string[];
}

export interface Diagram {
  readonly name: string;
  readonly root: DiagramState;
  readonly transitions: readonly DiagramTransition[];
}

type Transition = NonNullable<AnyStateNode['always']>[number];

const nameSchema = z.union([
  z.string().transform((type) => ({ type, params: {} })),
  z.object({ type: z.string(), params: z.record(z.string(), z.unknown()).default({}) }),
]);

/** Reads the diagram of a machine. */
export function diagramOf(machine: AnyStateMachine): Diagram {
  const nodes = [machine.root, ...descendantsOf(machine.root)];
  return {
    name: machine.id,
    root: stateOf(machine.root),
    transitions: nodes.flatMap((node) => transitionsOf(node).flatMap(arrowsOf)),
  };
}

/** The words of a label by the part they play, in the order in which they are read. */
export function partsOf({ trigger, guard, actions }: Label): [part: keyof Label, text: string][] {
  const parts: [keyof Label, string][] = [
    ['trigger', trigger],
    ['guard', guard === '' ? '' : `[${guard}]`],
    ['actions', actions.length === 0 ? '' : `/ ${actions.join(', ')}`],
  ];
  return parts.filter(([, text]) => text !== '');
}

/** A label in one line, as in `paused [inTime] / warn, apply`. */
export function textOf(label: Label): string {
  return partsOf(label)
    .map(([, text]) => text)
    .join(' ');
}

function stateOf(node: AnyStateNode): DiagramState {
  const isRoot = node.parent === undefined;
  const inside = insideOf(node);
  const children = childrenOf(node).map(stateOf);
  const needsAnyState = transitionsOf(node).some(isInward) || (isRoot && inside.length > 0);
  return {
    id: idOf(node),
    name: node.key,
    kind: node.type,
    isRegion: node.parent?.type === 'parallel',
    description: node.description,
    initial: node.type === 'compound' ? idOf(first(node.initial.target)) : undefined,
    inside: isRoot ? [] : inside,
    children: needsAnyState ? [anyState(node, isRoot ? inside : []), ...children] : children,
  };
}

/**
 * The stand-in for every state inside of a node, at which the transitions start that lead from the node
 * inwards: Mermaid cannot draw them from the border. The machine itself has no border, so its stand-in
 * also tells what happens in every state.
 */
function anyState(node: AnyStateNode, inside: readonly Label[]): DiagramState {
  return {
    id: anyIdOf(node),
    name: 'any state',
    kind: 'any',
    isRegion: false,
    description: undefined,
    initial: undefined,
    inside,
    children: [],
  };
}

/** Whether a transition leads from a state to one inside of it. */
function isInward({ source, target = [] }: Transition): boolean {
  return target.some((other) => isBelow(other, source));
}

/** What a state does on its own account: entry, exit, invoked actors and transitions without a target. */
function insideOf(node: AnyStateNode): Label[] {
  const { entry, exit } = node.config;
  return [
    ...activityOf('entry', listOf(entry).map(nameOf)),
    ...activityOf('exit', listOf(exit).map(nameOf)),
    ...activityOf(
      'invoke',
      node.invoke.map(({ id }) => id),
    ),
    ...transitionsOf(node)
      .filter(({ target }) => target === undefined)
      .map(labelOf),
  ];
}

function activityOf(trigger: string, actions: readonly string[]): Label[] {
  return actions.length === 0 ? [] : [{ trigger, guard: '', actions }];
}

function transitionsOf(node: AnyStateNode): Transition[] {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
}

function arrowsOf(transition: Transition): DiagramTransition[] {
  const { source, target = [] } = transition;
  return target.map((other) => ({
    source: isBelow(other, source) ? anyIdOf(source) : idOf(source),
    target: idOf(other),
    label: labelOf(transition),
  }));
}

function labelOf(transition: Transition): Label {
  const actions = transition.actions.map(nameOf);
  const isIgnored = transition.target === undefined && actions.length === 0;
  return {
    trigger: triggerOf(transition),
    guard: guardOf(transition),
    actions: isIgnored ? ['nothing'] : actions,
  };
}

/** The event, or the delay: an event by which XState delays a transition is none of the machine's words. */
function triggerOf({ source, eventType }: Transition): string {
  const delayed = source.after.find((transition) => transition.eventType === eventType);
  if (delayed === undefined) return eventType;
  return `after ${delayed.delay}${typeof delayed.delay === 'number' ? ' ms' : ''}`;
}

/** The guard; a transition without one that follows guarded ones is what happens otherwise. */
function guardOf({ source, eventType, guard }: Transition): string {
  if (guard !== undefined) return nameOf(guard);
  const rivals = transitionsOf(source).filter((other) => other.eventType === eventType);
  return rivals.length > 1 ? 'else' : '';
}

/** The name of an action or a guard, with the values it is given, as in `refuse(recovering)`. */
function nameOf(value: unknown): string {
  const name = nameSchema.safeParse(value);
  if (!name.success) return 'inline';
  const params = Object.values(name.data.params).map(String);
  return params.length === 0 ? name.data.type : `${name.data.type}(${params.join(', ')})`;
}

function descendantsOf(node: AnyStateNode): AnyStateNode[] {
  return childrenOf(node).flatMap((child) => [child, ...descendantsOf(child)]);
}

function childrenOf(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states);
}

function isBelow(node: AnyStateNode, ancestor: AnyStateNode): boolean {
  return node.parent !== undefined && (node.parent === ancestor || isBelow(node.parent, ancestor));
}

function idOf(node: AnyStateNode): string {
  return [node.machine.id, ...node.path].join('.');
}

function anyIdOf(node: AnyStateNode): string {
  return `${idOf(node)}.any state`;
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function first<T>(values: readonly T[]): T {
  const [value] = values;
  if (value === undefined) throw new Error('A compound state has an initial state');
  return value;
}
