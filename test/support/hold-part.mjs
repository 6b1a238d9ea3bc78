/**
 * Loaded into every program and thread of a held service (`held-part.ts`): keeps the program that checks
 * the journal, or the thread that opens it, from beginning until the test says a word.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const isCheck = process.argv[1]?.endsWith('sqlite-check.js') === true;
const name = isCheck ? 'check' : isMainThread ? 'service' : 'thread';

if (name === process.env.HELD) {
  const test = connect(process.env.HELD_AT ?? '');
  await once(test, 'data');
  test.destroy();
}
