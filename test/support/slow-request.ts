/** A request whose body comes when a test says so, after the service has read its head. */
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { headersOf } from './event-reader.js';
import type { Answer, TestService } from './service.js';

export class SlowRequest {
  readonly #request: ClientRequest;
  readonly #response: Promise<unknown[]>;

  private constructor(request: ClientRequest) {
    this.#request = request;
    this.#response = once(request, 'response');
  }

  /** Sends the head of a POST. The service has begun with it when it asks for the body. */
  static async begin(service: TestService, path: string): Promise<SlowRequest> {
    const request = httpRequest(`${service.service.url}${path}`, {
      method: 'POST',
      agent: false,
      headers: {
        ...service.authorization,
        'Content-Type': 'application/json',
        Expect: '100-continue',
      },
    });
    const slow = new SlowRequest(request);
    request.flushHeaders();
    await once(request, 'continue');
    return slow;
  }

  /** Sends the body, and gives the answer, which may have come before. */
  async finish(body: unknown): Promise<Answer> {
    // A service that has answered already may have closed the connection.
    this.#request.on('error', () => {});
    this.#request.end(JSON.stringify(body));
    const [response] = z.tuple([z.instanceof(IncomingMessage)]).parse(await this.#response);
    const content = await text(response);
    return {
      status: response.statusCode ?? 0,
      headers: headersOf(response),
      body: content === '' ? undefined : JSON.parse(content),
    };
  }
}
