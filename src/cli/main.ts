#!/usr/bin/env node
/** The process of the command line: runs a command, and makes an exit code of how it ended. */
import { CommanderError } from 'commander';
import { CommandError, EXIT_CODES } from './errors.js';
import { styled, tell } from './output.js';
import { createProgram } from './program.js';

/** Whoever reads may stop reading, as `head` does. That is no failure, and nothing is left to do. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if ('code' in error && error.code === 'EPIPE') process.exit(EXIT_CODES.done);
    throw error;
  });
}

/** Says what went wrong, unless that was said already. What nobody foresaw is told with its stack. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
  }
  if (error instanceof CommandError) {
    if (error.message !== '') tell(styled('red', error.message, process.stderr));
    return error.exitCode;
  }
  tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_CODES.refused;
}

createProgram()
  .parseAsync()
  .catch((error: unknown) => process.exit(exitCodeOf(error)));
