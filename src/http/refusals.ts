/** Refusals that no route gives, because what came is no request that one could be given. */
import type { Server } from 'node:http';
import { answer, refuse } from '../protocol/answers.js';
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
    // Bytes between those of an answer, or before it, would be read as part of it.
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
