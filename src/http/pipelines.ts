/**
 * Requests that are sent ahead of the answers to those before them (RFC 9112, section 9.3.2). All that arrive
 * together are begun in one turn, in which nobody else is heard, so a connection may have only so many.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** No browser sends any request ahead, and few clients more than ten. */
export const MOST_UNANSWERED = 32;

interface Connection {
  /** How many of its requests wait for their answer. */
  unanswered: number;
  /** The answer to the newest request, as long as that is read or waits for it. */
  newest: ServerResponse | undefined;
}

const connections = new WeakMap<Duplex, Connection>();

/** Whether bytes that are written to a connection would be read as an answer, or as part of one, to what was asked. */
export function isAnswering(socket: Duplex): boolean {
  const { unanswered, newest } = connectionOf(socket);
  const isRead = newest?.req.complete === false;
  // A request of which not all is here may be refused, unless it was answered without the rest.
  return isRead ? unanswered > 1 || newest.headersSent : unanswered > 0;
}

function connectionOf(socket: Duplex): Connection {
  return connections.get(socket) ?? { unanswered: 0, newest: undefined };
}

/** Breaks off a connection that has more requests than `MOST_UNANSWERED` to be answered (T10). */
export function boundPipelines(
  listener: RequestListener<typeof IncomingMessage, typeof ServerResponse>,
): RequestListener {
  return (request, response) => {
    const { socket } = request;
    // Requests that were read together with the one too many still come here.
    if (socket.destroyed) return;
    const connection = connectionOf(socket);
    if (connection.unanswered === MOST_UNANSWERED) {
      socket.destroy();
      return;
    }
    connections.set(socket, connection);
    connection.unanswered += 1;
    connection.newest = response;
    response.once('close', () => {
      connection.unanswered -= 1;
      // An idle connection keeps no body.
      if (connection.newest === response && request.complete) connection.newest = undefined;
    });
    listener(request, response);
  };
}
