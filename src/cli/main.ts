#!/usr/bin/env node
/** The process of the command line: what commands run in, and what ends with the code that they end with. */
import { EXIT_CODES } from './errors.js';
import { runCommand } from './program.js';

/** Whoever reads may stop reading, as `head` does. That is no failure, and nothing is left to do. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if ('code' in error && error.code === 'EPIPE') process.exit(EXIT_CODES.done);
    throw error;
  });
}

const exitCode = await runCommand(process.argv.slice(2), process);
// A service that was started runs on.
if (exitCode !== EXIT_CODES.done) process.exit(exitCode);
