/** Records that were tampered with in every way there is, and what verification says of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EntryBody } from '../../machines/entry.js';
import { Audit } from '../../src/audit/export.js';
import { Heads } from '../../src/audit/heads.js';
import { headOf, readLine } from '../../src/audit/lines.js';
import { type Verdict, Verification } from '../../src/audit/verify.js';
import type { KeptReceipt, Witness } from '../../src/audit/witnesses.js';
import { linesIn } from '../../src/cli/sources.js';
import { hashOf, lineOf } from '../../src/journal/chain.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { createLog } from '../../src/log.js';
import { type AuditEntry, auditEntrySchema, type DayHead } from '../../src/protocol/audit.js';
import { Signer, type Verify } from '../../src/signing.js';
import { created, entry, START_MS } from '../support/entries.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const DAY = 24 * 60 * 60 * 1000;

/** What happened to which timer on which day, in the order of the journal. */
const STORY: readonly (readonly [string, EntryBody['type'], number])[] = [
  ['timer_a', 'created', 0],
  ['timer_b', 'created', 0],
  ['timer_a', 'started', 0],
  ['timer_b', 'extended', 0],
  ['timer_a', 'extended', 1],
  ['timer_b', 'started', 1],
  ['timer_a', 'stopped', 1],
  ['timer_b', 'deleted', 2],
];

interface TestRecord {
  readonly lines: readonly string[];
  readonly verify: Verify;
  readonly signer: Signer;
  readonly heads: readonly DayHead[];
}

/** The export of a small record with two signed days, from the real parts. */
async function recordOf(fromMs?: number): Promise<TestRecord> {
  const journal = new MemoryJournal();
  const clock = new SimulatedClock(START_MS + 3 * DAY);
  const revisions = new Map<string, number>();
  for (const [timerId, type, day] of STORY) {
    const revision = (revisions.get(timerId) ?? 0) + 1;
    revisions.set(timerId, revision);
    const atMs = START_MS + day * DAY;
    await journal.append([
      type === 'created'
        ? created(timerId, atMs)
        : type === 'extended'
          ? entry(timerId, revision, { type, data: { addedMs: 60_000 } }, atMs)
          : entry(timerId, revision, { type, data: {} }, atMs),
    ]);
  }
  const signer = await Signer.open(journal.documents, '');
  const heads = new Heads({ journal, signer, clock, log: createLog('silent') });
  heads.start();
  const audit = new Audit({ journal, heads, signer, clock });
  let text = '';
  for await (const piece of audit.export({ fromMs, toMs: undefined })) text += piece;
  const signed = await Promise.all(
    (await audit.heads()).map(({ head }) => headOf(head, signer.verify)),
  );
  await heads.stop();
  return {
    lines: text.slice(0, -1).split('\n'),
    verify: remembering(signer.verify),
    signer,
    heads: signed.flatMap((head) => (head?.kind === 'day' ? [head] : [])),
  };
}

/** Checks each text once: most lines of a record that was tampered with are those of the record. */
function remembering(verify: Verify): Verify {
  const checked = new Map<string, Promise<unknown>>();
  return (type, text) => {
    const result = checked.get(text) ?? verify(type, text);
    checked.set(text, result);
    return result;
  };
}

async function verdictOn(
  record: Buffer | readonly string[],
  verify: Verify | undefined,
  witnesses: readonly Witness[] = [],
): Promise<Verdict> {
  const bytes = Buffer.isBuffer(record) ? record : bytesOf(record);
  const verification = new Verification(witnesses);
  let number = 0;
  for await (const line of linesIn(piecesOf(bytes))) {
    number += 1;
    verification.take(await readLine(line, number, verify));
    if (verification.isDecided) break;
  }
  return verification.end();
}

function bytesOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}

/** Pieces that end in the middle of lines and characters. */
async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 97) yield bytes.subarray(at, at + 97);
}

function entryIn(line: string | undefined): AuditEntry | undefined {
  const result = auditEntrySchema.safeParse(JSON.parse(line ?? '{}'));
  return result.success ? result.data : undefined;
}

/** Where in the lines each entry is. */
function entriesOf(lines: readonly string[]): { index: number; entry: AuditEntry }[] {
  return lines.flatMap((line, index) => {
    const found = entryIn(line);
    return found === undefined ? [] : [{ index, entry: found }];
  });
}

