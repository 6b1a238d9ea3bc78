/** Requests that succeed: for each operation one. */

/** A receiver of webhooks that is not there. */
export const NOBODY = 'http://127.0.0.1:9/';
export const UNKNOWN_ID = 'timer_unknown';

/** A request that succeeds for a timer that was just created: its query or body, if it has one. */
export const SAMPLES: Readonly<
  Record<string, { query?: string; body?: (timerId: string) => unknown }>
> = {
  createTimer: {
    body: () => ({
      duration_seconds: 60,
      name: 'Quiz Timer',
      warning_thresholds: [30, 10],
      auto_start: true,
    }),
  },
  listTimers: { query: '?state=created&limit=10' },
  getTimer: {},
  deleteTimer: {},
  controlTimer: { body: () => ({ action: 'extend', extend_seconds: 300 }) },
  bulkStart: { body: (timerId) => [timerId, UNKNOWN_ID] },
  bulkPause: { body: (timerId) => ({ timer_ids: [timerId] }) },
  bulkResume: { body: (timerId) => [timerId] },
  bulkExtend: { query: '?seconds=300', body: (timerId) => [timerId] },
  bulkStop: { body: (timerId) => [timerId] },
  followTimer: { query: '?ticks=false&label=Seat%2014&last_event_id=1' },
  showDisplays: {},
  watchDisplays: {},
  acknowledge: { body: () => ({ revision: 1, error_bound_ms: 12.5, label: 'Seat 14' }) },
  watchAll: {},
  showMetrics: {},
  getHistory: {},
  createReceipt: { body: () => ({ payload_sha256: 'a'.repeat(64) }) },
  exportAudit: { query: '?from=2026-01-15T10:00:00Z&to=1800000000000' },
  listHeads: {},
  publicKeys: {},
  me: {},
  createKey: { body: () => ({ role: 'admin', label: 'Ms Meyer', expires_in_seconds: 86_400 }) },
  listKeys: {},
  revokeKey: {},
  createWebhook: { body: () => ({ url: NOBODY, events: ['timer.expired'], timers: null }) },
  listWebhooks: {},
  getWebhook: {},
  deleteWebhook: {},
  rotateWebhook: {},
  enableWebhook: {},
  listDeliveries: { query: '?limit=10' },
  redeliver: {},
  createToken: { body: () => ({ label: 'Seat 14', expires_in_seconds: 3600 }) },
  health: {},
  livez: {},
  readyz: {},
  time: {},
};
