/**
 * The entries of the journal: every change that ever happens to a timer, in the words of the domain.
 * An entry is also the event that a timer's statechart receives once the journal has committed it.
 */

/** What a caller may do at all; `service` is the service itself, which records the ends of timers. */
export const ROLES = ['admin', 'instructor', 'display', 'observer', 'service'] as const;
export type Role = (typeof ROLES)[number];

/** Who caused a change. */
export interface Author {
  /** Identifies the credential that was shown, such as `key:4f2a91c07b3e` or `user:meyer`. */
  readonly credential: string;
  readonly role: Role;
  /** What people call the holder of the credential. */
  readonly label: string | null;
  /** The network address the command came from. */
  readonly address: string | null;
}

export const REASON_CATEGORIES = [
  'environment',
  'examinee',
  'staff',
  'technical',
  'other',
] as const;

/** Why a person changed a timer, as far as they said. */
export interface Reason {
  readonly category: (typeof REASON_CATEGORIES)[number];
  readonly text: string | null;
}

/** The credential of everybody, as long as the service knows none. */
export const ANONYMOUS = 'anonymous';

/** Where a change comes from. */
export interface Cause {
  readonly by: Author;
  readonly reason: Reason | null;
  /** Names the request, where the caller gave it a name, so that it is carried out once only. */
  readonly requestId: string | null;
}

/** The service as the cause of what happens by itself. */
export const BY_ITSELF: Cause = {
  by: { credential: 'service', role: 'service', label: null, address: null },
  reason: null,
  requestId: null,
};

/** What a timer is born with. */
export interface TimerDefinition {
  readonly name: string;
  /** Whole seconds, as milliseconds. */
  readonly durationMs: number;
  /** Remaining times at which displays are warned, in the order they were given. */
  readonly warningThresholdsMs: readonly number[];
  /** A timer that starts at the instant of its creation. */
  readonly autoStart: boolean;
}

type Nothing = Readonly<Record<string, never>>;

export type EntryBody =
  | { readonly type: 'created'; readonly data: TimerDefinition }
  | { readonly type: 'started'; readonly data: Nothing }
  | { readonly type: 'paused'; readonly data: Nothing }
  | { readonly type: 'resumed'; readonly data: Nothing }
  | { readonly type: 'extended'; readonly data: { readonly addedMs: number } }
  | { readonly type: 'stopped'; readonly data: Nothing }
  | { readonly type: 'expired'; readonly data: Nothing }
  | { readonly type: 'deleted'; readonly data: Nothing };

export type EntryType = EntryBody['type'];

export type Entry = EntryBody &
  Cause & {
    readonly timerId: string;
    /** 1 for the entry that creates the timer, then one more each time. */
    readonly revision: number;
    /** Epoch milliseconds at which the change took effect; for `expired` the deadline itself (T4). */
    readonly atMs: number;
    /** Epoch milliseconds at which the entry was proposed to the journal. */
    readonly recordedAtMs: number;
  };

/**
 * When a timer whose last entry is this one came to its end, in epoch milliseconds: `null` while it
 * has not. A deleted timer ended before all time, so that nothing ever loads it again.
 */
export function endedAtMs(entry: Entry): number | null {
  switch (entry.type) {
    case 'stopped':
    case 'expired':
      return entry.atMs;
    case 'deleted':
      return 0;
    case 'created':
    case 'started':
    case 'paused':
    case 'resumed':
    case 'extended':
      return null;
  }
}
