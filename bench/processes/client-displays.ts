/** A process full of displays that run the client library, as pages do, and acknowledge what they show. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { connectTimer } from '../../src/client/node.js';
import type { TimerDisplay } from '../../src/client/timer-display.js';
import { type ClientState, followQuestion, stateQuestion } from '../support/client-displays.js';
import { answerQuestions } from '../support/questions.js';

/** Displays that are still finding out the time, at most; more at once only delay each other. */
const MOST_CONNECTING = 200;
const POLL_MS = 20;

const displays: TimerDisplay[] = [];
const announced: string[] = [];

async function follow({ server, timerIds, each }: z.output<typeof followQuestion>): Promise<void> {
  for (let seat = 1; seat <= each; seat += 1) {
    for (const timer of timerIds) open(server, timer, `Seat ${seat}`);
    await untilLive(displays.length - MOST_CONNECTING);
  }
  await untilLive(displays.length);
}

function open(server: string, timer: string, label: string): void {
  const display = connectTimer({ server, timer, label });
  const number = displays.push(display);
  display.on('warning', ({ thresholdSeconds }) => announced.push(`${number} ${thresholdSeconds}`));
  display.on('end', ({ reason }) => announced.push(`${number} ${reason}`));
}

function live(): number {
  return displays.filter(({ connection }) => connection === 'live').length;
}

async function untilLive(count: number): Promise<void> {
  while (live() < count) await sleep(POLL_MS);
}

answerQuestions(followQuestion, follow);
answerQuestions(stateQuestion, (): ClientState => ({ live: live(), announced }));