/** The same entry with other content, and a hash that fits. */
function forged(line: string, change: Partial<AuditEntry>): string {
  const { hash: _, ...old } = auditEntrySchema.parse(JSON.parse(line));
  const fake = { ...old, ...change } as AuditEntry;
  return lineOf(fake, hashOf(fake));
}

const label = (name: string) => ({
  by: { credential: 'test', role: 'admin' as const, label: name, address: null },
});

function without(lines: readonly string[], index: number): string[] {
  return lines.toSpliced(index, 1);
}

describe('R3: a record that is as it was written', () => {
  it('is found right, in whole and from any day on, with and without keys', async () => {
    for (const fromMs of [undefined, START_MS + DAY, START_MS + 2 * DAY, START_MS + 9 * DAY]) {
      const { lines, verify, heads } = await recordOf(fromMs);
      expect((await verdictOn(lines, verify, heads)).finding).toBeUndefined();
      expect((await verdictOn(lines, undefined)).finding).toBeUndefined();
    }
    const { lines, verify } = await recordOf();
    expect(await verdictOn(lines, verify)).toMatchObject({
      entries: 8,
      firstPosition: 1,
      lastPosition: 8,
      heads: 4,
    });
    expect(lines).toHaveLength(12);
  });
});

describe('R3: the first entry that was tampered with is named', () => {
  it('when one bit of it is flipped, whichever', async () => {
    const { lines, verify } = await recordOf();
    const bytes = bytesOf(lines);
    let at = 0;
    let position = 0;
    for (const line of lines) {
      position = entryIn(line)?.position ?? position;
      const end = at + Buffer.byteLength(line);
      // The end of a line is where the next one begins, so it belongs to both.
      for (; at <= end; at += 1) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        const { finding } = await verdictOn(flipped, verify);
        const why = `bit ${at % 8} of byte ${at}: ${finding?.words}`;
        expect(finding?.kind, why).toBe('changed');
        const isEnd = at === end;
        expect(isEnd ? [position, position + 1] : [position], why).toContain(finding?.position);
      }
    }
    expect(at).toBe(bytes.length);
  });

  it('when it is removed, with timer and revision if a later entry tells them', async () => {
    const { lines, verify } = await recordOf();
    for (const { index, entry: gone } of entriesOf(lines)) {
      const { finding } = await verdictOn(without(lines, index), verify);
      const { position, timer_id, revision } = gone;
      const isTold = position < 7;
      expect(finding).toMatchObject({
        kind: 'removed',
        position,
        timerId: isTold ? timer_id : null,
        revision: isTold ? revision : null,
      });
      expect(finding?.words).toContain(isTold ? timer_id : `Entry ${position}`);
    }
  });

  it('when several are removed, at the beginning, in the middle and at the end', async () => {
    const { lines, verify } = await recordOf();
    const [, , third] = entriesOf(lines);
    const beginning = lines.slice(third?.index);
    expect((await verdictOn(beginning, verify)).finding).toMatchObject({
      kind: 'removed',
      position: 1,
    });
    expect((await verdictOn(lines.toSpliced(2, 2), verify)).finding).toMatchObject({
      kind: 'removed',
      position: 3,
    });
    const withoutEnd = [...lines.slice(0, 6), ...lines.slice(-1)];
    expect((await verdictOn(withoutEnd, verify)).finding).toMatchObject({
      kind: 'removed',
      position: 6,
    });
    for (let count = 0; count < lines.length; count += 1) {
      const { finding } = await verdictOn(lines.slice(0, count), verify);
      const position = entriesOf(lines.slice(0, count)).length + 1;
      expect(finding).toMatchObject({ kind: 'removed', position });
    }
  });

  it('when it is inserted: a copy of any other at any place', async () => {
    const { lines, verify } = await recordOf();
    for (const { index: from } of entriesOf(lines)) {
      for (let place = 0; place <= lines.length; place += 1) {
        const copied = lines.toSpliced(place, 0, lines[from] ?? '');
        const { finding } = await verdictOn(copied, verify);
        expect(finding, `line ${from} at ${place}`).toMatchObject({ kind: 'inserted' });
        expect([place + 1, from === place ? place + 2 : 0]).toContain(finding?.line);
      }
    }
  });

  it('when it is inserted: a forgery, with a hash that fits or without', async () => {
    const { lines, verify } = await recordOf();
    for (const { index, entry: real } of entriesOf(lines)) {
      const fitting = forged(lines[index] ?? '', label('Forger'));
      const unfitting = fitting.replace('Forger', 'forger');
      for (const fake of [fitting, unfitting]) {
        const { finding } = await verdictOn(lines.toSpliced(index, 0, fake), verify);
        expect(finding).toMatchObject({
          kind: 'inserted',
          line: index + 1,
          position: real.position,
        });
      }
    }
    // A continuation that nothing contradicts but the signed last line.
    const last = entriesOf(lines).at(-1);
    const more = forged(lines[last?.index ?? 0] ?? '', {
      position: 9,
      previous_hash: last?.entry.hash ?? '',
      timer_id: 'timer_c',
      revision: 1,
    });
    const { finding } = await verdictOn(lines.toSpliced(-1, 0, more), verify);
    expect(finding).toMatchObject({ kind: 'inserted', position: 9, timerId: 'timer_c' });
  });

  it('when it is moved from any place to any other', async () => {
    const { lines, verify } = await recordOf();
    const places = entriesOf(lines);
    for (const { index: from, entry: real } of places) {
      for (const { index: to } of places) {
        if (from === to) continue;
        const moved = without(lines, from).toSpliced(to, 0, lines[from] ?? '');
        const { finding } = await verdictOn(moved, verify);
        expect(finding, `line ${from} to ${to}`).toMatchObject({ kind: 'moved' });
        // Of two that changed places either may be named.
        const isSwap = Math.abs(from - to) <= 2;
        if (!isSwap) expect(finding?.position).toBe(real.position);
      }
    }
  });

  it.each([
    ['the whole record', undefined],
    ['an export that begins later', START_MS + DAY],
  ])('when two changed places: one of the two, of every pair in %s', async (_, fromMs) => {
    const { lines, verify } = await recordOf(fromMs);
    const places = entriesOf(lines);
    for (const [at, one] of places.entries()) {
      for (const other of places.slice(at + 1)) {
        const exchanged = lines
          .with(one.index, lines[other.index] ?? '')
          .with(other.index, lines[one.index] ?? '');
        const { finding } = await verdictOn(exchanged, verify);
        const positions = [one.entry.position, other.entry.position];
        expect(finding, `entries ${positions}`).toMatchObject({ kind: 'moved' });
        expect(positions, finding?.words).toContain(finding?.position);
      }
    }
  });

  it('when it is removed and another is moved: the one that comes first, by its own name', async () => {
    const { lines, verify } = await recordOf();
    const places = entriesOf(lines);
    const lineAt = (position: number) => lines[places[position - 1]?.index ?? 0] ?? '';
    const judge = async (gone: number, from: number, to: number) => {
      const left = lines.filter((line) => line !== lineAt(gone) && line !== lineAt(from));
      const moved = left.toSpliced(left.indexOf(lineAt(to)) + 1, 0, lineAt(from));
      return (await verdictOn(moved, verify)).finding;
    };
    for (const [from, to] of [
      [3, 4],
      [3, 6],
      [4, 7],
      [5, 7],
      // Its own timer lacks the third where it stands then, but that one is there all the same.
      [5, 1],
    ] as const) {
      const words = 'Entry 2, revision 1 of timer_b, was removed.';
      const finding = await judge(2, from, to);
      expect(finding, `${from} behind ${to}`).toMatchObject({ kind: 'removed', words });
    }
  });

  it('when it is changed and given a hash that fits', async () => {
    const { lines, verify } = await recordOf();
    for (const { index, entry: real } of entriesOf(lines)) {
      const changed = lines.with(index, forged(lines[index] ?? '', label('Forger')));
      const { finding } = await verdictOn(changed, verify);
      expect(finding?.position).toBe(real.position);
      expect(['changed', 'rewritten']).toContain(finding?.kind);
      expect(finding?.timerId).toBe(real.timer_id);
    }
  });
});

