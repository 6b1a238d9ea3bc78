/** Who may do what: finds out who calls, and refuses what the caller may not. */
import type { IncomingMessage } from 'node:http';
import { Problem } from '../protocol/problems.js';
import type { Registry } from '../registry.js';
import { anonymous, type Caller, hasRight, type Right, reaches } from './caller.js';

export interface AccessOptions {
  readonly registry: Registry;
}

export class Access {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /**
   * Finds out who sends a request.
   * @throws {Problem} `unauthenticated` if no valid credential is shown and one is needed.
   */
  async identify(request: IncomingMessage): Promise<Caller> {
    return anonymous(request.socket.remoteAddress ?? null);
  }

  /**
   * Finds out who sends a request, and whether they may.
   * @throws {Problem} if not.
   */
  async admit(request: IncomingMessage, right: Right, timerId?: string): Promise<Caller> {
    if (right === 'public') return anonymous(request.socket.remoteAddress ?? null);
    const caller = await this.identify(request);
    this.permit(caller, right, timerId);
    return caller;
  }

  /**
   * Lets a caller do what needs a right, to one timer or in general.
   * @throws {Problem} `forbidden` if it may not.
   */
  permit(caller: Caller, right: Right, timerId?: string): void {
    if (!hasRight(caller, right)) {
      throw new Problem('forbidden', `The role ${caller.role} does not allow this`);
    }
    if (timerId === undefined) return;
    const found = this.#options.registry.lookUp(timerId);
    if (found.ok && !reaches(caller, found.timer.record)) {
      throw new Problem('forbidden', `The credential is not for timer ${timerId}`);
    }
  }
}
