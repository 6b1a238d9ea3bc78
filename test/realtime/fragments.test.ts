/** Fragments are counted in bytes that come in pieces of any size. */
import { expect, it } from 'vitest';
import { FragmentCounter } from '../../src/realtime/fragments.js';

type LengthBytes = 0 | 2 | 8;

/** A masked frame that says its length in so many bytes of their own. */
function frame(first: number, payloadBytes: number, lengthBytes: LengthBytes = 0): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(payloadBytes));
  const short = { 0: payloadBytes, 2: 126, 8: 127 }[lengthBytes];
  return Buffer.concat([
    Buffer.from([first, 0x80 | short]),
    length.subarray(8 - lengthBytes),
    Buffer.alloc(4 + payloadBytes),
  ]);
}

const BEGIN = 0x01;
const MORE = 0x00;
const END = 0x80;
const WHOLE = 0x81;
const PONG = 0x8a;

it('A4: counts further fragments only, however long they are, say they are, and are cut', () => {
  const sent = Buffer.concat([
    frame(BEGIN, 5),
    frame(MORE, 0),
    frame(MORE, 7, 8),
    frame(PONG, 3),
    frame(MORE, 300, 2),
    frame(END, 0, 8),
    frame(WHOLE, 125),
    frame(BEGIN, 0, 2),
    frame(END, 1),
  ]);
  for (let size = 1; size <= sent.length; size += 1) {
    const counter = new FragmentCounter();
    let counted = 0;
    for (let at = 0; at < sent.length; at += size) {
      counted += counter.count(sent.subarray(at, at + size));
    }
    expect(counted).toBe(5);
  }
});
