/**
 * Who may what: every operation, page and document, and the WebSocket with its messages, for every role and for
 * those without a valid credential. What is expected is written down; an operation without a line fails.
 */
import { describe, expect, it } from 'vitest';
import { CLIENT_MESSAGES, EVENT_MESSAGES } from '../../src/protocol/messages.js';
import {
  type Case,
  COLUMNS,
  caseOf,
  OPERATIONS,
  openRoom,
  outcomeOf,
  placesFor,
  type Room,
  rowOf,
  stateOf,
  upgraded,
} from '../support/access.js';
import { TestDisplay } from '../support/display.js';
import { EventReader } from '../support/event-reader.js';

const WEB = new URL('../../dist/web', import.meta.url).pathname;

/** Statuses; a `-` behind one means that the timer itself was left out. Displays are another administrator's. */
const TABLE: Readonly<Record<string, string>> = {
  //               admin own  given other named unnamed token observer nobody revoked expired
  createTimer: '   201   201  201   201   403   403     403   403      401    401     401',
  listTimers: '    200   200  200   200-  403   403     403   200      401    401     401',
  getTimer: '      200   200  200   403   200   403     200   200      401    401     401',
  deleteTimer: '   204   204  204   403   403   403     403   403      401    401     401',
  controlTimer: '  200   200  200   403   403   403     403   403      401    401     401',
  bulkStart: '     200   200  200   200-  403   403     403   403      401    401     401',
  bulkPause: '     200   200  200   200-  403   403     403   403      401    401     401',
  bulkResume: '    200   200  200   200-  403   403     403   403      401    401     401',
  bulkExtend: '    200   200  200   200-  403   403     403   403      401    401     401',
  bulkStop: '      200   200  200   200-  403   403     403   403      401    401     401',
  followTimer: '   200   200  200   403   200   403     200   200      401    401     401',
  showDisplays: '  200   200  200   403   403   403     403   200      401    401     401',
  watchDisplays: ' 200   200  200   403   403   403     403   200      401    401     401',
  acknowledge: '   403   403  403  403   403   403     403   403      401    401     401',
  watchAll: '      200   200  200   200-  403   403     403   200      401    401     401',
  showMetrics: '   200   403  403   403   403   403     403   200      401    401     401',
  getHistory: '    200   200  200   403   403   403     403   200      401    401     401',
  createReceipt: ' 201   201  201   403   201   403     201   201      401    401     401',
  exportAudit: '   200   403  403   403   403   403     403   200      401    401     401',
  listHeads: '     200   403  403   403   403   403     403   200      401    401     401',
  publicKeys: '    200   200  200   200   200   200     200   200      200    200     200',
  me: '            200   200  200   200   200   200     200   200      401    401     401',
  createKey: '     201   403  403   403   403   403     403   403      401    401     401',
  listKeys: '      200   403  403   403   403   403     403   403      401    401     401',
  revokeKey: '     204   403  403   403   403   403     403   403      401    401     401',
  createToken: '   201   201  201   403   403   403     403   403      401    401     401',
  createWebhook: ' 201   403  403   403   403   403     403   403      401    401     401',
  listWebhooks: '  200   403  403   403   403   403     403   403      401    401     401',
  getWebhook: '    200   403  403   403   403   403     403   403      401    401     401',
  deleteWebhook: ' 204   403  403   403   403   403     403   403      401    401     401',
  rotateWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  enableWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  listDeliveries: '200   403  403   403   403   403     403   403      401    401     401',
  redeliver: '     404   403  403   403   403   403     403   403      401    401     401',
  health: '        200   200  200   200   200   200     200   200      401    401     401',
  time: '          200   200  200   200   200   200     200   200      401    401     401',
  livez: '         200   200  200   200   200   200     200   200      200    200     200',
  readyz: '        200   200  200   200   200   200     200   200      200    200     200',
};

/** The same for a WebSocket, and for what is no operation of the API. */
const CONNECTION = '101   101  101   403   101   403     101   101      401    401     401';
const OPEN = '      200   200  200   200   200   200     200   200      200    200     200';
const PAGES = [
  '/',
  '/display/x',
  '/synchronized-timer.js',
  '/docs/',
  '/openapi.json',
  '/asyncapi.json',
];

