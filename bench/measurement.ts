/** What a measurement is, and what it gives. */

/** What a figure should be. The bench says whether it is; it never fails for it. */
export type Target =
  | { readonly atMost: number }
  | { readonly atLeast: number }
  | { readonly below: number }
  | { readonly exactly: number };

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the figure is to be seen against, in words. */
  readonly comparedWith: string;
  readonly target?: Target;
  /** The single values a figure sums up, for whoever wants to judge its noise. */
  readonly samples?: readonly number[];
}

export interface RunOptions {
  /** Small numbers, to see whether the bench itself works; the figures mean little. */
  readonly isQuick: boolean;
  /** Where to write CPU profiles of the service, if they are wanted. */
  readonly profileDir: string | undefined;
}

export interface Measurement {
  readonly name: string;
  readonly run: (options: RunOptions) => Promise<readonly Figure[]>;
}

export function isMet(value: number, target: Target): boolean {
  if ('atMost' in target) return value <= target.atMost;
  if ('atLeast' in target) return value >= target.atLeast;
  if ('below' in target) return value < target.below;
  return value === target.exactly;
}
