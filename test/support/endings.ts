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
  await endAll(ORDER.flatMap((kind) => endings[kind]));
}

export async function endFile(): Promise<void> {
  await endAll(lastEndings);
}

/** One that fails keeps none of the others from being ended, or they would meet the next file. */
async function endAll(ends: readonly End[]): Promise<void> {
  const failures: unknown[] = [];
  for (const end of ends) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Something could not be ended');
}
