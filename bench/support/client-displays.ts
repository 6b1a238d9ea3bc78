/** A process of displays with the client library, as the measurements use it. */
import { z } from 'zod';
import { Child } from './child.js';
import { requireOpenFiles } from './limits.js';

const SCRIPT = new URL('../processes/client-displays.js', import.meta.url);

export const followQuestion = z.object({
  type: z.literal('follow'),
  server: z.string(),
  timerIds: z.array(z.string()),
  /** How many displays each timer gets. */
  each: z.number(),
});

export const stateQuestion = z.object({ type: z.literal('state') });

export const stateSchema = z.object({
  live: z.number(),
  /** What each display announced, as its number and what it was. */
  announced: z.array(z.string()),
});
export type ClientState = z.output<typeof stateSchema>;

export class ClientDisplays {
  readonly #child = new Child({ script: SCRIPT });

  /** Opens displays in a new process; settles when all of them are live. */
  static async open(
    server: URL,
    timerIds: readonly string[],
    each: number,
  ): Promise<ClientDisplays> {
    requireOpenFiles(timerIds.length * each);
    const displays = new ClientDisplays();
    try {
      const question = { type: 'follow', server: server.href, timerIds, each };
      await displays.#child.ask(question, z.null());
    } catch (error) {
      await displays.close();
      throw error;
    }
    return displays;
  }

  state(): Promise<ClientState> {
    return this.#child.ask({ type: 'state' }, stateSchema);
  }

  close(): Promise<void> {
    return this.#child.stop();
  }
}
