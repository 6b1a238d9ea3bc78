/**
 * A process that plays up to thousands of displays. They speak WebSocket over plain sockets and read
 * into one shared buffer, because this process shares the machine's cores with the measured server:
 * the cheaper it is, the less it disturbs.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { DisplaysReport } from '../support/displays.js';
import { askQuestion, openQuestion, reportQuestion, stallQuestion } from '../support/displays.js';
import { CLOSE, clientTextFrame, FrameReader, PING, PONG_FRAME, TEXT } from '../support/frames.js';
import { answerQuestions } from '../support/questions.js';

/** Handshakes under way at once when displays are to connect as fast as it goes. */
const MOST_HANDSHAKES = 128;
const SHARED_BUFFER_BYTES = 64 * 1024;
const END_OF_HEADERS = '\r\n\r\n';

const TICK = Buffer.from('{"type":"timer_tick"');
const EXPIRED = Buffer.from('{"type":"timer_expired"');

const tickSchema = z.object({ remaining_seconds: z.number(), deadline_ms: z.number() });

const sharedBuffer = Buffer.alloc(SHARED_BUFFER_BYTES);
const displays: Display[] = [];
let timesTicks = false;
let closed = 0;
let ticks = 0;
let lastTickAtMs = 0;
let lastTick: Buffer = Buffer.alloc(0);
let tickLatenessMs: number[] = [];
let expiredAtMs: number[] = [];

function hearMessage(buffer: Buffer, start: number, end: number): void {
  if (buffer.compare(TICK, 0, TICK.length, start, start + TICK.length) === 0) {
    ticks += 1;
    lastTickAtMs = Date.now();
    if (timesTicks) noteLateness(buffer.toString('utf8', start, end));
    // The bytes are copied, since the buffer is shared; copying one tick in many is enough.
    if (ticks % displays.length === 0) lastTick = Buffer.from(buffer.subarray(start, end));
  } else if (buffer.compare(EXPIRED, 0, EXPIRED.length, start, start + EXPIRED.length) === 0) {
    expiredAtMs.push(Date.now());
  }
}

/** A tick says N when N seconds remain, so the deadline tells when it was due. */
function noteLateness(text: string): void {
  const { remaining_seconds, deadline_ms } = tickSchema.parse(JSON.parse(text));
  tickLatenessMs.push(lastTickAtMs - (deadline_ms - remaining_seconds * 1000));
}

class Display {
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #opened: () => void;
  #handshake: string | undefined;
  #isStalled = false;

  private constructor(port: number, path: string, opened: () => void, failed: (e: Error) => void) {
    this.#opened = opened;
    this.#frames = new FrameReader((opcode, buffer, start, end) => {
      if (opcode === TEXT) hearMessage(buffer, start, end);
      else if (opcode === PING) this.#socket.write(PONG_FRAME);
      else if (opcode === CLOSE) this.#socket.destroy();
    });
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: sharedBuffer, callback: (length) => this.#read(length) },
    });
    this.#socket.on('error', failed);
    this.#socket.on('close', () => {
      closed += 1;
      failed(new Error(`A display was refused: ${this.#handshake ?? ''}`));
    });
    this.#socket.once('connect', () => this.#greet(path));
  }

  static open(port: number, path: string): Promise<Display> {
    return new Promise((resolve, reject) => {
      const display: Display = new Display(port, path, () => resolve(display), reject);
    });
  }

  /** Reads nothing more from now on, but stays connected. */
  stall(): void {
    this.#isStalled = true;
    this.#socket.pause();
  }

  write(frame: Buffer): void {
    this.#socket.write(frame);
  }

  #greet(path: string): void {
    if (path === '') {
      this.#opened();
      return;
    }
    this.#handshake = '';
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
  }

  /** Gives false, which pauses the socket, when the display is not to read any more. */
  #read(length: number): boolean {
    const chunk = sharedBuffer.subarray(0, length);
    if (this.#handshake === undefined) this.#frames.read(chunk);
    else this.#finishHandshake(chunk);
    return !this.#isStalled;
  }

  #finishHandshake(chunk: Buffer): void {
    const text = (this.#handshake ?? '') + chunk.toString('latin1');
    const end = text.indexOf(END_OF_HEADERS);
    this.#handshake = text;
    if (end < 0) return;
    if (!text.startsWith('HTTP/1.1 101')) {
      this.#socket.destroy();
      return;
    }
    this.#handshake = undefined;
    this.#opened();
    this.#frames.read(Buffer.from(text.slice(end + END_OF_HEADERS.length), 'latin1'));
  }
}

async function openAll({ port, paths, spreadMs }: z.output<typeof openQuestion>): Promise<void> {
  const startedMs = performance.now();
  const opening = new Set<Promise<unknown>>();
  for (const [index, path] of paths.entries()) {
    const dueMs = startedMs + (index / paths.length) * spreadMs;
    if (dueMs > performance.now()) await sleep(dueMs - performance.now());
    const opened = Display.open(port, path).then((display) => {
      displays.push(display);
      opening.delete(opened);
    });
    // A failure is met below, by whoever awaits the whole set.
    opened.catch(() => {});
    opening.add(opened);
    if (opening.size >= MOST_HANDSHAKES) await Promise.race(opening);
  }
  await Promise.all(opening);
}

function report(): DisplaysReport {
  const known: DisplaysReport = {
    open: displays.length - closed,
    closed,
    ticks,
    lastTickAtMs,
    lastTick: lastTick.toString(),
    tickLatenessMs,
    expiredAtMs,
  };
  tickLatenessMs = [];
  expiredAtMs = [];
  return known;
}

answerQuestions(openQuestion, openAll);
answerQuestions(reportQuestion, (question) => {
  timesTicks = question.timesTicks;
  return report();
});
answerQuestions(stallQuestion, () => {
  for (const display of displays) display.stall();
});
answerQuestions(askQuestion, ({ bytes }) => {
  const frame = clientTextFrame(JSON.stringify({ type: 'sync', client_time: 'x'.repeat(bytes) }));
  for (const display of displays) display.write(frame);
});
