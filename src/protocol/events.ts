/** Server-sent events, as the HTML standard has them: how they look on the wire. */
import { z } from 'zod';
import { PROBLEMS } from './problems.js';

export const EVENT_STREAM_TYPE = 'text/event-stream';

export const EVENT_STREAM_HEADERS = {
  'Content-Type': EVENT_STREAM_TYPE,
  // Whatever stands between must neither keep events back nor compress them.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
  Connection: 'close',
};

/** An event as bytes; `id` is what a reader names when it comes back. */
export function eventOf(data: unknown, id?: number): Buffer {
  const name = id === undefined ? '' : `id: ${id}\n`;
  return Buffer.from(`${name}data: ${JSON.stringify(data)}\n\n`);
}

export const streamEndedSchema = z
  .object({ code: z.literal('credential_ended'), title: z.string() })
  .meta({
    id: 'stream_ended',
    description: 'The data of an event of the type `ended`, the last one: why the stream ends.',
  });

/** Has a type of its own, so that who reads messages does not take it for one. */
export function endedEventOf(code: z.output<typeof streamEndedSchema>['code']): Buffer {
  const data = { code, title: PROBLEMS[code].title };
  return Buffer.from(`event: ended\ndata: ${JSON.stringify(data)}\n\n`);
}
