/** Several nodes show the displays of all of them; each is a service of its own, on one log and one clock. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Entry } from '../../src/journal/journal.js';
import { consoleMessageSchema } from '../../src/protocol/console.js';
import {
  displaySummarySchema,
  displaysSchema,
  figuresOfNobody,
} from '../../src/protocol/displays.js';
import { EVENT_MESSAGES } from '../../src/protocol/messages.js';
import { newsSchema } from '../../src/protocol/presence.js';
import { type OwnDisplays, Presence } from '../../src/realtime/presence.js';
import { EventReader } from '../support/event-reader.js';
import { eventually } from '../support/eventually.js';
import { LocalBus, NodeJournal, SharedJournal } from '../support/local-bus.js';
import { problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';

const SECOND = 1000;
/** After so long every node knows what happened on the others. */
const NEWS_MS = 250;

async function twoNodes(): Promise<{
  readonly journal: SharedJournal;
  readonly near: TestService;
  readonly far: TestService;
}> {
  const journal = new SharedJournal();
  const clock = new SimulatedClock();
  const near = await TestService.start({ journal, clock });
  const far = await TestService.start({ journal, clock });
  await clock.advance(SECOND);
  return { journal, near, far };
}

async function displaysOf(service: TestService, timerId: string) {
  const { body } = await service.request('GET', `/timers/${timerId}/displays`);
  return displaysSchema.parse(body);
}

function acknowledgement(timerId: string, displayId: string): string {
  return `/timers/${timerId}/displays/${displayId}/acknowledgement`;
}

/** Follows a timer over server-sent events, and gives the reader and the id of the display. */
async function follow(service: TestService, timerId: string) {
  const url = `${service.service.url}/timers/${timerId}/events`;
  const reader = await EventReader.open(url, z.object({}).loose(), service.authorization);
  const { display_id } = EVENT_MESSAGES.connected.parse(await reader.next());
  return { reader, displayId: display_id };
}

