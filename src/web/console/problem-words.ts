/** Says what is wrong with a request in the words of the form it came from. */
import { durationText } from './figures.js';
import type { ProblemBody } from './messages.js';

const FIELDS: Record<string, string> = {
  'body.name': 'The name',
  'body.duration_seconds': 'The duration',
  'body.warning_thresholds': 'The list of warnings',
  'body.extend_seconds': 'The time to add',
  'body.seconds': 'The time to add',
  'body.label': 'The label',
  'body.reason.text': 'The reason',
};

/** The limits are settings of the service, so only the service can tell them. */
export function problemWords({ detail, errors = [] }: ProblemBody): string {
  const sentences = errors.map(({ field, message }) => {
    const subject = FIELDS[field];
    const rule = ruleOf(field, message);
    return subject === undefined || rule === undefined ? undefined : `${subject} ${rule}.`;
  });
  const isClear = sentences.length > 0 && !sentences.includes(undefined);
  return isClear ? sentences.join(' ') : detail;
}

function ruleOf(field: string, message: string): string | undefined {
  const [, bound, limit] = /([<>])=(\d+)/.exec(message) ?? [];
  if (bound === undefined || limit === undefined) return undefined;
  const amount = field.endsWith('seconds') ? durationText(Number(limit)) : `${limit} long`;
  return bound === '<' ? `can be at most ${amount}` : `must be at least ${amount}`;
}