/** Ways to write what says the same to whoever parses it, and is not what the service wrote. */
const OTHERWISE: Readonly<Record<string, (line: string) => string>> = {
  'a key twice': (line) => line.replace(/^\{("\w+":)/, '{$1"",$1'),
  'a space': (line) => line.replace('":', '": '),
  'a letter as an escape': (line) => line.replace('timer_a', '\\u0074imer_a'),
  'a number with a fraction': (line) => line.replace(/"position":(\d+)/, '"position":$1.0'),
  'a carriage return': (line) => `${line}\r`,
  'keys in another order': (line) =>
    JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line)).reverse())),
};

describe('R3: a line that says the same in other bytes', () => {
  it.each(Object.entries(OTHERWISE))('was changed: an entry with %s', async (_, rewrite) => {
    const { lines, verify } = await recordOf();
    const line = lines[2] ?? '';
    const other = rewrite(line);
    expect(other).not.toBe(line);
    expect(JSON.parse(other)).toEqual(JSON.parse(line));
    for (const keys of [verify, undefined]) {
      const { finding } = await verdictOn(lines.with(2, other), keys);
      expect(finding).toMatchObject({ kind: 'changed', position: 3, line: 3 });
      expect(finding?.words).toContain('it is not written as the service writes it');
    }
  });

  it.each(['a key twice', 'a space', 'a carriage return'])(
    'was changed: a head with %s',
    async (name) => {
      const { lines, verify } = await recordOf();
      const line = lines[4] ?? '';
      const other = OTHERWISE[name]?.(line) ?? line;
      expect(other).not.toBe(line);
      expect(JSON.parse(other)).toEqual(JSON.parse(line));
      const { finding } = await verdictOn(lines.with(4, other), verify);
      expect(finding).toMatchObject({ kind: 'changed', position: 4, line: 5 });
    },
  );
});

