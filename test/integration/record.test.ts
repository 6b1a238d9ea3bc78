/** The record for those who read and check it: histories, the export, signed heads and receipts. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { compactVerify, createLocalJWKSet } from 'jose';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readLine } from '../../src/audit/lines.js';
import { Verification } from '../../src/audit/verify.js';
import { linkOf } from '../../src/journal/chain.js';
import type { RecordedEntry } from '../../src/journal/journal.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { auditEntrySchema, publicKeysSchema, signedHeadsSchema } from '../../src/protocol/audit.js';
import { receiptSchema } from '../../src/protocol/receipts.js';
import { historySchema } from '../../src/protocol/record.js';
import { BY_TEST, created, entry } from '../support/entries.js';
import { readableLog } from '../support/log-lines.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { openSqlite, temporaryFolder } from '../support/sqlite.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

async function historyOf(service: TestService, timerId: string) {
  const { body } = await service.request('GET', `/timers/${timerId}/history`);
  return historySchema.parse(body);
}

async function exported(service: TestService, query = ''): Promise<string[]> {
  const headers = service.authorization;
  const response = await fetch(`${service.service.url}/audit${query}`, { headers });
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text.endsWith('\n')).toBe(true);
  return text.slice(0, -1).split('\n');
}

async function headsOf(service: TestService) {
  return signedHeadsSchema.parse((await service.request('GET', '/audit/heads')).body);
}

/** The claims of a JWS, checked as anybody can: with the public keys and a library. */
async function claimsOf(service: TestService, jws: string, type: string): Promise<unknown> {
  const { body } = await service.request('GET', '/.well-known/jwks.json');
  const keys = createLocalJWKSet(publicKeysSchema.parse(body));
  const { payload, protectedHeader } = await compactVerify(jws, keys);
  expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: type });
  return JSON.parse(new TextDecoder().decode(payload));
}

const headLine = z.strictObject({ head: z.string() });

describe('R2: the history of a timer', () => {
  it('is not there for now when its entries contradict each other', async () => {
    const { log, lines } = readableLog();
    const service = await TestService.start({ log });
    const { id } = await service.create();
    await service.act(id, 'start');
    const [creation, start] = await service.journal.history(id);
    Object.assign(service.journal, { history: async () => [creation, start, start] });
    const answer = await service.request('GET', `/timers/${id}/history`);
    expect([answer.status, problemIn(answer).code]).toEqual([503, 'journal_unavailable']);
    expect(lines.join()).toContain('The journal is damaged');
  });

  it('tells what happened, who and why, and how the timer stood before and after', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ name: 'Algebra', duration_seconds: 600 });
    await service.act(id, 'start');
    await service.advance(90 * SECOND + 500);
    const reason = { category: 'environment', text: 'Fire alarm' };
    const extension = { action: 'extend', extend_seconds: 300, reason };
    await service.request('POST', `/timers/${id}/control`, extension);
    await service.act(id, 'pause');
    await service.act(id, 'resume');
    await service.advance(HOUR);
    const story = await historyOf(service, id);
    expect(story.map(({ revision }) => revision)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(story.map(({ summary }) => summary)).toEqual([
      'Created as “Algebra” of 10 min',
      'Started with 10 min left',
      'Extended by 5 min (environment: Fire alarm)',
      'Paused with 13 min 29.5 s left',
      'Resumed with 13 min 29.5 s left',
      'Time was up',
    ]);
    expect(story[2]).toMatchObject({
      type: 'extended',
      by: { credential: 'anonymous', role: 'admin', label: null, address: '127.0.0.1' },
      reason,
      at: '2026-01-15T10:01:30.500Z',
      recorded_at: '2026-01-15T10:01:30.500Z',
      before: {
        state: 'running',
        duration_seconds: 600,
        remaining_ms: 509_500,
        deadline: '2026-01-15T10:10:00.000Z',
      },
      after: {
        state: 'running',
        duration_seconds: 900,
        remaining_ms: 809_500,
        deadline: '2026-01-15T10:15:00.000Z',
      },
    });
    expect(story[0]?.before).toBeNull();
    expect(story[5]).toMatchObject({
      after: { state: 'expired', remaining_ms: 0, deadline: null },
    });
    const recorded = await service.journal.history(id);
    expect(story.map(({ position, hash }) => [position, hash])).toEqual(
      recorded.map(({ position, hash }) => [position, hash]),
    );
  });

  it('is there for timers that were deleted or left memory, and 404 for those that never were', async () => {
    const journal = await openSqlite();
    const service = await TestService.start({
      journal,
      settings: { RETAIN_FINISHED_SECONDS: '60' },
    });
    const deleted = await service.create();
    await service.request('DELETE', `/timers/${deleted.id}?reason_category=staff`);
    const retired = await service.create();
    await service.act(retired.id, 'stop');
    await service.advance(2 * MINUTE);
    expect((await service.request('GET', `/timers/${retired.id}`)).status).toBe(404);
    expect((await historyOf(service, retired.id)).at(-1)).toMatchObject({ type: 'stopped' });
    expect((await historyOf(service, deleted.id)).at(-1)).toMatchObject({
      summary: 'Deleted (staff)',
      before: { state: 'created' },
      after: null,
    });
    const unknown = await service.request('GET', '/timers/timer_unknown/history');
    expect(unknown.status).toBe(404);
  });
});

