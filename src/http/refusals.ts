/**
 * How problems are answered, and refusals that no route gives, because what came is no request that one could be
 * given: these are written to the socket itself, with the same body as every other.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem } from '../protocol/problems.js';
import { isAnswering } from './pipelines.js';

/** What Node's parser and its time limits call the errors that have a status of their own. */
const KINDS = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The headers have at most 16 KB together'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['body_too_large', 'The chunks of a body have no extensions here'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request took too long to arrive'],
} as const;

/** Answers what is no HTTP, what does not end in time, and what expects more than there is. */
export function refuseUnreadable(server: Server): void {
  server.on('clientError', (error, socket) => {
    // Bytes between those of an answer would be read as part of it.
    if (!socket.writable || isAnswering(socket)) socket.destroy();
    else refuse(socket, problemOf(error));
  });
  server.on('checkExpectation', ({ headers }, response) => {
    const detail = `Only "100-continue" can be expected, not "${headers.expect}"`;
    response.setHeader('Connection', 'close');
    answer(response, new Problem('expectation_failed', detail));
  });
}

function problemOf(error: Error): Problem {
  const code = 'code' in error ? String(error.code) : '';
  const [
    ,
    [kind, detail] = ['unreadable_request', `What came is no HTTP: ${error.message}`] as const,
  ] = Object.entries(KINDS).find(([name]) => name === code) ?? [];
  return new Problem(kind, detail);
}

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
