/**
 * A display without a WebSocket library: a TCP connection of which the test decides every byte, when it
 * reads and when it does not. It answers no ping and no closing handshake unless it is told to.
 */

import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { endWithTest } from './endings.js';
import type { TestService } from './service.js';

/** What a frame is, in the first byte of it (RFC 6455, section 5.2). */
export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface FrameOptions {
  /** False for all but the last fragment of a message. */
  readonly isFinal?: boolean;
  /** False for what no client may send. */
  readonly isMasked?: boolean;
}

export interface RawClientOptions {
  readonly method?: string;
  /** Instead of, or in addition to, the headers of a handshake; `undefined` leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Sent in the same packet as the handshake, before there is an answer to it. */
  readonly early?: Buffer;
  /** True for a client that does not let go of the connection when the server has ended its side. */
  readonly holdsOn?: boolean;
}

const clients = new Set<RawClient>();
endWithTest('clients', () => {
  for (const client of clients) client.socket.destroy();
  clients.clear();
});

export class RawClient {
  readonly socket: Socket;
  /** Whole frames received after the handshake. */
  readonly frames: Frame[] = [];
  /** Settles when the connection is gone in both directions, for one that does not hold on. */
  readonly closed: Promise<void>;
  /** Status line and headers of the answer; empty before it is here. */
  head = '';
  #received = Buffer.alloc(0);
  #serverSide: Socket | undefined;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    // A reset is one of the ways in which a connection may end.
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('close', () => this.#wake());
  }

  /** Sends the handshake for a path, and waits for its answer, whatever it is. */
  static async open(
    service: TestService,
    path: string,
    options: RawClientOptions = {},
  ): Promise<RawClient> {
    const { hostname, port } = new URL(service.service.url);
    const allowHalfOpen = options.holdsOn === true;
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen });
    const client = new RawClient(socket);
    clients.add(client);
    const noteAccepted = (message: unknown): void => {
      const isSocket = typeof message === 'object' && message !== null && 'socket' in message;
      if (!isSocket || !(message.socket instanceof Socket)) return;
      if (message.socket.remotePort === socket.localPort) client.#serverSide = message.socket;
    };
    subscribe('net.server.socket', noteAccepted);
    await once(socket, 'connect');
    socket.write(Buffer.concat([handshake(path, options), options.early ?? Buffer.alloc(0)]));
    await client.until(() => client.head !== '');
    unsubscribe('net.server.socket', noteAccepted);
    return client;
  }

  /** The server's end of this connection, to see what waits there. */
  get serverSide(): Socket {
    if (this.#serverSide === undefined) throw new Error('The server did not accept the connection');
    return this.#serverSide;
  }

  get status(): number {
    return Number(this.head.split(' ')[1]);
  }

  header(name: string): string | undefined {
    const line = this.head
      .split('\r\n')
      .find((text) => text.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    return line?.slice(name.length + 1).trim();
  }

  /** What follows the headers of an answer that is no upgrade. */
  get body(): string {
    return this.status === 101 ? '' : String(this.#received);
  }

  /** Every text message received so far, parsed. */
  get messages(): { readonly type: string; readonly [field: string]: unknown }[] {
    return this.frames
      .filter(({ opcode }) => opcode === OPCODES.text)
      .map(({ payload }) => JSON.parse(String(payload)));
  }

  /** The code of the close frame, if one has come. */
  get closeCode(): number | undefined {
    return this.frames.find(({ opcode }) => opcode === OPCODES.close)?.payload.readUInt16BE(0);
  }

  say(message: unknown): void {
    this.socket.write(clientFrame(OPCODES.text, JSON.stringify(message)));
  }

  sendFrame(opcode: number, payload: string | Buffer, options?: FrameOptions): void {
    this.socket.write(clientFrame(opcode, payload, options));
  }

  /** Stops to read: what the server sends fills the buffers of the kernel, then those of the server. */
  stall(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Waits until something is true of what was received; fails when the connection ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.socket.destroyed) throw new Error('The connection ended before what was awaited');
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Waits until the server has read everything this client has sent. */
  heard(): Promise<void> {
    return this.#untilServerSide(({ bytesRead }) => bytesRead >= this.socket.bytesWritten);
  }

  /** Waits until the server keeps nothing back that is meant for this client. */
  drained(): Promise<void> {
    return this.#untilServerSide(({ writableLength }) => writableLength === 0);
  }

  async #untilServerSide(condition: (socket: Socket) => boolean): Promise<void> {
    while (!condition(this.serverSide)) {
      if (this.serverSide.destroyed) throw new Error('The server let go of the connection');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.head === '') {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.head = this.#received.toString('latin1', 0, end);
      this.#received = this.#received.subarray(end + 4);
    }
    if (this.status === 101) this.#readFrames();
    this.#wake();
  }

  #readFrames(): void {
    let offset = 0;
    for (;;) {
      const frame = readFrame(this.#received, offset);
      if (frame === undefined) break;
      this.frames.push({ opcode: frame.opcode, payload: frame.payload });
      offset = frame.end;
    }
    this.#received = this.#received.subarray(offset);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** A frame as a client sends it. */
export function clientFrame(
  opcode: number,
  content: string | Buffer,
  { isFinal = true, isMasked = true }: FrameOptions = {},
): Buffer {
  const payload = Buffer.from(content);
  const maskBit = isMasked ? 0x80 : 0;
  const length =
    payload.length < 126
      ? Buffer.from([maskBit | payload.length])
      : Buffer.from([maskBit | 126, payload.length >> 8, payload.length & 0xff]);
  const first = Buffer.from([(isFinal ? 0x80 : 0) | opcode]);
  if (!isMasked) return Buffer.concat([first, length, payload]);
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ mask.readUInt8(index % 4));
  return Buffer.concat([first, length, mask, masked]);
}

function handshake(path: string, { method = 'GET', headers = {} }: RawClientOptions): Buffer {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return Buffer.from([`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'), 'latin1');
}

/** Reads an unmasked frame, as a server sends it; nothing when it is not all here. */
function readFrame(bytes: Buffer, offset: number): (Frame & { end: number }) | undefined {
  if (bytes.length < offset + 2) return undefined;
  const short = bytes.readUInt8(offset + 1);
  const headerLength = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < offset + headerLength) return undefined;
  const length =
    headerLength === 2
      ? short
      : headerLength === 4
        ? bytes.readUInt16BE(offset + 2)
        : Number(bytes.readBigUInt64BE(offset + 2));
  const end = offset + headerLength + length;
  if (bytes.length < end) return undefined;
  const opcode = bytes.readUInt8(offset) & 0x0f;
  return { opcode, payload: bytes.subarray(offset + headerLength, end), end };
}
