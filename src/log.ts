/** Structured logs: one JSON line each, to standard output. */
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';

export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

export function createLog(level: Config['logLevel']): Log {
  return pino({ level, timestamp: pino.stdTimeFunctions.isoTime });
}
