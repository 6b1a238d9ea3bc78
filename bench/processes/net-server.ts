/**
 * The floor that the fan-out is compared with: a server of `node:net` that does nothing but write the
 * bytes of one tick, framed once, to every connection. No server in Node can do it with less.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { z } from 'zod';
import { textFrame } from '../../src/realtime/frame.js';
import { servePeer } from '../support/peers.js';
import './probe.js';

const sockets = new Set<Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => socket.destroy());
  socket.resume();
});

async function listen(): Promise<number> {
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 });
  await once(server, 'listening');
  return z.object({ port: z.number() }).parse(server.address()).port;
}

servePeer(listen, (text) => {
  const frame = textFrame(text);
  return () => {
    for (const socket of sockets) socket.write(frame);
  };
});
