/** The routes of the record: histories, the export and its heads, receipts, and the keys to check them with. */
import { once } from 'node:events';
import type { Access } from '../access/access.js';
import { hasRight } from '../access/caller.js';
import type { Limits } from '../access/limits.js';
import type { Audit } from '../audit/export.js';
import { storyOf } from '../audit/story.js';
import type { Link, RecordedEntry } from '../journal/chain.js';
import { unlessImpossible } from '../journal/journal.js';
import type { Log } from '../log.js';
import { auditQuerySchema, NDJSON_TYPE } from '../protocol/audit.js';
import { Problem, problemOf } from '../protocol/problems.js';
import { receiptClaimsOf, receiptRequestSchema } from '../protocol/receipts.js';
import type { LookUp, Registry } from '../registry.js';
import type { Signer } from '../signing.js';
import type { Answer, Exchange, Handler } from './exchange.js';
import { type Idempotency, isNamed } from './idempotency.js';
import { parse, timerIdOf } from './parse.js';

/** Public keys change when the service is given others, which is seldom. */
const KEYS_KEPT_SECONDS = 300;

export interface RecordParts {
  readonly registry: Registry;
  readonly access: Access;
  readonly limits: Limits;
  readonly idempotency: Idempotency;
  readonly audit: Audit;
  readonly signer: Signer;
  readonly log: Log;
}

export function recordRoutes(parts: RecordParts) {
  const { registry, access, limits, idempotency, audit, signer, log } = parts;

  async function readable<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (err) {
      log.error({ err }, 'the record could not be read');
      throw new Problem('journal_unavailable', 'The record cannot be read now; try again soon');
    }
  }

  /** A change may be recorded meanwhile, of which the receipt does not speak. */
  async function lastLink(timerId: string, lastRevision: number): Promise<Link> {
    const history = await registry.history(timerId);
    const last = history.find(({ revision }) => revision === lastRevision);
    if (last === undefined) throw new RangeError(`Revision ${lastRevision} is not on record`);
    return last;
  }

  const getHistory: Handler = async ({ request, response, caller }) => {
    requireReady(registry);
    const timerId = timerIdOf(request);
    const history = await readable(registry.history(timerId));
    const [first] = history;
    // Whose a timer was is not known when its first entry was taken out of the journal.
    if (first?.type !== 'created') throw problemOf({ reason: 'unknown_timer' }, timerId);
    // Of timers that were deleted or left memory only the first entry tells whose they were.
    access.permit(caller, { id: timerId, ownerId: first.by.credential });
    response.json(await readable(told(history, hasRight(caller, 'audit'))));
  };

  const exportAudit: Handler = async ({ request, response }) => {
    requireReady(registry);
    const { from, to } = parse(auditQuerySchema, request.query, 'query');
    const pieces = audit.export({ fromMs: from, toMs: to });
    // Nothing is promised before the first piece is read.
    let piece = await readable(pieces.next());
    response.set({ 'Content-Type': NDJSON_TYPE, 'Cache-Control': 'no-store' });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      for (; piece.done !== true; piece = await pieces.next()) {
        if (!response.write(piece.value)) await once(response, 'drain', { signal: gone.signal });
      }
      response.end();
    } catch (err) {
      // An answer under way cannot become a problem; that it is cut off is seen by its missing last line.
      if (!gone.signal.aborted) log.error({ err }, 'an export of the record was cut off');
      response.destroy();
    }
  };

  const listHeads: Handler = async ({ response }) => {
    requireReady(registry);
    response.json(await readable(audit.heads()));
  };

  /** Signs how a timer stood. Of those who may change nothing few answers are kept, so that they do not fill the disk. */
  async function signedReceipt({ request, caller }: Exchange, found: LookUp): Promise<Answer> {
    const timerId = timerIdOf(request);
    if (isNamed(request)) limits.takeKeptReceipt(caller);
    const { payload_sha256 = null } = parse(receiptRequestSchema, request.body, 'body');
    if (!found.ok) throw problemOf(found.refusal, timerId);
    const link = await readable(lastLink(timerId, found.timer.record.revision));
    const claims = receiptClaimsOf(found.timer, link, payload_sha256, caller);
    const receipt = await signer.sign('timer-receipt+jwt', claims);
    return { status: 201, headers: { 'Cache-Control': 'no-store' }, body: { receipt, ...claims } };
  }

  // What was asked for in time is not late because it takes a while to find out whether it was asked for before.
  const createReceipt: Handler = (exchange) => {
    const found = registry.lookUp(timerIdOf(exchange.request));
    return idempotency.repeatable((confirmed) => signedReceipt(confirmed, found))(exchange);
  };

  const publicKeys: Handler = ({ response }) => {
    response.set('Cache-Control', `public, max-age=${KEYS_KEPT_SECONDS}`).json(signer.publicKeys);
  };

  return { getHistory, exportAudit, listHeads, createReceipt, publicKeys };
}

/** @throws {JournalError} if the entries contradict each other, as those of a damaged copy may. */
async function told(history: readonly RecordedEntry[], withAddresses: boolean) {
  return unlessImpossible(() => storyOf(history, withAddresses));
}

function requireReady({ absence }: Registry): void {
  if (absence !== undefined) throw problemOf(absence, '');
}
