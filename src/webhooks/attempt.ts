/** One attempt to deliver one event: the message is made, signed, sent, and put into the delivery log. */
import type { Clock } from '../clock.js';
import { isoTime } from '../protocol/timer.js';
import type { DeliveryLog } from './delivery-log.js';
import { messageIdOf, messageOf, type TimerEvent, typeOf } from './events.js';
import type { Outcome, Sender } from './sender.js';
import { signedHeaders } from './signature.js';

export type AttemptOutcome = 'delivered' | 'failed';

export interface Destination {
  readonly id: string;
  readonly url: string;
  /** What to sign with now. */
  secrets(nowMs: number): readonly string[];
  wants(event: TimerEvent): boolean;
}

/** Told of attempts as they end. */
export interface WebhookMeasures {
  webhookAttempt(outcome: AttemptOutcome): void;
}

export interface AttemptOptions {
  readonly destination: Destination;
  readonly clock: Clock;
  readonly sender: Sender;
  readonly deliveries: DeliveryLog;
  readonly measures: WebhookMeasures;
  /** Breaks the attempt off; then there was none. */
  readonly signal: AbortSignal;
}

/** Never rejects; `number` counts the attempts of this event. */
export async function attempt(
  { destination, clock, sender, deliveries, measures, signal }: AttemptOptions,
  event: TimerEvent,
  number: number,
): Promise<Outcome> {
  const { id, url } = destination;
  const atMs = clock.now();
  const body = JSON.stringify(messageOf(event));
  const messageId = messageIdOf(id, event);
  const headers = signedHeaders(destination.secrets(atMs), messageId, atMs, body);
  const outcome = await sender.post({ url, headers, body, signal });
  if (signal.aborted && !outcome.success) return outcome;
  const { record, thresholdMs } = event;
  const { success, status, error } = outcome;
  measures.webhookAttempt(success ? 'delivered' : 'failed');
  deliveries.add({
    message_id: messageId,
    type: typeOf(event),
    timer_id: record.id,
    revision: record.revision,
    threshold_seconds: thresholdMs === undefined ? null : thresholdMs / 1000,
    attempt: number,
    at: isoTime(atMs),
    duration_ms: clock.now() - atMs,
    success,
    status,
    error,
  });
  return outcome;
}
