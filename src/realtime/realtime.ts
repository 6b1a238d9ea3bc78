/** The public face of all that is told as it happens, over WebSocket and as server-sent events. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Access } from '../access/access.js';
import { type Caller, givenLabelOf } from '../access/caller.js';
import type { Limits } from '../access/limits.js';
import { BURST_SECONDS } from '../access/token-bucket.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import type { Acknowledgement, Displays } from '../protocol/displays.js';
import { endedEventOf } from '../protocol/events.js';
import { connectedMessage } from '../protocol/messages.js';
import type { Acknowledged } from '../protocol/presence.js';
import { LimitProblem, noRoom, Problem, problemOf } from '../protocol/problems.js';
import type { Registry, TimerRecord } from '../registry.js';
import { admit } from './admission.js';
import type { Sees } from './console.js';
import type { EventStream } from './event-stream.js';
import { type DisplayFigures, displayEventOf, Hub, type HubMeasures, type Joined } from './hub.js';
import type { Presence } from './presence.js';
import { Watchers } from './watchers.js';
import { serveWebSockets, type WebSockets } from './websocket.js';

export interface RealtimeOptions {
  readonly registry: Registry;
  readonly access: Access;
  readonly limits: Limits;
  readonly measures: HubMeasures;
  readonly presence: Presence;
  readonly clock: Clock;
  readonly config: Config;
  readonly log: Log;
}

/** A request that is answered with a stream of events. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
}

export interface FollowOptions {
  readonly timerId: string;
  readonly wantsTicks: boolean;
  readonly label: string | undefined;
  /** The last revision that the display knows, if it was here before. */
  readonly lastRevision: number | undefined;
}

export class Realtime {
  readonly #options: RealtimeOptions;
  readonly #hub: Hub;
  readonly #watchers: Watchers;
  #webSockets: WebSockets | undefined;

