/** What a command shows the service to be known by: what it was given, or else what somebody logged in with. */
import type { Context } from './context.js';
import { UsageError } from './errors.js';
import { KEY_FORM, KeptKeys } from './kept-keys.js';

export interface Credential {
  readonly text: string;
  /** What people are told when the service does not take it, where that is not the usual. */
  readonly refusal?: string;
}

/** Finds it when it is wanted, so that what needs no service needs no file either. */
export type CredentialSource = () => Credential | undefined;

interface Asked {
  readonly server: string;
  /** What `--token` says; an empty one is none at all. */
  readonly token: string | undefined;
  readonly env: Context['env'];
}

export function credentialSource({ server, token, env }: Asked): CredentialSource {
  const given = token ?? (env.SYNCHRONIZED_TIMER_TOKEN || undefined);
  if (given === undefined) return () => keptCredential(server, env);
  const text = oneWord(given);
  return () => (text === '' ? undefined : { text });
}

/** Not checked where options are, because what is wrong with one is told with its value. */
export function oneWord(text: string): string {
  const word = text.trim();
  if (word === '' || KEY_FORM.test(word)) return word;
  throw new UsageError('A key or token is one word of letters, digits and signs.');
}

function keptCredential(server: string, env: Context['env']): Credential | undefined {
  const text = KeptKeys.of(env)?.find(server);
  if (text === undefined) return undefined;
  const refusal =
    'The service no longer takes the key that you logged in with. Log in again with ' +
    `"synchronized-timer login --server ${server}", or log out.`;
  return { text, refusal };
}
