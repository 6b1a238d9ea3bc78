/**
 * The test model: a timer as somebody outside knows it, written from the specification and not from
 * the service. What a state does not list is impossible in it.
 */
import { setup } from 'xstate';

export const MODEL_EVENTS = [
  { type: 'create' },
  { type: 'create started' },
  { type: 'start' },
  { type: 'pause' },
  { type: 'resume' },
  { type: 'extend' },
  { type: 'stop' },
  { type: 'delete' },
  { type: 'some time passes' },
  { type: 'the time runs out' },
  { type: 'the service restarts' },
  { type: 'a display meddles' },
] as const;

export type ModelEvent = (typeof MODEL_EVENTS)[number];

export const timerModel = setup({ types: { events: {} as ModelEvent } }).createMachine({
  id: 'timer model',
  initial: 'absent',
  states: {
    absent: { on: { create: 'created', 'create started': 'running' } },
    created: { on: { start: 'running', extend: 'created', stop: 'completed', delete: 'deleted' } },
    running: {
      on: {
        pause: 'paused',
        extend: 'running',
        stop: 'completed',
        delete: 'deleted',
        'the time runs out': 'expired',
      },
    },
    paused: {
      on: {
        start: 'running',
        resume: 'running',
        extend: 'paused',
        stop: 'completed',
        delete: 'deleted',
      },
    },
    expired: { on: { delete: 'deleted' } },
    completed: { on: { delete: 'deleted' } },
    deleted: {},
  },
});