describe('R3: entries that were numbered anew, as they are after a change in the database', () => {
  /** What an export has of entries in some order, whatever their hashes cover. */
  function exportedAs(entries: readonly AuditEntry[]): string[] {
    return entries.map((one, index) => {
      const previous_hash = entries[index - 1]?.hash ?? '0'.repeat(64);
      return lineOf({ ...one, position: index + 1, previous_hash }, one.hash);
    });
  }

  it('lead to the one that was taken away, put in or moved', async () => {
    const { lines, verify } = await recordOf();
    const entries = entriesOf(lines).map((found) => found.entry);
    const judge = async (changed: readonly AuditEntry[]) =>
      (await verdictOn(exportedAs(changed), verify)).finding;
    for (let index = 0; index < 6; index += 1) {
      const position = index + 1;
      expect(await judge(entries.toSpliced(index, 1)), `without ${position}`).toMatchObject({
        kind: 'removed',
        position,
      });
      const real = entries[index];
      if (real === undefined) throw new Error('There is no such entry');
      const other = { ...real, ...label('Forger'), timer_id: 'timer_c', revision: 1 };
      const fitting = { ...other, hash: hashOf(other) };
      for (const fake of [fitting, other]) {
        expect(await judge(entries.toSpliced(index, 0, fake)), `at ${position}`).toMatchObject({
          kind: 'inserted',
          position,
          timerId: fake === fitting ? 'timer_c' : null,
        });
      }
      const swapped = entries.toSpliced(index, 1).toSpliced(index + 1, 0, real);
      expect(await judge(swapped), `${position} swapped`).toMatchObject({
        kind: 'moved',
        position: position + 1,
      });
    }
    expect(await judge(entries.toSpliced(1, 3))).toMatchObject({ kind: 'removed', position: 2 });
    const [, second] = entries;
    const late = entries.toSpliced(1, 1).toSpliced(5, 0, ...(second === undefined ? [] : [second]));
    expect(await judge(late)).toMatchObject({ kind: 'moved', position: 2 });
  });
});

/** Changes one entry, and makes everything fit that needs no private key. */
function rewrite(lines: readonly string[], at: number): string[] {
  let previous = '';
  return lines.map((line) => {
    const found = entryIn(line);
    if (found === undefined) return line;
    const change = found.position === at ? label('Forger') : {};
    const link = found.position > at ? { previous_hash: previous } : {};
    const fresh = forged(line, { ...change, ...link });
    previous = entryIn(fresh)?.hash ?? '';
    return fresh;
  });
}

/** The entries of a record without its heads, signed as all there is by whoever has the service sign it. */
async function signedAnew(
  signer: Signer,
  lines: readonly string[],
  signed_at_ms = START_MS + 9 * DAY,
): Promise<string[]> {
  const bare = lines.filter((line) => entryIn(line) !== undefined);
  const { position = 0, hash = '0'.repeat(64) } = entryIn(bare.at(-1)) ?? {};
  const claims = { kind: 'export', first_position: 1, to_ms: null, position, hash, signed_at_ms };
  const head = await signer.sign('timer-head+jwt', claims);
  return [...bare, JSON.stringify({ head })];
}

