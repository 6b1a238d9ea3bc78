/** The digits of a clock, and when they change. Pure. */

/** Whole seconds as displays show them: rounded up, so that 0 means the end. */
export function wholeSeconds(remainingMs: number): number {
  return Math.ceil(remainingMs / 1000);
}

/** Such as `1:05:09`, `25:00` or `0:09`. */
export function clockText(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60}`.padStart(2, '0');
  return hours > 0 ? `${hours}:${`${minutes}`.padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** Milliseconds until the digits show another second. */
export function untilNextDigitMs(remainingMs: number): number {
  return remainingMs - (wholeSeconds(remainingMs) - 1) * 1000;
}

/** How a display looks: by the thresholds that were passed, the last of them being the most urgent. */
export type Phase = 'calm' | 'warning' | 'urgent';

export function phaseOf(remainingMs: number, thresholdsSeconds: readonly number[]): Phase {
  if (thresholdsSeconds.length === 0) return 'calm';
  const thresholdsMs = thresholdsSeconds.map((seconds) => seconds * 1000);
  if (remainingMs <= Math.min(...thresholdsMs)) return 'urgent';
  return remainingMs <= Math.max(...thresholdsMs) ? 'warning' : 'calm';
}
