/** `audit` and `receipt`, against the real service and real files. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Heads } from '../../src/audit/heads.js';
import { BEGINNING_DOCUMENT } from '../../src/journal/journal.js';
import { createLog } from '../../src/log.js';
import { auditEntrySchema, signedHeadsSchema } from '../../src/protocol/audit.js';
import { receiptSchema } from '../../src/protocol/receipts.js';
import { Signer } from '../../src/signing.js';
import { type Run, startCommand, startProcess } from '../support/command.js';
import { created, entry, START_MS } from '../support/entries.js';
import {
  denying,
  hasNatsServer,
  NatsServer,
  newStream,
  openNats,
  subjectOfDocument,
} from '../support/nats.js';
import { TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';
import { need } from '../support/tools.js';

const DAY = 24 * 60 * 60 * 1000;

let service: TestService;
let timerId: string;
beforeEach(async () => {
  service = await TestService.start();
  timerId = (await service.create({ name: 'Algebra' })).id;
  for (let count = 0; count < 4; count += 1) await service.act(timerId, 'extend', 60);
  await service.advance(DAY);
  await service.act(timerId, 'stop');
});

function run(...args: string[]): Promise<Run> {
  return startCommand(args, { SYNCHRONIZED_TIMER_SERVER: service.service.url }).ended;
}

async function exportedLines(): Promise<string[]> {
  const { code, stdout } = await run('audit', 'export');
  expect(code).toBe(0);
  return stdout.slice(0, -1).split('\n');
}

function fileOf(name: string, content: string | readonly string[]): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(
    path,
    typeof content === 'string' ? content : content.map((l) => `${l}\n`).join(''),
  );
  return path;
}

async function keysFile(): Promise<string> {
  const { body } = await service.request('GET', '/.well-known/jwks.json');
  return fileOf('jwks.json', JSON.stringify(body));
}

describe('audit export', () => {
  it('writes the record, or a part of it', async () => {
    const lines = await exportedLines();
    expect(lines).toHaveLength(8);
    const server = { SYNCHRONIZED_TIMER_SERVER: service.service.url };
    const { stdout } = await startProcess(['audit', 'export', '--from', '2026-01-16'], server)
      .ended;
    expect(stdout.split('\n')[0]).toBe(lines[6]);
    const refused = await run('audit', 'export', '--from', 'yesterday');
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('query.from'),
    });
  });
});

describe('R3: audit verify', () => {
  it('finds the record of a service right, and a file without any service', async () => {
    const nowMs = service.clock.now();
    const asOf = new Date(nowMs).toISOString();
    const words = `The record is as it was written: entries 1 to 6, as of ${asOf}, held against 3 signed heads.\n`;
    const right = { code: 0, stdout: words, stderr: '' };
    expect(await run('audit', 'verify')).toEqual(right);
    const url = service.service.url;
    expect(await startProcess(['audit', 'verify', url]).ended).toEqual(right);
    const lines = await exportedLines();
    const file = fileOf('record.ndjson', lines);
    const keys = await keysFile();
    const heads = signedHeadsSchema.parse((await service.request('GET', '/audit/heads')).body);
    expect(heads).toHaveLength(1);
    await service.stop();
    expect(await run('audit', 'verify', file, '--keys', keys)).toMatchObject({
      code: 0,
      stderr: '',
    });
    const kept = fileOf('heads.json', JSON.stringify(heads));
    const held = await run('audit', 'verify', file, '--keys', keys, '--heads', kept, '--json');
    expect(JSON.parse(held.stdout)).toMatchObject({
      ok: true,
      entries: 6,
      heads: 3,
      signatures: 'valid',
      to_ms: null,
      signed_at_ms: nowMs,
      finding: null,
    });
  });

  it('reads a record from standard input', async () => {
    const lines = await exportedLines();
    const keys = await keysFile();
    const args = ['audit', 'verify', '-', '--keys', keys];
    const text = (part: readonly string[]) => part.map((line) => `${line}\n`).join('');
    const piped = startProcess(args);
    piped.feed(text(lines));
    expect(await piped.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('as it was written: entries 1 to 6, as of'),
      stderr: '',
    });
    const tampered = startCommand(args);
    tampered.feed(text(lines.toSpliced(2, 1)));
    expect(await tampered.ended).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining(`revision 3 of ${timerId}`),
    });
  });

  it('does not take what was exported up to an instant for the whole record', async () => {
    const { stdout } = await run('audit', 'export', '--to', '2026-01-16');
    const file = fileOf('record.ndjson', stdout.trimEnd().split('\n'));
    const keys = await keysFile();
    const verified = await run('audit', 'verify', file, '--keys', keys);
    expect(verified.stdout).toContain('recorded before 2026-01-16T00:00:00.000Z, as of 2026-01-');
    const told = await run('audit', 'verify', file, '--keys', keys, '--json');
    expect(JSON.parse(told.stdout)).toMatchObject({
      to_ms: Date.UTC(2026, 0, 16),
      signed_at_ms: service.clock.now(),
    });
  });

  it('calls no head signed of which it did not check the signature', async () => {
    const [first = ''] = await exportedLines();
    const entry = auditEntrySchema.parse(JSON.parse(first));
    const claims = {
      kind: 'export',
      first_position: 1,
      to_ms: null,
      position: 1,
      hash: entry.hash,
      signed_at_ms: entry.recorded_at_ms,
    };
    const parts = [{ alg: 'none', typ: 'timer-head+jwt' }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    const head = JSON.stringify({ head: `${parts.join('.')}.` });
    const file = fileOf('record.ndjson', [first, head]);
    const { code, stdout } = await run('audit', 'verify', file);
    expect([code, stdout]).toEqual([0, expect.stringContaining('Signatures were not checked')]);
    expect(stdout).not.toMatch(/as it was written|signed/);
    const told = await run('audit', 'verify', file, '--json');
    expect(JSON.parse(told.stdout)).toMatchObject({ ok: true, signatures: 'not checked' });
    const checked = await run('audit', 'verify', file, '--keys', await keysFile());
    expect(checked).toMatchObject({ code: 1, stdout: '' });
  });

  it('warns of heads that were signed long after their day', async () => {
    const directory = temporaryFolder();
    const { clock } = service;
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    await first.create();
    await first.stop();
    clock.stall(4 * DAY);
    service = await TestService.start({ journal: await openSqlite(directory), clock });
    const { code, stderr } = await run('audit', 'verify');
    expect([code, stderr]).toEqual([0, expect.stringContaining('the heads of 2026-01-16. So it')]);
    const told = await run('audit', 'verify', '--json');
    expect(JSON.parse(told.stdout)).toMatchObject({
      ok: true,
      late_heads: [{ date: '2026-01-16', number: 1, position: 1 }],
    });
  });

  it('exits with 1 and names the first entry that was tampered with', async () => {
    const lines = await exportedLines();
    const flipped = lines.with(2, (lines[2] ?? '').replace('60000', '60001'));
    const tampered = {
      changed: flipped,
      removed: lines.toSpliced(2, 1),
      inserted: lines.toSpliced(2, 0, lines[4] ?? ''),
      moved: lines.toSpliced(2, 1).toSpliced(4, 0, lines[2] ?? ''),
    };
    const keys = await keysFile();
    for (const [kind, content] of Object.entries(tampered)) {
      const file = fileOf('record.ndjson', content);
      const { code, stdout, stderr } = await run('audit', 'verify', file, '--keys', keys);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`revision ${kind === 'inserted' ? 5 : 3} of ${timerId}`);
      const told = await run('audit', 'verify', file, '--keys', keys, '--json');
      expect([told.code, told.stderr]).toEqual([1, '']);
      expect(JSON.parse(told.stdout)).toMatchObject({
        ok: false,
        finding: { kind, timer_id: timerId, position: 3 },
      });
    }
  });
});

describe('R3: audit verify of a journal that was tampered with', () => {
  const settings = { RETAIN_FINISHED_SECONDS: '0' };
  let database: Buffer;
  let id: string;
  let receipt: string;
  beforeAll(async () => {
    const directory = temporaryFolder();
    const first = await TestService.start({ journal: await openSqlite(directory), settings });
    ({ id } = await first.create());
    for (let count = 0; count < 4; count += 1) await first.act(id, 'extend', 60);
    await first.act(id, 'stop');
    const answer = await first.request('POST', `/timers/${id}/receipts`, {});
    ({ receipt } = receiptSchema.parse(answer.body));
    await first.stop();
    database = readFileSync(join(directory, 'journal.db'));
  });

  it.each([
    ['changed', "UPDATE entries SET data = replace(data, '60000', '60001') WHERE position = 3"],
    ['removed', 'DELETE FROM entries WHERE position = 3'],
    [
      'removed',
      `DELETE FROM entries WHERE position = 3;
       UPDATE entries SET position = position - 1 WHERE position > 3`,
    ],
    [
      'inserted',
      `UPDATE entries SET position = -position - 1 WHERE position >= 3;
       UPDATE entries SET position = -position WHERE position < 0;
       INSERT INTO entries SELECT 3, 'timer_forged', 1, at_ms, type, data, recorded_at_ms, caused_by,
         reason, request_id, hash FROM entries WHERE position = 1;
       INSERT INTO heads VALUES ('timer_forged', 1, 0)`,
    ],
    [
      'moved',
      `UPDATE entries SET position = -7 + position WHERE position IN (3, 4);
       UPDATE entries SET position = -position WHERE position < 0`,
    ],
  ])('tells that an entry in the file of the journal was %s', async (kind, statements) => {
    const { clock } = service;
    const journal = await openSqlite(tamperedWith(statements));
    service = await TestService.start({ journal, settings, clock });
    const { code, stdout } = await run('audit', 'verify', '--json');
    expect(code).toBe(1);
    const position = kind === 'moved' ? 4 : 3;
    const named = kind === 'inserted' ? {} : { timer_id: id, revision: position };
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, finding: { kind, position, ...named } });
  });

  it.each([
    [
      'its last entry was removed',
      'DELETE FROM entries WHERE position = 6',
      'revision 6 of ID was',
    ],
    ['its last entries were', 'DELETE FROM entries WHERE position > 3', 'revision 6 of ID was'],
    ['all were', 'DELETE FROM entries', 'revision 6 of ID was'],
    [
      'its head was set back',
      'UPDATE heads SET revision = 5',
      'revision 6 of ID is there and was not',
    ],
    ['its head was removed', 'DELETE FROM heads', 'revision 6 of ID is there and was not'],
  ])('and is refused at the start when of a timer %s', async (_, statements, words) => {
    const directory = tamperedWith(statements);
    const before = readFileSync(join(directory, 'journal.db'));
    await expect(openSqlite(directory)).rejects.toThrow(words.replace('ID', id));
    await expect(openSqlite(directory)).rejects.toThrow('restore a backup in its place');
    expect(readFileSync(join(directory, 'journal.db'))).toEqual(before);
  });

  it('and is found by a receipt alone when the last entry is gone and the head of its timer fits', async () => {
    const { clock } = service;
    const directory = tamperedWith(`DELETE FROM entries WHERE position = 6;
      UPDATE heads SET revision = 5, ended_at_ms = NULL`);
    service = await TestService.start({ journal: await openSqlite(directory), settings, clock });
    expect(await service.get(id)).toMatchObject({ state: 'created', revision: 5 });
    expect((await run('audit', 'verify')).code).toBe(0);
    const held = ['audit', 'verify', '--receipts', fileOf('receipts.txt', receipt)];
    const { code, stderr } = await run(...held);
    expect(code).toBe(1);
    expect(stderr).toContain(`Entry 6, revision 6 of ${id}, was removed: the receipt of ${id}`);
    // Something else in its place does not hide it.
    await service.act(id, 'start');
    const covered = await run(...held);
    expect(covered.code).toBe(1);
    expect(covered.stderr).toContain(`but the receipt of ${id} at revision 6 from 2026-01-15`);
  });

  /** A folder with the journal, after somebody had their way with it. */
  function tamperedWith(statements: string): string {
    const directory = temporaryFolder();
    const path = join(directory, 'journal.db');
    writeFileSync(path, database);
    const tampered = new Database(path);
    tampered.exec(statements);
    tampered.close();
    return directory;
  }
});

