/** Three ways to show what a display tells: JSON for programs, lines for files, a bar for people. */
import { type Options, Presets, SingleBar } from 'cli-progress';
import type { ServerMessage, TimerDisplay } from '../client/api.js';
import { clockText } from '../client/digits.js';
import type { TimerResource } from '../protocol/timer.js';
import type { Output } from './output.js';
import { announcementLine, barOf, isMark, messageLine } from './watch-text.js';

/** Shows until it is called, which leaves the terminal as it was. */
export type EndView = () => void;

const LOOK_INTERVAL_MS = 100;

/** The messages that something changed with; the others keep the connection and the clock. */
const CHANGES = [
  'connected',
  'timer_started',
  'timer_warning',
  'timer_paused',
  'timer_extended',
  'timer_stopped',
  'timer_expired',
  'timer_deleted',
] as const satisfies readonly ServerMessage['type'][];

function onChanges(display: TimerDisplay, listener: (message: ServerMessage) => void): void {
  for (const type of CHANGES) display.on(type, listener);
}

export function showJson(display: TimerDisplay, output: Output): EndView {
  onChanges(display, (message) => output.printJson(message));
  return () => {};
}

/** One line for each change, each warning, and the marks on the way to the end. */
export function showLines(display: TimerDisplay, output: Output): EndView {
  tellLines(display, (line) => output.print(line));
  let shownSeconds: number | undefined;
  onChanges(display, () => {
    shownSeconds = secondsLeft(display);
  });
  const looking = setInterval(() => {
    const { timer } = display;
    const seconds = secondsLeft(display);
    if (timer?.state !== 'running' || seconds === undefined || seconds === shownSeconds) return;
    shownSeconds = seconds;
    if (isMark(seconds, timer)) output.print(`${clockText(seconds)} remaining`);
  }, LOOK_INTERVAL_MS);
  return () => clearInterval(looking);
}

function tellLines(display: TimerDisplay, say: (line: string) => void): void {
  const sayIf = (line: string | undefined): void => {
    if (line !== undefined) say(line);
  };
  let isFirst = true;
  let isLost = false;
  onChanges(display, (message) => {
    sayIf(messageLine(message, isFirst));
    isFirst = false;
  });
  display.on('warning', (warning) => sayIf(announcementLine(warning)));
  display.on('end', (end) => sayIf(announcementLine(end)));
  display.on('connection', (connection) => {
    // Attempts to come back fail one after the other; that is one loss.
    if (connection === 'waiting' && !isLost) say('no contact to the service; trying again');
    isLost = connection === 'waiting' || (isLost && connection === 'connecting');
  });
}

function secondsLeft(display: TimerDisplay): number | undefined {
  const remainingMs = display.remaining();
  return remainingMs === undefined ? undefined : Math.ceil(remainingMs / 1000);
}

const BAR_OPTIONS: Options = {
  format: '{bar} {clock}  {state}  {note}',
  hideCursor: true,
  forceRedraw: true,
  // The end of the command restores the terminal, however it ends.
  gracefulExit: false,
};
/** What the bar leaves to the words behind it. */
const WORDS_WIDTH = 60;
const WIDEST_BAR = 40;
const NARROWEST_BAR = 10;

/** `known` is the timer as it was before the display had its first contact. */
export function showBar(display: TimerDisplay, known: TimerResource, output: Output): EndView {
  const { stdout: stream } = output;
  const room = (stream.columns ?? 0) - WORDS_WIDTH;
  const barsize = Math.max(NARROWEST_BAR, Math.min(WIDEST_BAR, room));
  const bar = new SingleBar({ ...BAR_OPTIONS, stream, barsize }, Presets.shades_classic);
  const payload = () => payloadOf(display, known, output);
  bar.start(known.duration_seconds, known.elapsed_seconds, payload());
  const draw = (): void => {
    const { totalSeconds, elapsedSeconds } = viewOf(display, known);
    bar.setTotal(totalSeconds);
    bar.update(elapsedSeconds, payload());
  };
  display.on('change', draw);
  const drawing = setInterval(draw, LOOK_INTERVAL_MS);
  return () => {
    clearInterval(drawing);
    draw();
    bar.stop();
  };
}

function viewOf(display: TimerDisplay, known: TimerResource) {
  const timer = display.timer ?? known;
  const remainingMs = display.remaining() ?? known.remaining_ms;
  return barOf({ timer, remainingMs, connection: display.connection });
}

/** What stands around the bar. */
function payloadOf(display: TimerDisplay, known: TimerResource, output: Output) {
  const { clock, note, isLate } = viewOf(display, known);
  const { state } = display.timer ?? known;
  return {
    clock: output.styled(isLate ? 'yellow' : 'bold', clock),
    state: output.styledState(state),
    note,
  };
}
