/** What a route is given, and what it gives: requests with their caller in, answers out. */
import type { Request, Response } from 'express';
import type { Caller } from '../access/caller.js';

/** A request of a caller that may make it. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly caller: Caller;
  /** The body as it came; empty for an operation that reads none. */
  readonly bytes: Buffer;
  /**
   * Refuses a caller whose credential has ended since, or who may not deal with the timer in the address. To be
   * called after whatever was awaited, in the same turn as the change.
   */
  readonly confirm: () => void;
}

export type Handler = (exchange: Exchange) => void | Promise<void>;

/** An answer as a whole, so that it can be kept and given again. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What JSON can say; nothing for an answer without a body. */
  readonly body?: unknown;
}

export function send(response: Response, { status, headers = {}, body }: Answer): void {
  response.status(status);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (body === undefined) response.end();
  // Express adds a charset to a type that is set already, which that of problems does not have.
  else if (response.hasHeader('Content-Type')) response.end(JSON.stringify(body));
  else response.json(body);
}
