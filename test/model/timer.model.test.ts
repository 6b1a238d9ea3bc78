/** Every event in every state of the test model, against the real service. */
import { describe, expect, it } from 'vitest';
import type { SnapshotFrom } from 'xstate';
import { createTestModel } from 'xstate/graph';
import { ACTIONS } from '../../machines/command.js';
import { MemoryJournal } from '../../src/journal/memory.js';
import { timerSchema } from '../../src/protocol/timer.js';
import type { TestDisplay } from '../support/display.js';
import { type Answer, problemIn, TestService } from '../support/service.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { MODEL_EVENTS, type ModelEvent, timerModel } from './timer.model.js';

type ModelState = SnapshotFrom<typeof timerModel>;

/** A display's messages after each event, ticks and warnings aside. */
const TOLD: Partial<Record<ModelEvent['type'], string[]>> = {
  start: ['timer_started'],
  pause: ['timer_paused'],
  resume: ['timer_started'],
  extend: ['timer_extended'],
  stop: ['timer_stopped'],
  delete: ['timer_deleted'],
  'the time runs out': ['timer_expired'],
};

/** One timer of one service, driven along a path of the model. */
class Walk {
  readonly #clock = new SimulatedClock();
  readonly #journal = new MemoryJournal();
  #service: TestService | undefined;
  #timerId = 'timer_of_nobody';
  #display: TestDisplay | undefined;

  async take(before: ModelState, event: ModelEvent, after: ModelState): Promise<void> {
    const isPossible = before.can(event);
    const answer = await this.#do(event);
    if (answer !== undefined) this.#checkAnswer(answer, event, isPossible, before);
    await this.#checkTold(event, isPossible);
    await this.#checkState(String(after.value));
  }

  async #running(): Promise<TestService> {
    this.#service ??= await TestService.start({ clock: this.#clock, journal: this.#journal });
    return this.#service;
  }

  async #do(event: ModelEvent): Promise<Answer | undefined> {
    const service = await this.#running();
    switch (event.type) {
      case 'create':
      case 'create started':
        return this.#create(event.type === 'create started');
      case 'delete':
        return service.request('DELETE', `/timers/${this.#timerId}`);
      case 'extend':
        return service.control(this.#timerId, 'extend', 5);
      case 'start':
      case 'pause':
      case 'resume':
      case 'stop':
        return service.control(this.#timerId, event.type);
      case 'some time passes':
        return void (await service.advance(1500));
      case 'the time runs out':
        return void (await service.advance(900_000));
      case 'the service restarts':
        return void (await this.#restart(service));
      case 'a display meddles':
        for (const type of [...ACTIONS, 'delete', 'expired'])
          this.#display?.say({ type, seconds: 9 });
        return undefined;
    }
  }

  async #create(isStarted: boolean): Promise<Answer | undefined> {
    if (this.#timerId !== 'timer_of_nobody') return undefined;
    const service = await this.#running();
    const body = { duration_seconds: 600, auto_start: isStarted };
    const answer = await service.request('POST', '/timers', body);
    this.#timerId = timerSchema.parse(answer.body).id;
    this.#display = await service.display(this.#timerId);
    return answer;
  }

  /** The service goes away without a word to the journal, and comes back from it. */
  async #restart(service: TestService): Promise<void> {
    await service.stop();
    this.#service = undefined;
    const restarted = await this.#running();
    const isThere = (await restarted.request('GET', `/timers/${this.#timerId}`)).status === 200;
    this.#display = isThere ? await restarted.display(this.#timerId) : undefined;
  }

  #checkAnswer(
    answer: Answer,
    { type }: ModelEvent,
    isPossible: boolean,
    before: ModelState,
  ): void {
    if (isPossible) {
      const success = type === 'delete' ? 204 : type.startsWith('create') ? 201 : 200;
      expect(answer.status).toBe(success);
    } else if (before.matches('absent') || before.matches('deleted')) {
      expect([answer.status, problemIn(answer).code]).toEqual([404, 'unknown_timer']);
    } else {
      const possible = ACTIONS.filter((action) => before.can({ type: action }));
      expect(answer.status).toBe(400);
      expect(problemIn(answer).detail).toBe(
        `Cannot ${type} timer in state '${before.value}'. Valid actions: [${possible.join(', ')}]`,
      );
    }
  }

  async #checkTold({ type }: ModelEvent, isPossible: boolean): Promise<void> {
    if (this.#display === undefined) return;
    if (type === 'delete' && isPossible) {
      await this.#display.next('timer_deleted');
      expect(await this.#display.closed).toMatchObject({ code: 4000 });
      this.#display = undefined;
      return;
    }
    const quiet = ['timer_tick', 'timer_warning', 'keepalive', 'error', 'connected'];
    const told = (await this.#display.news()).filter((message) => !quiet.includes(message.type));
    expect(told.map((message) => message.type)).toEqual(isPossible ? (TOLD[type] ?? []) : []);
  }

  async #checkState(expected: string): Promise<void> {
    const service = await this.#running();
    const answer = await service.request('GET', `/timers/${this.#timerId}`);
    if (expected === 'absent' || expected === 'deleted') {
      expect(answer.status).toBe(404);
    } else {
      expect(timerSchema.parse(answer.body).state).toBe(expected);
    }
  }
}

const paths = createTestModel(timerModel).getShortestPaths({
  events: [...MODEL_EVENTS],
  // A state reached by another event, or from another state, is another place: so every event is
  // tried in every state.
  serializeState: (state, event, previous) =>
    `${previous?.value} – ${event?.type} – ${state.value}`,
});

describe('a timer behaves as its model', () => {
  it('on paths that try every event in every state', () => {
    const tried = paths.flatMap(({ steps }) =>
      steps.slice(1).map(({ event }, index) => `${steps[index]?.state.value}: ${event.type}`),
    );
    const states = Object.keys(timerModel.states);
    const all = states.flatMap((state) => MODEL_EVENTS.map(({ type }) => `${state}: ${type}`));
    expect([...new Set(tried)].sort()).toEqual(all.sort());
  });

  it.each(paths.map((path) => [nameOf(path), path] as const))('%s', async (_, { steps }) => {
    const walk = new Walk();
    for (const [index, { event, state }] of steps.entries()) {
      const before = steps[index - 1]?.state;
      if (before !== undefined && isModelEvent(event)) await walk.take(before, event, state);
    }
  });
});

function nameOf({ steps }: (typeof paths)[number]): string {
  const events = steps.slice(1).map(({ event }) => event.type);
  return events.join(', ');
}

function isModelEvent(event: { type: string }): event is ModelEvent {
  return MODEL_EVENTS.some(({ type }) => type === event.type);
}
