/** An append of which nobody hears what became of it, until it comes after all. */
import {
  DoubtError,
  type Entry,
  type Journal,
  type JournalAnswer,
} from '../../src/journal/journal.js';

/**
 * Has the next append of a journal be in doubt. Gives the function by which its entries come into that journal, or
 * another one on the same storage.
 */
export function loseNextAppend(
  journal: Journal,
): (into?: Journal) => Promise<readonly JournalAnswer[]> {
  const { append } = journal;
  let lost: readonly Entry[] = [];
  Object.assign(journal, {
    append: async (entries: readonly Entry[]) => {
      Object.assign(journal, { append });
      lost = entries;
      throw new DoubtError('nobody knows', entries);
    },
  });
  return (into = journal) => into.append(lost);
}
