/** What is to be simulated, as it stands on the command line: each argument that is wrong is told in a line. */
import { parseArgs } from 'node:util';
import { z } from 'zod';

const LARGEST_SEED = 2 ** 32 - 1;
const MOST_SEEDS = 1_000_000;
const MOST_HOURS = 1000;

function whole(least: number, most: number): z.ZodType<number> {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(least).max(most));
}

const OPTIONS = {
  seed: {
    schema: whole(0, LARGEST_SEED),
    default: 1,
    is: 'the first seed',
    takes: `a whole number from 0 to ${LARGEST_SEED}`,
  },
  seeds: {
    schema: whole(1, MOST_SEEDS),
    default: 1,
    is: 'how many seeds, one after the other',
    takes: `a whole number from 1 to ${MOST_SEEDS}`,
  },
  hours: {
    schema: z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number)
      .pipe(z.number().positive().max(MOST_HOURS)),
    default: 10,
    is: 'simulated hours of each',
    takes: `a number above 0, up to ${MOST_HOURS}; more seeds find more than more hours`,
  },
};
type OptionName = keyof typeof OPTIONS;
const NAMES = ['seed', 'seeds', 'hours'] as const;

const LINES = NAMES.map((name) => {
  const { is, takes, default: usual } = OPTIONS[name];
  return `  --${name.padEnd(5)}  ${is} (${usual} unless it is given): ${takes}`;
});
export const HELP = `npm run simulate -- --seed 1 --seeds 1000 --hours 10

Simulates nodes that share a log, and tells the story of the first seed that breaks a rule.

${LINES.join('\n')}
  --help   shows this`;

/** What to do: simulate, show the help, or say what is wrong, one line for each argument. */
export type Reading =
  | ({ readonly type: 'simulate' } & Readonly<Record<OptionName, number>>)
  | { readonly type: 'help' }
  | { readonly type: 'wrong'; readonly lines: readonly string[] };

export function readArguments(args: readonly string[]): Reading {
  const option = { type: 'string' } as const;
  const { tokens } = parseArgs({
    args: [...args],
    options: { seed: option, seeds: option, hours: option, help: { type: 'boolean' } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = { seed: OPTIONS.seed.default, seeds: OPTIONS.seeds.default, hours: 10 };
  const lines: string[] = [];
  // What follows an option that does not exist is meant as its value.
  let valueOfUnknown = -1;
  for (const token of tokens) {
    if (token.kind === 'positional' && token.index !== valueOfUnknown) {
      lines.push(unknown(token.value));
    }
    if (token.kind !== 'option') continue;
    const name = NAMES.find((known) => known === token.name);
    if (name !== undefined) {
      const { data, success } = OPTIONS[name].schema.safeParse(token.value);
      if (success) values[name] = data;
      else lines.push(wrong(name, token.value));
    } else if (token.name === 'help') {
      return { type: 'help' };
    } else {
      lines.push(unknown(token.rawName));
      valueOfUnknown = token.index + 1;
    }
  }
  return lines.length > 0 ? { type: 'wrong', lines } : { type: 'simulate', ...values };
}

function wrong(name: OptionName, value: string | undefined): string {
  const got = value === undefined ? 'has no value' : `is ${JSON.stringify(value)}`;
  return `--${name} ${got}; it takes ${OPTIONS[name].takes}`;
}

function unknown(argument: string): string {
  const known = NAMES.map((name) => `--${name}`).join(', ');
  return `${JSON.stringify(argument)} is not known; there are ${known} and --help`;
}
