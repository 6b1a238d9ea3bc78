/** Lengths of time as people write them, such as 1h30m. */

/** How a length is written, for messages about one that is not. */
export const DURATION_FORMS = 'It is written like 90s, 5m, 1h30m, or 300 for seconds';

const SECONDS = /^\d+$/;
const UNITS = /^(?:(?<hours>\d+)h)?(?:(?<minutes>\d+)m)?(?:(?<seconds>\d+)s)?$/;

/** Whole seconds, at least 1; `undefined` for what is no length of time. */
export function parseDuration(text: string): number | undefined {
  const seconds = SECONDS.test(text) ? Number(text) : inSeconds(text);
  return Number.isSafeInteger(seconds) && seconds >= 1 ? seconds : undefined;
}

function inSeconds(text: string): number {
  const { hours = 0, minutes = 0, seconds = 0 } = UNITS.exec(text)?.groups ?? {};
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** The shortest way to write a length: `parseDuration` gives the same seconds again. */
export function durationText(totalSeconds: number): string {
  const { hours, minutes, seconds } = partsOf(totalSeconds);
  const parts = [
    hours > 0 && `${hours}h`,
    minutes > 0 && `${minutes}m`,
    seconds > 0 && `${seconds}s`,
  ];
  return parts.filter((part) => part !== false).join('') || '0s';
}

function partsOf(totalSeconds: number) {
  return {
    hours: Math.floor(totalSeconds / 3600),
    minutes: Math.floor(totalSeconds / 60) % 60,
    seconds: totalSeconds % 60,
  };
}