  constructor(options: RealtimeOptions) {
    const { registry, presence, clock, config } = options;
    const keepaliveMs = config.keepaliveSeconds * 1000;
    this.#options = options;
    this.#hub = new Hub({
      registry,
      clock,
      keepaliveMs,
      maxDisplaysPerTimer: config.maxClientsPerTimer,
      maxMessagesPerSecond: config.maxMessagesPerSecond,
      measures: options.measures,
      presence,
      onDisplaysChange: (timerId) => {
        this.#watchers.displaysChanged(timerId);
        presence.changed(timerId);
      },
    });
    this.#watchers = new Watchers({ registry, hub: this.#hub, presence, clock, settings: config });
    presence.begin(
      {
        followedTimers: () => this.#hub.followedTimers(),
        figuresOf: (timerId) => this.#hub.figuresOf(timerId),
        rowsOf: (timerId) => this.#hub.rowsOf(timerId),
        acknowledge: (...said) => this.#acknowledgeHere(...said),
      },
      (timerId) => this.#watchers.displaysChangedElsewhere(timerId),
    );
  }

  /** Takes the WebSocket connections of a server. */
  acceptWebSockets(server: Server): void {
    this.#webSockets = serveWebSockets({ ...this.#options, server, hub: this.#hub });
  }

  /**
   * Lets a display follow a timer over server-sent events.
   * @throws {Problem} if it cannot.
   */
  async follow(exchange: Exchange, options: FollowOptions): Promise<void> {
    const { timerId, lastRevision } = options;
    this.#admit(exchange);
    const record = this.#recordOf(timerId);
    if (this.#hub.isFull(timerId)) {
      const detail = `As many displays follow ${timerId} as may`;
      throw noRoom('too_many_displays', this.#options.config.maxClientsPerTimer, detail);
    }
    const joined = this.#hub.joinStream(timerId, {
      ...options,
      response: exchange.response,
      givenLabel: givenLabelOf(exchange.caller),
      credential: exchange.caller.credential,
    });
    const { display, displayId } = joined;
    exchange.response.once('close', joined.leave);
    this.#endWithCredential(exchange, display);
    if (lastRevision === undefined || lastRevision >= record.revision) display.begin();
    else await this.#catchUp(joined, lastRevision, record);
    const found = this.#options.registry.lookUp(timerId);
    if (found.ok) display.send(displayEventOf(connectedMessage(found.timer, displayId)));
  }

  /** Tells who follows a timer, whenever that changes. */
  watchDisplays(exchange: Exchange, timerId: string): void {
    this.#admit(exchange);
    this.#recordOf(timerId);
    this.#endWithCredential(
      exchange,
      this.#watchers.watchDisplays(timerId, exchange.caller, exchange.response),
    );
  }

  /** Tells a console of the timers it may see, and of their displays. */
  watchAll(exchange: Exchange, sees: Sees): void {
    this.#admit(exchange);
    this.#endWithCredential(
      exchange,
      this.#watchers.watchAll(exchange.caller, exchange.response, sees),
    );
  }

  /** All displays in figures. */
  figures(): DisplayFigures {
    return this.#hub.figures();
  }

  /** Who follows a timer now. */
  async displaysOf(timerId: string): Promise<Displays> {
    this.#recordOf(timerId);
    const elsewhere = await this.#options.presence.rowsElsewhere(timerId);
    return this.#hub.displaysOf(this.#recordOf(timerId), elsewhere);
  }

  /**
   * Notes what a display says it shows. Nobody else says it in its name, whatever else they may do.
   * @throws {Problem} if somebody else does, or it is said too often.
   */
  async acknowledge(
    timerId: string,
    displayId: string,
    acknowledgement: Acknowledgement,
    { credential }: Caller,
  ): Promise<void> {
    this.#recordOf(timerId);
    const said = [timerId, displayId, acknowledgement, credential] as const;
    const here = this.#acknowledgeHere(...said);
    const isElsewhere = here === 'unknown_display';
    const outcome = isElsewhere ? await this.#options.presence.acknowledgeElsewhere(...said) : here;
    switch (outcome) {
      case 'noted':
        return;
      case 'unknown_display':
        throw new Problem('unknown_display', `No display ${displayId} follows this timer`);
      case 'forbidden':
        throw new Problem('forbidden', `Display ${displayId} came with another credential`);
      case 'too_many_messages': {
        const most = this.#options.config.maxMessagesPerSecond;
        const quota = { limit: most * BURST_SECONDS, remaining: 0, resetSeconds: BURST_SECONDS };
        const detail = `A display acknowledges ${most} times a second at most`;
        throw new LimitProblem('too_many_messages', detail, quota);
      }
    }
  }

  #acknowledgeHere(
    timerId: string,
    displayId: string,
    acknowledgement: Acknowledgement,
    credential: string,
  ): Acknowledged {
    const own = this.#hub.credentialOf(timerId, displayId);
    if (own === undefined) return 'unknown_display';
    if (own !== credential) return 'forbidden';
    if (!this.#hub.takeRequest(timerId, displayId)) return 'too_many_messages';
    this.#hub.acknowledge(timerId, displayId, acknowledgement);
    return 'noted';
  }

  /** Tells displays that the service goes away, and settles when those over WebSocket are gone. */
  async close(): Promise<void> {
    this.#options.presence.end();
    this.#hub.closeAll();
    this.#watchers.closeAll();
    await this.#webSockets?.close();
  }

  #admit({ request }: Exchange): void {
    admit(request, this.#options.registry, this.#options.config);
  }

  #endWithCredential(
    { response, caller }: Exchange,
    stream: { endWith(event: Buffer): void },
  ): void {
    response.once(
      'close',
      this.#options.access.watch(caller, () => stream.endWith(endedEventOf('credential_ended'))),
    );
  }

  #recordOf(timerId: string): TimerRecord {
    const found = this.#options.registry.lookUp(timerId);
    if (!found.ok) throw problemOf(found.refusal, timerId);
    return found.timer.record;
  }

  /**
   * Tells a display what it missed before anything that happens meanwhile: it has joined, so that nothing
   * is lost, and what it is told live is held back, so that nothing comes too early.
   */
  async #catchUp(
    joined: Joined<EventStream>,
    lastRevision: number,
    record: TimerRecord,
  ): Promise<void> {
    const { display } = joined;
    display.hold();
    const missed = await this.#hub.missedSince(lastRevision, record).catch((err: unknown) => {
      this.#options.log.error({ timer: record.id, err }, 'a history could not be read');
      joined.leave();
      throw new Problem('journal_unavailable', 'What was missed cannot be read; try again soon');
    });
    if (display.hasEnded) return;
    display.begin();
    for (const event of missed) {
      display.put(event);
      if (display.isBehind) await display.drained();
      if (display.hasEnded) return;
    }
    display.release();
  }
}