describe('R3, R4: a record of which all hashes were written anew', () => {
  it('does not fit the first head behind the change', async () => {
    const { lines, verify } = await recordOf();
    const found = await Promise.all(
      STORY.map((_, index) => verdictOn(rewrite(lines, index + 1), verify)),
    );
    // Heads are behind the entries 4, 7 and 8.
    expect(found.map(({ finding }) => [finding?.kind, finding?.position])).toEqual([
      ...Array.from({ length: 4 }, () => ['rewritten', 1]),
      ...Array.from({ length: 3 }, () => ['rewritten', 5]),
      ['rewritten', 8],
    ]);
  });

  it('does not fit heads that were kept elsewhere, if those in the export were taken out', async () => {
    const { lines, signer, verify, heads } = await recordOf();
    const whole = await signedAnew(signer, rewrite(lines, 6));
    expect((await verdictOn(whole, verify)).finding).toBeUndefined();
    expect((await verdictOn(whole, verify, heads)).finding).toMatchObject({
      kind: 'rewritten',
      position: 5,
    });
  });

  it('lacks heads, which shows at the next one, in whole and in exports that begin later', async () => {
    const { lines, verify } = await recordOf();
    const places = lines.flatMap((line, index) => (entryIn(line) === undefined ? [index] : []));
    const [first = 0, second = 0, third = 0] = places;
    expect(places).toHaveLength(4);
    const { finding } = await verdictOn(without(lines, first), verify);
    expect(finding).toMatchObject({ kind: 'removed', position: 7, line: second });
    expect(finding?.words).toContain('The signed head of 2026-01-16');
    expect(finding?.words).toContain('head 1 is missing');
    const both = lines.filter((_, index) => index !== first && index !== second);
    expect((await verdictOn(both, verify)).finding?.words).toContain('heads 1 to 2 are missing');
    const later = await recordOf(START_MS + DAY);
    expect((await verdictOn(later.lines, later.verify)).finding).toBeUndefined();
    expect((await verdictOn(without(lines, third), verify)).finding).toBeUndefined();
  });

  it('has heads of the past that were signed only now, which the verdict tells', async () => {
    const { lines, verify } = await recordOf();
    const { lateHeads } = await verdictOn(lines, verify);
    expect(lateHeads).toMatchObject([{ date: '2026-01-15', number: 1, position: 4 }]);
  });

  it('is known by heads that somebody else signed, and by revisions that cannot be', async () => {
    const { lines, verify } = await recordOf();
    const foreign = await recordOf();
    const { finding } = await verdictOn(foreign.lines, verify);
    expect(finding).toMatchObject({ kind: 'changed', position: 4, line: 5 });
    const impossible = forged(lines[2] ?? '', { revision: 3 });
    expect((await verdictOn(lines.with(2, impossible), verify)).finding).toMatchObject({
      kind: 'rewritten',
      position: 3,
    });
  });
});

