/** Streams the running actors to Stately's inspector; loaded only when INSPECT asks for it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { InspectionEvent, Observer } from 'xstate';
import { SettingError } from './config.js';
import type { Log } from './log.js';

const RELAY_PORT = 8080;

/**
 * Starts the relay that a browser opens, and gives the observer to hand to actors.
 * @throws {SettingError} if the relay's port is taken.
 */
export async function startInspection(log: Log): Promise<Observer<InspectionEvent>> {
  await refuseTakenPort();
  const { createWebSocketInspector } = await import('@statelyai/inspect');
  const { createInspectorServer } = await import('@statelyai/inspect/server');
  createInspectorServer({ port: RELAY_PORT, autoOpen: false });
  const inspector = createWebSocketInspector({ url: `ws://localhost:${RELAY_PORT}` });
  log.info(`inspecting: open http://localhost:${RELAY_PORT} in a browser`);
  return { next: (event) => inspector.inspect.next?.(event) };
}

/** The relay would end the process without a word if it could not listen. */
async function refuseTakenPort(): Promise<void> {
  const probe = createServer().listen(RELAY_PORT);
  try {
    await once(probe, 'listening');
  } catch (cause) {
    const message = `INSPECT is "1"; it takes port ${RELAY_PORT}, which another process uses`;
    throw new SettingError(message, { cause });
  }
  probe.close();
  await once(probe, 'close');
}
