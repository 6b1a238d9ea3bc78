/** Verifies a record that comes as bytes, in one part or several that follow each other. */
import { headOf, readLine, receiptOf } from '../audit/lines.js';
import { type Verdict, Verification } from '../audit/verify.js';
import type { KeptReceipt } from '../audit/witnesses.js';
import type { DayHead } from '../protocol/audit.js';
import type { Verify } from '../signing.js';
import { RefusedError } from './errors.js';
import type { Output } from './output.js';
import { linesIn } from './sources.js';

/** A record that is longer says now and then how far it is. */
const LINES_BETWEEN_NEWS = 100_000;

/** A record to verify, and what to hold it against. */
export interface Material {
  readonly parts: readonly AsyncIterable<Uint8Array>[];
  readonly verify: Verify | undefined;
  readonly heads: readonly { readonly head: string }[];
  readonly receipts?: readonly string[];
}

export async function verdictOn(
  { parts, verify, heads, receipts = [] }: Material,
  output: Output,
): Promise<Verdict> {
  const verification = new Verification([
    ...(await dayHeadsOf(heads, verify)),
    ...(await keptReceiptsOf(receipts, verify)),
  ]);
  let number = 0;
  for (const [index, part] of parts.entries()) {
    if (index > 0) verification.nextPart();
    for await (const bytes of linesIn(part)) {
      number += 1;
      verification.take(await readLine(bytes, number, verify));
      if (verification.isDecided) return verification.end();
      if (number % LINES_BETWEEN_NEWS === 0) output.tell(`${number} lines are checked.`);
    }
  }
  return verification.end();
}

async function dayHeadsOf(
  heads: Material['heads'],
  verify: Verify | undefined,
): Promise<DayHead[]> {
  const found: DayHead[] = [];
  for (const [index, { head: jws }] of heads.entries()) {
    const head = await headOf(jws, verify);
    if (head === undefined) {
      throw new RefusedError(`Signed head ${index + 1} was changed: it bears no valid signature.`);
    }
    if (head.kind === 'day') found.push(head);
  }
  return found;
}

async function keptReceiptsOf(
  receipts: readonly string[],
  verify: Verify | undefined,
): Promise<KeptReceipt[]> {
  const found: KeptReceipt[] = [];
  for (const [index, jws] of receipts.entries()) {
    const claims = await receiptOf(jws, verify);
    if (claims === undefined) {
      throw new RefusedError(`Receipt ${index + 1} was changed: it bears no valid signature.`);
    }
    const { timer_id, revision, position, hash, server_time_ms } = claims;
    found.push({ kind: 'receipt', timer_id, revision, position, hash, server_time_ms });
  }
  return found;
}
