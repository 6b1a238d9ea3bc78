/** Ids of what the service keeps. */
import { customAlphabet } from 'nanoid';

const randomPart = customAlphabet('0123456789abcdefghijklmnopqrstuv', 12);

/**
 * Ids sort in the order of creation, which is the order of lists, and cannot be guessed: the time in
 * base 36 (9 digits reach the year 5188), then 60 random bits.
 */
export function sortableId(kind: string, timeMs: number): string {
  return `${kind}_${timeMs.toString(36).padStart(9, '0')}${randomPart()}`;
}