describe('R3, R5: audit verify against receipts that were kept', () => {
  async function receipt(): Promise<{ receipt: string; server_time_ms: number }> {
    const answer = await service.request('POST', `/timers/${timerId}/receipts`, {});
    return receiptSchema.parse(answer.body);
  }

  it('takes them one a line, in JSON as they were answered, and from standard input', async () => {
    const receipts = [await receipt(), await receipt()];
    const [first, second] = receipts;
    const forms = [
      receipts.map((one) => one.receipt).join('\r\n'),
      receipts.map((one) => JSON.stringify(one)).join('\n'),
      JSON.stringify(receipts, null, 2),
      `${JSON.stringify(first?.receipt)}\n\n${second?.receipt}\n`,
    ];
    for (const form of forms) {
      const { code, stdout } = await run('audit', 'verify', '--receipts', fileOf('r.txt', form));
      expect([code, stdout]).toEqual([0, expect.stringContaining('heads and 2 receipts.\n')]);
    }
    const keys = await keysFile();
    const record = fileOf('record.ndjson', await exportedLines());
    await service.stop();
    const args = ['audit', 'verify', record, '--keys', keys, '--receipts', '-'];
    const command = startProcess(args);
    command.child.stdin?.end(JSON.stringify(first));
    const { code, stdout } = await command.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('heads and a receipt.\n')]);
    const both = await run('audit', 'verify', '-', '--keys', keys, '--receipts', '-');
    expect(both.code).toBe(2);
    const none = await run('audit', 'verify', record, '--receipts', fileOf('none.txt', '\n'));
    expect(none).toMatchObject({ code: 3, stderr: expect.stringContaining('has no receipts') });
  });

  it('refuses one that was not signed so, and tells of one that says nothing of this record', async () => {
    const answered = await receipt();
    const [header, payload = '', signature] = answered.receipt.split('.');
    const claims = Buffer.from(payload, 'base64url')
      .toString()
      .replace('"revision":6', '"revision":5');
    const forged = [header, Buffer.from(claims).toString('base64url'), signature].join('.');
    const file = fileOf('receipts.txt', [answered.receipt, forged]);
    const refused = await run('audit', 'verify', '--receipts', file);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('Receipt 2 was changed');
    // A head is signed by the same key, and is no receipt.
    const [head] = signedHeadsSchema.parse((await service.request('GET', '/audit/heads')).body);
    const other = fileOf('receipts.txt', [head?.head ?? '']);
    expect((await run('audit', 'verify', '--receipts', other)).stderr).toContain('Receipt 1 was');
    const { stdout } = await run('audit', 'export', '--to', '2026-01-16');
    const record = fileOf('record.ndjson', stdout.trimEnd().split('\n'));
    const kept = fileOf('kept.json', JSON.stringify(answered));
    const held = ['audit', 'verify', record, '--keys', await keysFile(), '--receipts', kept];
    const part = await run(...held);
    expect([part.code, part.stderr]).toEqual([
      0,
      expect.stringContaining(
        `Not held against this record: the receipt of ${timerId} at revision 6`,
      ),
    ]);
    expect(JSON.parse((await run(...held, '--json')).stdout)).toMatchObject({
      ok: true,
      receipts: 0,
      receipts_outside: [{ timer_id: timerId, position: 6, revision: 6 }],
    });
  });

  it('names the one that speaks of an entry which is not there any more', async () => {
    const kept = fileOf('receipts.txt', (await receipt()).receipt);
    const lines = await exportedLines();
    const keys = await keysFile();
    const rewrittenAt = new Date(service.clock.now()).toISOString();
    await service.advance(DAY);
    const { journal } = service;
    // The last entry before the receipt is not in what the service gives as its record.
    const { read, positionBefore } = journal;
    Object.assign(journal, {
      read: async (after: number, limit: number) =>
        (await read.call(journal, after, limit)).filter(({ position }) => position < 6),
      positionBefore: async (epochMs: number) =>
        Math.min(5, await positionBefore.call(journal, epochMs)),
    });
    const unseen = await run('audit', 'verify');
    expect(unseen.code).toBe(0);
    const seen = await run('audit', 'verify', '--receipts', kept);
    expect(seen).toMatchObject({ code: 1, stdout: '' });
    expect(seen.stderr).toContain(
      `Entry 6, revision 6 of ${timerId}, was removed: the receipt of ${timerId} at revision 6 from ${rewrittenAt}`,
    );
    const told = await run('audit', 'verify', '--receipts', kept, '--json');
    expect(JSON.parse(told.stdout)).toMatchObject({
      ok: false,
      finding: { kind: 'removed', position: 6, timer_id: timerId, revision: 6 },
    });
    const whole = fileOf('record.ndjson', lines);
    expect((await run('audit', 'verify', whole, '--keys', keys, '--receipts', kept)).code).toBe(0);
  });
});

