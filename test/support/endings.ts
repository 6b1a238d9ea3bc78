/**
 * What ends with each test, in the order in which it must: first those who talk to a service, then the
 * services, then what they stored. Support modules say here what they have to end; they are loaded once
 * for many files of tests, so they cannot set hooks themselves.
 */

const ORDER = ['clients', 'services', 'storage'] as const;
type Kind = (typeof ORDER)[number];
type End = () => Promise<void> | void;

const endings: Record<Kind, End[]> = { clients: [], services: [], storage: [] };
const lastEndings: End[] = [];

/** Says what is to be ended after each test. */
export function endWithTest(kind: Kind, end: End): void {
  endings[kind].push(end);
}

/** Says what is to be ended after the last test of a file. */
export function endWithFile(end: End): void {
  lastEndings.push(end);
}

export async function endTest(): Promise<void> {
  for (const kind of ORDER) for (const end of endings[kind]) await end();
}

export async function endFile(): Promise<void> {
  for (const end of lastEndings) await end();
}
