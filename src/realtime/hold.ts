/**
 * Holds back what is written to sockets for a moment, so that it leaves them together: several frames of one
 * socket in one write, and those of thousands of sockets right after each other, which costs the kernel half.
 */
import type { Duplex } from 'node:stream';

/** How many sockets wait for each other at the most where none may wait for long. */
const FEW = 64;

/**
 * Sockets that are held until some moment comes, or until there are `most` of them. Whichever moment of a socket
 * comes first lets it go.
 */
class Hold {
  readonly #schedule: (release: () => void) => void;
  readonly #most: number;
  #sockets: Duplex[] = [];

  constructor(schedule: (release: () => void) => void, most = Number.POSITIVE_INFINITY) {
    this.#schedule = schedule;
    this.#most = most;
  }

  add(socket: Duplex): void {
    if (socket.writableCorked === 0) socket.cork();
    if (this.#sockets.length === 0) this.#schedule(() => this.#release());
    this.#sockets.push(socket);
    if (this.#sockets.length >= this.#most) this.#release();
  }

  #release(): void {
    const sockets = this.#sockets;
    this.#sockets = [];
    for (const socket of sockets) socket.uncork();
  }
}

const untilMessageEnds = new Hold((release) => process.nextTick(release));
const untilTurnEnds = new Hold((release) => setImmediate(release));
const untilSomeWait = new Hold((release) => setImmediate(release), FEW);

/** Until all is done that this message from a thread, this timeout or this event of a socket leads to. */
export function holdForMessage(socket: Duplex): void {
  untilMessageEnds.add(socket);
}

/** Until this turn of the event loop ends, in which commits may be heard of. */
export function holdForTurn(socket: Duplex): void {
  untilTurnEnds.add(socket);
}

/** Until some others are held as well, or this turn of the event loop ends. */
export function holdForOthers(socket: Duplex): void {
  untilSomeWait.add(socket);
}
