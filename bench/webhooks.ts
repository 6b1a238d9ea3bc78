/**
 * Webhooks: how late `timer.expired` comes to its receiver when the timers of a hall end at the same instant.
 * The receiver is in this process and takes its time with each answer, as one behind a database does. The
 * figures hold the way to the disk, the signature and the connection of each message.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Figure, Measurement, RunOptions } from './measurement.js';
import { createTimers, timerSchema } from './support/http.js';
import { progress } from './support/progress.js';
import { onStage } from './support/stage.js';
import { largest, median } from './support/statistics.js';

const NAME = 'webhooks';
const FULL = { timers: 600, durationSeconds: 6 };
const QUICK = { timers: 30, durationSeconds: 3 };

const ANSWER_MS = 100;
const PATIENCE_MS = 30_000;
const POLL_MS = 50;
const CONNECTIONS = 8;
const AT_MOST_LATE_MS = 1000;

const message = z.object({ data: z.object({ timer: z.object({ id: z.string() }) }) });
const anything = z.unknown();

/** A receiver that notes when a message came and answers later. */
async function listen() {
  const comings: { readonly timerId: string; readonly atMs: number }[] = [];
  const server = createServer(async (request, response) => {
    const atMs = Date.now();
    const { data } = message.parse(await json(request));
    comings.push({ timerId: data.timer.id, atMs });
    await sleep(ANSWER_MS);
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return { server, comings, url: `http://127.0.0.1:${port}/` };
}

async function run({ isQuick, profileDir }: RunOptions): Promise<Figure[]> {
  const { timers, durationSeconds } = isQuick ? QUICK : FULL;
  const { server, comings, url } = await listen();
  try {
    return await onStage(async (stage) => {
      const service = await stage.service({
        settings: { WEBHOOK_ALLOW_PRIVATE: '1' },
        profileDir,
      });
      const connection = await stage.connection(service.url);
      await connection.post('/webhooks', { url, events: ['timer.expired'] }, anything);
      const timer = { name: 'Hall', duration_seconds: durationSeconds, warning_thresholds: [] };
      const connections = await stage.connections(service.url, CONNECTIONS);
      const timerIds = await createTimers(connections, timers, timer);
      progress(NAME, `${timers} timers end in ${durationSeconds} s`);
      await connection.post('/timers/bulk/start', timerIds, anything);
      const { deadline_ms } = await connection.get(`/timers/${timerIds[0] ?? ''}`, timerSchema);
      const untilMs = (deadline_ms ?? 0) + PATIENCE_MS;
      while (comings.length < timers && Date.now() < untilMs) await sleep(POLL_MS);
      return figuresOf(
        comings.map(({ atMs }) => atMs - (deadline_ms ?? 0)),
        new Set(comings.map(({ timerId }) => timerId)).size,
        timers,
      );
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

function figuresOf(latenessMs: readonly number[], came: number, timers: number): Figure[] {
  const comparedWith = `${timers} timers with one deadline, answers after ${ANSWER_MS} ms`;
  const late = { unit: 'ms', comparedWith };
  return [
    {
      name: 'timers whose end came',
      value: came,
      unit: 'timers',
      comparedWith,
      target: { exactly: timers },
    },
    { name: 'came after the deadline, median', value: median(latenessMs), ...late },
    {
      name: 'came after the deadline, last',
      value: largest(latenessMs),
      ...late,
      target: { atMost: AT_MOST_LATE_MS },
    },
  ];
}

export const webhooks: Measurement = { name: NAME, run };
