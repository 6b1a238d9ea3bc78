/**
 * The diagrams in `visualizations/` say what the machines say: the committed files are the ones that the
 * machines of today give, and nothing of a machine is missing in them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AnyStateMachine, type AnyStateNode, createMachine } from 'xstate';
import { type Box, type Layout, layOut } from '../visualizations/layout.js';
import { filesOf, MACHINES } from '../visualizations/machines.js';
import { mermaidOf } from '../visualizations/mermaid.js';
import { diagramOf } from '../visualizations/model.js';
import { statelyJsonOf } from '../visualizations/stately.js';
import { svgOf } from '../visualizations/svg.js';

const FOLDER = 'visualizations';

/** What a state of a machine says, in a form that can be compared between two machines. */
function summaryOf(node: AnyStateNode) {
  const { description, id, initial, type } = node;
  return {
    description,
    id,
    type,
    initial: type === 'compound' ? initial.target.map((target) => target.id) : [],
    entry: node.config.entry,
    exit: node.config.exit,
    invoke: node.invoke.map(({ id, src, systemId }) => ({ id, src, systemId })),
    delays: node.after.map(({ delay }) => delay),
    transitions: transitionsOf(node).map(({ actions, eventType, guard, reenter, target }) => ({
      actions,
      eventType,
      guard,
      reenter,
      targets: target?.map((other) => other.id),
    })),
  };
}

function transitionsOf(node: AnyStateNode) {
  return [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
}

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}

function mermaidIdOf(node: AnyStateNode): string {
  return [node.machine.id, ...node.path].join('_');
}

/** The lines of a Mermaid diagram that tell about one state or start at it. */
function linesAbout(node: AnyStateNode, mermaid: string): string[] {
  const id = mermaidIdOf(node);
  const lines = mermaid.split('\n').map((line) => line.trim());
  const noteStart = lines.indexOf(`note right of ${id}`);
  const note = noteStart < 0 ? [] : lines.slice(noteStart, lines.indexOf('end note', noteStart));
  const own = lines.filter((line) => [id, `${id}_any_state`].includes(line.split(' ')[0] ?? ''));
  return [...own, ...note];
}

/** What must be read on one line about a transition: what starts it, when, what it does, where it leads. */
function wordsOf(transition: ReturnType<typeof transitionsOf>[number]): string[] {
  const { actions, eventType, guard, source, target = [] } = transition;
  const delayed = source.after.find((other) => other.eventType === eventType);
  const isReturn = target[0] === source && Object.keys(source.states).length > 0;
  return [
    delayed === undefined ? eventType : `after ${delayed.delay}`,
    ...(typeof guard === 'string' ? [`[${guard}]`] : []),
    ...actions.map(nameOf),
    ...target.map((other) => (isReturn ? `back to ${other.key}` : `--> ${mermaidIdOf(other)}`)),
  ];
}

function nameOf(action: ReturnType<typeof transitionsOf>[number]['actions'][number]): string {
  if (typeof action === 'function') return 'inline';
  return typeof action === 'string' ? action : action.type;
}

function overlap(one: Box, other: Box): boolean {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  );
}

/** The boxes that may not overlap: labels of arrows, and states that hold no others. */
function solidBoxesOf({ arrows, states }: Layout): Box[] {
  const labels = arrows.filter(({ lines }) => lines.length > 0).map(({ box }) => box);
  const leaves = states.filter(({ state }) => state.children.length === 0).map(({ box }) => box);
  return [...labels, ...leaves];
}

it('finds a machine for every diagram in the folder', () => {
  const names = readdirSync(FOLDER).filter((name) => /\.(mmd|svg|json)$/.test(name));
  const expected = MACHINES.flatMap(({ id }) => [`${id}.json`, `${id}.mmd`, `${id}.svg`]);
  expect(names.sort(), 'run npm run visualize, and remove what no machine has').toEqual(
    expected.sort(),
  );
});

