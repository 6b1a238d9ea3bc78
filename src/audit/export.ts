/** The export of the record: its entries as lines, the heads among them, and at the end a head of its own. */
import type { Clock } from '../clock.js';
import { hashedEntryOf, lineOf } from '../journal/chain.js';
import type { Journal, RecordedEntry } from '../journal/journal.js';
import type { ExportHead, SignedHead } from '../protocol/audit.js';
import type { Signer } from '../signing.js';
import type { Heads } from './heads.js';

/** Few enough that ticks of displays need not wait for a page; more at once are no faster. */
const PAGE_ENTRIES = 100;

export interface AuditOptions {
  readonly journal: Journal;
  readonly heads: Heads;
  readonly signer: Signer;
  readonly clock: Clock;
}

/** Instants in epoch ms: entries recorded from the first on and before the second. */
export interface Range {
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** The last entry, where that is known better than by the instant. */
  readonly lastPosition?: number;
}

export class Audit {
  readonly #options: AuditOptions;

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  heads(): Promise<readonly SignedHead[]> {
    return this.#options.heads.list();
  }

  /** Pieces of the export, each of whole lines. What is recorded after the call is not in it. */
  async *export({ fromMs, toMs, lastPosition: end }: Range): AsyncGenerator<string> {
    const { journal, clock } = this.#options;
    // The journal is asked for its last entry after this, so all that was recorded before it is in the export.
    const asOfMs = clock.now();
    const beginning = await journal.beginning();
    const before = fromMs === undefined ? beginning.position : await journal.positionBefore(fromMs);
    const upTo = end ?? (await journal.positionBefore(toMs ?? Number.MAX_SAFE_INTEGER));
    const lastPosition = Math.max(before, upTo);
    const heads = new Map((await this.heads()).map(({ position, head }) => [position, head]));
    let position = before;
    let hash = before === beginning.position ? beginning.hash : await this.#hashAt(before);
    while (position < lastPosition) {
      const page = await journal.read(position, Math.min(PAGE_ENTRIES, lastPosition - position));
      const last = page.at(-1);
      if (last === undefined) throw new RangeError(`There is no entry after position ${position}`);
      yield page.map((entry) => linesOf(entry, heads)).join('');
      ({ position, hash } = last);
    }
    yield await this.#lastLine({
      kind: 'export',
      first_position: before + 1,
      to_ms: toMs ?? null,
      position,
      hash,
      signed_at_ms: asOfMs,
    });
  }

  async #hashAt(position: number): Promise<string> {
    const [entry] = await this.#options.journal.read(position - 1, 1);
    if (entry === undefined) throw new RangeError(`There is no entry at position ${position}`);
    return entry.hash;
  }

  async #lastLine(head: ExportHead): Promise<string> {
    return headLine(await this.#options.signer.sign('timer-head+jwt', head));
  }
}

function linesOf(entry: RecordedEntry, heads: ReadonlyMap<number, string>): string {
  const { position, previousHash, hash } = entry;
  const line = `${lineOf(hashedEntryOf(entry, position, previousHash), hash)}\n`;
  const head = heads.get(position);
  return head === undefined ? line : line + headLine(head);
}

function headLine(head: string): string {
  return `${JSON.stringify({ head })}\n`;
}