describe('R3: audit verify, for those who may not or cannot', () => {
  it('shows the credential that it is given, and needs one that may see the record', async () => {
    await service.protect();
    const { token = '' } = service;
    const verify = (key: string) =>
      startCommand(['audit', 'verify', service.service.url], {
        SYNCHRONIZED_TIMER_TOKEN: key,
      }).ended;
    expect(await verify(token)).toMatchObject({ code: 0, stderr: '' });
    const { key } = await service.createKey({ role: 'instructor' });
    expect(await verify(key)).toMatchObject({ code: 1, stdout: '' });
    const usage = await run('audit', 'verify', 'http://user:pw@127.0.0.1');
    expect(usage).toMatchObject({ code: 2, stderr: expect.stringContaining('without a name') });
  });

  it('exits with 3 when there is nothing to read', async () => {
    const missing = await run('audit', 'verify', '/nowhere/record.ndjson');
    expect(missing).toMatchObject({ code: 3, stderr: expect.stringContaining('/nowhere/record') });
    const file = fileOf('record.ndjson', await exportedLines());
    const noKeys = await run('audit', 'verify', file, '--keys', file);
    expect(noKeys).toMatchObject({ code: 3, stderr: expect.stringContaining('JSON Web Key Set') });
    await service.stop();
    expect((await run('audit', 'verify')).code).toBe(3);
  });
});

