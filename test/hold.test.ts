/** How long a write waits for others (T10: nobody waits for long). */

import { Duplex } from 'node:stream';
import { setImmediate as turnEnds } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { holdForOthers } from '../src/realtime/hold.js';

interface Line {
  readonly socket: Duplex;
  readonly written: string[];
}

function newLine(): Line {
  const written: string[] = [];
  const socket = new Duplex({
    write: (chunk: Buffer, _, done) => {
      written.push(String(chunk));
      done();
    },
  });
  return { socket, written };
}

/** Writes to so many lines, each held for the others, and gives them. */
function tickOn(count: number): Line[] {
  return Array.from({ length: count }, () => {
    const line = newLine();
    holdForOthers(line.socket);
    line.socket.write('tick');
    return line;
  });
}

const told = (lines: readonly Line[]): number =>
  lines.filter(({ written }) => written.length > 0).length;

describe('T10: a tick that is held for those of other timers', () => {
  it('waits until the turn of the event loop ends', async () => {
    const lines = tickOn(3);
    expect(told(lines)).toBe(0);
    await turnEnds();
    expect(told(lines)).toBe(3);
  });

  it('waits for 63 others at the most', async () => {
    const lines = tickOn(200);
    expect(told(lines.slice(0, 128))).toBe(128);
    expect(told(lines.slice(192))).toBe(0);
    await turnEnds();
    expect(told(lines)).toBe(200);
  });
});
