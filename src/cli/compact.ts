/**
 * `audit compact`: exports old entries into a file, verifies that, and takes them out of the journal. It works on the
 * journal itself, so that no credential of the service can shorten the record.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { Cut } from '../audit/compaction.js';
import type { Verdict } from '../audit/verify.js';
import type { Command } from './command.js';
import { RefusedError } from './errors.js';
import { addExamples, connectionOf } from './options.js';
import { onOneLine } from './output.js';
import { bytesOf } from './sources.js';
import { verdictOn } from './verdict.js';

const OWNER_READS_AND_WRITES = 0o600;

interface CompactOptions {
  readonly before: number;
  readonly export: string;
  readonly dataDir?: string;
}

export function addCompact(audit: Command): void {
  const compacting = audit
    .command('compact')
    .description(
      'Export old entries into a file, and take them out of the journal. The settings say which, as for the ' +
        'service, which must not run on a journal of SQLite meanwhile.',
    )
    .requiredOption('--before <date>', 'days in UTC before this one', midnightOf)
    .requiredOption('--export <file>', 'a new file, which belongs to the record from then on')
    .option('--data-dir <folder>', 'the folder of the journal')
    .action((options: CompactOptions) => compact(options, compacting));
  addExamples(compacting, {
    'audit compact --before 2026-01-01 --export 2025.ndjson': 'What was recorded before this year',
  });
}

function midnightOf(text: string): number {
  const epochMs = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(epochMs)) throw new InvalidArgumentError('Expected a date such as 2026-01-15.');
  return epochMs;
}

async function compact(options: CompactOptions, command: Command): Promise<void> {
  const { json, output } = connectionOf(command);
  const { explainFailure } = await import('../run.js');
  try {
    const done = await compactJournal(options, command);
    const { firstPosition, head } = done;
    if (json) {
      const taken = { first_position: firstPosition, last_position: head.position };
      return output.printJson({ ...taken, last_hash: head.hash, export: options.export });
    }
    output.print(
      `Entries ${firstPosition} to ${head.position}, until the end of ${head.date}, are in ${options.export} and no ` +
        'longer in the journal. Keep the file: it belongs to the record.',
    );
  } catch (error) {
    throw error instanceof RefusedError ? error : new RefusedError(explainFailure(error));
  }
}

async function compactJournal(
  { before, export: path, dataDir }: CompactOptions,
  { context, output }: Command,
): Promise<Cut> {
  const [{ openJournal }, { readConfig }, { createLog }, { systemClock: clock }] =
    await Promise.all([
      import('../run.js'),
      import('../config.js'),
      import('../log.js'),
      import('../clock.js'),
    ]);
  const [{ Audit }, { Compaction }, { Heads }, { Signer }] = await Promise.all([
    import('../audit/export.js'),
    import('../audit/compaction.js'),
    import('../audit/heads.js'),
    import('../signing.js'),
  ]);
  const config = readConfig({ ...context.env, ...(dataDir && { DATA_DIR: dataDir }) });
  const log = createLog('silent');
  const { signal } = new AbortController();
  const journal = await openJournal(config, log, signal, () => {});
  try {
    const signer = await Signer.open(journal.documents, config.signingKeys);
    const heads = new Heads({ journal, signer, clock, log });
    const audit = new Audit({ journal, heads, signer, clock });
    const retainFinishedMs = config.retainFinishedSeconds * 1000;
    const compaction = new Compaction({ journal, audit, clock, retainFinishedMs });
    const cut = await compaction.plan(before);
    if ('why' in cut) throw new RefusedError(`Nothing can be taken out: ${onOneLine(cut.why)}.`);
    const file = await openNew(path);
    await unlessFailing(`Nothing was taken out, so ${path} is of no use: delete it.`, async () => {
      await write(file, path, compaction.export(cut));
      const { verify } = signer;
      const verdict = await verdictOn(
        { parts: [bytesOf(path, context.stdin)], verify, heads: await audit.heads() },
        output,
      );
      requireEnd(verdict, cut);
    });
    const advice =
      `Keep the file ${path}: its entries may be in no other place. Run the command again with the name of another file, ` +
      'which takes what is still in the journal.';
    await unlessFailing(advice, () => compaction.carryOut(cut));
    return cut;
  } finally {
    await journal.close();
  }
}

/** Whoever is told that something failed must know what becomes of the file. */
async function unlessFailing(advice: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { explainFailure } = await import('../run.js');
    const reason = error instanceof RefusedError ? error.message : explainFailure(error);
    throw new RefusedError(`${reason}\n${advice}`);
  }
}

/** @throws {RefusedError} if the export is not what is to be taken out. */
function requireEnd({ finding, lastPosition, lastHash }: Verdict, { head }: Cut): void {
  if (finding !== undefined) throw new RefusedError(onOneLine(finding.words));
  if (lastPosition === head.position && lastHash === head.hash) return;
  throw new RefusedError('The export does not end where it should.');
}

async function openNew(path: string): Promise<FileHandle> {
  return open(path, 'wx', OWNER_READS_AND_WRITES).catch((error: Error) => {
    throw new RefusedError(`Cannot write ${path}: ${error.message}`);
  });
}

/** Fills a new file, which is on the disk when this settles. */
async function write(file: FileHandle, path: string, pieces: AsyncIterable<string>): Promise<void> {
  try {
    for await (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
  const folder = await open(dirname(path), 'r');
  await folder.sync();
  await folder.close();
}
