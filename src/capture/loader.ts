/** The kernel as TypeScript sees it. `ffi_loader.ts` is the real one, `testing.ts` a fake. */

import type { PollLimits } from "../flow/timeouts.ts";

/** One network interface of the watched namespace. */
export interface NetworkInterface {
  name: string;
  index: number;
  /** Lower-case, colon-separated; `""` when the link has no such address. */
  mac: string;
  up: boolean;
  /** Its frames start with an Ethernet header. */
  ethernet: boolean;
  /** IPv4 and IPv6 addresses as text. */
  addresses: string[];
}

export interface OpenOptions {
  /** `""`: nothing is pinned. */
  pinRoot: string;
  instance: string;
  /** Entries of the flow table. */
  flowCapacity: number;
  /** Entries of the ring buffer. */
  eventCapacity: number;
  /** Percentage of used entries beyond which the kernel wakes the agent. */
  highWaterPercent: number;
  /** File of the network namespace to watch, `""` for the process's own. */
  networkNamespace: string;
  attach: { mode: "auto" | "tcx" | "clsact"; tcxFirst: boolean; tcPriority: number };
  /** For tests: rounds that a packet idles where its flow may be retired under it. */
  raceWindow?: number;
}

export interface OpenReport {
  /** What the table really holds: a pinned one keeps its size. */
  capacity: number;
  pinned: boolean;
  /** Why it is not pinned, or `""`. */
  pinProblem: string;
  /** The table was there already: an earlier agent left it, with or without flows in it. */
  reused: boolean;
  /** Flows found in it. */
  takenOver: number;
  /** Tables of other versions, whose flows `prune()` drops. */
  foreignLayouts: string[];
}

/** When a flow is due, and what counts as a full table, in entries. */
export interface SweepLimits extends PollLimits {
  highWater: number;
  lowWater: number;
  /** Ends every flow now. */
  force: boolean;
}

/** Counters of one direction of one interface since it was attached; they only grow. */
export interface HookCounters {
  ifindex: number;
  direction: "ingress" | "egress";
  packets: number;
  bytes: number;
  /** Packets that were added to a flow here. */
  counted: number;
  /** Packets of flows that another hook counts. */
  noted: number;
  /** Packets that could not be parsed, by `UNPARSED_REASONS`. */
  unparsed: number[];
  /** Packets that found no place, by `LOST_REASONS`. */
  lost: number[];
}

export interface TableCounters {
  capacity: number;
  used: number;
  created: number;
  freed: number;
  /** Flows ended early because the table filled up. */
  pressed: number;
  /** Entries that could not be given back to the kernel. */
  leaked: number;
  /** Packets of open flows that no record holds yet. */
  openPackets: number;
  hooks: HookCounters[];
}

/** What the loader says went wrong; `code` is for branching, the message for people. */
export class LoaderError extends Error {
  override readonly name = "LoaderError";
  constructor(readonly code: LoaderErrorCode, message: string, readonly verifierLog?: string) {
    super(message);
  }
}

export type LoaderErrorCode =
  | "permission"
  | "not_found"
  | "verifier"
  | "locked"
  | "unsupported"
  | "usage"
  | "system";

/** The loader library: opens sessions and parses HCL. */
export interface Loader {
  readonly version: string;
  /** @throws {LoaderError} */
  open(options: OpenOptions): { session: CaptureSession; report: OpenReport };
  /** JSON text of the document, or of the list of errors. */
  parseConfig(source: string): { ok: boolean; json: string };
  /**
   * Removes what agents left: attachments, maps, directories. `instance` `""` means all that do not run.
   * @throws {LoaderError} code `locked` when the named agent runs.
   */
  cleanup(options: { pinRoot: string; instance: string }): CleanupReport;
}

export interface CleanupReport {
  /** What was removed. */
  instances: string[];
  /** What was left alone, because its agent runs. */
  running: string[];
  attachments: number;
}

/**
 * One hold on the kernel. All methods but `wait()`, `wake()` and `sweep()` are synchronous; they wait for a sweep that is
 * under way, and `detach()` and `forget()` for a grace period (milliseconds). All throw `LoaderError`.
 */
export interface CaptureSession {
  /** The buffer that `read()` fills with `FlowRecord`s. */
  readonly records: Uint8Array<ArrayBuffer>;
  interfaces(): NetworkInterface[];
  attach(name: string): { index: number; mode: "tcx" | "clsact" };
  /** `0`: from all. Returns when no packet under way can still be counted. */
  detach(ifindex: number): void;
  /** Detaches from an interface that is gone, and drops its counters. */
  forget(ifindex: number): void;
  /** Removes what earlier agents left and was not taken over; returns how many attachments. */
  prune(): number;
  /** Resolves when the table fills up, `wake()` is called, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<"full" | "woken" | "timeout">;
  wake(): void;
  /** Finds the flows that are due; resolves to how many there are to `read()`. */
  sweep(limits: SweepLimits): Promise<number>;
  /** Fills `records`; returns how many. Fewer than fit means that was all. */
  read(): number;
  counters(): TableCounters;
  /** `keep`: what is pinned goes on counting for a successor; otherwise nothing stays. */
  close(keep: boolean): void;
}
