/**
 * Reads WebSocket frames as servers send them (RFC 6455, section 5), as cheaply as possible: nothing
 * is copied unless a frame is split over two reads, and nothing is decoded.
 */

export const TEXT = 0x1;
export const CLOSE = 0x8;
export const PING = 0x9;

/** Gets the payload as a range of the buffer, which is used again after the call. */
export type OnFrame = (opcode: number, buffer: Buffer, start: number, end: number) => void;

const NOTHING = Buffer.alloc(0);

export class FrameReader {
  readonly #onFrame: OnFrame;
  /** The beginning of a frame whose end has not arrived. */
  #partial: Buffer = NOTHING;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  read(chunk: Buffer): void {
    const buffer = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    let position = 0;
    for (;;) {
      const start = payloadStart(buffer, position);
      if (start === undefined) break;
      const end = start + payloadLength(buffer, position);
      if (end > buffer.length) break;
      this.#onFrame((buffer[position] ?? 0) & 0x0f, buffer, start, end);
      position = end;
    }
    this.#partial = position === buffer.length ? NOTHING : Buffer.from(buffer.subarray(position));
  }
}

/** Where the payload of the frame at a position starts, if its header is there whole. */
function payloadStart(buffer: Buffer, position: number): number | undefined {
  const length = buffer[position + 1];
  if (length === undefined) return undefined;
  const start = position + (length < 126 ? 2 : length === 126 ? 4 : 10);
  return start <= buffer.length ? start : undefined;
}

function payloadLength(buffer: Buffer, position: number): number {
  const length = buffer[position + 1] ?? 0;
  if (length < 126) return length;
  return length === 126
    ? buffer.readUInt16BE(position + 2)
    : Number(buffer.readBigUInt64BE(position + 2));
}

/** An empty pong; clients mask what they send, here with zeros, which leave it as it is. */
export const PONG_FRAME = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

/** A masked text frame of at least 126 and less than 65,536 bytes, as a client sends it. */
export function clientTextFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.from([0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0]);
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}
