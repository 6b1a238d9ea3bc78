/**
 * Who may what when the service cannot say whose a timer is, because it starts or because the timer is being
 * restarted; and with credentials that end between the head of a request and its body. What is expected is
 * written down; an operation without a line fails.
 */
import { describe, expect, it } from 'vitest';
import { MemoryJournal } from '../../src/journal/memory.js';
import {
  type Case,
  COLUMNS,
  type Column,
  caseOf,
  OPERATIONS,
  openRoom,
  outcomeOf,
  placesFor,
  type Room,
  rowOf,
  SETTINGS,
  stateOf,
  tokenOf,
  upgraded,
} from '../support/access.js';
import { faultyShards } from '../support/faulty-shards.js';
import { HeldJournal } from '../support/held-journal.js';
import { SAMPLES } from '../support/samples.js';
import { TestService } from '../support/service.js';
import { SlowRequest } from '../support/slow-request.js';

const SECOND = 1000;

/** Statuses, as in the other table; a `~` behind one means that the timer was left out because it is restarted. */
const RECOVERING: Readonly<Record<string, string>> = {
  //               admin own  given other named unnamed token observer nobody revoked expired
  createTimer: '   503   503  503   503   403   403     403   403      401    401     401',
  listTimers: '    503   503  503   503   403   403     403   503      401    401     401',
  getTimer: '      503   503  503   503   503   503     503   503      401    401     401',
  deleteTimer: '   503   503  503   503   403   403     403   403      401    401     401',
  controlTimer: '  503   503  503   503   403   403     403   403      401    401     401',
  bulkStart: '     503   503  503   503   403   403     403   403      401    401     401',
  bulkPause: '     503   503  503   503   403   403     403   403      401    401     401',
  bulkResume: '    503   503  503   503   403   403     403   403      401    401     401',
  bulkExtend: '    503   503  503   503   403   403     403   403      401    401     401',
  bulkStop: '      503   503  503   503   403   403     403   403      401    401     401',
  followTimer: '   503   503  503   503   503   503     503   503      401    401     401',
  showDisplays: '  503   503  503   503   403   403     403   503      401    401     401',
  watchDisplays: ' 503   503  503   503   403   403     403   503      401    401     401',
  acknowledge: '   503   503  503   503   503   503     503   503      401    401     401',
  watchAll: '      503   503  503   503   403   403     403   503      401    401     401',
  getHistory: '    503   503  503   503   403   403     403   503      401    401     401',
  createReceipt: ' 503   503  503   503   503   503     503   503      401    401     401',
  exportAudit: '   503   403  403   403   403   403     403   503      401    401     401',
  listHeads: '     503   403  403   403   403   403     403   503      401    401     401',
  publicKeys: '    200   200  200   200   200   200     200   200      200    200     200',
  createKey: '     201   403  403   403   403   403     403   403      401    401     401',
  listKeys: '      200   403  403   403   403   403     403   403      401    401     401',
  revokeKey: '     204   403  403   403   403   403     403   403      401    401     401',
  createToken: '   503   503  503   503   403   403     403   403      401    401     401',
  me: '            200   200  200   200   200   200     200   200      401    401     401',
  createWebhook: ' 201   403  403   403   403   403     403   403      401    401     401',
  listWebhooks: '  200   403  403   403   403   403     403   403      401    401     401',
  getWebhook: '    200   403  403   403   403   403     403   403      401    401     401',
  deleteWebhook: ' 204   403  403   403   403   403     403   403      401    401     401',
  rotateWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  enableWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  listDeliveries: '200   403  403   403   403   403     403   403      401    401     401',
  redeliver: '     404   403  403   403   403   403     403   403      401    401     401',
  health: '        200   200  200   200   200   200     200   200      401    401     401',
  livez: '         200   200  200   200   200   200     200   200      200    200     200',
  readyz: '        503   503  503   503   503   503     503   503      503    503     503',
  time: '          200   200  200   200   200   200     200   200      401    401     401',
  showMetrics: '   200   403  403   403   403   403     403   200      401    401     401',
};
const RESTARTING: Readonly<Record<string, string>> = {
  //               admin own  given other named unnamed token observer nobody revoked expired
  createTimer: '   201   201  201   201   403   403     403   403      401    401     401',
  listTimers: '    200-  200- 200-  200-  403   403     403   200-     401    401     401',
  getTimer: '      503   503  503   503   503   503     503   503      401    401     401',
  deleteTimer: '   503   503  503   503   403   403     403   403      401    401     401',
  controlTimer: '  503   503  503   503   403   403     403   403      401    401     401',
  bulkStart: '     200~  200~ 200~  200~  403   403     403   403      401    401     401',
  bulkPause: '     200~  200~ 200~  200~  403   403     403   403      401    401     401',
  bulkResume: '    200~  200~ 200~  200~  403   403     403   403      401    401     401',
  bulkExtend: '    200~  200~ 200~  200~  403   403     403   403      401    401     401',
  bulkStop: '      200~  200~ 200~  200~  403   403     403   403      401    401     401',
  followTimer: '   503   503  503   503   503   503     503   503      401    401     401',
  showDisplays: '  503   503  503   503   403   403     403   503      401    401     401',
  watchDisplays: ' 503   503  503   503   403   403     403   503      401    401     401',
  acknowledge: '   503   503  503   503   503   503     503   503      401    401     401',
  watchAll: '      200-  200- 200-  200-  403   403     403   200-     401    401     401',
  getHistory: '    200   200  200   403   403   403     403   200      401    401     401',
  createReceipt: ' 503   503  503   503   503   503     503   503      401    401     401',
  exportAudit: '   200   403  403   403   403   403     403   200      401    401     401',
  listHeads: '     200   403  403   403   403   403     403   200      401    401     401',
  publicKeys: '    200   200  200   200   200   200     200   200      200    200     200',
  createKey: '     201   403  403   403   403   403     403   403      401    401     401',
  listKeys: '      200   403  403   403   403   403     403   403      401    401     401',
  revokeKey: '     204   403  403   403   403   403     403   403      401    401     401',
  createToken: '   503   503  503   503   403   403     403   403      401    401     401',
  me: '            200   200  200   200   200   200     200   200      401    401     401',
  createWebhook: ' 201   403  403   403   403   403     403   403      401    401     401',
  listWebhooks: '  200   403  403   403   403   403     403   403      401    401     401',
  getWebhook: '    200   403  403   403   403   403     403   403      401    401     401',
  deleteWebhook: ' 204   403  403   403   403   403     403   403      401    401     401',
  rotateWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  enableWebhook: ' 200   403  403   403   403   403     403   403      401    401     401',
  listDeliveries: '200   403  403   403   403   403     403   403      401    401     401',
  redeliver: '     404   403  403   403   403   403     403   403      401    401     401',
  health: '        200   200  200   200   200   200     200   200      401    401     401',
  livez: '         200   200  200   200   200   200     200   200      200    200     200',
  readyz: '        200   200  200   200   200   200     200   200      200    200     200',
  time: '          200   200  200   200   200   200     200   200      401    401     401',
  showMetrics: '   200   403  403   403   403   403     403   200      401    401     401',
};

