/**
 * Requests that are sent ahead of the answers to those before them (RFC 9112, section 9.3.2). All that arrive
 * together are begun in one turn, in which nobody else is heard, so a connection may have only so many.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** No browser sends any request ahead, and few clients more than ten. */
export const MOST_UNANSWERED = 32;

/** How many requests of each connection wait for their answer. */
const unanswered = new WeakMap<Duplex, number>();
const unansweredOn = (socket: Duplex): number => unanswered.get(socket) ?? 0;

/** Whether a request of a connection waits for its answer, or gets it at this moment. */
export function isAnswering(socket: Duplex): boolean {
  return unansweredOn(socket) > 0;
}

/** Breaks off a connection that has more requests than `MOST_UNANSWERED` to be answered (T10). */
export function boundPipelines(
  listener: RequestListener<typeof IncomingMessage, typeof ServerResponse>,
): RequestListener {
  return (request, response) => {
    const { socket } = request;
    // Requests that were read together with the one too many still come here.
    if (socket.destroyed) return;
    const waiting = unansweredOn(socket) + 1;
    if (waiting > MOST_UNANSWERED) {
      socket.destroy();
      return;
    }
    unanswered.set(socket, waiting);
    response.once('close', () => unanswered.set(socket, unansweredOn(socket) - 1));
    listener(request, response);
  };
}
