/**
 * The registry's desk: commands in hand, in the order they arrived for each timer. Only the first
 * command of a timer is decided and proposed to the journal; the others wait, so that each is decided
 * on the state it will meet. Whatever happens, the desk says which entries to propose next.
 */
import { decide, type Refusal, type StampedCommand } from './command.js';
import type { TimerDirectory } from './directory.js';
import { BY_ITSELF, type Entry } from './entry.js';
import { Tally } from './tally.js';

/** What became of a command. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/**
 * The fate of one proposed entry: `conflict` when its revision is not the next one of its timer,
 * because somebody else was first.
 */
export type JournalAnswer = 'committed' | 'conflict';

export interface DeskCommand extends StampedCommand {
  /** Called once, when the fate of the command is known. */
  readonly settle: (outcome: Outcome) => void;
}

interface InHand extends DeskCommand {
  atMs: number;
  proposal?: {
    readonly entry: Entry;
    /** This entry records an expiry that had to come first; the command itself is still to be decided. */
    readonly isExpiryFirst: boolean;
    answer: JournalAnswer | undefined;
    /** The timer has applied this entry, or the one that came in its place. */
    isApplied: boolean;
    /** It was this entry, or that of the same request elsewhere, so it is done, whatever the journal answers. */
    isOwnApplied: boolean;
    /** The journal takes so long that nobody waits behind it. */
    isStalled: boolean;
  };
}

export class CommandDesk {
  readonly #directory: TimerDirectory;
  readonly #queues = new Map<string, InHand[]>();
  /** Timers that commands in hand are about to create, by id, and whose they are to be. */
  readonly #creating = new Map<string, string>();
  readonly #creatingOwners = new Tally<string>();

  constructor(directory: TimerDirectory) {
    this.#directory = directory;
  }

  /** Whether no command is in hand. */
  get isClear(): boolean {
    return this.#queues.size === 0;
  }

  /** Takes new commands in hand. */
  take(commands: readonly DeskCommand[]): Entry[] {
    return commands.flatMap((command) => {
      const { timerId, type } = command.command;
      const queue = this.#queues.get(timerId);
      if (queue !== undefined) {
        const isStalled = queue[0]?.proposal?.isStalled === true;
        if (isStalled && isOfSomebody(command)) command.settle(NOT_RECORDED);
        else queue.push({ ...command });
        return [];
      }
      if (type === 'create') this.#begin(timerId, command.cause.by.credential);
      this.#queues.set(timerId, [{ ...command }]);
      return this.#decideNext(timerId);
    });
  }

  /** Takes a timer's word that its time is up, unless it said so already. */
  takeExpiry(timerId: string, atMs: number): Entry[] {
    const isInHand = this.#queues.get(timerId)?.some(({ command }) => command.type === 'expire');
    if (isInHand === true) return [];
    const command = { type: 'expire', timerId } as const;
    return this.take([{ command, atMs, cause: BY_ITSELF, settle: () => {} }]);
  }

  /** Notes that committed entries were applied, which may be what commands in hand were waiting for. */
  applied(entries: readonly Entry[]): Entry[] {
    for (const { timerId, atMs } of entries) this.#putOff(timerId, atMs);
    return entries.flatMap((entry) => {
      const { timerId, revision } = entry;
      this.#conclude(timerId);
      const proposal = this.#queues.get(timerId)?.[0]?.proposal;
      if (proposal !== undefined && revision >= proposal.entry.revision) proposal.isApplied = true;
      if (proposal !== undefined && isSame(entry, proposal.entry)) proposal.isOwnApplied = true;
      else this.#settleRepeated(entry);
      return this.#proceed(timerId);
    });
  }

  /** Notes the journal's answer to proposed entries. */
  answered(entries: readonly Entry[], answers: readonly JournalAnswer[]): Entry[] {
    return entries.flatMap((entry, index) => {
      const proposal = this.#proposalOf(entry);
      if (proposal !== undefined) proposal.answer = answers[index];
      return this.#proceed(entry.timerId);
    });
  }

