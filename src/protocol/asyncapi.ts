/**
 * The AsyncAPI 3 document of all that is told as it happens, over WebSocket and as server-sent events,
 * generated from the same schemas that check messages.
 */
import type { z } from 'zod';
import { CONSOLE_MESSAGES } from './console.js';
import { displaysSchema } from './displays.js';
import { streamEndedSchema } from './events.js';
import { CLIENT_MESSAGES, EVENT_MESSAGES, SERVER_MESSAGES } from './messages.js';
import { PROBLEMS } from './problems.js';
import type { RequestSchemas } from './requests.js';
import { referencedSchemas } from './schemas.js';

type Messages = Readonly<Record<string, z.ZodType>>;

/** Consoles have messages with names that displays use, too. */
const CONSOLE_ALONE: Messages = Object.fromEntries(
  Object.entries(CONSOLE_MESSAGES).map(([type, schema]) => [`console_${type}`, schema]),
);
const ENDED: Messages = { stream_ended: streamEndedSchema };
const EVENTS: Messages = { ...EVENT_MESSAGES, ...ENDED };
const DISPLAYS: Messages = { displays: displaysSchema, ...ENDED };
const CONSOLE: Messages = { ...CONSOLE_ALONE, ...ENDED };
const ALL: Messages = { ...SERVER_MESSAGES, ...CLIENT_MESSAGES, ...DISPLAYS, ...CONSOLE };

export function asyncApiDocument(
  schemas: RequestSchemas,
  version: string,
): Record<string, unknown> {
  const { reference, definitions } = referencedSchemas('#/components/schemas/');
  const messages = Object.fromEntries(
    Object.entries(ALL).map(([name, schema]) => [
      name,
      {
        name,
        title: name,
        summary: schema.meta()?.description ?? '',
        contentType: 'application/json',
        payload: reference(schema),
      },
    ]),
  );
  const follow = reference(schemas.follow);
  const followEvents = reference(schemas.followEvents);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Synchronized Timer Service: displays',
      version,
      description: `A display follows one timer and can show its time but never set it. ${closeCodes()}`,
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    channels: {
      display: {
        ...channel('/ws/{timer_id}', 'One connection follows one timer.', {
          ...SERVER_MESSAGES,
          ...CLIENT_MESSAGES,
        }),
        bindings: { ws: { method: 'GET', query: follow, bindingVersion: '0.1.0' } },
      },
      events: channel(
        '/timers/{timer_id}/events',
        'One stream of server-sent events follows one timer.',
        EVENTS,
      ),
      displays: channel(
        '/timers/{timer_id}/displays/events',
        'Server-sent events: who follows a timer.',
        DISPLAYS,
      ),
      console: channel('/events', 'Server-sent events: all timers and all displays.', CONSOLE),
    },
    operations: {
      follow: operation('send', 'display', 'What a display is told.', SERVER_MESSAGES),
      ask: operation('receive', 'display', 'What a display may say.', CLIENT_MESSAGES),
      followEvents: {
        ...operation('send', 'events', 'What a display is told.', EVENTS),
        bindings: { http: { method: 'GET', query: followEvents, bindingVersion: '0.3.0' } },
      },
      watchDisplays: operation('send', 'displays', 'Who follows a timer.', DISPLAYS),
      watchAll: operation('send', 'console', 'What a console is told.', CONSOLE),
    },
    components: { messages, schemas: definitions() },
  };
}

function channel(address: string, description: string, messages: Messages) {
  const parameters = address.includes('{timer_id}')
    ? { timer_id: { description: 'Identifies a timer.' } }
    : {};
  const references = Object.keys(messages).map((name) => [
    name,
    { $ref: `#/components/messages/${name}` },
  ]);
  return { address, description, parameters, messages: Object.fromEntries(references) };
}

function operation(
  action: 'send' | 'receive',
  channelName: string,
  summary: string,
  messages: Messages,
) {
  return {
    action,
    summary,
    channel: { $ref: `#/channels/${channelName}` },
    messages: Object.keys(messages).map((name) => ({
      $ref: `#/channels/${channelName}/messages/${name}`,
    })),
  };
}

function closeCodes(): string {
  const codes = Object.values(PROBLEMS).flatMap((kind) =>
    'closeCode' in kind ? [`${kind.closeCode} (${kind.title})`] : [],
  );
  return `Close codes: ${codes.join(', ')}.`;
}
