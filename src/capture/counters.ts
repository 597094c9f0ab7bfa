/** Counters of the kernel side, from the bytes that the loader writes. */

import { HookCounters as Words, HookReport, LOST_REASONS, TableReport, UNPARSED_REASONS } from "./layout.gen.ts";
import type { HookCounters, TableCounters } from "./loader.ts";

/** An unsigned 64-bit little-endian integer; exact up to 2^53, which no counter of ours reaches. */
export function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
}

/** A `TableReport` at the start of `view`. */
export function readTableCounters(view: DataView): Omit<TableCounters, "hooks"> {
  return {
    capacity: view.getUint32(TableReport.capacity, true),
    used: view.getUint32(TableReport.used, true),
    created: readU64(view, TableReport.created),
    freed: readU64(view, TableReport.freed),
    pressed: readU64(view, TableReport.pressed),
    leaked: readU64(view, TableReport.leaked),
    openPackets: readU64(view, TableReport.openPackets),
    taken: readU64(view, TableReport.taken),
    filtered: readU64(view, TableReport.filtered),
    killed: readU64(view, TableReport.killed),
    conntrack: {
      entries: view.getUint32(TableReport.conntrackEntries, true),
      events: readU64(view, TableReport.conntrackEvents),
      lost: readU64(view, TableReport.conntrackLost),
      overflows: readU64(view, TableReport.conntrackOverflows),
    },
  };
}

/** The `HookReport` at `offset`. */
export function readHookCounters(view: DataView, offset: number): HookCounters {
  const at = offset + HookReport.counters;
  return {
    ifindex: view.getUint32(offset + HookReport.ifindex, true),
    direction: view.getUint32(offset + HookReport.egress, true) ? "egress" : "ingress",
    packets: readU64(view, at + Words.packets),
    bytes: readU64(view, at + Words.bytes),
    counted: readU64(view, at + Words.counted),
    duplicate: readU64(view, at + Words.duplicate),
    keyScopeConflict: readU64(view, at + Words.keyScopeConflict),
    unparsed: UNPARSED_REASONS.map((_, i) => readU64(view, at + Words.unparsed + 8 * i)),
    filtered: readU64(view, offset + HookReport.filtered),
    lost: LOST_REASONS.map((_, i) => readU64(view, at + Words.lost + 8 * i)),
  };
}
