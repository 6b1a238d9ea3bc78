/** Real journals on real disks, each in a folder of its own that goes with the test. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { SqliteJournal } from '../../src/journal/sqlite.js';
import { endWithTest } from './endings.js';

const folders = new Set<string>();
const journals = new Set<SqliteJournal>();

endWithTest('storage', async () => {
  for (const journal of journals) await journal.close();
  journals.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'timer-journal-'));
  folders.add(folder);
  return folder;
}

/** Opens the journal of a folder; its worker is the compiled one, as threads load no TypeScript. */
export async function openSqlite(directory = temporaryFolder()): Promise<SqliteJournal> {
  const journal = await SqliteJournal.open({
    directory,
    clock: systemClock,
    workerUrl: new URL('../../dist/service/sqlite-worker.js', import.meta.url),
    onCrash: (error) => {
      throw error;
    },
  });
  journals.add(journal);
  return journal;
}
