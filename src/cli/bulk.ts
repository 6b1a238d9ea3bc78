/** One command for many timers, and what is said of those it was refused for. */
import type { Action } from '../registry.js';
import type { Api, BulkResults } from './api.js';
import { RefusedError } from './errors.js';
import { onOneLine, tell } from './output.js';

/** What the service takes in one bulk command unless it is set otherwise. */
const LARGEST_BULK = 1000;

/** Bulk commands for however many timers; says so when they cannot have one common instant. */
export async function bulkInParts(
  api: Api,
  action: Action,
  timerIds: readonly string[],
  seconds?: number,
): Promise<BulkResults> {
  const partCount = Math.ceil(timerIds.length / LARGEST_BULK);
  if (partCount > 1) {
    tell(`${timerIds.length} timers take ${partCount} commands, each with an instant of its own.`);
  }
  const results: BulkResults = [];
  for (let from = 0; from < timerIds.length; from += LARGEST_BULK) {
    const part = timerIds.slice(from, from + LARGEST_BULK);
    results.push(...(await resultsOf(part, api.bulk(action, part, seconds))));
  }
  return results;
}

/** A part that is refused as a whole does not hide what was done before it. */
async function resultsOf(
  timerIds: readonly string[],
  asked: Promise<BulkResults>,
): Promise<BulkResults> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return timerIds.map((timer_id) => ({ timer_id, success: false, status: error.message }));
  }
}

/**
 * Ends the command when something was refused, with a line for each timer.
 * @param done what was not done to them, such as "started"
 * @throws {RefusedError} unless all went well
 */
export function refuseFailures(results: BulkResults, done: string): void {
  const lines = results
    .filter(({ success }) => !success)
    .map(({ timer_id, status }) => `${timer_id} was not ${done}: ${onOneLine(status)}`);
  if (lines.length > 0) throw new RefusedError(lines.join('\n'));
}
