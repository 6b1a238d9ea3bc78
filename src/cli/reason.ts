/** `--reason-category` and `--reason`: why timers are changed, for the record. */
import { Option } from 'commander';
import { REASON_CATEGORIES } from '../../machines/entry.js';
import type { ReasonBody } from '../protocol/requests.js';
import type { Command } from './command.js';

export interface ReasonOptions {
  readonly reasonCategory?: ReasonBody['category'];
  readonly reason?: string;
}

export function addReason(command: Command): Command {
  const category = new Option('--reason-category <category>', 'what kind of reason there is');
  return command
    .addOption(category.choices([...REASON_CATEGORIES]))
    .option('--reason <text>', 'why, in words; of the category "other" unless one is named');
}

/** What goes on record; nothing where nothing was said. */
export function reasonOf({ reasonCategory, reason }: ReasonOptions): ReasonBody | undefined {
  if (reasonCategory === undefined && reason === undefined) return undefined;
  return { category: reasonCategory ?? 'other', text: reason };
}
