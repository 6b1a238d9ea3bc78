/** Taking old entries out of real journals, after they were exported. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Compaction, type Cut } from '../../src/audit/compaction.js';
import { Audit } from '../../src/audit/export.js';
import { Heads } from '../../src/audit/heads.js';
import { readLine } from '../../src/audit/lines.js';
import { type Verdict, Verification } from '../../src/audit/verify.js';
import type { Entry, Journal } from '../../src/journal/journal.js';
import { type DayHead, dayHeadSchema, type SignedHead } from '../../src/protocol/audit.js';
import { Signer } from '../../src/signing.js';
import { created, entry, START_MS, started } from '../support/entries.js';
import { readableLog } from '../support/log-lines.js';
import { hasNatsServer, NatsServer, newStream, openNats } from '../support/nats.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';
import { need } from '../support/tools.js';

const DAY = 24 * 60 * 60 * 1000;
const HOUR = 60 * 60 * 1000;
const LATER = START_MS + 40 * DAY;
const isThere = hasNatsServer();

/** Four days: the first has all of a timer and the beginning of another; one of the second has not ended. */
const ENTRIES: readonly Entry[] = [
  created('a'),
  entry('a', 2, { type: 'stopped', data: {} }),
  created('b'),
  started('b', 2, START_MS + DAY),
  created('c', START_MS + DAY),
  entry('b', 3, { type: 'stopped', data: {} }, START_MS + DAY),
  created('d', START_MS + 2 * DAY),
  entry('d', 2, { type: 'deleted', data: {} }, START_MS + 2 * DAY),
  created('e', START_MS + 39 * DAY),
];

interface Parts {
  readonly journal: Journal;
  readonly audit: Audit;
  readonly signer: Signer;
  readonly compaction: Compaction;
  readonly messages: readonly string[];
}

/** The service's parts that have to do with the record, on a journal that days have passed over. */
async function partsOn(journal: Journal): Promise<Parts> {
  const clock = new SimulatedClock(LATER);
  const signer = await Signer.open(journal.documents, '');
  const { log, messages } = readableLog();
  const heads = new Heads({ journal, signer, clock, log });
  heads.start();
  await heads.list();
  await heads.stop();
  const audit = new Audit({ journal, heads, signer, clock });
  const compaction = new Compaction({ journal, audit, clock, retainFinishedMs: HOUR });
  return { journal, audit, signer, compaction, messages };
}

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

function restOf({ audit }: Parts): Promise<string> {
  return textOf(audit.export({ fromMs: undefined, toMs: undefined }));
}

async function cutOf({ compaction }: Parts, beforeMs = LATER): Promise<Cut> {
  const cut = await compaction.plan(beforeMs);
  if ('why' in cut) throw new Error(cut.why);
  return cut;
}

function dayHeadOf(head: SignedHead): DayHead {
  return dayHeadSchema.parse({ ...head, kind: 'day' });
}

async function takeLines(
  verification: Verification,
  text: string,
  { signer }: Parts,
): Promise<void> {
  for (const [index, line] of text.trimEnd().split('\n').entries()) {
    verification.take(await readLine(Buffer.from(line), index + 1, signer.verify));
  }
}

/** What is found of texts that follow each other, held against the heads that are kept. */
async function verdictOn(parts: Parts, ...texts: string[]): Promise<Verdict> {
  const verification = new Verification((await parts.audit.heads()).map(dayHeadOf));
  for (const [index, text] of texts.entries()) {
    if (index > 0) verification.nextPart();
    await takeLines(verification, text, parts);
  }
  return verification.end();
}

