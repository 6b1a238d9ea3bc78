/** The feed of what happened: changes of the same kind that belong together are one entry. */
import type { Change } from './messages.js';
import { nameOf } from './people.js';
import { reasonText } from './reason.js';

export interface FeedEntry {
  readonly key: string;
  readonly change: string;
  /** Epoch ms of the server. */
  readonly atMs: number;
  /** Who did it; undefined for nobody in particular. */
  readonly by: string | undefined;
  /** Why, in words. */
  readonly reason: string | undefined;
  readonly addedSeconds: number | undefined;
  readonly count: number;
  /** The first few names. */
  readonly names: readonly string[];
}

const MOST_ENTRIES = 200;
const MOST_NAMES = 4;
/** A bulk command has one instant, but sixty timers that are created one by one take a moment. */
const TOGETHER_MS = 2000;

/** Adds changes, given oldest first, to a feed that has the newest first. */
export function addToFeed(feed: readonly FeedEntry[], changes: readonly Change[]): FeedEntry[] {
  const entries = [...feed];
  for (const change of changes) {
    const newest = entries[0];
    if (newest !== undefined && belongsTo(newest, change)) entries[0] = joined(newest, change);
    else entries.unshift(entryOf(change));
  }
  return entries.slice(0, MOST_ENTRIES);
}

function belongsTo(entry: FeedEntry, change: Change): boolean {
  return (
    entry.change === change.change &&
    entry.by === nameOf(change.by) &&
    entry.reason === whyOf(change) &&
    entry.addedSeconds === change.added_seconds &&
    Math.abs(change.at_ms - entry.atMs) <= TOGETHER_MS
  );
}

function joined(entry: FeedEntry, change: Change): FeedEntry {
  const isNamed = entry.names.includes(change.name) || entry.names.length === MOST_NAMES;
  const names = isNamed ? entry.names : [...entry.names, change.name];
  return { ...entry, atMs: change.at_ms, count: entry.count + 1, names };
}

function whyOf({ reason }: Change): string | undefined {
  return reason === null ? undefined : reasonText(reason);
}

function entryOf(change: Change): FeedEntry {
  return {
    key: `${change.timer_id}/${change.revision}`,
    change: change.change,
    atMs: change.at_ms,
    by: nameOf(change.by),
    reason: whyOf(change),
    addedSeconds: change.added_seconds,
    count: 1,
    names: [change.name],
  };
}
