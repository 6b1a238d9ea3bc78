/** Takes documents away that have expired, once an hour. Until then nobody is given them any more. */
import type { Clock, Timeout } from '../clock.js';
import type { Log } from '../log.js';
import type { Documents } from './documents.js';

const INTERVAL_MS = 60 * 60 * 1000;

/** Begins, and gives the function that ends it. */
export function purgeRegularly(documents: Documents, clock: Clock, log: Log): () => void {
  let timeout: Timeout;
  let isOver = false;
  const purge = async (): Promise<void> => {
    try {
      await documents.purge(clock.now());
    } catch (err) {
      if (!isOver)
        log.warn({ err }, 'expired documents could not be taken away; trying again later');
    }
    if (!isOver) timeout = clock.setTimeout(() => void purge(), INTERVAL_MS);
  };
  timeout = clock.setTimeout(() => void purge(), INTERVAL_MS);
  return () => {
    isOver = true;
    clock.clearTimeout(timeout);
  };
}
