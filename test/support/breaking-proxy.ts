/** A network that breaks in the middle of something: it passes requests on until one that a test chooses. */
import { once } from 'node:events';
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { endWithTest } from './endings.js';

/** What becomes of a request: the service never sees it, or its answer is lost. */
export type Fate = 'passed' | 'answer lost' | 'refused';

const closing = new Set<() => void>();
endWithTest('clients', () => {
  for (const close of closing) close();
  closing.clear();
});

/** Starts it before the service at `target`; gives its own address. */
export async function startBreakingProxy(
  target: string,
  fateOf: (path: string) => Fate,
): Promise<string> {
  const server = createServer((request, response) => {
    const fate = fateOf(request.url ?? '');
    if (fate === 'refused') refuse(response);
    else passOn(target, request, response, fate === 'answer lost');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.add(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The proxy has no port');
  return `http://127.0.0.1:${address.port}`;
}

/** As the service does while it cannot record. */
function refuse(response: ServerResponse): void {
  const [title, code] = ['The change could not be recorded', 'journal_unavailable'];
  const problem = { type: 'about:blank', title, status: 503, detail: 'The disk is full.', code };
  response.writeHead(503, { 'Content-Type': 'application/problem+json' });
  response.end(JSON.stringify(problem));
}

function passOn(
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
  isAnswerLost: boolean,
): void {
  const { method, headers } = request;
  const passed = ask(`${target}${request.url}`, { method, headers }, (answer) => {
    if (isAnswerLost) {
      response.destroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  response.on('close', () => passed.destroy());
  request.pipe(passed);
}
