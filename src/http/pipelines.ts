/**
 * Requests that are sent ahead of the answers to those before them (RFC 9112, section 9.3.2). All that arrive
 * together are begun in one turn, in which nobody else is heard, so a connection may have only so many.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** No browser sends any request ahead, and few clients more than ten. */
export const MOST_UNANSWERED = 32;

/** Breaks off a connection that has more requests than `MOST_UNANSWERED` to be answered (T10). */
export function boundPipelines(
  listener: RequestListener<typeof IncomingMessage, typeof ServerResponse>,
): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  const unansweredOn = (socket: Socket): number => unanswered.get(socket) ?? 0;
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
