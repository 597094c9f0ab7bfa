/** A session of the loader with no agent around it. */

import { openLoader } from "../../src/capture/ffi_loader.ts";
import type { Loader, OpenOptions, SweepLimits } from "../../src/capture/mod.ts";
import type { End } from "../harness/netns.ts";

export const CAPACITY = 4096;
const HOUR_MS = 3_600_000;

/** Nothing is due by itself. */
export const NOTHING_DUE: SweepLimits = {
  activeMs: HOUR_MS,
  genericIdleMs: HOUR_MS,
  icmpIdleMs: HOUR_MS,
  tcpIdleMs: HOUR_MS,
  tcpFinMs: HOUR_MS,
  tcpRstMs: HOUR_MS,
  udpIdleMs: HOUR_MS,
  highWater: CAPACITY,
  lowWater: CAPACITY,
  force: false,
};

/** The built library. */
export function builtLoader(): Loader {
  return openLoader(new URL("../../bin/libmermin_loader.so", import.meta.url).pathname);
}

/** Options for the namespace of `end`, unpinned. */
export function sessionOptions(end: End, change: Partial<OpenOptions> = {}): OpenOptions {
  return {
    pinRoot: "",
    instance: "",
    flowCapacity: CAPACITY,
    eventCapacity: 1024,
    highWaterPercent: 100,
    networkNamespace: end.namespace.path,
    attach: { mode: "auto", tcxFirst: true, tcPriority: 1 },
    ...change,
  };
}
