/**
 * Writes the diagrams of all machines into the folder `visualizations` of the repository, and touches
 * nothing else. Run it from the repository's root with `npm run visualize`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, MACHINES } from './machines.js';

const FOLDER = 'visualizations';

for (const machine of MACHINES) {
  for (const { name, text } of await filesOf(machine)) {
    writeFileSync(join(FOLDER, name), text);
  }
}
