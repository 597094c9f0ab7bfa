/** A session of the loader with no agent around it. */

import { openLoader } from "../../src/capture/ffi_loader.ts";
import {
  type CaptureSession,
  FlowRecords,
  type Loader,
  type OpenOptions,
  type OpenReport,
  type SweepLimits,
} from "../../src/capture/mod.ts";
import type { End } from "../harness/netns.ts";

export const CAPACITY = 4096;
const HOUR_MS = 3_600_000;
const UDP = 17;

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

/** Disposing closes it, and leaves nothing pinned. */
export interface OpenedSession extends Disposable {
  readonly session: CaptureSession;
  readonly report: OpenReport;
}

export async function openSession(options: OpenOptions): Promise<OpenedSession> {
  const opened = await builtLoader().open(options);
  return { ...opened, [Symbol.dispose]: () => opened.session.close(false) };
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

/** Attaches to the interface of this name and returns its index. @throws {LoaderError} */
export async function attachTo(session: CaptureSession, name: string): Promise<number> {
  const found = (await session.interfaces()).find((each) => each.name === name);
  if (!found) throw new Error(`there is no interface "${name}"`);
  const [result] = await session.attach([found.index]);
  if ("error" in result) throw result.error;
  return found.index;
}

/** Ends all flows and returns the UDP packets in their records, by the index of the interface that counted side A. */
export async function drainByInterface(session: CaptureSession): Promise<Record<number, number>> {
  const records = new FlowRecords(session.records);
  const packets: Record<number, number> = {};
  await session.sweep({ ...NOTHING_DUE, force: true });
  for (let count = session.read(); count > 0; count = session.read()) {
    for (let i = 0; i < count; i++) {
      records.seek(i);
      if (records.protocol !== UDP) continue;
      const index = records.ifindex(0);
      packets[index] = (packets[index] ?? 0) + records.packetsDelta(0) + records.packetsDelta(1);
    }
  }
  return packets;
}

/** Ends all flows and returns the UDP packets in their records. */
export async function drain(session: CaptureSession): Promise<number> {
  return Object.values(await drainByInterface(session)).reduce((sum, count) => sum + count, 0);
}
