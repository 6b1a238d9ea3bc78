/**
 * Counts the fragments in what a display sends. A message may come in as many as its sender likes, empty ones too,
 * and each is work; but whoever listens for messages hears only of the last. Touches nothing.
 */

const CONTINUATION = 0;
const OPCODE_BITS = 0x0f;
const MASK_BIT = 0x80;
const MASK_BYTES = 4;
/** Lengths that say in how many bytes behind them the length is (RFC 6455, section 5.2). */
const LENGTH_BYTES: Readonly<Record<number, number>> = { 126: 2, 127: 8 };

export class FragmentCounter {
  #expects: 'opcode' | 'length' | 'more' | 'rest' = 'opcode';
  #opcode = 0;
  #maskBytes = 0;
  #payloadBytes = 0;
  /** Bytes of what is expected that are still to come. */
  #left = 0;

  /** How many fragments behind the first of a message begin in the next piece of what is sent. */
  count(piece: Buffer): number {
    let fragments = 0;
    let at = 0;
    while (at < piece.length) {
      if (this.#expects === 'rest') {
        at += this.#skip(piece.length - at);
      } else {
        this.#read(piece.readUInt8(at));
        at += 1;
        if (this.#expects === 'length' && this.#opcode === CONTINUATION) fragments += 1;
      }
    }
    return fragments;
  }

  /** Reads one byte of a header, up to the mask. */
  #read(byte: number): void {
    switch (this.#expects) {
      case 'opcode':
        this.#opcode = byte & OPCODE_BITS;
        this.#expects = 'length';
        break;
      case 'length': {
        const length = byte & ~MASK_BIT;
        const lengthBytes = LENGTH_BYTES[length] ?? 0;
        this.#maskBytes = (byte & MASK_BIT) === 0 ? 0 : MASK_BYTES;
        this.#payloadBytes = lengthBytes === 0 ? length : 0;
        this.#left = lengthBytes;
        if (lengthBytes === 0) this.#expectRest();
        else this.#expects = 'more';
        break;
      }
      default:
        this.#payloadBytes = this.#payloadBytes * 256 + byte;
        this.#left -= 1;
        if (this.#left === 0) this.#expectRest();
    }
  }

  #expectRest(): void {
    this.#left = this.#maskBytes + this.#payloadBytes;
    this.#expects = this.#left === 0 ? 'opcode' : 'rest';
  }

  #skip(bytes: number): number {
    const skipped = Math.min(this.#left, bytes);
    this.#left -= skipped;
    if (this.#left === 0) this.#expects = 'opcode';
    return skipped;
  }
}
