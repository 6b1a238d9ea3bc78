/** The machines that have diagrams, and the files that show them. It computes texts and writes nothing. */
import type { AnyStateMachine } from 'xstate';
import { connectionMachine } from '../machines/connection.machine.js';
import { registryMachine } from '../machines/registry.machine.js';
import { shardMachine } from '../machines/shard.machine.js';
import { timerMachine } from '../machines/timer.machine.js';
import type { Layout } from './layout.js';
import { mermaidOf } from './mermaid.js';
import { diagramOf } from './model.js';
import { statelyJsonOf } from './stately.js';
import { svgOf } from './svg.js';

/** Every machine of the service; another one gets its diagrams by a line here. */
export const MACHINES: readonly AnyStateMachine[] = [
  timerMachine,
  shardMachine,
  registryMachine,
  connectionMachine,
];

export interface DiagramFile {
  readonly name: string;
  readonly text: string;
}

/** The files that show a machine whose diagram is laid out, as they should stand in this folder. */
export function filesOf(machine: AnyStateMachine, layout: Layout): DiagramFile[] {
  const diagram = diagramOf(machine);
  return [
    { name: `${machine.id}.mmd`, text: mermaidOf(diagram) },
    { name: `${machine.id}.svg`, text: svgOf(diagram, layout) },
    { name: `${machine.id}.json`, text: statelyJsonOf(machine) },
  ];
}