describe.each(['sqlite', 'nats'])('R6: compaction of a journal in %s', (kind) => {
  let server: NatsServer;
  let reopen: () => Promise<Journal>;

  beforeAll(async () => {
    if (kind === 'nats' && isThere) server = await NatsServer.start();
  });

  beforeEach((context) => {
    if (kind === 'nats') need(context, 'nats-server', isThere);
    const [folder, stream] = [temporaryFolder(), newStream()];
    reopen = () => (kind === 'nats' ? openNats(server, { stream }) : openSqlite(folder));
  });

  async function recorded(entries = ENTRIES): Promise<Parts> {
    const journal = await reopen();
    // Entries of different timers have an order of their own when they are appended together.
    for (const one of entries) await journal.append([one]);
    return partsOn(journal);
  }

  it('leaves what is one record with the export, heads included', async () => {
    const before = await recorded();
    const whole = await restOf(before);
    const cut = await cutOf(before);
    expect(cut).toMatchObject({ firstPosition: 1, head: { date: '2026-01-15', position: 3 } });
    const old = await textOf(before.compaction.export(cut));
    await before.compaction.carryOut(cut);
    await before.journal.close();
    const after = await partsOn(await reopen());
    expect(after.messages).toEqual([]);
    const rest = await restOf(after);
    expect(rest.split('\n').slice(0, 3)).toEqual(whole.split('\n').slice(4, 7));
    const both = await verdictOn(after, old, rest);
    expect(both).toMatchObject({ finding: undefined, firstPosition: 1, entries: ENTRIES.length });
    const alone = await verdictOn(after, rest);
    expect(alone).toMatchObject({ finding: undefined, firstPosition: 4, lastPosition: 9 });
    expect(alone.lastHash).toBe(both.lastHash);
    expect(await after.journal.history('a')).toEqual([]);
    expect(await after.compaction.plan(LATER)).toEqual({
      why: 'timer c, of entry 5, has not ended',
    });
  });

  it('goes on where the one before ended', async () => {
    const parts = await recorded();
    const first = await cutOf(parts);
    const old = await textOf(parts.compaction.export(first));
    await parts.compaction.carryOut(first);
    await parts.journal.append([entry('c', 2, { type: 'deleted', data: {} }, LATER)]);
    const second = await cutOf(parts);
    expect(second).toMatchObject({ firstPosition: 4, head: { date: '2026-01-17', position: 8 } });
    const next = await textOf(parts.compaction.export(second));
    await parts.compaction.carryOut(second);
    const verdict = await verdictOn(parts, old, next, await restOf(parts));
    expect(verdict).toMatchObject({ finding: undefined, entries: ENTRIES.length + 1 });
    expect((await parts.journal.read(0, 10)).map(({ position }) => position)).toEqual([9, 10]);
  });

  it('R3: shows what is missing at the joint, or was written anew behind it', async () => {
    const parts = await recorded();
    const cut = await cutOf(parts);
    const old = await textOf(parts.compaction.export(cut));
    await parts.compaction.carryOut(cut);
    const rest = await restOf(parts);
    const later = rest.slice(rest.indexOf('\n') + 1);
    const cutOff = old.split('\n').slice(0, -2).join('\n');
    const findingOn = async (...texts: string[]) => (await verdictOn(parts, ...texts)).finding;
    expect(await findingOn(old, later)).toMatchObject({ kind: 'removed', position: 4 });
    expect(await findingOn(cutOff, rest)).toMatchObject({ kind: 'removed', position: 4 });
    expect(await findingOn(rest, old)).toBeDefined();
    const rewritten = new Verification([dayHeadOf({ ...cut.head, hash: '0'.repeat(64) })]);
    await takeLines(rewritten, rest, parts);
    expect(rewritten.end().finding).toMatchObject({ kind: 'rewritten', position: 4 });
  });

  it('keeps the last two days, and what was recorded after the instant that was said', async () => {
    const parts = await recorded(
      ENTRIES.slice(0, 3).map((old) => ({ ...old, timerId: old.timerId })),
    );
    await parts.journal.append([entry('b', 2, { type: 'deleted', data: {} }, LATER)]);
    expect(await parts.compaction.plan(Date.UTC(2026, 0, 15))).toEqual({
      why: 'no day that was over at 2026-01-15T00:00:00.000Z has entries and a signed head',
    });
    expect(await cutOf(parts, Date.UTC(2026, 0, 16))).toMatchObject({ head: { position: 3 } });
    const recent = new Compaction({
      ...parts,
      clock: new SimulatedClock(START_MS + DAY),
      retainFinishedMs: HOUR,
    });
    expect(await recent.plan(LATER)).toMatchObject({ why: expect.stringContaining('no day') });
  });

  it('keeps what a webhook has not been told', async () => {
    const parts = await recorded(ENTRIES.slice(0, 3));
    const { documents } = parts.journal;
    await parts.journal.append([entry('b', 2, { type: 'deleted', data: {} }, LATER)]);
    const cursor = { position: 2, warnedUntilMs: START_MS };
    const kept = { name: 'webhook', text: JSON.stringify(cursor) };
    await documents.put('webhook-cursors', kept, null);
    expect(await parts.compaction.plan(LATER)).toEqual({ why: 'a webhook waits for entry 3' });
  });
});
