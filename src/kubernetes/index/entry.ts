/** Who of those that had an address is meant by a flow. */

import type { AddressKey } from "../model/address_key.ts";
import type { Kind } from "../model/kinds.ts";
import type { End } from "./lifetime.ts";
import type { PortRange } from "./claims.ts";
import type { Stored } from "../model/stored.ts";
import type { Terms } from "./terms.ts";

/** One end of a flow. Ports are -1 where there are none; times are milliseconds since the epoch. */
export interface EndQuery {
  address: string;
  /** Of the address. */
  key: AddressKey;
  /** Which end it is, one of the {@linkcode SIDES}. */
  side: number;
  port: number;
  peerPort: number;
  transport: string;
  networkType: string;
  startMs: number;
  endMs: number;
}

/** Since when, until when and under which terms an object has an address; shared by those that it got at once. */
export interface Claim {
  readonly startMs: number;
  /** The object has the address for sure until `sureMs`, and no more from `goneMs` on. */
  readonly end: End;
  readonly terms: Terms;
}

/** One object at one address; the next at the same address hangs on it. */
export interface Entry {
  readonly stored: Stored;
  claim: Claim;
  /** Of the last change of the object in which it had the address. */
  turn: number;
  next: Entry | undefined;
}

export const NO_PORT = -1;

export function isSolePod({ stored, claim: { terms } }: Entry): boolean {
  return stored.kind === "Pod" && !terms.isShared;
}

export function isAlive({ claim: { startMs, end } }: Entry, timeMs: number): boolean {
  return startMs <= timeMs && timeMs < end.goneMs;
}

/** Whether nobody knows who had the address during all of the window. */
export function isLost({ claim: { end: { isUnseen, sureMs } } }: Entry, { endMs }: EndQuery): boolean {
  return isUnseen === true && endMs >= sureMs;
}

/**
 * Adds the objects at one address, at most one of each kind.
 * @param isWaitedFor whether another pod may have got the address of this one already
 */
export function findIn(
  first: Entry,
  query: EndQuery,
  found: Stored[],
  isWaitedFor: (pod: Stored) => boolean,
): void {
  for (let entry: Entry | undefined = first; entry; entry = entry.next) {
    // The first entry of a kind stands for all of them.
    if (isKindBefore(first, entry)) continue;
    const best = pick(first, entry.stored.kind, query);
    if (!best) continue;
    if (query.endMs < best.claim.end.sureMs || !isWaitedFor(best.stored)) found.push(best.stored);
  }
}

function isKindBefore(first: Entry, end: Entry): boolean {
  for (let entry = first; entry !== end; entry = entry.next!) if (entry.stored.kind === end.stored.kind) return true;
  return false;
}

function pick(first: Entry, kind: Kind, query: EndQuery): Entry | undefined {
  let best: Entry | undefined;
  let isAmbiguous = false;
  for (let entry: Entry | undefined = first; entry; entry = entry.next) {
    if (entry.stored.kind !== kind || !isAlive(entry, query.startMs) || !fits(entry, query)) continue;
    if (!best || best.stored === entry.stored) best = entry;
    else if (kind !== "Pod") isAmbiguous = true;
    else {
      isAmbiguous = true;
      if (entry.claim.startMs < best.claim.startMs) best = entry;
    }
  }
  if (!best) return undefined;
  // Of pods the first keeps an address as long as it surely lives: the next cannot have it before.
  if (isAmbiguous && (kind !== "Pod" || query.startMs >= best.claim.end.sureMs) || isLost(best, query)) {
    return undefined;
  }
  return isTakenOver(first, best, query) ? undefined : best;
}

/** Whether another object had the address, too, later in the window, if only for a moment: its packets are of both. */
function isTakenOver(first: Entry, best: Entry, query: EndQuery): boolean {
  const { kind } = best.stored;
  const fromMs = kind === "Pod" ? Math.max(query.startMs, best.claim.end.sureMs) : query.startMs;
  if (query.endMs < fromMs) return false;
  for (let entry: Entry | undefined = first; entry; entry = entry.next) {
    if (entry.stored.kind !== kind || entry.stored === best.stored) continue;
    const { startMs, end } = entry.claim;
    if (startMs <= query.endMs && end.goneMs > fromMs && fits(entry, query)) return true;
  }
  return false;
}

export function fits({ claim: { terms } }: Entry, query: EndQuery): boolean {
  const { sides, ports, families } = terms;
  if ((sides & query.side) === 0) return false;
  if (families.length > 0 && !families.includes(query.networkType)) return false;
  if (terms.isShared) return query.port !== NO_PORT && includesPort(ports, query.port, query.transport);
  const port = terms.isPeerPort ? query.peerPort : query.port;
  return ports.length === 0 || port === NO_PORT || includesPort(ports, port, query.transport);
}

function includesPort(ports: readonly PortRange[], port: number, transport: string): boolean {
  for (const range of ports) {
    if (range.first <= port && port <= range.last && (range.transport === "" || range.transport === transport)) {
      return true;
    }
  }
  return false;
}
