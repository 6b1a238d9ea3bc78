/** `audit`: exports the record, verifies that it is as it was written, and takes old entries out. */
import { z } from 'zod';
import type { Verdict } from '../audit/verify.js';
import { type KeptReceipt, nameOf } from '../audit/witnesses.js';
import type { DayHead, ExportHead } from '../protocol/audit.js';
import { isoTime } from '../protocol/timer.js';
import type { Api } from './api.js';
import type { Command } from './command.js';
import { addCompact } from './compact.js';
import type { Context, InputStream } from './context.js';
import { RefusedError, UsageError } from './errors.js';
import { addExamples, apiAt, connectionOf, serverOf } from './options.js';
import { onOneLine } from './output.js';
import { bytesOf, isUrl, readJson, readReceipts, verifierFrom } from './sources.js';
import { type Material, verdictOn } from './verdict.js';

const headsSchema = z.array(z.object({ head: z.string() }));

interface ExportOptions {
  readonly from?: string;
  readonly to?: string;
}

interface VerifyOptions {
  readonly keys?: string;
  readonly heads?: string;
  readonly receipts?: string;
}

export function addAudit(program: Command): void {
  const audit = program.command('audit').description('Export and verify the record.');
  const exporting = audit
    .command('export')
    .description('Write the record to standard output, one entry a line.')
    .option('--from <instant>', 'only what was recorded at this instant or later')
    .option('--to <instant>', 'only what was recorded before this instant')
    .action((options: ExportOptions) => exportRecord(options, exporting));
  addExamples(exporting, {
    'audit export > record.ndjson': 'All of it',
    'audit export --from 2026-01-15 --to 2026-01-16 > day.ndjson': 'One day, in UTC',
  });
  const verifying = audit
    .command('verify')
    .description('Verify a record, and name the first entry that is not as it was written.')
    .argument(
      '[sources...]',
      'files that follow each other, - for standard input, or the URL of a service (default: --server)',
      withSource,
    )
    .option('--keys <source>', 'file or URL of the public keys (default: those of the service)')
    .option('--heads <source>', 'file or URL of signed heads that were kept')
    .option(
      '--receipts <source>',
      'file of receipts that were kept, one a line or in JSON, or - for standard input',
    )
    .action((sources: readonly string[], options: VerifyOptions) =>
      verify(sources, options, verifying),
    );
  addExamples(verifying, {
    'audit verify': 'The record of the running service, as it is now',
    'audit verify record.ndjson --keys jwks.json': 'A file, without any service',
    'audit verify record.ndjson --keys jwks.json --heads heads.json':
      'The same, against heads that were kept elsewhere',
    'audit verify --receipts receipts.txt':
      'Whether the service still has what it signed in receipts',
    'audit verify old.ndjson rest.ndjson --keys jwks.json':
      'What was taken out of the journal, and what was left in it, as one record',
  });
  addCompact(audit);
}

function withSource(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, isUrl(text) ? serverOf(text) : text];
}

async function exportRecord({ from, to }: ExportOptions, command: Command): Promise<void> {
  const query = new URLSearchParams({ ...(from && { from }), ...(to && { to }) });
  const { api, output } = connectionOf(command);
  const { stdout } = output;
  for await (const piece of api.audit(query)) {
    if (stdout.write(piece)) continue;
    await new Promise<void>((resolve) => stdout.once('drain', resolve));
  }
}

async function verify(
  sources: readonly string[],
  options: VerifyOptions,
  command: Command,
): Promise<void> {
  const { json, output } = connectionOf(command);
  const material = await materialOf(sources, options, command);
  const verdict = await verdictOn(material, output);
  const areSigned = material.verify !== undefined;
  if (json) output.printJson(reportOf(verdict, areSigned));
  if (verdict.finding !== undefined)
    throw new RefusedError(json ? '' : onOneLine(verdict.finding.words));
  if (json) return;
  output.print(praiseOf(verdict, areSigned));
  if (verdict.lateHeads.length > 0) output.tell(warningOf(verdict.lateHeads));
  for (const receipt of verdict.receiptsOutside) output.tell(warningOfReceipt(receipt));
}

function materialOf(
  sources: readonly string[],
  options: VerifyOptions,
  command: Command,
): Promise<Material> {
  const { api } = connectionOf(command);
  const [url] = sources.filter(isUrl);
  if (sources.length === 0) return ofService(api, options, command.context);
  if (url === undefined) return ofFiles(sources, api, options, command.context);
  if (sources.length > 1) throw new UsageError('A service is verified by itself; export it first.');
  return ofService(apiAt(url, command), options, command.context);
}