  /** Refuses the commands that wait behind entries of which the journal does not say what became of them. */
  stalled(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const proposal = this.#proposalOf(entry);
      if (proposal === undefined) continue;
      proposal.isStalled = true;
      const [first, ...behind] = this.#queues.get(entry.timerId) ?? [];
      if (first === undefined) continue;
      this.#queues.set(entry.timerId, [first, ...behind.filter((one) => !isOfSomebody(one))]);
      for (const { settle } of behind.filter(isOfSomebody)) settle(NOT_RECORDED);
    }
  }

  /**
   * Notes that the journal did not confirm proposed entries: their commands are refused. An entry that
   * came all the same was committed, and only its confirmation got lost. One in doubt that comes later is
   * applied like anybody's.
   */
  failed(entries: readonly Entry[], inDoubt: ReadonlySet<Entry>): Entry[] {
    return entries.flatMap((entry) => {
      const proposal = this.#proposalOf(entry);
      if (proposal === undefined) return [];
      if (proposal.isOwnApplied) {
        proposal.answer = 'committed';
        return this.#proceed(entry.timerId);
      }
      const outcome = inDoubt.has(entry) ? refused({ reason: 'outcome_unknown' }) : NOT_RECORDED;
      this.#settle(entry.timerId, outcome);
      return this.#decideNext(entry.timerId);
    });
  }

  /** Goes on with a timer's first command once its proposal is answered and the answer has been applied. */
  #proceed(timerId: string): Entry[] {
    const proposal = this.#queues.get(timerId)?.[0]?.proposal;
    if (proposal?.answer === undefined) return [];
    const { entry, isExpiryFirst, answer, isApplied, isOwnApplied } = proposal;
    // Without a name, what two nodes were asked for at the same instant looks the same and is not.
    const isMade = answer === 'committed' || (isOwnApplied && entry.requestId !== null);
    if (!isMade && entry.type === 'created') {
      this.#settle(timerId, refused({ reason: 'timer_exists' }));
    } else if (!isApplied) {
      return [];
    } else if (isMade && !isExpiryFirst) {
      this.#settle(timerId, { ok: true });
    }
    return this.#decideNext(timerId);
  }

  /** Settles a command that still waits when another node has just carried out the same request (A5). */
  #settleRepeated({ timerId, requestId, by }: Entry): void {
    if (requestId === null) return;
    const queue = this.#queues.get(timerId) ?? [];
    const index = queue.findIndex(
      ({ proposal, cause }) =>
        proposal === undefined &&
        cause.requestId === requestId &&
        cause.by.credential === by.credential,
    );
    for (const { settle } of index < 0 ? [] : queue.splice(index, 1)) settle({ ok: true });
  }

  /** Decides commands of a timer until one of them is an entry to propose. */
  #decideNext(timerId: string): Entry[] {
    for (;;) {
      const inHand = this.#queues.get(timerId)?.[0];
      if (inHand === undefined) return [];
      const decision = this.#decide(inHand);
      if (decision.type !== 'refuse') {
        const isExpiryFirst = decision.type === 'expire_first';
        const { entry } = decision;
        inHand.proposal = {
          entry,
          isExpiryFirst,
          answer: undefined,
          isApplied: false,
          isOwnApplied: false,
          isStalled: false,
        };
        return [entry];
      }
      this.#settle(timerId, refused(decision.refusal));
    }
  }

  #decide(inHand: InHand): ReturnType<typeof decide> {
    const { timerId, type } = inHand.command;
    if (this.#directory.isDown(timerId)) {
      return { type: 'refuse', refusal: { reason: 'timer_restarting' } };
    }
    const refusal = type === 'create' ? this.#lackOfRoom(inHand.cause.by.credential) : undefined;
    if (refusal !== undefined) return { type: 'refuse', refusal };
    const snapshot = this.#directory.snapshotOf(timerId);
    // A timer that has just been deleted is still listed, and is no more.
    return decide(snapshot?.status === 'active' ? snapshot : undefined, inHand);
  }

  #lackOfRoom(ownerId: string): Refusal | undefined {
    const ofOwner = this.#creatingOwners.of(ownerId);
    return this.#directory.lackOfRoom(this.#creating.size, ownerId, ofOwner);
  }

  #begin(timerId: string, ownerId: string): void {
    this.#creating.set(timerId, ownerId);
    this.#creatingOwners.add(ownerId);
  }

  /** A timer that was about to be created is there, or will not be. */
  #conclude(timerId: string): void {
    const ownerId = this.#creating.get(timerId);
    if (ownerId === undefined) return;
    this.#creating.delete(timerId);
    this.#creatingOwners.remove(ownerId);
  }

  #proposalOf(entry: Entry): InHand['proposal'] {
    const proposal = this.#queues.get(entry.timerId)?.[0]?.proposal;
    return proposal?.entry === entry ? proposal : undefined;
  }

  /** Commands that wait while another change is applied take effect no earlier than it did. */
  #putOff(timerId: string, atMs: number): void {
    for (const inHand of this.#queues.get(timerId) ?? []) {
      inHand.atMs = Math.max(inHand.atMs, atMs);
    }
  }

  /** Takes the first command of a timer out of the queue and settles it. */
  #settle(timerId: string, outcome: Outcome): void {
    const queue = this.#queues.get(timerId);
    const settled = queue?.shift();
    if (queue === undefined || settled === undefined) return;
    if (queue.length === 0) this.#queues.delete(timerId);
    if (settled.command.type === 'create') this.#conclude(timerId);
    settled.settle(outcome);
  }
}

/** Whether somebody waits for what becomes of a command; an end must be recorded in any case. */
function isOfSomebody({ command }: StampedCommand): boolean {
  return command.type !== 'expire';
}

const NOT_RECORDED: Outcome = refused({ reason: 'journal_unavailable' });

/**
 * Whether an entry that was committed is the one that was proposed, and not another's of that revision. A request with
 * a name is one and the same, whichever node was asked for it, and when (A5).
 */
function isSame(committed: Entry, proposed: Entry): boolean {
  const { requestId } = proposed;
  return (
    committed.revision === proposed.revision &&
    committed.type === proposed.type &&
    committed.requestId === requestId &&
    committed.by.credential === proposed.by.credential &&
    (requestId !== null || committed.recordedAtMs === proposed.recordedAtMs)
  );
}

function refused(refusal: Refusal): Outcome {
  return { ok: false, refusal };
}
