/** Who calls: what a credential says about its holder once it has been checked. */
import { z } from 'zod';
import { ANONYMOUS, type Author, type Role } from '../../machines/entry.js';
import type { TimerRecord } from '../registry.js';

/** The roles that credentials can give. */
export const CALLER_ROLES = [
  'admin',
  'instructor',
  'display',
  'observer',
] as const satisfies Role[];
export type CallerRole = (typeof CALLER_ROLES)[number];

export const timerIdsSchema = z.array(z.string().min(1).max(100)).max(10_000);

/** Timers that a credential names; `*` is all of them. */
export const givenTimersSchema = z
  .union([z.literal('*'), timerIdsSchema])
  .meta({ description: 'The ids of timers that it is for, or * for all.', examples: ['*'] });
export type GivenTimers = z.output<typeof givenTimersSchema>;

/** When a credential that others may take back is to be checked again, and how. */
export interface Recheck {
  readonly atMs: number;
  /** Gives when it is the next time. Rejects if the credential does not hold any more. */
  readonly check: () => Promise<Recheck>;
}

export interface Caller extends Author {
  readonly role: CallerRole;
  /** Timers it may deal with beside those its holder created. */
  readonly timers: GivenTimers;
  /** When the credential ends, in epoch ms; `null` if it does not by itself. */
  readonly expiresAtMs: number | null;
  /** Nothing for a credential that ends at its time, or is revoked here. */
  readonly recheck?: Recheck;
}

export { ANONYMOUS };

/** Everybody, as long as the service knows no credentials. */
export function anonymous(address: string | null): Caller {
  return {
    credential: ANONYMOUS,
    role: 'admin',
    label: null,
    address,
    timers: '*',
    expiresAtMs: null,
  };
}

/** What is written down of a caller in an entry. */
export function authorOf({ credential, role, label, address }: Caller): Author {
  return { credential, role, label, address };
}

/**
 * What an operation asks of its caller:
 * - `public`: nothing, not even a credential
 * - `any`: a credential, whichever
 * - `follow`: to see a timer and to show it
 * - `read`: to see timers and those who follow them
 * - `control`: to create and change timers
 * - `audit`: to see everything that ever happened
 * - `manage`: to look after credentials, webhooks and the service
 */
export type Right = 'public' | 'any' | 'follow' | 'read' | 'control' | 'audit' | 'manage';

const RIGHTS: Readonly<Record<CallerRole, readonly Right[]>> = {
  admin: ['public', 'any', 'follow', 'read', 'control', 'audit', 'manage'],
  instructor: ['public', 'any', 'follow', 'read', 'control'],
  observer: ['public', 'any', 'follow', 'read', 'audit'],
  display: ['public', 'any', 'follow'],
};

export function hasRight({ role }: Caller, right: Right): boolean {
  return RIGHTS[role].includes(right);
}

/** Whether a timer is among those that a caller may deal with, in the ways its role allows. */
export function reaches(caller: Caller, timer: Pick<TimerRecord, 'id' | 'ownerId'>): boolean {
  switch (caller.role) {
    case 'admin':
    case 'observer':
      return true;
    case 'instructor':
      return timer.ownerId === caller.credential || names(caller, timer.id);
    case 'display':
      return names(caller, timer.id);
  }
}

/** By the lists of callers, which have up to 10,000 ids and are asked for every timer there is. */
const idsIn = new WeakMap<readonly string[], ReadonlySet<string>>();

function names({ timers }: Caller, timerId: string): boolean {
  if (timers === '*') return true;
  const ids = idsIn.get(timers) ?? new Set(timers);
  idsIn.set(timers, ids);
  return ids.has(timerId);
}

/** What a display is called by its credential, whatever it calls itself. */
export function givenLabelOf({ role, label }: Caller): string | undefined {
  return role === 'display' && label !== null ? label : undefined;
}
