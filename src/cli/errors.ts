/** What ends a command early, each with the exit code that the help documents. Messages are for people. */
import { constants } from 'node:os';
import type { Signal } from './context.js';

export const EXIT_CODES = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

export abstract class CommandError extends Error {
  abstract readonly exitCode: number;
}

/** The service said no, or could not do it. */
export class RefusedError extends CommandError {
  override readonly name = 'RefusedError';
  override readonly exitCode = EXIT_CODES.refused;
}

/** What was asked for makes no sense as it stands. */
export class UsageError extends CommandError {
  override readonly name = 'UsageError';
  override readonly exitCode = EXIT_CODES.usage;
}

/** No service answers at the address, or something answers that is none. */
export class UnreachableError extends CommandError {
  override readonly name = 'UnreachableError';
  override readonly exitCode = EXIT_CODES.unreachable;

  constructor(server: string, reason: string) {
    super(
      `Cannot reach the service at ${server}: ${reason}. Start it with "synchronized-timer serve", ` +
        'or say where it is with --server or SYNCHRONIZED_TIMER_SERVER.',
    );
  }
}

/** What a command was to read cannot be read. */
export class UnreadableError extends CommandError {
  override readonly name = 'UnreadableError';
  override readonly exitCode = EXIT_CODES.unreachable;
}

/** A signal asked the command to end, which is nothing to say a word about. */
export class InterruptedError extends CommandError {
  override readonly name = 'InterruptedError';
  override readonly exitCode: number;

  constructor(signal: Signal) {
    super('');
    // As a shell tells of a program that a signal has ended.
    this.exitCode = 128 + constants.signals[signal];
  }
}
