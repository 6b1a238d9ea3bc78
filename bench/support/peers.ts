/** The servers that the service is compared with: what they are told, and how they keep time. */
import { z } from 'zod';
import { Child } from './child.js';
import { answerQuestions } from './questions.js';

const listenQuestion = z.object({ type: z.literal('listen') });
const tickQuestion = z.object({
  type: z.literal('tick'),
  /** The message to send, every second from now on. */
  text: z.string(),
  /** When within each second of the clock to send it, in ms. */
  phaseMs: z.number(),
});

export type PeerName = 'net-server' | 'ws-server';

export class Peer {
  readonly child: Child;
  readonly port: number;

  private constructor(child: Child, port: number) {
    this.child = child;
    this.port = port;
  }

  static async start(name: PeerName): Promise<Peer> {
    const script = new URL(`../processes/${name}.js`, import.meta.url);
    const child = new Child({ script });
    return new Peer(child, await child.ask({ type: 'listen' }, z.number()));
  }

  async tick(text: string, phaseMs: number): Promise<void> {
    await this.child.ask({ type: 'tick', text, phaseMs }, z.null());
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

/**
 * The side of the peer's process: it listens, then sends the same message every second. It imports
 * the probe itself, as one loaded before it would hear the first question alone.
 */
export function servePeer(
  listen: () => Promise<number>,
  broadcasterOf: (text: string) => () => void,
): void {
  // The probe lets go of the channel, which is all that keeps this process alive until it listens.
  process.channel?.ref();
  answerQuestions(listenQuestion, listen);
  answerQuestions(tickQuestion, ({ text, phaseMs }) => {
    const broadcast = broadcasterOf(text);
    let dueMs = (Math.floor(Date.now() / 1000) + 1) * 1000 + phaseMs;
    function tick(): void {
      broadcast();
      dueMs += 1000;
      setTimeout(tick, dueMs - Date.now());
    }
    setTimeout(tick, dueMs - Date.now());
  });
}