/** The table is about a display of somebody else; this is about one of the caller's own. */
async function acknowledged({ service }: Room, { timerId, token }: Case): Promise<string> {
  service.token = token;
  const url = `${service.service.url}/timers/${timerId}/events?ticks=false`;
  const reader = await EventReader.open(url, EVENT_MESSAGES.connected, service.authorization);
  const { display_id } = await reader.next();
  const path = `/timers/${timerId}/displays/${display_id}/acknowledgement`;
  const answer = await service.request('POST', path, { revision: 1, error_bound_ms: 1 });
  return `${answer.status}`;
}

describe('A1: the table of access', () => {
  it('has every operation, and no other', () => {
    expect(Object.keys(TABLE).sort()).toEqual(OPERATIONS.map(({ id }) => id).sort());
  });

  it.each(OPERATIONS)('A1: says who may $id', async (operation) => {
    const room = await openRoom();
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS) {
      const asked = await caseOf(room, column);
      room.service.token = room.admin;
      const { displayId } = await room.service.display(asked.timerId);
      const places = await placesFor(room, operation);
      const before = await stateOf(room);
      const outcome = await outcomeOf(room, operation, places, { ...asked, displayId });
      if (/^40[13]|-$/.test(outcome)) expect(await stateOf(room)).toEqual(before);
      outcomes[column] = outcome;
    }
    expect(outcomes).toEqual(rowOf(TABLE[operation.id] ?? ''));
  });

  it('A1, D3: lets whoever may follow acknowledge for a display of their own', async () => {
    const room = await openRoom();
    for (const column of COLUMNS.filter((name) => rowOf(CONNECTION)[name] === '101')) {
      expect([column, await acknowledged(room, await caseOf(room, column))]).toEqual([
        column,
        '204',
      ]);
    }
  });

  it('A1: says who may connect by WebSocket, and refuses the others before the upgrade', async () => {
    const room = await openRoom();
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS)
      outcomes[column] = await upgraded(room, await caseOf(room, column));
    expect(outcomes).toEqual(rowOf(CONNECTION));
  });

  it.each(PAGES)('A1: says that %s is for all', async (path) => {
    const room = await openRoom({ webDirectory: WEB });
    const outcomes: Record<string, string> = {};
    for (const column of COLUMNS) {
      const { token } = await caseOf(room, column);
      const response = await fetch(`${room.service.service.url}${path}`, {
        headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
      });
      outcomes[column] = `${response.status}`;
      await response.body?.cancel();
    }
    expect(outcomes).toEqual(rowOf(OPEN));
  });
});

describe('A1: the messages of a display', () => {
  const MESSAGES: Readonly<Record<string, { message: object; answer?: 'pong' | 'sync_response' }>> =
    {
      ping: { message: {}, answer: 'pong' },
      sync: { message: { client_time: 1 }, answer: 'sync_response' },
      acknowledge: { message: { revision: 1, error_bound_ms: 1 } },
    };

  it('A1: are all in the table', () => {
    expect(Object.keys(MESSAGES).sort()).toEqual(Object.keys(CLIENT_MESSAGES).sort());
  });

  it.each(COLUMNS.filter((column) => rowOf(CONNECTION)[column] === '101'))(
    'A1, T1: are answered alike, and change no timer, whoever says them: %s',
    async (column) => {
      const room = await openRoom();
      const { timerId, token } = await caseOf(room, column);
      const before = await stateOf(room);
      const headers = { Authorization: `Bearer ${token}` };
      const display = await TestDisplay.connect(room.service.displayUrl(timerId), headers);
      for (const [type, { message, answer }] of Object.entries(MESSAGES)) {
        display.say({ type, ...message });
        if (answer !== undefined) await display.next(answer);
      }
      display.say({ type: 'control', action: 'start' });
      await display.next('error');
      expect(await stateOf(room)).toEqual(before);
    },
  );
});
