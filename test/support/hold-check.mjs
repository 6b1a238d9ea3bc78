/**
 * Loaded into every program that a held service starts (`held-check.ts`): keeps the one that checks the
 * journal from beginning until the test says a word, or forever.
 */
import { once } from 'node:events';
import { connect } from 'node:net';

if (process.argv[1]?.endsWith('sqlite-check.js')) {
  const test = connect(process.env.HOLD_CHECK ?? '');
  await once(test, 'data');
  test.destroy();
}
