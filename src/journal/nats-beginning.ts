/**
 * Where a stream begins after entries were taken out of it: a document beside it, which is put before they are
 * and tells every node what it must know of them. What else is missing from a stream is damage.
 */
import { z } from 'zod';
import {
  BEGINNING_DOCUMENT,
  type Beginning,
  beginningSchema,
  type Document,
  type Documents,
  VERY_BEGINNING,
} from './journal.js';
import { type IndexState, NOTHING_KNOWN } from './nats-index.js';
import { headSchema } from './nats-snapshot.js';

export interface StreamBeginning {
  readonly beginning: Beginning;
  /** What a node knows that begins to read there. */
  readonly state: IndexState;
}

const storedSchema = beginningSchema.extend({
  sequence: z.number().int().min(0),
  heads: z.array(headSchema),
  voids: z.array(z.number().int()),
});

export async function readBeginning(documents: Documents): Promise<StreamBeginning> {
  const { drawer, name } = BEGINNING_DOCUMENT;
  return beginningIn(await documents.get(drawer, name, 0));
}

/** The same, of the documents that are in the drawer. */
export function beginningAmong(documents: readonly Document[]): StreamBeginning {
  return beginningIn(documents.find(({ name }) => name === BEGINNING_DOCUMENT.name)?.text);
}

function beginningIn(text: string | undefined): StreamBeginning {
  if (text === undefined) return { beginning: VERY_BEGINNING, state: NOTHING_KNOWN };
  const { sequence, heads, voids, ...beginning } = storedSchema.parse(JSON.parse(text));
  const { position, hash } = beginning;
  return {
    beginning,
    state: { sequence, milestones: [{ position, hash }], heads, requests: [], voids },
  };
}

export async function writeBeginning(
  documents: Documents,
  { beginning, state }: StreamBeginning,
): Promise<void> {
  const { drawer, name } = BEGINNING_DOCUMENT;
  const { sequence, heads, voids } = state;
  const stored: z.input<typeof storedSchema> = {
    ...beginning,
    sequence,
    heads: heads.map((head) => ({ ...head, record: null })),
    voids: [...voids],
  };
  await documents.put(drawer, { name, text: JSON.stringify(stored) }, null);
}
