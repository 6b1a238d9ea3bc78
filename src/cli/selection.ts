/** Which timers a command is for: those named, or all of them. */
import type { Api } from './api.js';
import { UsageError } from './errors.js';
import type { SelectionOptions } from './options.js';

/** Timers that `--all` means when no state is asked for. */
export type Scope = 'unfinished' | 'every';

/**
 * The ids of the timers that are meant. Nothing can be done with timers that have ended but delete
 * them, so for other commands `--all` passes over those of yesterday's exams.
 */
export async function selectTimers(
  api: Api,
  ids: readonly string[],
  { all, state }: SelectionOptions,
  scope: Scope,
): Promise<string[]> {
  if (all === undefined && state !== undefined) throw new UsageError('Say --all with --state.');
  if (all === undefined && ids.length === 0)
    throw new UsageError('Say which timers: ids, or --all.');
  if (all === true && ids.length > 0) throw new UsageError('Say either ids or --all, not both.');
  if (all === undefined) return [...new Set(ids)];
  const selected: string[] = [];
  for await (const timer of api.list(state)) {
    const hasEnded = timer.state === 'expired' || timer.state === 'completed';
    if (state !== undefined || scope === 'every' || !hasEnded) selected.push(timer.id);
  }
  return selected;
}
