/** One command for many timers, and what is said of those it was refused for. */
import type { Action } from '../registry.js';
import type { BulkResults, ChangeDetails } from './api.js';
import { CommandError, RefusedError } from './errors.js';
import type { Connection } from './options.js';
import { onOneLine } from './output.js';

/** Said of timers whose command may have been carried out, although no answer came. */
const UNANSWERED = 'no answer came';
const NOT_ASKED = 'not asked for after that';

/** Bulk commands for however many timers; says so when they cannot have one common instant. */
export async function bulkInParts(
  { api, output }: Connection,
  action: Action,
  timerIds: readonly string[],
  details: ChangeDetails = {},
): Promise<BulkResults> {
  const size = timerIds.length > 1 ? await api.largestBulk() : 1;
  const partCount = Math.ceil(timerIds.length / size);
  if (partCount > 1) {
    output.tell(
      `${timerIds.length} timers take ${partCount} commands, each with an instant of its own.`,
    );
  }
  const results: BulkResults = [];
  for (let from = 0; from < timerIds.length; from += size) {
    const part = timerIds.slice(from, from + size);
    try {
      results.push(...(await api.bulk(action, part, details)));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const isRefused = error instanceof RefusedError;
      // When nothing was done, that it failed is all there is to say.
      if (from === 0 && isRefused) throw error;
      output.tell(error.message);
      const why = isRefused ? error.message : UNANSWERED;
      const rest = timerIds.slice(from + size);
      return [...results, ...failed(part, why), ...failed(rest, NOT_ASKED)];
    }
  }
  return results;
}

function failed(timerIds: readonly string[], status: string): BulkResults {
  return timerIds.map((timer_id) => ({ timer_id, success: false, status }));
}

/** Whether an answer is missing, so that nobody knows what became of these timers. */
export function isInDoubt(results: BulkResults): boolean {
  return results.some(({ status }) => status === UNANSWERED);
}

/**
 * Ends the command when something was refused, with a line for each timer.
 * @param done what was not done to them, such as "started"
 * @throws {RefusedError} unless all went well
 */
export function refuseFailures(results: BulkResults, done: string): void {
  const lines = results
    .filter(({ success }) => !success)
    .map(({ timer_id, status }) => {
      const what = status === UNANSWERED ? 'may have been' : 'was not';
      return `${timer_id} ${what} ${done}: ${onOneLine(status)}`;
    });
  if (lines.length > 0) throw new RefusedError(lines.join('\n'));
}
