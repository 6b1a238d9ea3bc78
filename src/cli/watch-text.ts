/** What `watch` says of a timer, in words and as figures for its bar. Pure. */
import type { Announcement, ConnectionState, ServerMessage, Timer } from '../client/api.js';
import { clockText } from '../client/digits.js';
import { durationText } from './duration.js';
import { onOneLine } from './output.js';

const LAST_SECONDS = 10;
const LONGEST_NAME = 30;

/** The line for a message; `undefined` for one that is no change, or that an announcement tells. */
export function messageLine(message: ServerMessage, isFirst: boolean): string | undefined {
  switch (message.type) {
    case 'connected': {
      const { name, state, remaining_seconds } = message.timer;
      const subject = isFirst ? onOneLine(name) : 'in contact again';
      return `${subject}: ${state}, ${clockText(remaining_seconds)} remaining`;
    }
    case 'timer_started':
      return `running, ${clockText(message.remaining_seconds)} remaining`;
    case 'timer_paused':
      return `paused, ${clockText(message.remaining_seconds)} remaining`;
    case 'timer_extended':
      return `${durationText(message.added_seconds)} added, ${clockText(message.remaining_seconds)} remaining`;
    case 'timer_stopped':
      return `stopped, ${clockText(message.remaining_seconds)} remaining`;
    case 'timer_expired':
      return 'the time is up';
    default:
      return undefined;
  }
}

/** The line for what the display announces; `undefined` for an end that a message tells. */
export function announcementLine(announcement: Announcement): string | undefined {
  if (announcement.type === 'warning') {
    const confirmation = announcement.isVerified ? '' : ' (not confirmed by the service)';
    return `warning: ${clockText(announcement.thresholdSeconds)} remaining${confirmation}`;
  }
  const isOwnCount = announcement.reason === 'expired' && !announcement.isVerified;
  return isOwnCount ? 'the time is up by the clock here; waiting for the service' : undefined;
}

/** Whether a running timer is worth a line at this second: whole minutes, and the last seconds. */
export function isMark(remainingSeconds: number, { warning_thresholds }: Timer): boolean {
  // The end and the warnings have lines of their own.
  if (remainingSeconds === 0 || warning_thresholds.includes(remainingSeconds)) return false;
  return remainingSeconds <= LAST_SECONDS || remainingSeconds % 60 === 0;
}

export interface BarView {
  readonly timer: Timer;
  readonly remainingMs: number;
  readonly connection: ConnectionState;
}

export interface Bar {
  readonly totalSeconds: number;
  readonly elapsedSeconds: number;
  readonly clock: string;
  readonly note: string;
  /** Whether a warning was given, so that the time should catch the eye. */
  readonly isLate: boolean;
}

const CONTACT_NOTES: Readonly<Record<ConnectionState, string>> = {
  connecting: ' (connecting)',
  synchronizing: '',
  live: '',
  waiting: ' (no contact, counting on)',
  closed: '',
};

export function barOf({ timer, remainingMs, connection }: BarView): Bar {
  const remainingSeconds = Math.ceil(remainingMs / 1000);
  const name = [...onOneLine(timer.name)].slice(0, LONGEST_NAME).join('');
  return {
    totalSeconds: timer.duration_seconds,
    elapsedSeconds: Math.max(0, timer.duration_seconds - remainingSeconds),
    clock: clockText(remainingSeconds),
    note: `${name}${CONTACT_NOTES[connection]}`,
    isLate: timer.warning_thresholds.some((seconds) => remainingSeconds <= seconds),
  };
}
