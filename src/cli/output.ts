/** What commands write: results to standard output, everything said about them to standard error. */
import { styleText } from 'node:util';
import { clockText } from '../client/digits.js';
import type { TimerResource, WireTimerState } from '../protocol/timer.js';
import type { Context, OutputStream } from './context.js';

type Style = Parameters<typeof styleText>[0];

const STATE_STYLES: Readonly<Record<WireTimerState, Style>> = {
  created: 'cyan',
  running: 'green',
  paused: 'yellow',
  expired: 'gray',
  completed: 'gray',
};

export class Output {
  /** For what is no line. */
  readonly stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #areColoursWanted: boolean;

  constructor({ stdout, stderr, env }: Context) {
    this.stdout = stdout;
    this.#stderr = stderr;
    this.#areColoursWanted = (env.NO_COLOR ?? '') === '';
  }

  print(line: string): void {
    this.stdout.write(`${line}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  printTable(headings: readonly string[], rows: readonly string[][]): void {
    const [first = [], ...others] = columns([headings, ...rows]);
    this.print(this.styled('bold', first.join('  ')));
    for (const row of others) this.print(row.join('  '));
  }

  tell(line: string): void {
    this.#stderr.write(`${line}\n`);
  }

  tellFailure(words: string): void {
    this.tell(this.#styledFor(this.#stderr, 'red', words));
  }

  styled(style: Style, text: string): string {
    return this.#styledFor(this.stdout, style, text);
  }

  styledState(state: WireTimerState, text: string = state): string {
    return this.styled(STATE_STYLES[state], text);
  }

  /** Where a timer stands, in one line. */
  standingOf({ state, remaining_seconds }: TimerResource): string {
    return `${this.styledState(state)}, ${clockText(remaining_seconds)} remaining`;
  }

  /** Colours are for people at a terminal who have not asked for none (https://no-color.org). */
  #styledFor({ isTTY = false }: OutputStream, style: Style, text: string): string {
    const isWanted = isTTY && this.#areColoursWanted;
    return isWanted ? styleText(style, text, { validateStream: false }) : text;
  }
}

/**
 * Text from outside on one line. Whoever names a timer must not be able to move the cursor or to turn
 * the direction of writing in the terminal of somebody else.
 */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
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