describe.each(MACHINES.map((machine) => ({ name: machine.id, machine })))(
  'the diagrams of the $name machine',
  ({ machine }) => {
    const nodes = nodesOf(machine.root);
    const diagram = diagramOf(machine);
    let files: Map<string, string>;
    let layout: Layout;

    beforeAll(async () => {
      layout = await layOut(diagram);
      files = new Map(filesOf(machine, layout).map(({ name, text }) => [name, text]));
    });

    it.each(['mmd', 'svg', 'json'])('are up to date as %s', (kind) => {
      const name = `${machine.id}.${kind}`;
      const path = join(FOLDER, name);
      const committed = existsSync(path) ? readFileSync(path, 'utf8') : '';
      expect(committed, `${path} is stale: run npm run visualize`).toBe(files.get(name));
    });

    it('are the same each time they are drawn', async () => {
      const again = filesOf(machine, await layOut(diagram, [layout.seed]));
      expect(new Map(again.map(({ name, text }) => [name, text]))).toEqual(files);
    });

    it('give Stately a config that makes the same machine', () => {
      const imported: AnyStateMachine = createMachine(JSON.parse(statelyJsonOf(machine)));
      expect(nodesOf(imported.root).map(summaryOf)).toEqual(nodes.map(summaryOf));
      expect(imported.events).toEqual(machine.events);
    });

    it('show every state in Mermaid, each by an id of its own', () => {
      const mermaid = mermaidOf(diagram);
      for (const node of nodes.slice(1)) {
        expect(mermaid).toContain(`state "${node.key}" as ${mermaidIdOf(node)}`);
      }
      const ids = [...mermaid.matchAll(/ as (\w+)/g)].map(([, id]) => id);
      expect(new Set(ids).size).toBe(ids.length);
    });

    it('show every transition in Mermaid', () => {
      const mermaid = mermaidOf(diagram);
      for (const node of nodes) {
        const lines = linesAbout(node, mermaid);
        for (const transition of transitionsOf(node)) {
          const words = wordsOf(transition);
          const isShown = lines.some((line) => words.every((word) => line.includes(word)));
          expect(isShown, `${node.id} shows ${words.join(' ')}`).toBe(true);
        }
      }
    });

    it('write no colon into a Mermaid label, which would end it', () => {
      for (const line of mermaidOf(diagram).split('\n')) {
        expect(line.split(':').length, line).toBeLessThanOrEqual(2);
      }
    });

    it('draw no label over another, nor over a state', () => {
      const boxes = solidBoxesOf(layout);
      boxes.forEach((box, index) => {
        expect(boxes.slice(index + 1).filter((other) => overlap(box, other))).toEqual([]);
      });
    });

    it('draw an SVG that loads nothing and lacks no number', () => {
      const svg = files.get(`${machine.id}.svg`) ?? '';
      expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
        /http|@import|<script|href|url\((?!#)|NaN|undefined/,
      );
      for (const node of nodes) expect(svg).toContain(`>${node.key}</tspan>`);
    });
  },
);

describe('a machine with everything', () => {
  const machine = createMachine({
    id: 'sample',
    initial: 'one',
    on: { 'go:home': '.one' },
    states: {
      one: {
        initial: 'inner',
        entry: { type: 'note', params: { what: 'in' } },
        on: {
          again: { target: 'one', reenter: true },
          deep: '.other',
          quiet: {},
          inline: { guard: () => true, actions: () => {} },
        },
        states: { inner: { after: { 500: 'other' } }, other: {} },
      },
      two: {
        type: 'parallel',
        states: {
          left: { initial: 'a', states: { a: { on: { out: '#sample.end' } } } },
          right: { initial: 'a', states: { a: { on: { cross: '#sample.two.left.a' } } } },
        },
      },
      end: { type: 'final' },
    },
  });

  it('is written in Mermaid as a whole', () => {
    const lines = mermaidOf(diagramOf(machine))
      .split('\n')
      .map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'sample_any_state --> sample_one : go#58;home',
        'sample_one_any_state --> sample_one_other : deep',
        'sample_one_inner --> sample_one_other : after 500 ms',
        'entry / note(in)',
        'quiet / nothing',
        'inline [inline] / inline',
        'again, back to one',
        'sample_end --> [*]',
        '--',
      ]),
    );
  });

  it('is drawn even where transitions cross the borders of regions', async () => {
    const diagram = diagramOf(machine);
    expect(svgOf(diagram, await layOut(diagram))).toContain('>cross</tspan>');
  });

  it('leaves only functions out of the JSON', () => {
    const json: unknown = JSON.parse(statelyJsonOf(machine));
    expect(json).toMatchObject({
      states: {
        one: {
          entry: { type: 'note', params: { what: 'in' } },
          on: { quiet: {}, inline: {} },
        },
      },
    });
    expect(json).not.toHaveProperty('states.one.on.inline.actions');
  });
});
