/** WebSocket frames (RFC 6455, section 5) as bytes, so that one broadcast is framed once. */

const FINAL_TEXT = 0x81;
const FINAL_PING = 0x89;

/** An unmasked text frame, as a server sends it. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerLength + length);
  frame[0] = FINAL_TEXT;
  if (headerLength === 2) {
    frame[1] = length;
  } else if (headerLength === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, headerLength);
  return frame;
}

/** A ping without a payload. */
export const PING_FRAME = Buffer.from([FINAL_PING, 0]);

/** The frame of a tick, and the same with a ping behind it: two frames for the price of one write. */
export class TickFrame {
  readonly bytes: Buffer;
  #withPing: Buffer | undefined;

  constructor(text: string) {
    this.bytes = textFrame(text);
  }

  get withPing(): Buffer {
    this.#withPing ??= Buffer.concat([this.bytes, PING_FRAME]);
    return this.#withPing;
  }
}
