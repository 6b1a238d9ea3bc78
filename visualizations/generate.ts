/**
 * Writes the diagrams of all machines into the folder `visualizations` of the repository, and touches
 * nothing else. Run it from the repository's root with `npm run visualize`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layOut } from './layout.js';
import { filesOf, MACHINES } from './machines.js';
import { diagramOf } from './model.js';

const FOLDER = 'visualizations';

for (const machine of MACHINES) {
  const layout = await layOut(diagramOf(machine));
  for (const { name, text } of filesOf(machine, layout)) {
    writeFileSync(join(FOLDER, name), text);
  }
}