describe('R5: receipts that were kept hold the record fast', () => {
  /** A receipt of each entry, from the moment of its recording. */
  function receiptsOf(lines: readonly string[]): KeptReceipt[] {
    return entriesOf(lines).map(({ entry: { timer_id, revision, position, hash, at_ms } }) => {
      return { kind: 'receipt', timer_id, revision, position, hash, server_time_ms: at_ms };
    });
  }

  it('which fits them, as far as it has their entries', async () => {
    const { lines, verify, heads } = await recordOf();
    const receipts = receiptsOf(lines);
    const verdict = await verdictOn(lines, verify, [...heads, ...receipts]);
    expect(verdict).toMatchObject({ finding: undefined, receipts: 8, receiptsOutside: [] });
    const later = await recordOf(START_MS + DAY);
    expect(await verdictOn(later.lines, later.verify, receipts)).toMatchObject({
      finding: undefined,
      // The first entry there has the hash of the fourth.
      receipts: 5,
      receiptsOutside: receipts.slice(0, 3),
    });
  });

  it('and show that it was written anew at their entry or before', async () => {
    const { lines, signer, verify } = await recordOf();
    const receipts = receiptsOf(lines);
    for (const receipt of receipts) {
      for (let at = 1; at <= 8; at += 1) {
        const whole = await signedAnew(signer, rewrite(lines, at));
        expect((await verdictOn(whole, verify)).finding).toBeUndefined();
        const { finding } = await verdictOn(whole, verify, [receipt]);
        const why = `entry ${at}, receipt of ${receipt.position}: ${finding?.words}`;
        if (at > receipt.position) expect(finding, why).toBeUndefined();
        else {
          expect(finding, why).toMatchObject({ kind: 'rewritten', position: 1 });
          const named = `the receipt of ${receipt.timer_id} at revision ${receipt.revision} from 2026`;
          expect(finding?.words, why).toContain(named);
        }
      }
    }
    const [, , third, , , , seventh] = receipts;
    if (third === undefined || seventh === undefined) throw new RangeError();
    const whole = await signedAnew(signer, rewrite(lines, 5));
    const { finding } = await verdictOn(whole, verify, [seventh, third]);
    expect(finding).toMatchObject({ kind: 'rewritten', position: 4 });
  });

  it('and show that it ends too early, unless they may be of later', async () => {
    const { lines, signer, verify } = await recordOf();
    const receipts = receiptsOf(lines);
    const entries = lines.filter((line) => entryIn(line) !== undefined);
    const last = receipts[7];
    if (last === undefined) throw new RangeError();
    for (let kept = 0; kept < 8; kept += 1) {
      const short = await signedAnew(signer, entries.slice(0, kept));
      expect((await verdictOn(short, verify)).finding).toBeUndefined();
      const { finding } = await verdictOn(short, verify, receipts);
      expect(finding).toMatchObject({ kind: 'removed', position: kept + 1 });
      expect(finding?.words).toContain('the receipt of timer_b at revision 4 from 2026-01-17');
      const isTold = kept === 7;
      expect(finding?.timerId).toBe(isTold ? 'timer_b' : null);
      expect(finding?.revision).toBe(isTold ? 4 : null);
    }
    const earlier = await signedAnew(signer, entries.slice(0, 7), last.server_time_ms + 60_000);
    expect(await verdictOn(earlier, verify, receipts)).toMatchObject({
      finding: undefined,
      receipts: 7,
      receiptsOutside: [last],
    });
  });

  it('also where they contradict each other', async () => {
    const { lines, verify } = await recordOf();
    const receipts = receiptsOf(lines);
    const foreign = receipts.map((receipt) => ({ ...receipt, hash: 'f'.repeat(64) }));
    for (const witnesses of [
      [...receipts, ...foreign],
      [...foreign, ...receipts],
    ]) {
      const { finding } = await verdictOn(lines, verify, witnesses);
      expect(finding).toMatchObject({ kind: 'rewritten', position: 1 });
    }
    const later = await recordOf(START_MS + DAY);
    const { finding } = await verdictOn(later.lines, later.verify, foreign.slice(3, 4));
    expect(finding).toMatchObject({ kind: 'rewritten', position: 5 });
    expect(finding?.words).toContain('the receipt of timer_b');
  });
});

describe('R3: whatever is done to the lines', () => {
  it('is found, and named with words', async () => {
    const { lines, verify, heads } = await recordOf();
    const edit = fc.oneof(
      fc.record({ kind: fc.constant('remove' as const), at: fc.nat(10) }),
      fc.record({ kind: fc.constant('copy' as const), at: fc.nat(10), to: fc.nat(11) }),
      fc.record({ kind: fc.constant('cut' as const), at: fc.nat(10), to: fc.nat(200) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        const edited = edits.reduce<readonly string[]>((now, change) => {
          const line = now[change.at] ?? '';
          if (change.kind === 'remove') return without(now, change.at);
          if (change.kind === 'copy') return now.toSpliced(change.to, 0, line);
          return now.with(Math.min(change.at, now.length - 1), line.slice(0, change.to));
        }, lines);
        const isWhole = entriesOf(lines).every(
          ({ index }, place) =>
            lines[index] === edited.filter((line) => line.includes('"position"'))[place],
        );
        const { finding } = await verdictOn(edited, verify, heads);
        if (isWhole && edited.length === lines.length) return;
        if (finding === undefined) {
          // Only heads may be missing, for they are kept elsewhere as well.
          expect(edited.filter((line) => line.includes('"position"'))).toEqual(
            lines.filter((line) => line.includes('"position"')),
          );
        } else expect(finding.words).toMatch(/^\S.*\.$/);
      }),
      { numRuns: 500 },
    );
  });
});
