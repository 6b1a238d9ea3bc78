/** An actor in the registry's place that only remembers what it was sent. */
import { type AnyActorRef, createActor, fromTransition } from 'xstate';

export function spyRegistry(): { ref: AnyActorRef; events: unknown[] } {
  const events: unknown[] = [];
  const logic = fromTransition((state: null, event) => {
    events.push(event);
    return state;
  }, null);
  return { ref: createActor(logic).start(), events };
}
