/** Server-sent events, as the HTML standard has them: how they look on the wire. */

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
