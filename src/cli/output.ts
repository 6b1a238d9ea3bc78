/** What commands write: results to standard output, everything said about them to standard error. */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { clockText } from '../client/digits.js';
import type { TimerResource, WireTimerState } from '../protocol/timer.js';

type Style = Parameters<typeof styleText>[0];

const STATE_STYLES: Readonly<Record<WireTimerState, Style>> = {
  created: 'cyan',
  running: 'green',
  paused: 'yellow',
  expired: 'gray',
  completed: 'gray',
};

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Colours are for people at a terminal who have not asked for none (https://no-color.org). */
export function styled(style: Style, text: string, stream: WriteStream = process.stdout): string {
  const isWanted = stream.isTTY && (process.env.NO_COLOR ?? '') === '';
  return isWanted ? styleText(style, text, { validateStream: false }) : text;
}

export function styledState(state: WireTimerState, text: string = state): string {
  return styled(STATE_STYLES[state], text);
}

/**
 * Text from outside on one line. Whoever names a timer must not be able to move the cursor or to turn
 * the direction of writing in the terminal of somebody else.
 */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** Where a timer stands, in one line. */
export function standingOf({ state, remaining_seconds }: TimerResource): string {
  return `${styledState(state)}, ${clockText(remaining_seconds)} remaining`;
}

/** Rows in columns as wide as their widest cell; the last column is left ragged. */
export function columns(rows: readonly (readonly string[])[]): string[][] {
  // What divides text as people do takes longer to load than all else that is written here.
  const graphemes = new Intl.Segmenter();
  const widthOf = (text: string): number => [...graphemes.segment(text)].length;
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), 0),
  );
  return rows.map((row) =>
    row.map((cell, column) => {
      const isLast = column === row.length - 1;
      return isLast ? cell : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
    }),
  );
}

export function printTable(headings: readonly string[], rows: readonly string[][]): void {
  const [first = [], ...others] = columns([headings, ...rows]);
  print(styled('bold', first.join('  ')));
  for (const row of others) print(row.join('  '));
}
