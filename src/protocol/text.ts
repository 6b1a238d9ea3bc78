/** Texts that go on record. Pure. */
import { z } from 'zod';

/** Half of a character that UTF-16 writes as two. */
const HALF_CHARACTER = /\p{Surrogate}/u;
const HALF_CHARACTERS = /\p{Surrogate}/gu;

/** Canonical JSON (RFC 8785) has no form for half a character, so others could not check what has one. */
export function recordable<S extends z.ZodType<string>>(schema: S): S {
  return schema.refine((text) => !HALF_CHARACTER.test(text), {
    error: 'Invalid input: expected whole characters, but one is half of a surrogate pair',
  });
}

/** A text that somebody else wrote, with a sign in the place of each half of a character. */
export const repairedText = z.string().transform((text) => text.replace(HALF_CHARACTERS, '\ufffd'));