describe('R1: the export of the record', () => {
  it('has every entry as a line that anybody can check, and a signed head as the last', async () => {
    const service = await TestService.start({ journal: await openSqlite() });
    for (let count = 0; count < 3; count += 1) {
      const { id } = await service.create({ name: `Ω “${count}” \u2028`, auto_start: true });
      await service.act(id, 'extend', 60);
    }
    const lines = await exported(service);
    let previous = '0'.repeat(64);
    for (const [index, line] of lines.slice(0, -1).entries()) {
      const { hash, ...entry } = auditEntrySchema.parse(JSON.parse(line));
      expect(line).toBe(canonicalize(JSON.parse(line)));
      expect(entry).toMatchObject({ position: index + 1, previous_hash: previous });
      previous = createHash('sha256')
        .update(canonicalize(entry) ?? '')
        .digest('hex');
      expect(hash).toBe(previous);
    }
    expect(lines).toHaveLength(7);
    const { head } = headLine.parse(JSON.parse(lines[6] ?? ''));
    expect(await claimsOf(service, head, 'timer-head+jwt')).toEqual({
      kind: 'export',
      first_position: 1,
      to_ms: null,
      position: 6,
      hash: previous,
      signed_at_ms: service.clock.now(),
    });
  });

  it('R1, T12: takes no text for which canonical JSON has no form', async () => {
    const service = await TestService.start();
    await service.protect();
    const half = 'Room \ud83d';
    const reason = { category: 'staff', text: half };
    const { id } = await service.create({ name: 'Room \ud83d\udd50' });
    const asked: [string, unknown, string][] = [
      ['/timers', { duration_seconds: 60, name: half }, 'body.name'],
      [`/timers/${id}/control`, { action: 'start', reason }, 'body.reason.text'],
      ['/timers/bulk/start', { timer_ids: [id], reason }, 'body.reason.text'],
      ['/timers/bulk/extend', { timer_ids: [id], seconds: 60, reason }, 'body.reason.text'],
      ['/keys', { role: 'observer', label: half }, 'body.label'],
      [`/timers/${id}/tokens`, { label: half }, 'body.label'],
    ];
    for (const [path, body, field] of asked) {
      expect(problemIn(await service.request('POST', path, body)), path).toMatchObject({
        status: 422,
        code: 'invalid_request',
        errors: [{ field, message: expect.stringContaining('half of a surrogate pair') }],
      });
    }
    // What an address has in the place of such a half is a sign that nobody can read.
    const deletion = `/timers/${id}?reason_category=staff&reason_text=%ED%A0%BD`;
    expect((await service.request('DELETE', deletion)).status).toBe(204);
    const lines = await exported(service);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toBe(canonicalize(JSON.parse(line)));
  });

  it('R1, R3: has texts of before that have no canonical form with the hashes that they were given', async () => {
    const journal = await openSqlite();
    const half = 'Room \ud83d';
    const creation = created('t');
    if (creation.type !== 'created') throw new TypeError();
    const by = { ...BY_TEST.by, label: half };
    await journal.append([{ ...creation, by, data: { ...creation.data, name: half } }]);
    const service = await TestService.start({ journal });
    expect((await service.get('t')).name).toBe(half);
    expect(await historyOf(service, 't')).toMatchObject([{ by: { label: half } }]);
    const lines = await exported(service);
    const [line = ''] = lines;
    expect(line).toContain(String.raw`"name":"Room \ud83d"`);
    const sha256 = createHash('sha256').update(line.replace(/"hash":"\w+",/, ''));
    expect(line).toContain(`"hash":"${sha256.digest('hex')}"`);
    const verification = new Verification();
    for (const [index, text] of lines.entries()) {
      verification.take(await readLine(Buffer.from(text), index + 1, undefined));
    }
    expect(verification.end()).toMatchObject({ finding: undefined, entries: 1 });
  });

  it('R1: has no half of a character from the label of a key that was made before', async () => {
    const journal = new MemoryJournal();
    const first = await TestService.start({ journal });
    const { key } = await first.createKey({ role: 'admin', label: 'Ms Kim' });
    await first.stop();
    for (const { name, text } of await journal.documents.list('keys')) {
      const halved = { name, text: text.replace('Ms Kim', String.raw`Ms \ud83d`) };
      await journal.documents.put('keys', halved, null);
    }
    const service = await TestService.start({ journal });
    service.token = key;
    await service.create();
    const [line = ''] = await exported(service);
    expect(line).toContain('"label":"Ms \ufffd"');
    expect(line).toBe(canonicalize(JSON.parse(line)));
  });

  it('has the entries of a time only, when it is asked for one', async () => {
    const service = await TestService.start();
    for (let count = 0; count < 4; count += 1) {
      await service.create();
      await service.advance(HOUR);
    }
    const query = '?from=2026-01-15T11:00:00Z&to=1768482000000';
    const lines = (await exported(service, query)).map((line): unknown => JSON.parse(line));
    expect(lines).toMatchObject([{ position: 2 }, { position: 3 }, { head: expect.any(String) }]);
    const { head } = headLine.parse(lines[2]);
    expect(await claimsOf(service, head, 'timer-head+jwt')).toMatchObject({
      first_position: 2,
      position: 3,
      to_ms: 1768482000000,
    });
    const [none = ''] = await exported(service, '?from=2027-01-01');
    const empty = headLine.parse(JSON.parse(none));
    expect(await claimsOf(service, empty.head, 'timer-head+jwt')).toMatchObject({
      first_position: 5,
      position: 4,
    });
  });

  it('comes in pages, to a reader that takes its time', async () => {
    const service = await TestService.start();
    const { registry } = service.service;
    const { id } = await service.create();
    const commands = Array.from({ length: 1800 }, () => {
      return { type: 'extend', timerId: id, addedMs: 1000 } as const;
    });
    await registry.executeAll(commands, { ...BY_TEST, requestId: 'x'.repeat(200) });
    const response = await fetch(`${service.service.url}/audit`);
    let length = 0;
    let lines = 0;
    for await (const piece of response.body ?? []) {
      length += piece.length;
      lines += piece.filter((byte: number) => byte === 0x0a).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(lines).toBe(1802);
    expect(length).toBeGreaterThan(500_000);
  });
});

describe('R1: an export of which the reader or the disk is too slow or gone', () => {
  /** A journal that counts what is read of it, and fails after so many pages. */
  class PagedJournal extends MemoryJournal {
    pages = 0;
    failsAfter = Number.POSITIVE_INFINITY;

    override async read(afterPosition: number, limit: number) {
      if (limit > 1) this.pages += 1;
      if (this.pages > this.failsAfter) throw new Error('disk I/O error');
      return super.read(afterPosition, limit);
    }
  }

  async function filled(entries: number) {
    const journal = new PagedJournal();
    const log = readableLog();
    // Large entries of one timer, so that few of them fill what the network holds.
    const requestId = 'x'.repeat(2000);
    const extensions = Array.from({ length: entries }, (_, index) => {
      const body = { type: 'extended', data: { addedMs: 1000 } } as const;
      return { ...entry('t', index + 2, body), requestId };
    });
    await journal.append([created('t'), ...extensions]);
    return { journal, log, service: await TestService.start({ journal, log: log.log }) };
  }

  it('is not read ahead for a reader that does not read', async () => {
    const { journal, service } = await filled(12_000);
    const gone = new AbortController();
    const response = await fetch(`${service.service.url}/audit`, { signal: gone.signal });
    expect(response.status).toBe(200);
    let quiet = 0;
    for (let last = 0; quiet < 50; last = journal.pages) {
      await service.request('GET', '/time');
      quiet = journal.pages === last ? quiet + 1 : 0;
    }
    expect(journal.pages).toBeLessThan(100);
    const before = journal.pages;
    gone.abort();
    await response.text().catch(() => {});
    for (let round = 0; round < 50; round += 1) await service.request('GET', '/time');
    expect(journal.pages).toBeLessThanOrEqual(before + 1);
  });

  it('is cut off where it can be seen, when the record cannot be read on', async () => {
    const { journal, log, service } = await filled(1000);
    journal.failsAfter = 3;
    const response = await fetch(`${service.service.url}/audit`);
    await expect(response.text()).rejects.toThrow();
    expect(log.messages.join()).toContain('an export of the record was cut off');
    const refused = await service.request('GET', '/audit');
    expect(refused).toMatchObject({ status: 503, body: { code: 'journal_unavailable' } });
    const history = await fetch(`${service.service.url}/audit`, { method: 'HEAD' });
    expect(history.status).toBe(503);
    journal.failsAfter = Number.POSITIVE_INFINITY;
    const head = await fetch(`${service.service.url}/audit`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
  });
});

describe('R4: signed heads', () => {
  it('are signed after the midnight of each day that had entries, and never again', async () => {
    const journal = await openSqlite();
    const service = await TestService.start({ journal });
    await service.create();
    await service.create();
    await service.advance(13 * HOUR);
    expect(await headsOf(service)).toEqual([]);
    await service.advance(HOUR);
    const first = await headsOf(service);
    expect(first).toMatchObject([
      { date: '2026-01-15', position: 2, signed_at_ms: Date.UTC(2026, 0, 16) },
    ]);
    await service.advance(DAY);
    await service.create();
    await service.advance(DAY);
    const heads = await headsOf(service);
    expect(heads).toMatchObject([first[0], { date: '2026-01-17', position: 3 }]);
    for (const { head, ...said } of heads) {
      expect(await claimsOf(service, head, 'timer-head+jwt')).toEqual({ kind: 'day', ...said });
    }
    const recorded = await journal.read(0, 10);
    expect(heads.map(({ hash }) => hash)).toEqual([recorded[1]?.hash, recorded[2]?.hash]);
    const lines = await exported(service);
    const inExport = lines.map((line): unknown => JSON.parse(line));
    expect(inExport[2]).toEqual({ head: heads[0]?.head });
    expect(inExport[4]).toEqual({ head: heads[1]?.head });
    expect(inExport).toHaveLength(6);
  });
});

describe('R4: heads across restarts', () => {
  it('are signed at the next start for the days that ended meanwhile, one for each that had entries', async () => {
    const directory = temporaryFolder();
    const clock = new SimulatedClock();
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    await first.create();
    await first.stop();
    clock.stall(3 * DAY);
    const second = await TestService.start({ journal: await openSqlite(directory), clock });
    const heads = await headsOf(second);
    expect(heads).toMatchObject([{ date: '2026-01-15', position: 1 }]);
    await second.create();
    await second.stop();
    clock.stall(DAY);
    const third = await TestService.start({ journal: await openSqlite(directory), clock });
    expect(await headsOf(third)).toMatchObject([
      heads[0] ?? {},
      { date: '2026-01-18', position: 2 },
    ]);
  });

  it('tell the log at the next start that the record was changed', async () => {
    const directory = temporaryFolder();
    const clock = new SimulatedClock();
    const first = await TestService.start({ journal: await openSqlite(directory), clock });
    await first.create({ name: 'Algebra' });
    await first.advance(DAY);
    await headsOf(first);
    const recorded = await first.journal.read(0, 1);
    await first.stop();
    renameFirst(directory, recorded);
    const log = readableLog();
    const journal = await openSqlite(directory);
    const second = await TestService.start({ journal, clock, log: log.log });
    expect(await headsOf(second)).toHaveLength(1);
    expect(log.messages.join('\n')).toContain('THE RECORD WAS CHANGED: the entry at position 1');
  });
});

/** Writes the first entry anew, with a hash that fits. */
function renameFirst(directory: string, [first]: readonly RecordedEntry[]): void {
  if (first?.type !== 'created') throw new Error('the first entry creates a timer');
  const data = { ...first.data, name: 'Geometry' };
  const { hash } = linkOf({ ...first, data }, first.position, first.previousHash);
  const database = new Database(join(directory, 'journal.db'));
  database.exec(
    `UPDATE entries SET data = '${JSON.stringify(data)}', hash = '${hash}' WHERE position = 1`,
  );
  database.close();
}

describe('R5: receipts', () => {
  it('say how a timer stands, signed, in every state', async () => {
    const service = await TestService.start();
    const { id } = await service.create({ duration_seconds: 60 });
    const payload_sha256 = 'ab'.repeat(32);
    const receiptOf = async (body: object = {}) => {
      const answer = await service.request('POST', `/timers/${id}/receipts`, body);
      expect(answer.status).toBe(201);
      const { receipt, ...claims } = receiptSchema.parse(answer.body);
      expect(await claimsOf(service, receipt, 'timer-receipt+jwt')).toEqual(claims);
      return claims;
    };
    const start = service.clock.now();
    const [first] = await service.journal.history(id);
    expect(await receiptOf()).toEqual({
      timer_id: id,
      state: 'created',
      remaining_ms: 60_000,
      deadline_ms: null,
      server_time_ms: start,
      revision: 1,
      completed_at_ms: null,
      late_by_ms: 0,
      payload_sha256: null,
      position: 1,
      hash: first?.hash,
      credential: 'anonymous',
      label: null,
    });
    await service.act(id, 'start');
    await service.advance(59_999);
    expect(await receiptOf({ payload_sha256: payload_sha256.toUpperCase() })).toMatchObject({
      state: 'running',
      remaining_ms: 1,
      late_by_ms: 0,
      deadline_ms: start + 60_000,
      payload_sha256,
    });
    // The time is up, and nobody has noticed yet.
    service.clock.stall(8);
    expect(await receiptOf()).toMatchObject({ state: 'running', remaining_ms: 0, late_by_ms: 7 });
    await service.advance(5);
    expect(await receiptOf()).toMatchObject({
      state: 'expired',
      remaining_ms: 0,
      late_by_ms: 12,
      completed_at_ms: start + 60_000,
    });
    await service.create();
    const history = await service.journal.history(id);
    expect(history).toHaveLength(3);
    const { position, hash } = await receiptOf();
    expect([position, hash]).toEqual([3, history[2]?.hash]);
  });
});

describe('R1, R2, R5: who may see the record, and what is in it', () => {
  const statusOf = async (service: TestService, token: string | undefined, path: string) => {
    service.token = token;
    return (await service.request('GET', path)).status;
  };

  it('is asked by role and by timer, also of timers that are gone', async () => {
    const service = await TestService.start();
    await service.protect();
    const admin = service.token;
    const kim = await service.createKey({ role: 'instructor', label: 'Ms Kim' });
    const roe = await service.createKey({ role: 'instructor', label: 'Mr Roe' });
    const observer = await service.createKey({ role: 'observer' });
    service.token = kim.key;
    const { id } = await service.create();
    await service.request('POST', `/timers/${id}/control`, {
      action: 'extend',
      extend_seconds: 300,
      reason: { category: 'environment', text: 'Fire alarm' },
    });
    const path = `/timers/${id}/history`;
    const seen = async () => [
      await statusOf(service, admin, path),
      await statusOf(service, kim.key, path),
      await statusOf(service, roe.key, path),
      await statusOf(service, observer.key, path),
      await statusOf(service, undefined, path),
    ];
    expect(await seen()).toEqual([200, 200, 403, 200, 401]);
    service.token = kim.key;
    const [, extended] = await historyOf(service, id);
    expect(extended?.summary).toBe('Extended by 5 min by Ms Kim (environment: Fire alarm)');
    expect(extended?.by).toEqual({
      credential: `key:${kim.id}`,
      role: 'instructor',
      label: 'Ms Kim',
    });
    service.token = observer.key;
    const [, withAddress] = await historyOf(service, id);
    expect(withAddress?.by).toEqual({ ...extended?.by, address: '127.0.0.1' });
    service.token = kim.key;
    await service.request('DELETE', `/timers/${id}`);
    expect(await seen()).toEqual([200, 200, 403, 200, 401]);
    for (const whole of ['/audit', '/audit/heads']) {
      const tokens = [admin, kim.key, observer.key, undefined];
      const statuses = [];
      for (const token of tokens) {
        service.token = token;
        const url = `${service.service.url}${whole}`;
        statuses.push((await fetch(url, { headers: service.authorization })).status);
      }
      expect(statuses).toEqual([200, 403, 200, 401]);
    }
    expect(await statusOf(service, undefined, '/.well-known/jwks.json')).toBe(200);
  });

  it('lets a display have receipts of its own timer only', async () => {
    const service = await TestService.start();
    await service.protect();
    const mine = await service.create();
    const other = await service.create();
    const seat = await service.createKey({ role: 'display', label: 'Seat 14', timers: [mine.id] });
    service.token = seat.key;
    const answer = await service.request('POST', `/timers/${mine.id}/receipts`, {});
    const { receipt } = receiptSchema.parse(answer.body);
    expect(await claimsOf(service, receipt, 'timer-receipt+jwt')).toMatchObject({
      credential: `key:${seat.id}`,
      label: 'Seat 14',
    });
    expect((await service.request('POST', `/timers/${other.id}/receipts`, {})).status).toBe(403);
    expect(await statusOf(service, seat.key, `/timers/${mine.id}/history`)).toBe(403);
  });
});

describe('the reason of a deletion', () => {
  it('A7, T12: is refused without its category, rather than lost', async () => {
    const service = await TestService.start();
    const { id } = await service.create();
    const refused = await service.request('DELETE', `/timers/${id}?reason_text=Fire%20alarm`);
    expect(problemIn(refused)).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'query.reason_category' }],
    });
    expect((await service.get(id)).revision).toBe(1);
    const whole = `/timers/${id}?reason_category=staff&reason_text=Fire%20alarm`;
    expect((await service.request('DELETE', whole)).status).toBe(204);
    const reason = { category: 'staff', text: 'Fire alarm' };
    expect((await service.journal.history(id)).at(-1)).toMatchObject({ reason });
  });
});
