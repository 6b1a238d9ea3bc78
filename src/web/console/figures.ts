/** Times in the form in which people read and write them, and what a timer shows at an instant. */
import { untilNextDigitMs as untilNextSecondMs, wholeSeconds } from '../../client/digits.js';
import type { Timer } from '../../client/messages.js';
import { remainingMs } from '../../client/timer-state.js';

const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 3600;

/** Whole seconds at an instant of the server, 0 at the end; a clock that is not known yet stands still. */
export function secondsLeft(timer: Timer, nowMs: number | undefined): number {
  return wholeSeconds(nowMs === undefined ? timer.remaining_ms : remainingMs(timer, nowMs));
}

/** Until the digits of a timer change; never while it stands still. */
export function untilNextDigitMs(timer: Timer, nowMs: number | undefined): number {
  if (timer.deadline_ms === null || nowMs === undefined) return Number.POSITIVE_INFINITY;
  const leftMs = timer.deadline_ms - nowMs;
  return leftMs <= 0 ? Number.POSITIVE_INFINITY : untilNextSecondMs(leftMs);
}

/** The lowest threshold that was passed, in seconds. */
export function passedThreshold(timer: Timer, seconds: number): number | undefined {
  const passed = timer.warning_thresholds.filter((threshold) => seconds <= threshold);
  return passed.length === 0 ? undefined : Math.min(...passed);
}

/** Such as 1 h 30 min or 45 s. */
export function durationText(seconds: number): string {
  const parts = [
    [Math.floor(seconds / SECONDS_PER_HOUR), 'h'],
    [Math.floor((seconds % SECONDS_PER_HOUR) / SECONDS_PER_MINUTE), 'min'],
    [seconds % SECONDS_PER_MINUTE, 's'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`);
  return said.length === 0 ? '0 s' : said.join(' ');
}

/** How far a display may be off, such as 32 ms or 1.5 s; never less than it is. */
export function boundText(ms: number): string {
  return ms < 1000 ? `${Math.ceil(ms)} ms` : `${Math.ceil(ms / 100) / 10} s`;
}

/**
 * Understands times before the end as people write them, separated by commas: `2:30` and `0:45` are
 * minutes and seconds, `2` is minutes, `45 s` seconds. Gives what it could not understand as words.
 */
export function parseThresholds(text: string): { seconds: number[]; unclear: string[] } {
  const seconds: number[] = [];
  const unclear: string[] = [];
  for (const part of text.split(/[,;]/).map((piece) => piece.trim())) {
    if (part === '') continue;
    const parsed = parseTime(part);
    if (parsed === undefined || parsed === 0) unclear.push(part);
    else seconds.push(parsed);
  }
  return { seconds, unclear };
}

function parseTime(text: string): number | undefined {
  const [, minutes, rest] = /^(\d{1,4})(?::([0-5]\d))?(?:\s*min)?$/.exec(text) ?? [];
  if (minutes !== undefined) return Number(minutes) * SECONDS_PER_MINUTE + Number(rest ?? 0);
  const [, seconds] = /^(\d{1,5})\s*s$/.exec(text) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

/** The names of several timers: `Exam 01` to `Exam 60`, so that they are in order everywhere. */
export function numberedNames(name: string, count: number): string[] {
  if (count === 1) return [name];
  const width = `${count}`.length;
  return Array.from(
    { length: count },
    (_, index) => `${name} ${`${index + 1}`.padStart(width, '0')}`,
  );
}

/** `1 timer`, `60 timers`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** An instant of the server as people here read the time of day. */
export function timeOfDay(epochMs: number): string {
  return timeFormat.format(epochMs);
}

const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** An instant of the server with its day. */
export function dateAndTime(epochMs: number): string {
  return dateFormat.format(epochMs);
}