describe('R5: receipt verify', () => {
  it('shows what a receipt says, and refuses what these keys did not sign', async () => {
    const answer = await service.request('POST', `/timers/${timerId}/receipts`, {});
    const { receipt, ...claims } = receiptSchema.parse(answer.body);
    const keys = await keysFile();
    const shown = await run('receipt', 'verify', receipt, '--json');
    expect(JSON.parse(shown.stdout)).toEqual(claims);
    await service.stop();
    const facts = await run('receipt', 'verify', receipt, '--keys', keys);
    expect(facts).toMatchObject({ code: 0, stdout: expect.stringMatching(/^timer +timer_/) });
    const [header, , signature] = receipt.split('.');
    const text = JSON.stringify({ ...claims, remaining_ms: 99_999 });
    const forged = [header, Buffer.from(text).toString('base64url'), signature].join('.');
    expect(await run('receipt', 'verify', forged, '--keys', keys)).toMatchObject({
      code: 1,
      stdout: '',
    });
    const lines = await run('receipt', 'verify', 'nothing', '--keys', keys);
    expect(lines.code).toBe(1);
  });
});

describe('R6: audit compact', () => {
  it('takes old entries out once they are in a file, which is one record with what is left', async () => {
    const folder = temporaryFolder();
    const clock = service.clock;
    const earlier = await TestService.start({ journal: await openSqlite(folder), clock });
    const old = await earlier.create({ name: 'Algebra' });
    await earlier.act(old.id, 'stop');
    await earlier.advance(DAY);
    await earlier.create({ name: 'Botany' });
    await earlier.request('GET', '/audit/heads');
    const file = join(folder, 'old.ndjson');
    const what = ['--before', '2026-06-01', '--export', file, '--data-dir', folder];
    const compact = (...more: string[]): Promise<Run> =>
      startProcess(['audit', 'compact', ...what, ...more]).ended;
    expect(await compact()).toMatchObject({ code: 1, stderr: expect.stringContaining('in use') });
    await earlier.stop();
    const done = await compact('--json');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({ first_position: 1, last_position: 2 });
    const again = await compact();
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toMatch(/^Nothing can be taken out: no day that was over/);
    const later = await TestService.start({ journal: await openSqlite(folder), clock });
    expect((await later.request('GET', `/timers/${old.id}/history`)).status).toBe(404);
    const at = { SYNCHRONIZED_TIMER_SERVER: later.service.url };
    const verified = await startCommand(['audit', 'verify'], at).ended;
    expect(verified.stdout).toMatch(/^The record is as it was written: entries? 3/);
    const { stdout } = await startCommand(['audit', 'export'], at).ended;
    const rest = fileOf('rest.ndjson', stdout.trimEnd().split('\n'));
    const keys = fileOf(
      'keys.json',
      JSON.stringify((await later.request('GET', '/.well-known/jwks.json')).body),
    );
    const heads = fileOf(
      'heads.json',
      JSON.stringify((await later.request('GET', '/audit/heads')).body),
    );
    const held = ['--keys', keys, '--heads', heads] as const;
    const whole = await run('audit', 'verify', file, rest, ...held);
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining('entries 1 to 3') });
    expect((await run('audit', 'verify', rest, file, ...held)).code).toBe(1);
  });

  /** A journal in NATS from which a day can be taken out, on a server that refuses some of what a node does. */
  async function compactable(stream: string, ...denied: readonly string[]) {
    const server = await NatsServer.start(denying(...denied));
    const journal = await openNats(server, { stream });
    await journal.append([created('a'), entry('a', 2, { type: 'deleted', data: {} })]);
    await journal.append([created('b', START_MS + DAY)]);
    const clock = new SimulatedClock(START_MS + DAY);
    const signer = await Signer.open(journal.documents, '');
    const heads = new Heads({ journal, signer, clock, log: createLog('silent') });
    heads.start();
    await heads.list();
    await heads.stop();
    await journal.close();
    const settings = { JOURNAL: server.url, NATS_STREAM: stream };
    const compact = (file: string): Promise<Run> =>
      startCommand(['audit', 'compact', '--before', '2026-06-01', '--export', file], settings)
        .ended;
    return { compact, file: join(temporaryFolder(), 'old.ndjson') };
  }

  it('says in words to keep the file when it fails after that was written', async (context) => {
    need(context, 'nats-server', hasNatsServer());
    const stream = newStream();
    const subject = subjectOfDocument(stream, BEGINNING_DOCUMENT);
    const { compact, file } = await compactable(stream, subject);
    const { code, stdout, stderr } = await compact(file);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^NATS cannot be asked: .*\nKeep the file /);
    expect(stderr).toContain(file);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(2 + 2 + 1);
    expect((await compact(file)).stderr).toContain('EEXIST');
    expect((await compact(`${file}2`)).stderr).toContain(`Keep the file ${file}2`);
  });

  it('has taken entries out that the engine still has to purge', async (context) => {
    need(context, 'nats-server', hasNatsServer());
    const { compact, file } = await compactable(newStream(), '$JS.API.STREAM.PURGE.>');
    const done = await compact(file);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/^Entries 1 to 2, .* no longer in the journal. Keep the file/);
    expect((await compact(`${file}2`)).stderr).toMatch(/^Nothing can be taken out/);
  });

  it('overwrites no file, and takes a date', async () => {
    const folder = temporaryFolder();
    const earlier = await TestService.start({
      journal: await openSqlite(folder),
      clock: service.clock,
    });
    await earlier.request('DELETE', `/timers/${(await earlier.create()).id}`);
    await earlier.advance(DAY);
    // They are answered when they are signed.
    await earlier.request('GET', '/audit/heads');
    await earlier.stop();
    const file = fileOf('mine.txt', 'mine');
    const args = ['audit', 'compact', '--export', file, '--data-dir', folder, '--before'];
    expect(await startProcess([...args, '2026-06-01']).ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('EEXIST'),
    });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect((await run(...args, 'yesterday')).code).toBe(2);
  });
});
