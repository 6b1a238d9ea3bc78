/** Why somebody changes timers, in the words of people and of the service. */

export const REASON_CATEGORIES = [
  ['environment', 'Environment'],
  ['examinee', 'Examinee'],
  ['staff', 'Staff'],
  ['technical', 'Technical'],
  ['other', 'Other'],
] as const;

/** A reason that nobody changes is forgotten after this long, so that it gets on record nowhere by mistake. */
export const REASON_KEPT_MS = 5 * 60_000;
export const LONGEST_REASON = 500;

export interface Reason {
  readonly category: (typeof REASON_CATEGORIES)[number][0];
  /** Empty for none. */
  readonly text: string;
}

/** Such as `Environment: Fire alarm`. */
export function reasonText(reason: {
  readonly category: string;
  readonly text: string | null;
}): string {
  const [, words] = REASON_CATEGORIES.find(([category]) => category === reason.category) ?? [];
  const category = words ?? reason.category;
  return reason.text ? `${category}: ${reason.text}` : category;
}
