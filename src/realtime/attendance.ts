/** Who follows one timer, and what they say they show. It is forgotten when they leave. */
import { customAlphabet } from 'nanoid';
import { bucketFor, type TokenBucket } from '../access/token-bucket.js';
import type { Clock } from '../clock.js';
import type { Acknowledgement, DisplayRow, Figures, Transport } from '../protocol/displays.js';
import { isoTime } from '../protocol/timer.js';

const randomPart = customAlphabet('0123456789abcdefghijklmnopqrstuv', 16);

export interface Arrival {
  readonly transport: Transport;
  /** What it calls itself. */
  readonly label: string | undefined;
  /** What its credential calls it, which is not for it to change. */
  readonly givenLabel: string | undefined;
  /** What it came with, and what whoever speaks for it must show. */
  readonly credential: string;
}

interface Attendant {
  readonly transport: Transport;
  readonly credential: string;
  readonly connectedAtMs: number;
  readonly givenLabel: string | undefined;
  label: string | null;
  acknowledged: { revision: number; errorBoundMs: number | null; atMs: number } | undefined;
  /** How much may be said in the name of this display by requests, made when the first one comes. */
  requests: TokenBucket | undefined;
}

export class Attendance {
  readonly #clock: Clock;
  readonly #maxMessagesPerSecond: number;
  /** By the id of the display, in the order they came. */
  readonly #attendants = new Map<string, Attendant>();

  constructor(clock: Clock, maxMessagesPerSecond: number) {
    this.#clock = clock;
    this.#maxMessagesPerSecond = maxMessagesPerSecond;
  }

  /** Notes that a display came, and gives the id it has until it leaves. */
  enter({ transport, label, givenLabel, credential }: Arrival): string {
    const displayId = `display_${randomPart()}`;
    this.#attendants.set(displayId, {
      transport,
      credential,
      connectedAtMs: this.#clock.now(),
      givenLabel,
      label: givenLabel ?? label ?? null,
      acknowledged: undefined,
      requests: undefined,
    });
    return displayId;
  }

  leave(displayId: string): void {
    this.#attendants.delete(displayId);
  }

  /** The credential that a display came with, if there is that display. */
  credentialOf(displayId: string): string | undefined {
    return this.#attendants.get(displayId)?.credential;
  }

  /** Whether one more request in the name of a display, which must be there, is within its budget. */
  takeRequest(displayId: string): boolean {
    const attendant = this.#attendants.get(displayId);
    if (attendant === undefined) return false;
    attendant.requests ??= bucketFor(this.#clock, this.#maxMessagesPerSecond);
    return attendant.requests?.take() ?? true;
  }

  acknowledge(displayId: string, { revision, error_bound_ms, label }: Acknowledgement): void {
    const attendant = this.#attendants.get(displayId);
    if (attendant === undefined) return;
    const atMs = this.#clock.now();
    attendant.acknowledged = { revision, errorBoundMs: error_bound_ms, atMs };
    if (label !== undefined) attendant.label = attendant.givenLabel ?? label;
  }

  /** How many there are and how many show a revision. Counted anew each time: it is asked for a few times a second. */
  figures(timerId: string, revision: number): Figures {
    let current = 0;
    for (const { acknowledged } of this.#attendants.values()) {
      if (acknowledged?.revision === revision) current += 1;
    }
    return {
      timer_id: timerId,
      connected: this.#attendants.size,
      revision,
      current,
      worst_error_bound_ms: this.worstErrorBoundMs(),
    };
  }

  /** The largest error bound that was acknowledged; `null` when none was. */
  worstErrorBoundMs(): number | null {
    let worstMs: number | null = null;
    for (const { acknowledged } of this.#attendants.values()) {
      const boundMs = acknowledged?.errorBoundMs ?? null;
      if (boundMs !== null) worstMs = Math.max(worstMs ?? 0, boundMs);
    }
    return worstMs;
  }

  rows(): DisplayRow[] {
    return [...this.#attendants].map(([displayId, attendant]) => {
      const { label, transport, connectedAtMs, acknowledged } = attendant;
      return {
        display_id: displayId,
        label,
        transport,
        connected_at: isoTime(connectedAtMs),
        revision: acknowledged?.revision ?? null,
        error_bound_ms: acknowledged?.errorBoundMs ?? null,
        acknowledged_at: acknowledged === undefined ? null : isoTime(acknowledged.atMs),
      };
    });
  }
}
