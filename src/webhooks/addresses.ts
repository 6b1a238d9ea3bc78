/**
 * Which addresses webhooks may be sent to. Whoever can create a webhook must not reach through the service
 * into the network that it stands in, so only public addresses are taken, and a name is looked up once: the
 * address that was checked is the one that is connected to.
 */
import { lookup as lookUpName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Looks up all addresses of a name, as `dns.lookup` does. */
export type NameLookup = (
  name: string,
  options: { readonly all: true },
  done: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
) => void;

/** All that is handed out of IPv6 for use on the internet; the rest is special, or for later. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

export function isPublic(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.process(text);
  if (address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv4 || address.match(GLOBAL_IPV6);
}

/** Why a webhook cannot have this URL; `undefined` if it can. */
export function faultOf(text: string, allowsPrivate: boolean): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return 'It is not a URL';
  const isTaken = url.protocol === 'https:' || (allowsPrivate && url.protocol === 'http:');
  if (!isTaken) return 'It must begin with https://';
  if (url.username + url.password !== '') return 'It must have no name or password in it';
  if (url.hash !== '') return 'It must have no fragment';
  return allowsPrivate ? undefined : faultOfLiteral(url.hostname);
}

/** Node connects to a literal address without looking anything up, so it is checked by itself. */
function faultOfLiteral(hostname: string): string | undefined {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) === 0 || isPublic(address)) return undefined;
  return `The address ${address} is not public`;
}

/** A look-up for connections that gives public addresses only, and fails if there are none. */
export function publicLookup(lookUp: NameLookup = lookUpName): LookupFunction {
  return (name, options, done) => {
    lookUp(name, { all: true }, (error, addresses) => {
      if (error !== null) return done(error, '');
      const found = addresses.filter(({ address }) => isPublic(address));
      const [first] = found;
      if (first === undefined) {
        return done(new Error(`${name} has no public address`), '');
      }
      if (options.all === true) done(null, found);
      else done(null, first.address, first.family);
    });
  };
}