async function ofFiles(
  paths: readonly string[],
  api: Api,
  options: VerifyOptions,
  { stdin }: Context,
): Promise<Material> {
  const { keys, heads, receipts } = options;
  if (receipts === '-' && paths.includes('-')) {
    throw new UsageError('Standard input is either the record or its receipts.');
  }
  return {
    receipts: await keptReceipts(options, stdin),
    parts: paths.map((path) => bytesOf(path, stdin)),
    verify: keys === undefined ? undefined : await verifierFrom(keys, api),
    heads: heads === undefined ? [] : await keptHeads(heads),
  };
}

/** Heads and receipts come before the record, so that it cannot be shorter than they say. */
async function ofService(api: Api, options: VerifyOptions, { stdin }: Context): Promise<Material> {
  const { keys, heads } = options;
  return {
    receipts: await keptReceipts(options, stdin),
    heads: heads === undefined ? await api.heads() : await keptHeads(heads),
    verify: await verifierFrom(keys, api),
    parts: [api.audit(new URLSearchParams())],
  };
}

async function keptReceipts({ receipts }: VerifyOptions, stdin: InputStream): Promise<string[]> {
  return receipts === undefined ? [] : readReceipts(receipts, stdin);
}

function keptHeads(source: string): Promise<z.output<typeof headsSchema>> {
  return readJson(source, 'list of signed heads', headsSchema);
}

/** Whoever writes a record anew can write heads that fit as well: only their signatures say whose they are. */
function praiseOf(
  { entries, firstPosition, lastPosition, heads, receipts, end }: Verdict,
  areSignaturesChecked: boolean,
): string {
  const places = entries === 0 ? 'no entries' : `entries ${firstPosition} to ${lastPosition}`;
  const which = end === undefined ? places : `${places}, ${extentOf(end)}`;
  if (areSignaturesChecked) {
    const signed = heads === 1 ? 'a signed head' : `${heads} signed heads`;
    const kept =
      receipts === 1 ? ' and a receipt' : receipts > 1 ? ` and ${receipts} receipts` : '';
    return `The record is as it was written: ${which}, held against ${signed}${kept}.`;
  }
  return (
    `The record fits its own hashes: ${which}. Signatures were not checked, so it may have been written anew; ` +
    '--keys names the public keys.'
  );
}

/** A genuine export of noon is not the whole record of the evening. */
function extentOf({ to_ms, signed_at_ms }: ExportHead): string {
  const asOf = `as of ${isoTime(signed_at_ms)}`;
  return to_ms === null ? asOf : `recorded before ${isoTime(to_ms)}, ${asOf}`;
}

function warningOf(late: readonly DayHead[]): string {
  const days = late.map(({ date }) => date);
  const which =
    days.length > 3 ? `${days[0]} to ${days.at(-1)}, ${days.length} in all` : days.join(', ');
  return (
    `Signed late, more than two days after their day: the heads of ${which}. So it is where the service did not run ` +
    'meanwhile, and where heads were deleted and signed anew; --heads names heads that were kept elsewhere.'
  );
}

function warningOfReceipt(receipt: KeptReceipt): string {
  const { position } = receipt;
  return `Not held against this record: ${nameOf(receipt)}. It speaks of entry ${position}, which is not in it.`;
}

function reportOf(verdict: Verdict, areSignaturesChecked: boolean) {
  const { finding, entries, firstPosition, lastPosition, lastHash, heads, receipts, end } = verdict;
  return {
    ok: finding === undefined,
    entries,
    first_position: firstPosition,
    last_position: lastPosition,
    last_hash: lastHash,
    to_ms: end?.to_ms ?? null,
    signed_at_ms: end?.signed_at_ms ?? null,
    heads,
    receipts,
    receipts_outside: verdict.receiptsOutside.map(({ kind: _, ...claims }) => claims),
    late_heads: verdict.lateHeads.map(({ date, number, position, signed_at_ms }) => {
      return { date, number, position, signed_at_ms };
    }),
    signatures: areSignaturesChecked ? 'valid' : 'not checked',
    finding:
      finding === undefined
        ? null
        : {
            kind: finding.kind,
            position: finding.position,
            timer_id: finding.timerId,
            revision: finding.revision,
            line: finding.line,
            message: finding.words,
          },
  };
}
