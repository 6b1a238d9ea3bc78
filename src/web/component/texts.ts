/** What the component says, in English; a page may give its own words for any of it. */

export interface Texts {
  readonly connecting: string;
  readonly notStarted: string;
  readonly running: string;
  readonly paused: string;
  readonly timeIsUp: string;
  readonly timeIsUpUnverified: string;
  readonly stopped: string;
  readonly unverified: string;
  readonly deleted: string;
  readonly unknown: string;
  readonly unauthenticated: string;
  readonly forbidden: string;
  readonly refused: string;
  readonly synchronizing: string;
  /** How far the display may be off at most. */
  readonly inSync: (errorBoundMs: number) => string;
  /** Announcements for people who do not see the digits. */
  readonly left: (seconds: number) => string;
  readonly started: (seconds: number) => string;
  readonly extended: (addedSeconds: number, seconds: number) => string;
}

export const ENGLISH: Texts = {
  connecting: 'Connecting…',
  notStarted: 'Not started',
  running: 'Running',
  paused: 'Paused',
  timeIsUp: 'Time is up',
  timeIsUpUnverified: 'Time is up, not confirmed yet',
  stopped: 'Stopped',
  unverified: 'No connection; counting on, not confirmed',
  deleted: 'This timer was deleted',
  unknown: 'There is no such timer',
  unauthenticated: 'The access of this display has ended or is not valid; it needs a new link',
  forbidden: 'This display may not show this timer; it needs another link',
  refused: 'The connection was refused',
  synchronizing: 'Synchronizing…',
  inSync: (errorBoundMs) => `In sync, ±${Math.ceil(errorBoundMs)} ms`,
  left: (seconds) => `${spoken(seconds)} left`,
  started: (seconds) => `The time is running, ${spoken(seconds)} left`,
  extended: (addedSeconds, seconds) => `${spoken(addedSeconds)} more, ${spoken(seconds)} left`,
};

/** Seconds as people say them: "1 hour 5 minutes". */
function spoken(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [seconds % 60, 'second'],
  ] as const;
  const said = parts.filter(([count]) => count > 0);
  if (said.length === 0) return '0 seconds';
  return said.map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`).join(' ');
}
