/** Texts and values of every kind: what people write, what breaks programs, and lengths around every bound. */
import fc from 'fast-check';

/** Characters and words that have broken programs before. */
const TROUBLE = [
  ...['\0', '\u0001', '\u001b[2J', '\u007f', '\u0085', '\t', '\r\n', '\n\n', 'data: x\n\n'],
  ...['\u2028', '\u2029', '\u200b', '\u202e', '\ufeff', '\ufffd', '\uffff', '\ud800', '\udc00'],
  ...['\udc00\ud800', 'שָׁלוֹם', 'مرحبا', 'e\u0301', 'ﷺ', 'ǅ', 'İ', '你好', '👩‍👩‍👧', '🇩🇪', '𝕏'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', 'then'],
  ...['%', '%00', '%ff', '../..', '"', '\\', '<script>', "' OR 1=1", '1e999', 'null', 'NaN', '-0'],
];

/** Of all there are; fast-check's own, `binary`, takes two seconds to set up. */
const character = fc
  .integer({ min: 0, max: 0x10ffff })
  .map((codePoint) => String.fromCodePoint(codePoint));
/** One unit of UTF-16, also half of a character. */
const half = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));

const mixed = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...TROUBLE) },
      { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
      { weight: 1, arbitrary: character },
      { weight: 1, arbitrary: half },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join(''));

/** Where nothing is said of the length of a text, it may be bounded all the same. */
const USUAL_BOUNDS = [100, 200, 255, 500];

/** A text of one character that is as long as may be, or almost, or a little longer. */
function longs(bounds: readonly number[]): fc.Arbitrary<string> {
  const lengths = bounds.flatMap((bound) => [bound - 1, bound, bound + 1]);
  return fc
    .record({
      unit: fc.constantFrom('x', 'é', '漢', '😀', '\ud800', '\0', '"'),
      length: fc.constantFrom(...lengths),
    })
    .map(({ unit, length }) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length));
}

/** Texts that are short for the most part; `bound` is the length that they may have. */
export function textsWithin(bound?: number): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.string(bound === undefined ? {} : { maxLength: bound }) },
    { weight: 5, arbitrary: mixed },
    { weight: 2, arbitrary: longs(bound === undefined ? USUAL_BOUNDS : [bound]) },
  );
}
export const texts = textsWithin();

/** Values that JSON can say, some of them with such texts, also as names. */
export function jsonValues(maxDepth: number): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.jsonValue({ maxDepth }) },
    {
      weight: 1,
      arbitrary: fc.jsonValue({ maxDepth, stringUnit: fc.constantFrom(...TROUBLE, 'a', 'b') }),
    },
  );
}

/** What may stand in a header: bytes, of which some are no visible ASCII. */
const headerUnits = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
  { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
  { weight: 1, arbitrary: fc.constant(0x09) },
);
export const headerTexts = fc.string({
  unit: headerUnits.map((code) => String.fromCharCode(code)),
});

/** What looks like a credential, and is none. */
export const forgeries = fc.oneof(
  headerTexts,
  headerTexts.map((text) => `sts_${text}`),
  fc
    .record({
      alg: fc.constantFrom('none', 'HS256', 'HS512', 'EdDSA', 'RS256', '__proto__', ''),
      kid: fc.constantFrom('k', 'constructor', '../../dev/null', ''),
      claims: fc.oneof(
        fc.constant({ role: 'admin', sub: 'x', aud: 'synchronized-timer', exp: 4_000_000_000 }),
        jsonValues(1),
      ),
      signature: fc.constantFrom('', 'AAAA', 'A'.repeat(43), '!'),
    })
    .map(({ alg, kid, claims, signature }) =>
      [base64({ alg, kid, typ: 'JWT' }), base64(claims), signature].join('.'),
    ),
);

function base64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

type Headers = Readonly<Record<string, string>>;

const FOREIGN_HOSTS = [
  ...['foreign.example', 'localhost.foreign.example', '127.0.0.1.foreign.example:80', '10.0.0.1'],
  ...['localhost@foreign.example', '[::2]', '[::1', '0', 'a b', ':', '%', '\xff'],
];
const FOREIGN_ORIGINS = [
  ...['https://foreign.example', 'null', '', 'http://localhost:1', 'http://127.0.0.1', 'file://'],
  ...['http://127.0.0.1@foreign.example', 'javascript:0', '\xff'],
];
const FORWARDING = [
  ...['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP', 'Via'],
];
const FORWARDED = [
  ...['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.0.2.1', '1.2.3.4, 127.0.0.1', '[::1]:80', ','],
  ...['localhost', 'https', 'for=127.0.0.1;host=localhost', 'unknown', '127.0.0.1:x', '0x7f.1', ''],
];

/** What says that a request comes from elsewhere: by another name, through a proxy, or from another's page. */
export const guises: fc.Arbitrary<Headers> = fc.oneof(
  fc.constantFrom(...FOREIGN_HOSTS).map((Host) => ({ Host })),
  fc
    .record({
      name: fc.constantFrom(...FORWARDING),
      value: fc.oneof(fc.constantFrom(...FORWARDED), headerTexts),
    })
    .map(({ name, value }) => ({ [name]: value })),
  fc.constantFrom(...FOREIGN_ORIGINS).map((Origin) => ({ Origin })),
);
