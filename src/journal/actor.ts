/**
 * The journal as an actor: what the registry talks to. At most one append is under way; entries that
 * arrive meanwhile go together in the next, so that many commands of one moment cost one commit.
 */
import { fromCallback } from 'xstate';
import type { JournalReport, JournalRequest } from '../../machines/registry.machine.js';
import type { Entry, Journal } from './journal.js';

/** A commit of more entries at once would keep the entries after them waiting. */
const LONGEST_APPEND = 10_000;

export interface JournalActorOptions {
  readonly journal: Journal;
  /** Timers that ended at or before this are not loaded, in epoch ms. */
  readonly endedBeforeMs: number;
  /** Called while histories are replayed, with the numbers of timers read and still to come. */
  readonly onProgress: (timersRead: number, timersLeft: number) => void;
}

export function journalActor({ journal, endedBeforeMs, onProgress }: JournalActorOptions) {
  return fromCallback<JournalRequest>(({ sendBack, receive }) => {
    const report = (event: JournalReport): void => sendBack(event);
    let waiting: Entry[] = [];
    let isAppending = false;

    async function replay(): Promise<void> {
      let timersRead = 0;
      for await (const { histories, timersLeft } of journal.replay(endedBeforeMs)) {
        timersRead += histories.length;
        report({ type: 'journal.histories', histories });
        onProgress(timersRead, timersLeft);
      }
      report({ type: 'journal.replayed' });
    }

    async function appendWaiting(): Promise<void> {
      isAppending = true;
      while (waiting.length > 0) {
        const entries = waiting.slice(0, LONGEST_APPEND);
        waiting = waiting.slice(LONGEST_APPEND);
        try {
          const answers = await journal.append(entries);
          report({ type: 'journal.answered', entries, answers });
        } catch (error) {
          report({ type: 'journal.failed', entries, error });
        }
      }
      isAppending = false;
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
          if (!isAppending) void appendWaiting();
          break;
        case 'read':
          void read(request.timerId);
          break;
      }
    });
    const unsubscribe = journal.subscribe((entries) => {
      report({ type: 'journal.committed', entries });
    });
    replay().catch((error: unknown) => report({ type: 'journal.broken', error }));
    return unsubscribe;
  });
}
