/**
 * What Prometheus is told of the service: counters and histograms that its parts feed as things happen, and
 * gauges that are read off them when somebody asks. Each service has a registry of its own.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { LIMITS, type LimitName } from '../access/limits.js';
import type { ClockOffset } from '../journal/journal.js';
import { WIRE_STATES } from '../protocol/timer.js';
import type { DisplayFigures, HubMeasures } from '../realtime/hub.js';
import type { CommandOutcome, CommandType, RegistryMeasures, TimerState } from '../registry.js';
import type { AttemptOutcome, WebhookMeasures } from '../webhooks/attempt.js';
import type { WebhookFigures } from '../webhooks/webhooks.js';

/** From a tenth of a millisecond, which is a tick to some displays, to seconds, which is a stall. */
const BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** With 8,000 connections the process lists these for 10 to 60 ms, in which no display is told anything. */
const SLOW = [
  'process_open_fds',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
];

/** What wakes the process a hundred times a second to see whether it is late: ticks tell that without. */
const WAKEFUL = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (figure) => `nodejs_eventloop_lag_${figure}_seconds`,
);
const NEVER_MS = 2 ** 31 - 1;

const OUTCOMES: readonly AttemptOutcome[] = ['delivered', 'failed'];
const STATES: readonly TimerState[] = ['CREATED', 'RUNNING', 'PAUSED', 'EXPIRED', 'COMPLETED'];

/** What is read when metrics are asked for; it must not take long. */
export interface MetricsSources {
  readonly timersIn: (state: TimerState) => number;
  readonly clockOffset: () => ClockOffset | undefined;
  readonly displays: () => DisplayFigures;
  readonly webhooks: () => WebhookFigures;
}

export class Metrics implements RegistryMeasures, HubMeasures, WebhookMeasures {
  readonly #registry = new Registry();
  readonly #commands = new Counter({
    name: 'timer_commands_total',
    help: 'Commands by what became of them: done, or the reason of the refusal',
    labelNames: ['command', 'outcome'],
    registers: [this.#registry],
  });
  readonly #limited = new Counter({
    name: 'timer_limited_total',
    help: 'Requests and connections that were refused, by the limit they had reached',
    labelNames: ['limit'],
    registers: [this.#registry],
  });
  readonly #webhookAttempts = new Counter({
    name: 'timer_webhook_attempts_total',
    help: 'Attempts to deliver a message to a webhook, by what became of them',
    labelNames: ['outcome'],
    registers: [this.#registry],
  });
  readonly #appends = this.#histogram(
    'timer_journal_append_seconds',
    'Time from handing entries to the journal to their being durable',
  );
  readonly #failedAppends = new Counter({
    name: 'timer_journal_append_failures_total',
    help: 'Appends that the journal could not make',
    registers: [this.#registry],
  });
  readonly #fanOut = this.#histogram(
    'timer_fan_out_seconds',
    'Time to write one message to all displays of a timer',
  );
  readonly #lateness = this.#histogram(
    'timer_tick_lateness_seconds',
    'Time from when the second of a tick was due to its being told',
  );

  /** Those of the process as well, which is for one service of it only. */
  constructor({ ofProcess }: { readonly ofProcess: boolean }) {
    for (const limit of LIMITS) this.#limited.inc({ limit }, 0);
    for (const outcome of OUTCOMES) this.#webhookAttempts.inc({ outcome }, 0);
    if (ofProcess) this.#measureProcess();
  }

  /** Reads gauges off the parts of the service from now on. */
  observe({ timersIn, clockOffset, displays, webhooks }: MetricsSources): void {
    this.#gauge('timer_timers', 'Timers in memory, by state', ['state'], (gauge) => {
      for (const state of STATES) gauge.set({ state: WIRE_STATES[state] }, timersIn(state));
    });
    this.#gauge('timer_displays', 'Connected displays', ['transport'], (gauge) => {
      for (const [transport, count] of Object.entries(displays().connected)) {
        gauge.set({ transport }, count);
      }
    });
    this.#gauge(
      'timer_worst_display_error_bound_seconds',
      'The largest error bound that a connected display has acknowledged; NaN when none has',
      [],
      (gauge) => gauge.set((displays().worstErrorBoundMs ?? Number.NaN) / 1000),
    );
    this.#gauge(
      'timer_clock_offset_seconds',
      'What the clock of this node is ahead of that of the journal; NaN where there is only one clock',
      [],
      (gauge) => gauge.set((clockOffset()?.offsetMs ?? Number.NaN) / 1000),
    );
    this.#gauge(
      'timer_clock_offset_error_bound_seconds',
      'How far that offset may be off; NaN where there is only one clock',
      [],
      (gauge) => gauge.set((clockOffset()?.errorBoundMs ?? Number.NaN) / 1000),
    );
    this.#gauge(
      'timer_webhook_lag_seconds',
      'Age of the oldest event that is still to be delivered to a webhook, disabled or not; 0 when there is none',
      [],
      (gauge) => gauge.set(webhooks().lagMs / 1000),
    );
    this.#gauge('timer_webhooks', 'Webhooks, by state', ['state'], (gauge) => {
      const { enabled, disabled } = webhooks();
      gauge.set({ state: 'enabled' }, enabled);
      gauge.set({ state: 'disabled' }, disabled);
    });
  }

  command(command: CommandType, outcome: CommandOutcome): void {
    this.#commands.inc({ command, outcome });
  }

  append(elapsedMs: number, isDone: boolean): void {
    this.#appends.observe(elapsedMs / 1000);
    if (!isDone) this.#failedAppends.inc();
  }

  fanOut(elapsedMs: number): void {
    this.#fanOut.observe(elapsedMs / 1000);
  }

  tick(latenessMs: number): void {
    this.#lateness.observe(latenessMs / 1000);
  }

  webhookAttempt(outcome: AttemptOutcome): void {
    this.#webhookAttempts.inc({ outcome });
  }

  limited(limit: LimitName): void {
    this.#limited.inc({ limit });
  }

  /** The media type of the text. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #measureProcess(): void {
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: NEVER_MS,
    });
    for (const name of [...SLOW, ...WAKEFUL]) this.#registry.removeSingleMetric(name);
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: BUCKETS_SECONDS, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => read(gauge),
    });
  }
}
