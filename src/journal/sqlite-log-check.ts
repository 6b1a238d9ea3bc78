/**
 * Finds damage in a write-ahead log, in the form that SQLite documents. SQLite itself takes the first frame that does
 * not fit for the end of the log, and all behind it for what a crash cut off: it would forget it without a word.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { damaged } from './sqlite-schema.js';

const HEADER_BYTES = 32;
const HEADER_SUMMED_BYTES = 24;
const FRAME_HEADER_BYTES = 24;
const FRAME_HEADER_SUMMED_BYTES = 8;
const SMALLEST_PAGE_BYTES = 512;
const MAGIC_OF_LITTLE_ENDIAN_SUMS = 0x377f0682;
const MAGIC_OF_BIG_ENDIAN_SUMS = 0x377f0683;
const LOW_HALF = 0xffffffffn;

/** Both its parts in one, as they lie in the file. */
type Checksum = bigint;

interface Header {
  readonly hasLittleEndianSums: boolean;
  readonly pageBytes: number;
  /** Frames of this generation have the same; those that are left of an earlier one have others. */
  readonly salts: bigint;
  readonly checksum: Checksum;
}

/**
 * Reads the log of a database that nobody writes to meanwhile, and writes nothing.
 * @throws {JournalError} if changes are lost in it that were acknowledged.
 */
export function refuseDamagedLog(path: string): void {
  const logPath = `${path}-wal`;
  if (!existsSync(logPath)) return;
  const file = openSync(logPath, 'r');
  try {
    const finding = findingIn(file);
    if (finding !== undefined) throw damaged(path, `${finding} its write-ahead log ${logPath}`);
  } finally {
    closeSync(file);
  }
}

function findingIn(file: number): string | undefined {
  // The header is on the disk before the first frame is written, so a crash cannot have spoilt it.
  if (fstatSync(file).size < HEADER_BYTES + FRAME_HEADER_BYTES + SMALLEST_PAGE_BYTES) return;
  const header = headerOf(file);
  if (header === undefined) return 'something is wrong at the beginning of';
  return losesCommits(file, header) ? 'something is wrong in the middle of' : undefined;
}

/** Gives `undefined` for one that is not as it was written. */
function headerOf(file: number): Header | undefined {
  const bytes = new DataView(new ArrayBuffer(HEADER_BYTES));
  readSync(file, bytes, 0, HEADER_BYTES, 0);
  const magic = bytes.getUint32(0);
  if (magic !== MAGIC_OF_LITTLE_ENDIAN_SUMS && magic !== MAGIC_OF_BIG_ENDIAN_SUMS) return;
  const hasLittleEndianSums = magic === MAGIC_OF_LITTLE_ENDIAN_SUMS;
  const checksum = bytes.getBigUint64(24);
  if (checksumOf(bytes, 0, HEADER_SUMMED_BYTES, hasLittleEndianSums, 0n) !== checksum) return;
  const [pageBytes, salts] = [bytes.getUint32(8), bytes.getBigUint64(16)];
  return { hasLittleEndianSums, pageBytes, salts, checksum };
}

/**
 * Whether a commit stands behind the first frame that does not fit, or in it, which another was written on top of.
 * Each is synced before the next one is begun, so what a crash tears has none on top of it. Neither have the remains
 * of commits that were refused: whatever came after one of them was written over its beginning, and follows what was
 * there before.
 */
function losesCommits(file: number, header: Header): boolean {
  let before = { checksum: header.checksum, isCommit: false };
  let isWhole = true;
  for (const frame of framesOf(file, header)) {
    const checksum = frame.getBigUint64(16);
    const follows =
      frame.getBigUint64(8) === header.salts &&
      checksumOfFrame(frame, header, before.checksum) === checksum;
    if (!isWhole && follows && before.isCommit) return true;
    isWhole &&= follows;
    before = { checksum, isCommit: frame.getUint32(4) !== 0 };
  }
  return false;
}

/** The whole frames of the log one after the other, each in the place of the one before: a log may be large. */
function* framesOf(file: number, { pageBytes }: Header): Generator<DataView> {
  const frame = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES + pageBytes));
  let at = HEADER_BYTES;
  while (readSync(file, frame, 0, frame.byteLength, at) === frame.byteLength) {
    yield frame;
    at += frame.byteLength;
  }
}

function checksumOfFrame(
  frame: DataView,
  { hasLittleEndianSums }: Header,
  before: Checksum,
): Checksum {
  const ofHeader = checksumOf(frame, 0, FRAME_HEADER_SUMMED_BYTES, hasLittleEndianSums, before);
  return checksumOf(frame, FRAME_HEADER_BYTES, frame.byteLength, hasLittleEndianSums, ofHeader);
}

/** Goes on from the checksum of what came before. */
function checksumOf(
  bytes: DataView,
  from: number,
  to: number,
  isLittleEndian: boolean,
  before: Checksum,
): Checksum {
  let first = Number(before >> 32n);
  let second = Number(before & LOW_HALF);
  for (let at = from; at < to; at += 8) {
    first = (first + bytes.getUint32(at, isLittleEndian) + second) >>> 0;
    second = (second + bytes.getUint32(at + 4, isLittleEndian) + first) >>> 0;
  }
  return (BigInt(first) << 32n) | BigInt(second);
}
