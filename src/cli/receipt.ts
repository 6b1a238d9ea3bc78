/** `receipt`: checks what the service signed about a timer. */
import { type ReceiptClaims, receiptClaimsSchema } from '../protocol/receipts.js';
import { isoTime } from '../protocol/timer.js';
import type { Verify } from '../signing.js';
import type { Command } from './command.js';
import { RefusedError } from './errors.js';
import { addExamples, connectionOf } from './options.js';
import { columns, onOneLine } from './output.js';
import { verifierFrom } from './sources.js';

interface ReceiptOptions {
  readonly keys?: string;
}

export function addReceipt(program: Command): void {
  const receipt = program.command('receipt').description('Check receipts.');
  const verifying = receipt
    .command('verify')
    .description('Check the signature of a receipt, and show what it says.')
    .argument('<receipt>', 'the receipt: three parts with dots between them')
    .option('--keys <source>', 'file or URL of the public keys (default: those of the service)')
    .action((text: string, options: ReceiptOptions) => verify(text, options, verifying));
  addExamples(verifying, {
    'receipt verify eyJhbGciOi… --keys jwks.json': 'Without any service',
  });
}

async function verify(text: string, { keys }: ReceiptOptions, command: Command): Promise<void> {
  const { api, json, output } = connectionOf(command);
  const claims = await claimsOf(text, await verifierFrom(keys, api));
  if (json) return output.printJson(claims);
  for (const line of columns(factsOf(claims))) output.print(line.join('  '));
}

async function claimsOf(text: string, check: Verify): Promise<ReceiptClaims> {
  try {
    return receiptClaimsSchema.parse(await check('timer-receipt+jwt', text.trim()));
  } catch {
    throw new RefusedError('This is no receipt that one of these keys signed.');
  }
}

function factsOf(claims: ReceiptClaims): [string, string][] {
  const { deadline_ms, completed_at_ms, label } = claims;
  return [
    ['timer', claims.timer_id],
    ['revision', `${claims.revision}`],
    ['state', claims.state],
    ['at', isoTime(claims.server_time_ms)],
    ['remaining', `${claims.remaining_ms} ms`],
    ['late by', `${claims.late_by_ms} ms`],
    ['deadline', deadline_ms === null ? 'none' : isoTime(deadline_ms)],
    ['ended', completed_at_ms === null ? 'not yet' : isoTime(completed_at_ms)],
    ['payload', claims.payload_sha256 ?? 'none'],
    ['entry', `${claims.position}, ${claims.hash}`],
    ['asked by', onOneLine(label ?? claims.credential)],
  ];
}
