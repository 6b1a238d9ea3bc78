/**
 * What webhooks tell: entries and warnings, as messages. Pure: the same history gives the same messages
 * with the same ids, whenever they are made.
 */
import { hash } from 'node:crypto';
import {
  applyEntry,
  createRecord,
  remainingMs,
  stateOf,
  thresholdsPassed,
} from '../../machines/record.js';
import { publicAuthorOf } from '../protocol/record.js';
import { isoTime, timerResource } from '../protocol/timer.js';
import type { WebhookEvent, WebhookMessage } from '../protocol/webhooks.js';
import type { Entry, RecordedEntry, TimerRecord, Warning } from '../registry.js';

const ID_DIGITS = 32;

/** Something that happened to a timer. */
export type TimerEvent = {
  /** The timer right after it. */
  readonly record: TimerRecord;
  /** Epoch milliseconds. */
  readonly atMs: number;
} & (
  | { readonly entry: Entry; readonly thresholdMs?: never }
  | { readonly thresholdMs: number; readonly entry?: never }
);

export interface PlacedEvent {
  readonly event: TimerEvent;
  /** The place in the journal of the entry, or of the one that comes next after a warning; infinite if none does. */
  readonly position: number;
}

export function entryEvent(entry: Entry, record: TimerRecord): TimerEvent {
  return { entry, record, atMs: entry.atMs };
}

export function warningEvent({ record, thresholdMs }: Warning): TimerEvent {
  return { record, thresholdMs, atMs: warningAtMs(record, thresholdMs) };
}

/** When the running clock passes a threshold, in epoch ms; infinite for a clock that stands still. */
export function warningAtMs({ deadlineMs }: TimerRecord, thresholdMs: number): number {
  return (deadlineMs ?? Number.POSITIVE_INFINITY) - thresholdMs;
}

/** All that ever happened to a timer up to an instant in epoch ms, in its order. */
export function eventsOf(history: readonly RecordedEntry[], nowMs: number): PlacedEvent[] {
  const events: PlacedEvent[] = [];
  let record: TimerRecord | undefined;
  let sinceMs = 0;
  for (const entry of history) {
    const { position, atMs } = entry;
    events.push(...warningsOf(record, sinceMs, atMs).map((event) => ({ event, position })));
    record = record === undefined ? createRecord(entry) : applyEntry(record, entry);
    events.push({ event: entryEvent(entry, record), position });
    sinceMs = atMs;
  }
  if (history.at(-1)?.type === 'deleted') return events;
  const position = Number.POSITIVE_INFINITY;
  const last = warningsOf(record, sinceMs, nowMs).map((event) => ({ event, position }));
  return [...events, ...last];
}

/** The warnings between two instants without an entry. */
function warningsOf(record: TimerRecord | undefined, fromMs: number, toMs: number): TimerEvent[] {
  if (record === undefined || record.deadlineMs === null) return [];
  const passed = thresholdsPassed(record, remainingMs(record, fromMs), remainingMs(record, toMs));
  return passed.map((thresholdMs) => warningEvent({ record, thresholdMs }));
}

/** Whether one event of a timer comes after another one of it: warnings come after the entry before them. */
export function isAfter(one: TimerEvent, other: TimerEvent): boolean {
  const revisions = one.record.revision - other.record.revision;
  if (revisions !== 0) return revisions > 0;
  if (one.entry !== undefined || other.entry !== undefined)
    return other.entry !== undefined && one.entry === undefined;
  return one.atMs > other.atMs;
}

export function typeOf(event: TimerEvent): WebhookEvent {
  return event.entry === undefined ? 'timer.warning' : `timer.${event.entry.type}`;
}

/** Receivers know a repeated message by its id, so it must not depend on when or how often it is sent. */
export function messageIdOf(webhookId: string, { record, thresholdMs }: TimerEvent): string {
  const text = [webhookId, record.id, record.revision, thresholdMs ?? ''].join('\n');
  return `msg_${hash('sha256', text).slice(0, ID_DIGITS)}`;
}

export function messageOf(event: TimerEvent): WebhookMessage {
  const { record, atMs, entry, thresholdMs } = event;
  const status = { record, state: stateOf(record), connectedClients: 0, atMs };
  const { connected_clients: _, ...timer } = timerResource(status);
  const timestamp = isoTime(atMs);
  if (entry === undefined) {
    const warning = { threshold_seconds: thresholdMs / 1000, at_ms: atMs };
    return { type: 'timer.warning', timestamp, data: { timer, warning } };
  }
  const told = {
    revision: entry.revision,
    at_ms: atMs,
    recorded_at_ms: entry.recordedAtMs,
    ...(entry.type === 'extended' && { added_seconds: entry.data.addedMs / 1000 }),
    by: publicAuthorOf(entry.by),
    reason: entry.reason,
  };
  return { type: `timer.${entry.type}`, timestamp, data: { timer, entry: told } };
}