/** The same for a WebSocket, which browsers can tell why only by closing it: 1013 is to try again later. */
const CONNECTION = {
  recovering: ' 503   503  503   503   503   503     503   503      401    401     401',
  restarting: ' 1013  1013 1013  1013  1013  1013    1013  1013     401    401     401',
};

/** Callers, and the display of another administrator that follows the timer it is about. */
type Cases = ReadonlyMap<Column, Case & { readonly displayId: string }>;

async function casesOf(
  room: Room,
  displayOf: (timerId: string) => Promise<string>,
): Promise<Cases> {
  const cases = new Map<Column, Case & { readonly displayId: string }>();
  for (const column of COLUMNS) {
    const asked = await caseOf(room, column);
    room.service.token = room.admin;
    cases.set(column, { ...asked, displayId: await displayOf(asked.timerId) });
  }
  return cases;
}

type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;

async function outcomesOf(room: Room, cases: Cases): Promise<Table> {
  const table: Record<string, Record<string, string>> = {};
  for (const operation of OPERATIONS) {
    const places = await placesFor(room, operation);
    const outcomes = [...cases].map(async ([column, asked]) => {
      return [column, await outcomeOf(room, operation, places, asked)];
    });
    table[operation.id] = Object.fromEntries(await Promise.all(outcomes));
  }
  return table;
}

