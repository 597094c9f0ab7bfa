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
  /** Our programs hang on it. */
  attached: boolean;
}

/** A socket that takes what comes to its port. */
export interface ListeningSocket {
  /** IP protocol number. */
  protocol: number;
  port: number;
  /** As text; `0.0.0.0` and `::` are all of their family. */
  address: string;
  /** An IPv6 socket on all addresses that takes IPv4 too. */
  dual: boolean;
}

/** What became of an interface that was to be watched. */
export type AttachResult = { mode: "tcx" | "clsact" } | { error: LoaderError };

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
  /** Where to watch: `auto`, `self`, `host` or the path of a network namespace. */
  networkNamespace: string;
  attach: { mode: "auto" | "tcx" | "clsact"; tcxFirst: boolean; tcPriority: number };
  /** `vni`: flows are told apart by their VLAN id too. */
  keyScope?: "none" | "vni";
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
  /** Records that an agent had which was killed before, see `noteSettled()`. */
  killed: number;
  /** Why connection tracking is not followed, or `""`. */
  conntrackProblem: string;
  /** Tables of other versions, which `prune()` takes over; those with a `problem` cannot be read, and are dropped. */
  foreign: { path: string; problem: string }[];
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
  /** 0: the sum over all interfaces that are gone. */
  ifindex: number;
  direction: "ingress" | "egress";
  packets: number;
  bytes: number;
  /** Packets that were added to a flow here and are, or will be, in a span. */
  counted: number;
  /** Packets of flows that another hook counts. */
  duplicate: number;
  /** Packets in records that a filter dropped, see `bookFiltered()`. */
  filtered: number;
  /** Packets, counted above too, of a flow whose first packet had another VLAN or tunnel id. */
  keyScopeConflict: number;
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
  /** Packets in records that `read()` handed out, also to earlier agents with this table. */
  taken: number;
  /** Those of them in records that a filter dropped. */
  filtered: number;
  /** Records that agents had when they were killed, see `noteSettled()`. */
  killed: number;
  conntrack: ConntrackCounters;
  hooks: HookCounters[];
}

/** Of the connections that are translated (NAT). */
export interface ConntrackCounters {
  /** Those that are known now. */
  entries: number;
  /** What the kernel has told. */
  events: number;
  /** Those that found no place. */
  lost: number;
  /** How often events were missing, and what there is was asked for anew. */
  overflows: number;
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
  | "gone"
  | "verifier"
  | "locked"
  | "unsupported"
  | "limit"
  | "usage"
  | "system";

/** The loader library: opens sessions and parses configuration files. */
export interface Loader {
  readonly version: string;
  /** What this host and this process have; nothing is made in `pinRoot`. */
  facts(pinRoot: string): KernelFacts;
  /**
   * IP addresses of a network namespace (path of its file, `""` for the process's own), but those of the loopback; IPv6 in
   * RFC 5952 form.
   * @throws {LoaderError}
   */
  addresses(namespace: string): string[];
  /** On another thread: a large table takes seconds. Rejects with `LoaderError`. */
  open(options: OpenOptions): Promise<{ session: CaptureSession; report: OpenReport }>;
  /** Gives back to the system what the allocator keeps of freed memory: a few milliseconds. */
  trim(): void;
  /** JSON text of the document, or of the list of errors; `format` is 0 for HCL, 1 for YAML, 2 for JSON. */
  parseConfig(source: string, format: number): { ok: boolean; json: string };
  /**
   * Removes what agents left: attachments, maps, directories. `instance` `""` means all that do not run.
   * @throws {LoaderError} code `locked` when the named agent runs.
   */
  cleanup(options: { pinRoot: string; instance: string }): CleanupReport;
}

export interface KernelFacts {
  /** As `uname -r` and `uname -m`. */
  kernel: string;
  machine: string;
  /** Effective user id. */
  user: number;
  /** Effective capabilities, by number (linux/capability.h). */
  capabilities: number[];
  /** What is wrong with the BPF file system, or `""`. */
  bpffsProblem: string;
  /** The kernel describes its types. */
  btf: boolean;
}

export interface CleanupReport {
  /** What was removed. */
  instances: string[];
  /** What was left alone, because its agent runs. */
  running: string[];
  attachments: number;
}

/**
 * One hold on the kernel. Methods that return a promise work on another thread; the others take microseconds, or wait for
 * the grace period of a sweep (milliseconds) that is under way. All throw or reject with `LoaderError`.
 */
export interface CaptureSession {
  /** The buffer that `read()` fills with `FlowRecord`s. */
  readonly records: Uint8Array<ArrayBuffer>;
  interfaces(): Promise<NetworkInterface[]>;
  /** Attaches to the interfaces of these indexes; one that refuses does not keep the others. About 10 to 40 ms each. */
  attach(indexes: readonly number[]): Promise<AttachResult[]>;
  /** Resolves when no packet is counted any more; what is attached stays so. Milliseconds, however many interfaces. */
  silence(): Promise<void>;
  /** From all. Resolves when no packet under way can still be counted; about 30 ms an interface. */
  detachAll(): Promise<void>;
  /** Detaches from interfaces that are gone or no longer meant, ends their flows and drops their counters. */
  forget(indexes: readonly number[]): Promise<void>;
  /**
   * Removes what earlier agents left and was not taken over; flows of other versions are read first from now on. Resolves to
   * the number of attachments that were removed.
   */
  prune(): Promise<number>;
  /** Resolves when interfaces or addresses have changed, `wake()` is called, or after `timeoutMs`. */
  watch(timeoutMs: number): Promise<"changed" | "woken" | "timeout" | "failed">;
  /** The sockets that listen in the watched namespace now. */
  listeners(): ListeningSocket[];
  /** Resolves when the table fills up, `wake()` is called, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<"full" | "woken" | "timeout">;
  /** Ends `wait()` and `watch()`, those under way or the next ones. */
  wake(): void;
  /** Finds the flows that are due; resolves to how many there are to `read()`. */
  sweep(limits: SweepLimits): Promise<number>;
  /** Fills `records`; returns how many. Fewer than fit means that was all. */
  read(): number;
  counters(): TableCounters;
  /** Tells that `packets` of records handed out, counted at the hook of this id, were dropped by a filter. */
  bookFiltered(hook: number, packets: number): void;
  /**
   * Tells how many of the records that `read()` handed out are delivered, dropped or counted as lost by now. Should the agent
   * be killed, the next one counts the others as `killed`. Waits for nothing.
   */
  noteSettled(records: number): void;
  /** `keep`: what is pinned goes on counting for a successor; otherwise nothing stays. */
  close(keep: boolean): void;
}
