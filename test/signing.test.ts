/** What the service signs, and for what it is taken. */
import { describe, expect, it } from 'vitest';
import { headOf, receiptOf } from '../src/audit/lines.js';
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