async function connectionsOf(room: Room, cases: Cases): Promise<Readonly<Record<string, string>>> {
  const outcomes: Record<string, string> = {};
  for (const [column, asked] of cases) outcomes[column] = await upgraded(room, asked);
  return outcomes;
}

function tableOf(rows: Readonly<Record<string, string>>): Table {
  return Object.fromEntries(Object.entries(rows).map(([id, row]) => [id, rowOf(row)]));
}

/** Asks a service that reads its journal all the while, and knows who calls all the same. */
async function whileRecovering(ask: (room: Room, cases: Cases) => Promise<void>): Promise<void> {
  const journal = new HeldJournal();
  const room = await openRoom({ journal });
  const cases = await casesOf(room, async () => 'display_x');
  await room.service.stop();
  const release = journal.hold();
  await TestService.start({
    journal,
    settings: SETTINGS,
    onListening: (service) => ask({ ...room, service }, cases).finally(release),
  });
}

/** A service in which every timer has failed so often that it is left alone for a while. */
async function withTimersDown(): Promise<{ readonly room: Room; readonly cases: Cases }> {
  const faults = { left: 0 };
  const room = await openRoom({ shardLogic: faultyShards(faults) });
  const { service } = room;
  const cases = await casesOf(room, async (timerId) => {
    await service.act(timerId, 'start');
    return (await service.display(timerId)).displayId;
  });
  faults.left = Number.POSITIVE_INFINITY;
  await service.advance(5 * SECOND);
  return { room, cases };
}

describe('A1: the table of access when the service cannot say whose a timer is', () => {
  it('A1: while it recovers', async () => {
    await whileRecovering(async (room, cases) => {
      const before = await room.service.journal.read(0, 1000);
      expect(await outcomesOf(room, cases)).toEqual(tableOf(RECOVERING));
      expect(await connectionsOf(room, cases)).toEqual(rowOf(CONNECTION.recovering));
      expect(await room.service.journal.read(0, 1000)).toEqual(before);
    });
  });

  it('A1, T11: while the timers are being restarted', async () => {
    const { room, cases } = await withTimersDown();
    const before = await room.service.journal.read(0, 1000);
    expect(await outcomesOf(room, cases)).toEqual(tableOf(RESTARTING));
    expect(await connectionsOf(room, cases)).toEqual(rowOf(CONNECTION.restarting));
    const since = (await room.service.journal.read(0, 1000)).slice(before.length);
    expect(since.map(({ type }) => type)).toEqual(Array.from({ length: 4 }, () => 'created'));
  });
});

/** How a credential ends while the body of its request comes: what it is, and what ends it. */
const ENDS: Readonly<
  Record<string, (room: Room) => Promise<readonly [string | undefined, () => Promise<void>]>>
> = {
  'a key that is revoked': async ({ service }) => {
    const { id, key } = await service.createKey({ role: 'admin' });
    return [key, async () => void (await service.request('DELETE', `/keys/${id}`))];
  },
  'a key that expires': async ({ service }) => {
    const { key } = await service.createKey({ role: 'admin', expires_in_seconds: 60 });
    return [key, () => service.advance(60 * SECOND)];
  },
  'a token that expires': async ({ service }) => {
    const token = await tokenOf(Math.floor(service.clock.now() / 1000) + 60);
    return [token, () => service.advance(66 * SECOND)];
  },
};

