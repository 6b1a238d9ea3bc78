/**
 * Where a request comes from. What a client says of itself in `X-Forwarded-For` counts only as far as proxies
 * that are trusted have written it; TRUST_PROXY says which are. Reads requests, and touches nothing else.
 */
import type { IncomingHttpHeaders } from 'node:http';
import ipaddr from 'ipaddr.js';

/** How many proxies stand in front of the service, or their addresses and subnets. */
export type TrustedProxies = number | readonly string[];

/** A request, as far as it says where and from whom it comes. */
export interface Incoming {
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Each of them is written by proxies only; many write no other one. */
const FORWARDING_HEADERS = [
  ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded', 'x-real-ip', 'via'],
];

/** Some proxies write the port of their client too. */
const IPV4_WITH_PORT = /^(\d+\.\d+\.\d+\.\d+):\d+$/;
const IPV6_IN_BRACKETS = /^\[([^\]]*)\](?::\d+)?$/;

/** Of an IPv6 network of this size every host may be one and the same. */
const IPV6_SITE_PARTS = 4;

/** Where a request comes from, as far as it can be believed. */
export interface Found {
  readonly address: string;
  /** False for one of a proxy that is not trusted, or does not say for whom it asks. */
  readonly isOfClient: boolean;
}

export class Addresses {
  readonly #isTrusted: (address: string, hops: number) => boolean;

  constructor(trusted: TrustedProxies) {
    this.#isTrusted =
      typeof trusted === 'number' ? (_, hops) => hops < trusted : membership(trusted);
  }

  /** The address of the client; `null` when the connection is gone. */
  of(request: Incoming): string | null {
    return this.find(request)?.address ?? null;
  }

  /** The address of a request, which is the client's, or that of a proxy of which nobody knows whom it asks for. */
  find(request: Incoming): Found | undefined {
    let address = normalizedPeer(request);
    if (address === undefined) return undefined;
    let isOfClient = !isForwarded(request);
    for (const [hops, said] of forwardedFor(request).entries()) {
      if (!this.#isTrusted(address, hops)) break;
      const named = normalized(said);
      isOfClient = named !== undefined;
      if (named === undefined) break;
      address = named;
    }
    return { address, isOfClient };
  }

  /** Whether the client's connection is encrypted, as the proxy that is trusted says. */
  isSecure(request: Incoming): boolean {
    const peer = normalizedPeer(request);
    if (peer === undefined || !this.#isTrusted(peer, 0)) return false;
    const [protocol] = listed(request.headers['x-forwarded-proto']);
    return protocol?.toLowerCase() === 'https';
  }
}

/** Tells which addresses belong to some networks. */
export function membership(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map((network) =>
    ipaddr.parseCIDR(network.includes('/') ? network : `${network}/${bitsOf(network)}`),
  );
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return ranges.some(([base, bits]) => parsed.kind() === base.kind() && parsed.match(base, bits));
  };
}

/** What is counted as one place: an IPv4 address, or the network of an IPv6 address. */
export function siteOf(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address;
  const { parts } = ipaddr.IPv6.parse(address);
  const site = parts.slice(0, IPV6_SITE_PARTS).map((part) => part.toString(16));
  return `${site.join(':')}::/64`;
}

function bitsOf(address: string): number {
  return address.includes(':') ? 128 : 32;
}

/** Reading an address takes up to 25 us, which each request would pay several times. */
const known = new Map<string, string | undefined>();
const MOST_KNOWN = 10_000;
/** Of an IPv4 address that is mapped to IPv6, written out; anything longer is none, and not to be kept. */
const LONGEST_ADDRESS = 45;

function normalizedPeer({ socket }: Incoming): string | undefined {
  return normalized(socket.remoteAddress ?? '');
}

/** The one way to write an address; an IPv4 address that is mapped to IPv6 is an IPv4 address. */
function normalized(text: string): string | undefined {
  if (text.length > LONGEST_ADDRESS) return undefined;
  if (known.has(text)) return known.get(text);
  if (known.size >= MOST_KNOWN) known.clear();
  const address = read(text);
  known.set(text, address);
  return address;
}

function read(address: string): string | undefined {
  const isAddress =
    ipaddr.IPv4.isValidFourPartDecimal(address) ||
    (address.includes(':') && ipaddr.IPv6.isValid(address));
  return isAddress ? ipaddr.process(address).toString() : undefined;
}

const isOfLoopback = membership(['127.0.0.0/8', '::1']);

/** Whether a request was passed on by a proxy, as proxies say themselves. */
export function isForwarded({ headers }: Pick<Incoming, 'headers'>): boolean {
  return FORWARDING_HEADERS.some((name) => headers[name] !== undefined);
}

/** Whether a request comes from this machine, and was passed on by no proxy. */
export function isLocal(request: Incoming): boolean {
  return isOfLoopback(request.socket.remoteAddress ?? '') && !isForwarded(request);
}

/** Nearest first, which is the order in which they can be believed. */
function forwardedFor({ headers }: Incoming): string[] {
  return listed(headers['x-forwarded-for']).map(withoutPort).reverse();
}

function withoutPort(text: string): string {
  const [, address] = IPV4_WITH_PORT.exec(text) ?? IPV6_IN_BRACKETS.exec(text) ?? [];
  return address ?? text;
}

function listed(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return [header]
    .flat()
    .join(',')
    .split(',')
    .map((part) => part.trim());
}
