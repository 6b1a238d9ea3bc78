/** What the service signs, for what it is taken, and the file of keys that SIGNING_KEYS names. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { headOf, receiptOf } from '../src/audit/lines.js';
import { SettingError } from '../src/config.js';
import { MemoryJournal } from '../src/journal/memory.js';
import { Signer } from '../src/signing.js';

const TYPES = ['timer-receipt+jwt', 'timer-head+jwt', 'timer-token+jwt'] as const;

describe('a signature of the service', () => {
  it.each(TYPES)('A1, R4, R5: as %s is taken for nothing else', async (type) => {
    const signer = await Signer.open(new MemoryJournal().documents, '');
    const claims = { sub: 'x' };
    const text = await signer.sign(type, claims);
    expect(await signer.verify(type, text)).toEqual(claims);
    for (const other of TYPES.filter((one) => one !== type)) {
      await expect(signer.verify(other, text)).rejects.toThrow(`This is no ${other}`);
    }
  });

  it('R4, R5: makes no head of what was signed as a receipt, nor the other way, whatever it says', async () => {
    const signer = await Signer.open(new MemoryJournal().documents, '');
    const { verify } = signer;
    const hash = 'a'.repeat(64);
    const head = {
      kind: 'export',
      first_position: 1,
      to_ms: null,
      position: 1,
      hash,
      signed_at_ms: 1,
    };
    const receipt = {
      timer_id: 'timer_a',
      revision: 1,
      state: 'created',
      server_time_ms: 1,
      remaining_ms: 1,
      deadline_ms: null,
      completed_at_ms: null,
      late_by_ms: 0,
      payload_sha256: null,
      position: 1,
      hash,
      credential: 'key:x',
      label: null,
    };
    expect(await headOf(await signer.sign('timer-head+jwt', head), verify)).toEqual(head);
    expect(await headOf(await signer.sign('timer-receipt+jwt', head), verify)).toBeUndefined();
    expect(await receiptOf(await signer.sign('timer-receipt+jwt', receipt), verify)).toEqual(
      receipt,
    );
    expect(await receiptOf(await signer.sign('timer-head+jwt', receipt), verify)).toBeUndefined();
  });
});

const TAKES = 'it takes a file with a JSON Web Key Set of private Ed25519 keys';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'signing-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function complaintAbout(file: string): Promise<string> {
  const failure = await Signer.open(new MemoryJournal().documents, file).catch((error) => error);
  expect(failure).toBeInstanceOf(SettingError);
  return String(failure.message);
}

describe('a file of signing keys', () => {
  it.each([
    ['is not there', 'none.json', 'ENOENT: no such file or directory'],
    ['is a folder', '.', 'EISDIR: illegal operation on a directory'],
  ])('that %s is told with the reason why it cannot be read', async (_, name, reason) => {
    const file = join(folder, name);
    const complaint = await complaintAbout(file);
    expect(complaint).toContain(`SIGNING_KEYS is "${file}", which cannot be read (${reason}`);
    expect(complaint.endsWith(`; ${TAKES}`)).toBe(true);
  });

  it('that cannot be read is told with the reason', async () => {
    // Whoever runs the tests may be allowed to read every file, but nobody reads a folder as one.
    expect(await complaintAbout(folder)).toContain('which cannot be read (EISDIR');
  });

  it.each([
    'secret',
    '{"keys":[]}',
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"x","d":["secret"]}]}',
  ])('A3: that has none is told without what is in it: %s', async (text) => {
    const file = join(folder, 'wrong.json');
    writeFileSync(file, text);
    expect(await complaintAbout(file)).toBe(`SIGNING_KEYS is "${file}"; ${TAKES}`);
  });
});