describe('D5: displays of another node', () => {
  it('are counted and shown with what they acknowledged, until they leave', async () => {
    const { near, far } = await twoNodes();
    const { id } = await near.create();
    const display = await near.display(id, '?label=Seat%201');
    await far.display(id, '?label=Seat%202');
    display.say({ type: 'acknowledge', revision: 1, error_bound_ms: 4 });
    await display.news();
    await near.advance(NEWS_MS);
    for (const node of [near, far]) {
      expect((await node.get(id)).connected_clients).toBe(2);
      const { connected, current, worst_error_bound_ms, displays } = await displaysOf(node, id);
      expect([connected, current, worst_error_bound_ms]).toEqual([2, 1, 4]);
      expect(displays.map(({ label }) => label).sort()).toEqual(['Seat 1', 'Seat 2']);
      expect(displays.find(({ label }) => label === 'Seat 1')).toMatchObject({
        revision: 1,
        is_current: true,
      });
    }
    await display.leave();
    await eventually(async () => expect((await near.get(id)).connected_clients).toBe(1));
    await near.advance(NEWS_MS);
    expect((await far.get(id)).connected_clients).toBe(1);
    expect((await displaysOf(far, id)).displays).toHaveLength(1);
  });

  it('are not current while they show another revision than the timer has', async () => {
    const { near, far } = await twoNodes();
    const { id } = await near.create();
    const display = await near.display(id);
    display.say({ type: 'acknowledge', revision: 1, error_bound_ms: 4 });
    await display.news();
    await near.advance(NEWS_MS);
    await far.act(id, 'start');
    expect((await displaysOf(far, id)).current).toBe(0);
    display.say({ type: 'acknowledge', revision: 2, error_bound_ms: 4 });
    await display.news();
    await near.advance(NEWS_MS);
    expect((await displaysOf(far, id)).current).toBe(1);
  });

  it('are told to consoles, and to those who look at one timer', async () => {
    const { near, far } = await twoNodes();
    const { id } = await near.create();
    await near.display(id);
    await near.advance(NEWS_MS);
    const console = await EventReader.open(`${far.service.url}/events`, consoleMessageSchema);
    const [summary] = z
      .object({ displays: z.array(displaySummarySchema) })
      .parse(await console.next()).displays;
    expect(summary).toMatchObject({ timer_id: id, connected: 1, current: 0 });
    const url = `${far.service.url}/timers/${id}/displays/events`;
    const displays = await EventReader.open(url, displaysSchema);
    await eventually(async () => {
      await far.advance(NEWS_MS);
      expect(displays.data.at(-1)?.displays).toHaveLength(1);
    });
    const { displayId } = await follow(near, id);
    const said = { revision: 1, error_bound_ms: 7 };
    await near.request('POST', acknowledgement(id, displayId), said);
    await eventually(async () => {
      await far.advance(NEWS_MS);
      expect(displays.data.at(-1)).toMatchObject({ connected: 2, current: 1 });
      const told = console.data.flatMap((message) =>
        'displays' in message ? message.displays : [],
      );
      expect(told.at(-1)).toMatchObject({ connected: 2, current: 1, worst_error_bound_ms: 7 });
    });
  });

  it('D3: are spoken for by way of any node, by their own credential only', async () => {
    const journal = new SharedJournal();
    const clock = new SimulatedClock();
    const near = await TestService.start({ journal, clock });
    await near.protect();
    const other = await near.createKey({ role: 'observer' });
    const far = await TestService.start({ journal, clock });
    const { id } = await near.create();
    const { reader, displayId } = await follow(near, id);
    await near.advance(NEWS_MS);
    far.token = near.token;
    const said = { revision: 1, error_bound_ms: 5 };
    const path = acknowledgement(id, displayId);
    expect((await far.request('POST', path, said)).status).toBe(204);
    expect((await displaysOf(near, id)).displays[0]).toMatchObject({ error_bound_ms: 5 });
    far.token = other.key;
    expect(problemIn(await far.request('POST', path, said)).code).toBe('forbidden');
    const unknown = acknowledgement(id, 'display_unknown');
    expect(problemIn(await far.request('POST', unknown, said)).code).toBe('unknown_display');
    reader.leave();
  });

  it('are forgotten when their node falls silent, and known again when it is heard', async () => {
    const { journal, near, far } = await twoNodes();
    const { id } = await near.create();
    await near.display(id);
    await near.advance(NEWS_MS);
    journal.bus.isCut = true;
    await near.advance(3 * SECOND);
    expect((await far.get(id)).connected_clients).toBe(1);
    await near.advance(4 * SECOND);
    expect((await far.get(id)).connected_clients).toBe(0);
    await near.display(id);
    await near.advance(SECOND);
    journal.bus.isCut = false;
    await near.advance(2 * SECOND);
    await eventually(async () => expect((await far.get(id)).connected_clients).toBe(2));
  });

  it('are known again after news got lost, because the numbers of messages have a gap', async () => {
    const { journal, near, far } = await twoNodes();
    const { id } = await near.create();
    journal.bus.isCut = true;
    await near.display(id);
    await near.advance(NEWS_MS);
    journal.bus.isCut = false;
    expect((await far.get(id)).connected_clients).toBe(0);
    await near.advance(SECOND);
    await eventually(async () => expect((await far.get(id)).connected_clients).toBe(1));
  });

  it('are gone with a node that stops, at once', async () => {
    const { near, far } = await twoNodes();
    const { id } = await near.create();
    await near.display(id);
    await near.advance(NEWS_MS);
    expect((await far.get(id)).connected_clients).toBe(1);
    const nowMs = near.clock.now();
    const stopping = near.service.stop();
    await eventually(async () => expect((await far.get(id)).connected_clients).toBe(0));
    expect(near.clock.now()).toBe(nowMs);
    await stopping;
  });

  it('are told of a few times a second, and all of them in messages of 1,000 timers at the most', async () => {
    const { journal, near, far } = await twoNodes();
    const { id } = await near.create();
    const before = journal.bus.told.length;
    const displays = await Promise.all(Array.from({ length: 20 }, () => near.display(id)));
    for (let said = 0; said < 5; said += 1) {
      for (const display of displays) {
        display.say({ type: 'acknowledge', revision: 1, error_bound_ms: said });
      }
      for (const display of displays) await display.news();
      await near.advance(50);
    }
    await near.advance(NEWS_MS);
    const news = journal.bus.told.slice(before).map(({ message }) => newsSchema.safeParse(message));
    const withFigures = news.filter(({ data }) => (data?.figures.length ?? 0) > 0);
    expect(withFigures.length).toBeLessThanOrEqual(4);
    expect((await far.get(id)).connected_clients).toBe(20);
  });
});

describe('T3: what the clock of a timer tells', () => {
  it('comes from each node to its own displays, and never from another', async () => {
    const { journal, near, far } = await twoNodes();
    const { id } = await near.create({ duration_seconds: 40, warning_thresholds: [30, 10] });
    const displays = [await near.display(id), await far.display(id)];
    await near.act(id, 'start');
    await near.advance(SECOND);
    const [toldBefore, proposedBefore] = [journal.bus.told.length, journal.proposed.length];
    for (let second = 0; second < 35; second += 1) {
      await near.advance(SECOND);
      await Promise.all(displays.map((display) => display.news()));
    }
    for (const { messages } of displays) {
      const heard = (type: string): number => messages.filter((one) => one.type === type).length;
      expect([heard('timer_tick'), heard('timer_warning')]).toEqual([36, 2]);
    }
    const told = journal.bus.told.slice(toldBefore);
    const news = told.map(({ message }) => newsSchema.parse(message));
    // Every node says once a second that it is there, and nothing else.
    expect(news.filter(({ figures }) => figures.length > 0)).toEqual([]);
    expect(news.length).toBeLessThanOrEqual(2 * 35);
    expect(journal.proposed).toHaveLength(proposedBefore);
  });
});

