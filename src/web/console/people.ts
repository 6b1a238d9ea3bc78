/** Who uses the console and who changed what, in words, and what they may do. */
import { ANONYMOUS, BY_ITSELF } from '../../../machines/entry.js';
import type { Caller } from './messages.js';

/** Authors that are nobody in particular: callers without names, and the clock. */
const NOBODY = [ANONYMOUS, BY_ITSELF.by.credential];

export const NOT_FOR_CONSOLE =
  'This is the credential of a display: it shows timers, but may not use the console.';

const ROLES: Record<string, string> = {
  admin: 'Administrator',
  instructor: 'Instructor',
  observer: 'Observer',
};

export function isSignedIn(caller: Caller | undefined): caller is Caller {
  return caller !== undefined && caller.credential !== ANONYMOUS;
}

/** Displays show one timer; everybody else may look at the console. */
export function mayUseConsole({ role }: Caller): boolean {
  return role !== 'display';
}

export function mayControl(caller: Caller | undefined): boolean {
  return caller?.role === 'admin' || caller?.role === 'instructor';
}

/** What people call the holder of a credential; nothing for nobody in particular. */
export function nameOf(by: Pick<Caller, 'credential' | 'label'>): string | undefined {
  return NOBODY.includes(by.credential) ? undefined : (by.label ?? by.credential);
}

export function roleOf({ role }: Caller): string {
  return ROLES[role] ?? role;
}
