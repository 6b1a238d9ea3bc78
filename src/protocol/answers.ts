/** How problems are written: as the answer to a request, or to a socket where nothing else would answer. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Problem } from './problems.js';

/** Answers a request with a problem, without Express's help, which would add a charset that its type does not have. */
export function answer(response: ServerResponse, problem: Problem): void {
  const body = JSON.stringify(problem);
  const headers = { ...problem.headers, 'Content-Length': Buffer.byteLength(body) };
  response.writeHead(problem.status, headers).end(body);
}

/** Writes an answer to a socket and closes it. */
export function refuse(
  socket: Duplex,
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(problem);
  const text = [
    `HTTP/1.1 ${problem.status} ${problem.toJSON().title}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries({ ...problem.headers, ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    ),
    '',
    body,
  ].join('\r\n');
  socket.end(text, () => socket.destroy());
}
