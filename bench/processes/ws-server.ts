/** The usual way to do it, for comparison: `ws`, and `send` of a string to each client. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { servePeer } from '../support/peers.js';
import './probe.js';

const server = createServer();
const webSockets = new WebSocketServer({ server, perMessageDeflate: false });

async function listen(): Promise<number> {
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 });
  await once(server, 'listening');
  return z.object({ port: z.number() }).parse(server.address()).port;
}

servePeer(listen, (text) => () => {
  for (const webSocket of webSockets.clients) webSocket.send(text);
});
