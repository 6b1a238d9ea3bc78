/**
 * The journal as an actor: what the registry talks to. While an append is under way, entries that
 * arrive are gathered for the next, so that many commands of one moment cost one commit.
 */
import { fromCallback } from 'xstate';
import type { JournalReport, JournalRequest } from '../../machines/registry.machine.js';
import type { Clock } from '../clock.js';
import { type Commit, DoubtError, type Entry, type Journal } from './journal.js';

/**
 * So many entries are not kept waiting for the append before them: the disk writes them while the
 * timers behind them, say of a large exam that ends, are still asking.
 */
const FULL_APPEND = 1000;
/** An append to an engine that takes longer keeps no others waiting: they may be about other parts of it. */
const LONG_APPEND_MS = 250;
/** Who waits for an append to an engine that takes longer, without having asked for it, is not kept waiting. */
const STALLED_APPEND_MS = 1500;

export interface JournalActorOptions {
  readonly journal: Journal;
  /** Timers that ended at or before this are not loaded, in epoch ms. */
  readonly endedBeforeMs: number;
  /** Called while timers are replayed, with the numbers of timers read and still to come. */
  readonly onProgress: (timersRead: number, timersLeft: number) => void;
  readonly clock: Clock;
  /** Called after each append with the time it took. */
  readonly onAppend: (elapsedMs: number, isDone: boolean) => void;
}

export function journalActor(options: JournalActorOptions) {
  const { journal, endedBeforeMs, onProgress, clock, onAppend } = options;
  return fromCallback<JournalRequest>(({ sendBack, receive }) => {
    const report = (event: JournalReport): void => sendBack(event);
    let waiting: Entry[] = [];
    /** Appends that others wait for. */
    let appendsUnderWay = 0;
    /** The place of the last entry that was reported. */
    let lastReported = 0;
    /** Commits that wait for the replay to end: a record that was read before them may be reported after them. */
    let held: Commit[] | undefined = [];

    /** A journal may deliver a commit again, alone or together with the next; each entry is reported once. */
    function reportCommit({ entries, lastPosition }: Commit): void {
      const newEntries = lastPosition - lastReported;
      if (newEntries <= 0) return;
      lastReported = lastPosition;
      report({ type: 'journal.committed', entries: entries.slice(-newEntries), lastPosition });
    }

    /** A disk of our own answers in the end, however slow it is; an engine elsewhere may be away. */
    function patienceMs(elsewhereMs: number): number {
      return journal.engine?.isElsewhere ? elsewhereMs : Number.POSITIVE_INFINITY;
    }

    async function replay(): Promise<void> {
      let timersRead = 0;
      for await (const { records, timersLeft } of journal.replay(endedBeforeMs)) {
        timersRead += records.length;
        report({ type: 'journal.records', records });
        onProgress(timersRead, timersLeft);
      }
      const missed = held ?? [];
      held = undefined;
      for (const commit of missed) reportCommit(commit);
      report({ type: 'journal.replayed' });
    }

    async function appendWaiting(): Promise<void> {
      const entries = waiting;
      waiting = [];
      appendsUnderWay += 1;
      let isLong = false;
      const long = clock.setTimeout(() => {
        isLong = true;
        passOn();
      }, patienceMs(LONG_APPEND_MS));
      const stalled = clock.setTimeout(
        () => report({ type: 'journal.stalled', entries }),
        patienceMs(STALLED_APPEND_MS),
      );
      const beganMs = clock.preciseMs();
      try {
        const answers = await journal.append(entries);
        onAppend(clock.preciseMs() - beganMs, true);
        report({ type: 'journal.answered', entries, answers });
      } catch (error) {
        onAppend(clock.preciseMs() - beganMs, false);
        const inDoubt = error instanceof DoubtError ? error.entries : [];
        report({ type: 'journal.failed', entries, inDoubt, error });
      }
      clock.clearTimeout(long);
      clock.clearTimeout(stalled);
      if (!isLong) passOn();
    }

    function passOn(): void {
      appendsUnderWay -= 1;
      if (waiting.length > 0 && appendsUnderWay === 0) void appendWaiting();
    }

    async function read(timerId: string): Promise<void> {
      try {
        report({ type: 'journal.read', timerId, history: await journal.history(timerId) });
      } catch (error) {
        report({ type: 'journal.unread', timerId, error });
      }
    }

    receive((request) => {
      switch (request.type) {
        case 'append':
          waiting.push(...request.entries);
          if (appendsUnderWay === 0 || waiting.length >= FULL_APPEND) void appendWaiting();
          break;
        case 'read':
          void read(request.timerId);
          break;
      }
    });
    const unsubscribe = journal.subscribe((commit) => {
      if (held === undefined) reportCommit(commit);
      else held.push(commit);
    });
    replay().catch((error: unknown) => report({ type: 'journal.broken', error }));
    return unsubscribe;
  });
}