describe('A1: a credential of an administrator that ends between the head of a request and its body', () => {
  const WITH_BODY = OPERATIONS.filter(({ body }) => body !== undefined);

  /** Begins one request for each operation with a body, which all are under way when the credential ends. */
  async function beginAll(service: TestService, timerId: string) {
    const begun = [];
    for (const { id, path } of WITH_BODY) {
      const filled = path.replace('{timer_id}', timerId).replace('{display_id}', 'display_x');
      const target = `${filled}${SAMPLES[id]?.query ?? ''}`;
      begun.push([id, await SlowRequest.begin(service, target)] as const);
    }
    return begun;
  }

  async function statusesOf(begun: Awaited<ReturnType<typeof beginAll>>, timerId: string) {
    const answers = begun.map(async ([id, slow]) => {
      return [id, (await slow.finish(SAMPLES[id]?.body?.(timerId))).status] as const;
    });
    return Object.fromEntries(await Promise.all(answers));
  }

  const ALL_REFUSED = Object.fromEntries(WITH_BODY.map(({ id }) => [id, 401]));

  it.each(Object.keys(ENDS))('A1: changes nothing any more: %s', async (name) => {
    const room = await openRoom();
    const { service, admin } = room;
    service.token = admin;
    const { id: timerId } = await service.create();
    const [credential, end] = (await ENDS[name]?.(room)) ?? [];
    service.token = credential;
    // A token that was found right before is known, so that heads are dealt with as they come.
    expect((await service.request('GET', '/me')).status).toBe(200);
    const begun = await beginAll(service, timerId);
    service.token = admin;
    await end?.();
    const before = await stateOf(room);
    expect(await statusesOf(begun, timerId)).toEqual(ALL_REFUSED);
    expect(await stateOf(room)).toEqual(before);
  });

  it('A1, A2: changes nothing without one once there is a key', async () => {
    const service = await TestService.start();
    const { id: timerId } = await service.create();
    const begun = await beginAll(service, timerId);
    await service.protect();
    const room = { service, admin: service.token ?? '' };
    const before = await stateOf(room);
    expect(await statusesOf(begun, timerId)).toEqual(ALL_REFUSED);
    expect(await stateOf(room)).toEqual(before);
  });

  it('A1: changes what it is to, if it does not end', async () => {
    const { service, admin } = await openRoom();
    service.token = admin;
    const { id: timerId } = await service.create();
    const statuses = await statusesOf(await beginAll(service, timerId), timerId);
    expect(Object.values(statuses).filter((status) => status === 401)).toEqual([]);
    expect(statuses).toMatchObject({ createTimer: 201, createKey: 201, createWebhook: 201 });
  });
});

/** A journal that several nodes share, as far as one of them has to wait until it has heard what is recorded. */
class SlowlyHeardJournal extends MemoryJournal {
  #release: () => void = () => {};
  #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });
  /** How many wait. */
  waiting = 0;

  async caughtUp(): Promise<void> {
    this.waiting += 1;
    await this.#released;
  }

  release(): void {
    this.#release();
  }
}

describe('A1: a credential that ends while it is found out whether there is a timer', () => {
  it.each(Object.keys(ENDS))(
    'A1: connects nobody any more, neither a WebSocket nor a stream: %s',
    async (name) => {
      const journal = new SlowlyHeardJournal();
      const room = await openRoom({ journal });
      const { service, admin } = room;
      const [credential, end] = (await ENDS[name]?.(room)) ?? [];
      service.token = credential;
      expect((await service.request('GET', '/me')).status).toBe(200);
      const asked = { timerId: 'timer_x', token: credential };
      const outcomes = [
        upgraded(room, asked),
        service.request('GET', '/timers/timer_x/events').then(({ status }) => `${status}`),
      ];
      await expect.poll(() => journal.waiting, { interval: 5, timeout: 20 * SECOND }).toBe(2);
      service.token = admin;
      await end?.();
      journal.release();
      expect(await Promise.all(outcomes)).toEqual(['401', '401']);
    },
  );
});
