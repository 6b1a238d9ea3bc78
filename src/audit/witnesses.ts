/**
 * What was signed of one place of the record and kept elsewhere: heads of days, and receipts. A record is held against
 * them, whatever it has of its own. Pure.
 */
import type { DayHead, ExportHead } from '../protocol/audit.js';
import type { ReceiptClaims } from '../protocol/receipts.js';
import { isoTime } from '../protocol/timer.js';

/** As far as the clocks of nodes may be apart: what was signed that long before an export is in it. */
const CLOCKS_APART_MS = 60_000;

export interface KeptReceipt
  extends Pick<ReceiptClaims, 'timer_id' | 'revision' | 'position' | 'hash' | 'server_time_ms'> {
  readonly kind: 'receipt';
}

export type Witness = DayHead | KeptReceipt;

/** Whatever is signed of one place of the record. */
export type Signed = Witness | ExportHead;

/** In what words it is told which one it is. */
export function nameOf(witness: Witness): string {
  if (witness.kind === 'day') return `the signed head of ${witness.date}`;
  const { timer_id, revision, server_time_ms } = witness;
  return `the receipt of ${timer_id} at revision ${revision} from ${isoTime(server_time_ms)}`;
}

/** Whether an export of the whole record that was signed so must have the entry. */
function isOlder(witness: Witness, { signed_at_ms, to_ms }: ExportHead): boolean {
  if (to_ms !== null) return false;
  return witness.kind === 'day'
    ? witness.signed_at_ms <= signed_at_ms
    : witness.server_time_ms + CLOCKS_APART_MS < signed_at_ms;
}

export class Witnesses {
  readonly #all: readonly Witness[];
  readonly #byPosition: ReadonlyMap<number, readonly Witness[]>;

  constructor(all: readonly Witness[]) {
    const byPosition = new Map<number, Witness[]>();
    for (const witness of all) {
      const there = byPosition.get(witness.position);
      if (there === undefined) byPosition.set(witness.position, [witness]);
      else there.push(witness);
    }
    this.#all = all;
    this.#byPosition = byPosition;
  }

  /** Those that speak of the entry at a position. */
  at(position: number): readonly Witness[] {
    return this.#byPosition.get(position) ?? [];
  }

  /** The one that speaks of the last entry which an export lacks, though it should have it. */
  missedBy(end: ExportHead): Witness | undefined {
    return this.#all
      .filter((witness) => witness.position > end.position && isOlder(witness, end))
      .reduce<Witness | undefined>((last, next) => {
        return last === undefined || next.position > last.position ? next : last;
      }, undefined);
  }

  /** Receipts of which a record from one position to another says nothing. */
  receiptsOutside(first: number, last: number): KeptReceipt[] {
    return this.#all
      .filter((witness) => witness.kind === 'receipt')
      .filter(({ position }) => position < first || position > last);
  }
}
