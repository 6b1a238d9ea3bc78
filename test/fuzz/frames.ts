/** What a display may send: messages that are nearly right, texts, and frames of every kind. */
import fc from 'fast-check';
import { clientFrame, OPCODES } from '../support/raw-client.js';
import { jsonValues, texts } from './texts.js';

/** Described for reports, in which what is long would be all that is to be seen. */
export type FrameInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'long'; readonly unit: string; readonly count: number }
  | { readonly kind: 'fragments'; readonly text: string; readonly count: number }
  | {
      readonly kind: 'frame';
      readonly opcode: number;
      readonly isFinal: boolean;
      readonly isMasked: boolean;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'claim'; readonly opcode: number; readonly length: bigint }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

const messageTypes = [
  ...['ping', 'sync', 'acknowledge', 'pause', 'start', 'stop', 'extend', 'delete', 'expired'],
  ...['__proto__', 'constructor', 'toString'],
];
const clientMessages = fc.record(
  {
    type: fc.oneof(fc.constantFrom(...messageTypes), texts),
    client_time: jsonValues(2),
    revision: fc.oneof(fc.nat(5), jsonValues(1)),
    error_bound_ms: fc.oneof(fc.double(), fc.constant(null)),
    label: fc.oneof(texts, jsonValues(1)),
    timer_id: texts,
    action: fc.constantFrom(...messageTypes),
  },
  { requiredKeys: [] },
);
const said = fc.oneof(
  { weight: 2, arbitrary: clientMessages.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: jsonValues(3).map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: texts },
);

/** The service reads messages of up to 4096 bytes, in up to 16 fragments. */
const longs = fc.oneof(
  fc.record({ unit: fc.constantFrom('x', '\0'), count: fc.integer({ min: 4090, max: 4102 }) }),
  fc.record({ unit: fc.constantFrom('é', '😀'), count: fc.constantFrom(1023, 1024, 1025, 2048) }),
  fc.record({ unit: fc.constant('['), count: fc.constantFrom(2000, 4096, 4097) }),
  fc.record({ unit: fc.constantFrom('x', '{"a":'), count: fc.constantFrom(5000, 13_000) }),
);

export const frames: fc.Arbitrary<FrameInput> = fc.oneof(
  { weight: 40, arbitrary: said.map((text) => ({ kind: 'text' as const, text })) },
  { weight: 1, arbitrary: longs.map((long) => ({ kind: 'long' as const, ...long })) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fragments' as const),
      text: said,
      count: fc.oneof(fc.integer({ min: 2, max: 15 }), fc.integer({ min: 15, max: 40 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      // Texts may be no UTF-8, closes have any code, and pings and pongs may be longer than they may be.
      opcode: fc.oneof(fc.constantFrom(...Object.values(OPCODES)), fc.nat(15)),
      isFinal: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean()),
      isMasked: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
      payload: fc.uint8Array({ maxLength: 200 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('claim' as const),
      opcode: fc.constantFrom(...Object.values(OPCODES)),
      length: fc.oneof(
        fc.constantFrom(0n, 125n, 126n, 4096n, 4097n, 2n ** 31n, 2n ** 53n, 2n ** 63n),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('bytes' as const),
      bytes: fc.uint8Array({ maxLength: 100 }),
    }),
  },
);

export function bytesOf(input: FrameInput): Buffer {
  switch (input.kind) {
    case 'text':
      return clientFrame(OPCODES.text, input.text);
    case 'long':
      return clientFrame(OPCODES.text, input.unit.repeat(input.count));
    case 'fragments':
      return fragmented(Buffer.from(input.text), input.count);
    case 'frame':
      return clientFrame(input.opcode, Buffer.from(input.payload), input);
    case 'claim':
      return claim(input.opcode, input.length);
    case 'bytes':
      return Buffer.from(input.bytes);
  }
}

/** A message in so many parts, with a ping in the middle, and characters cut in two. */
function fragmented(bytes: Buffer, count: number): Buffer {
  const size = Math.ceil(bytes.length / count);
  const parts = Array.from({ length: count }, (_, index) => {
    const part = bytes.subarray(index * size, (index + 1) * size);
    const opcode = index === 0 ? OPCODES.text : OPCODES.continuation;
    return clientFrame(opcode, part, { isFinal: index === count - 1 });
  });
  parts.splice(count >> 1, 0, clientFrame(OPCODES.ping, 'still here'));
  return Buffer.concat(parts);
}

/** The head of a frame that says how much there is to come; then comes something else. */
function claim(opcode: number, length: bigint): Buffer {
  const head = Buffer.from([0x80 | opcode, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
  head.writeBigUInt64BE(length, 2);
  return head;
}
