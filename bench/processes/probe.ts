/**
 * Loaded into a measured server with `--import`, before its own code: tells what the process uses.
 * It does nothing until it is asked. `process.cpuUsage()` counts all threads of the process, with
 * a finer resolution than /proc has and on every system.
 */
import { subscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { z } from 'zod';
import { answerQuestions } from '../support/questions.js';
import { TRACKS_SOCKETS, type Usage } from '../support/usage.js';

const sockets = new Set<Socket>();

const question = z.object({ type: z.literal('usage'), collectGarbage: z.boolean() });

answerQuestions(question, ({ collectGarbage }): Usage => {
  if (collectGarbage) globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    cpuMs: (user + system) / 1000,
    heapBytes: heapUsed,
    externalBytes: external,
    residentBytes: rss,
    backlogsBytes: [...sockets].map(({ writableLength }) => writableLength),
  };
});
// The channel alone must not keep the process alive.
process.channel?.unref();

/** Only on request, since it adds a listener to every connection. */
if (process.env[TRACKS_SOCKETS] !== undefined) {
  subscribe('net.server.socket', (message) => {
    const { socket } = z.object({ socket: z.instanceof(Socket) }).parse(message);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
}
