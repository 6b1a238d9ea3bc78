/** The AsyncAPI 3 document of the WebSocket side, generated from the same schemas that check messages. */
import type { z } from 'zod';
import { CLIENT_MESSAGES, SERVER_MESSAGES } from './messages.js';
import { PROBLEMS } from './problems.js';
import type { RequestSchemas } from './requests.js';
import { referencedSchemas } from './schemas.js';

const CHANNEL = 'display';

export function asyncApiDocument(
  schemas: RequestSchemas,
  version: string,
): Record<string, unknown> {
  const { reference, definitions } = referencedSchemas('#/components/schemas/');
  const serverMessages = Object.entries<z.ZodType>(SERVER_MESSAGES);
  const clientMessages = Object.entries<z.ZodType>(CLIENT_MESSAGES);
  const messages = Object.fromEntries(
    [...serverMessages, ...clientMessages].map(([name, schema]) => [
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
  const query = reference(schemas.follow);
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
      [CHANNEL]: {
        address: '/ws/{timer_id}',
        description: 'One connection follows one timer.',
        parameters: { timer_id: { description: 'Identifies a timer.' } },
        bindings: { ws: { method: 'GET', query, bindingVersion: '0.1.0' } },
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations: {
      follow: operation('send', 'What a display is told.', Object.keys(SERVER_MESSAGES)),
      ask: operation('receive', 'What a display may ask.', Object.keys(CLIENT_MESSAGES)),
    },
    components: { messages, schemas: definitions() },
  };
}

function operation(action: 'send' | 'receive', summary: string, names: readonly string[]) {
  return {
    action,
    summary,
    channel: { $ref: `#/channels/${CHANNEL}` },
    messages: names.map((name) => ({ $ref: `#/channels/${CHANNEL}/messages/${name}` })),
  };
}

function closeCodes(): string {
  const codes = Object.values(PROBLEMS).flatMap((kind) =>
    'closeCode' in kind ? [`${kind.closeCode} (${kind.title})`] : [],
  );
  return `Close codes: ${codes.join(', ')}.`;
}