describe('D5: what many displays cost', () => {
  const NOBODY = () => {};

  /** A node whose displays follow so many timers, each another one. */
  function nodeWith(bus: LocalBus, clock: SimulatedClock, timers: number): Presence {
    const presence = new Presence({ bus, clock });
    const ids = Array.from({ length: timers }, (_, index) => `t${index}`);
    const own: OwnDisplays = {
      followedTimers: () => ids,
      figuresOf: (timerId) => ({ ...figuresOfNobody(timerId), connected: 1 }),
      rowsOf: () => [],
      acknowledge: () => 'unknown_display',
    };
    presence.begin(own, NOBODY);
    for (const id of ids) presence.changed(id);
    return presence;
  }

  const knows = (presence: Presence): number => new Set(presence.followedElsewhere()).size;

  it('is spread over some messages, and over some time where it is much', async () => {
    const [bus, clock] = [new LocalBus(), new SimulatedClock()];
    const far = nodeWith(bus, clock, 0);
    nodeWith(bus, clock, 10_000);
    const known: number[] = [];
    for (const passedMs of [0, NEWS_MS, NEWS_MS, NEWS_MS]) {
      await clock.advance(passedMs);
      known.push(knows(far));
    }
    expect(known).toEqual([4000, 8000, 10_000, 10_000]);
    for (const { message } of bus.told) {
      expect(newsSchema.parse(message).figures.length).toBeLessThanOrEqual(1000);
    }
  });

  it('is told to a node that comes later by itself', async () => {
    const [bus, clock] = [new LocalBus(), new SimulatedClock()];
    nodeWith(bus, clock, 2500);
    await clock.advance(SECOND);
    const before = bus.told.length;
    const late = nodeWith(bus, clock, 0);
    await clock.advance(SECOND);
    expect(knows(late)).toBe(2500);
    const toAll = bus.told.slice(before).filter(({ topic }) => topic === 'displays');
    expect(toAll.every(({ message }) => newsSchema.parse(message).figures.length === 0)).toBe(true);
  });
});

describe('T4: an end that all nodes notice', () => {
  async function threeNodes() {
    const journal = new SharedJournal();
    const clock = new SimulatedClock();
    const views = [1, 2, 3].map(() => new NodeJournal(journal));
    const nodes: TestService[] = [];
    for (const view of views) nodes.push(await TestService.start({ journal: view, clock }));
    await clock.advance(SECOND);
    const [first] = nodes;
    if (first === undefined) throw new Error('There are three');
    const timers = Array.from({ length: 30 }, () =>
      first.create({ duration_seconds: 10, auto_start: true }),
    );
    const ids = (await Promise.all(timers)).map(({ id }) => id);
    const settle = async () => {
      for (const node of nodes) await node.settle();
    };
    return { journal, clock, views, nodes, ids, settle };
  }

  const endsIn = (entries: readonly Entry[]): Entry[] =>
    entries.filter(({ type }) => type === 'expired');

  it('is proposed by the one whose turn it is, at once', async () => {
    const { journal, clock, nodes, settle, ids } = await threeNodes();
    await clock.advance(10 * SECOND, settle);
    expect(endsIn(journal.proposed)).toHaveLength(30);
    for (const node of nodes) {
      for (const id of ids) expect(await node.get(id)).toMatchObject({ state: 'expired' });
    }
    await clock.advance(10 * SECOND, settle);
    expect(endsIn(journal.proposed)).toHaveLength(30);
  });

  it('is proposed by the next one when that node cannot, as of the deadline', async () => {
    const { journal, clock, views, settle } = await threeNodes();
    for (const view of views.slice(1)) view.isAway = true;
    await clock.advance(10 * SECOND, settle);
    expect(endsIn(journal.proposed).length).toBeLessThan(30);
    await clock.advance(2 * SECOND, settle);
    const ends = endsIn(await journal.read(0, 100));
    expect(ends).toHaveLength(30);
    for (const { atMs, recordedAtMs } of ends) {
      expect(atMs).toBe(clock.now() - 2 * SECOND);
      expect(recordedAtMs - atMs).toBeLessThanOrEqual(2 * 515);
    }
    expect(new Set(ends.map(({ recordedAtMs }) => recordedAtMs)).size).toBeGreaterThan(1);
  });
});
