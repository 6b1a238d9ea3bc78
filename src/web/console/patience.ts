/** Notices that a stream has become silent: a network that swallows it tells neither of its ends. */

/** The service speaks first, so whoever hears nothing at all is not connected. */
const FIRST_PATIENCE_MS = 15_000;
/** A keepalive may be lost with a moment of the network; two are no accident. */
const KEEPALIVES_MISSED = 2;
/** What a slow network and a busy machine may add. */
const SLACK_MS = 5000;

export class Patience {
  readonly #onSilence: () => void;
  #patienceMs = FIRST_PATIENCE_MS;
  #timeout: ReturnType<typeof setTimeout> | undefined;

  constructor(onSilence: () => void) {
    this.#onSilence = onSilence;
  }

  /** A stream was opened whose keepalive time is not known yet. */
  begin(): void {
    this.#patienceMs = FIRST_PATIENCE_MS;
    this.renew();
  }

  /** The service has said how long it is silent at the most. */
  learn(keepaliveSeconds: number): void {
    this.#patienceMs = keepaliveSeconds * 1000 * KEEPALIVES_MISSED + SLACK_MS;
    this.renew();
  }

  /** Something was heard. */
  renew(): void {
    this.end();
    this.#timeout = setTimeout(() => this.#onSilence(), this.#patienceMs);
  }

  end(): void {
    clearTimeout(this.#timeout);
  }
}
