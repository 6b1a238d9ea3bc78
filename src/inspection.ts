/** Streams the running actors to Stately's inspector; loaded only when INSPECT asks for it. */
import type { InspectionEvent, Observer } from 'xstate';
import type { Log } from './log.js';

const RELAY_PORT = 8080;

/** Starts the relay that a browser opens, and gives the observer to hand to actors. */
export async function startInspection(log: Log): Promise<Observer<InspectionEvent>> {
  const { createWebSocketInspector } = await import('@statelyai/inspect');
  const { createInspectorServer } = await import('@statelyai/inspect/server');
  createInspectorServer({ port: RELAY_PORT, autoOpen: false });
  const inspector = createWebSocketInspector({ url: `ws://localhost:${RELAY_PORT}` });
  log.info(`inspecting: open http://localhost:${RELAY_PORT} in a browser`);
  return { next: (event) => inspector.inspect.next?.(event) };
}
