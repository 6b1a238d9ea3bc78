/** A process full of displays, as the measurements use it. */
import { z } from 'zod';
import { Child } from './child.js';
import { requireOpenFiles } from './limits.js';

const SCRIPT = new URL('../processes/displays.js', import.meta.url);

export const openQuestion = z.object({
  type: z.literal('open'),
  port: z.number(),
  /** One display for each path; an empty path stands for a connection without a handshake. */
  paths: z.array(z.string()),
  /** The connections are begun evenly over this time; 0 is as fast as it goes. */
  spreadMs: z.number(),
});

export const reportSchema = z.object({
  open: z.number(),
  closed: z.number(),
  ticks: z.number(),
  /** When the last tick arrived, in epoch ms; 0 before the first. */
  lastTickAtMs: z.number(),
  /** The payload of the last tick. */
  lastTick: z.string(),
  /** How long after its second each tick arrived, in ms; emptied by each report. */
  tickLatenessMs: z.array(z.number()),
  /** When each `timer_expired` arrived, in epoch ms; emptied by each report. */
  expiredAtMs: z.array(z.number()),
});
export type DisplaysReport = z.output<typeof reportSchema>;

/** `timesTicks` decodes each tick to say how late it was, which is too costly for thousands. */
export const reportQuestion = z.object({ type: z.literal('report'), timesTicks: z.boolean() });

/** Displays stop reading, and ask for long answers that they will not read. */
export const stallQuestion = z.object({ type: z.literal('stall') });
export const askQuestion = z.object({ type: z.literal('ask'), bytes: z.number() });

export class Displays {
  readonly child: Child;

  private constructor(child: Child) {
    this.child = child;
  }

  /** Opens displays in a new process; settles when all of them are connected. */
  static async open(port: number, paths: readonly string[], spreadMs: number): Promise<Displays> {
    requireOpenFiles(paths.length);
    const child = new Child({ script: SCRIPT });
    const displays = new Displays(child);
    try {
      await child.ask({ type: 'open', port, paths, spreadMs }, z.null());
    } catch (error) {
      await displays.close();
      throw error;
    }
    return displays;
  }

  report({ timesTicks = false } = {}): Promise<DisplaysReport> {
    return this.child.ask({ type: 'report', timesTicks }, reportSchema);
  }

  async stall(): Promise<void> {
    await this.child.ask({ type: 'stall' }, z.null());
  }

  /** Each display asks for an answer of about so many bytes. */
  async askFor(bytes: number): Promise<void> {
    await this.child.ask({ type: 'ask', bytes }, z.null());
  }

  close(): Promise<void> {
    return this.child.stop();
  }
}
